"""Which reader a place needs: a file, a folder or an address becomes a `Source`."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from pathlib import Path

from napari_past.errors import NotASlide, SlideError, SlideUnreachable
from napari_past.slide.access.folder import LocalFolder, RemoteFolder
from napari_past.slide.access.patience import is_passing
from napari_past.slide.access.range_file import BLOCK_BYTES, LocalFile, RangeFile, RemoteFile
from napari_past.slide.access.remote import Remote
from napari_past.slide.fingerprint import LocalPart, Part, RemotePart
from napari_past.slide.omezarr import (
    SIGNS,
    is_zarr_folder,
    open_omezarr,
    sampled_parts,
)
from napari_past.slide.openslide import SUFFIXES, dicom_files, is_dicom, open_openslide
from napari_past.slide.source import Source, stamp_of
from napari_past.slide.tiff import open_tiff

_TIFF_MARKS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PICTURE_MARKS = {b"\x89PNG": "a PNG picture", b"\xff\xd8\xff": "a JPEG picture"}
_READ_AS_SLIDES = (
    "give a TIFF-based slide (SVS, NDPI, SCN, BIF, OME-TIFF), an OME-Zarr folder, or MRXS or DICOM"
)


def open_local(path: Path, series: int | str | None) -> Source:
    """The slide in a file or folder.

    Raises
    ------
    NotASlide, UnsupportedPixels, DamagedSlide, MissingExtra, SlideUnreachable, SlideError
    """
    try:
        if path.is_dir():
            return _of_folder(path, series)
        with path.open("rb") as file:
            head = file.read(4)
        dicom = is_dicom(path)
    except FileNotFoundError as exc:
        raise NotASlide(
            f"{path.name} does not exist where it was looked for; check the path of the slide."
        ) from exc
    except OSError as exc:
        if is_passing(exc):
            raise SlideUnreachable(
                f"{path.name} cannot be read for now ({exc.strerror}); check that its disk is "
                "connected and try again."
            ) from exc
        raise NotASlide(
            f"{path.name} cannot be read ({exc.strerror or type(exc).__name__}); check its "
            "permissions."
        ) from exc
    if not head:
        raise NotASlide(f"{path.name} is an empty file; copy the slide again.")
    # the index file of an MRXS slide is a JPEG picture, so its suffix decides
    if path.suffix.lower() in SUFFIXES or dicom:
        return open_openslide(path, series)
    if head in _TIFF_MARKS:
        return _of_tiff(
            LocalFile(path),
            path.name,
            series,
            content=lambda: [LocalPart("", path)],
            stamp=lambda: stamp_of([path]),
            let_go=lambda: None,
        )
    raise _no_slide(path.name, head)


def open_remote(address: str, series: int | str | None) -> Source:
    """The slide at an address: a TIFF file read by ranges, or an OME-Zarr folder.

    Raises
    ------
    NotASlide, UnsupportedPixels, DamagedSlide, MissingExtra, SlideUnreachable, SlideError
    """
    remote = Remote(address)
    try:
        bare = address.partition("?")[0]
        if bare.rstrip("/").lower().endswith(".zarr") or bare.endswith("/"):
            return _of_remote_zarr(remote, series)
        found = remote.head("", BLOCK_BYTES)
        if found is None:
            return _of_remote_zarr(remote, series)
        facts, head = found
        if not head:
            raise NotASlide(f"{remote.name} is an empty file; copy the slide again.")
        if head[:4] in _TIFF_MARKS:
            return _of_tiff(
                RemoteFile(remote, facts.size, head),
                remote.name,
                series,
                content=lambda: [RemotePart("", remote, facts.size)],
                stamp=remote.stamp,
                let_go=remote.close,
            )
        if head[128:132] == b"DICM" or remote.name.lower().endswith(SUFFIXES):
            raise SlideError(
                f"{remote.name} is a slide for OpenSlide, which reads files on disks only; copy "
                "it with all its files and open the copy."
            )
        raise _no_slide(remote.name, head[:4])
    except BaseException:
        remote.close()
        raise


def _of_folder(path: Path, series: int | str | None) -> Source:
    if is_zarr_folder(path):
        found = open_omezarr(LocalFolder(path), path.name, series)
        files = [path / key for key in found.metadata]
        return Source.of(
            found,
            content=lambda: [
                LocalPart(f.relative_to(path).as_posix(), f)
                for f in sorted(path.rglob("*"))
                if f.is_file()
            ],
            stamp=lambda: stamp_of(files),
            close=lambda: None,
        )
    if dicom_files(path):
        return open_openslide(path, series)
    raise NotASlide(
        f"{path.name} is a folder without OME-Zarr metadata or DICOM files; give a slide file, an "
        "OME-Zarr folder or a folder of DICOM files."
    )


def _of_remote_zarr(remote: Remote, series: int | str | None) -> Source:
    if not any(remote.exists(sign) for sign in SIGNS):
        raise NotASlide(
            f"There is no slide {remote.name} at {remote.where}; check the address and, if the "
            "place is not public, the credentials."
        )
    found = open_omezarr(RemoteFolder(remote), remote.name, series)

    def content() -> Sequence[Part]:
        listed = remote.listing()
        if listed is None:
            return sampled_parts(remote, found)
        return [RemotePart(key, remote, size) for key, size in listed.items()]

    there: list[str] = []

    def stamp() -> Hashable:
        if not there:
            told = remote.digests(found.metadata)
            there.extend(k for k, digest in zip(found.metadata, told, strict=True) if digest)
            return tuple(digest for digest in told if digest)
        return remote.digests(there)

    return Source.of(found, content, stamp, close=remote.close)


def _of_tiff(
    file: RangeFile,
    name: str,
    series: int | str | None,
    content: Callable[[], Sequence[Part]],
    stamp: Callable[[], Hashable],
    let_go: Callable[[], None],
) -> Source:
    try:
        tif, found = open_tiff(file, name, series)
    except BaseException:
        file.close()
        raise

    def close() -> None:
        tif.close()
        file.close()
        let_go()

    return Source.of(found, content, stamp, close)


def _no_slide(name: str, head: bytes) -> NotASlide:
    kind = next((k for mark, k in _PICTURE_MARKS.items() if head.startswith(mark)), None)
    if kind is not None:
        return NotASlide(
            f"{name} is {kind}, not a slide; convert it with `vips tiffsave {name} OUT.tif --tile "
            "--pyramid --compression jpeg` and give its µm/px."
        )
    return NotASlide(f"{name} is no image that is read as a slide; {_READ_AS_SLIDES}.")
