"""Slides in OME-Zarr folders: 0.4 (zarr v2) and 0.5 (zarr v3), single images or a collection."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from napari_past.errors import DamagedSlide, NotASlide, PastError
from napari_past.slide.access.folder import Folder
from napari_past.slide.access.remote import SMALL_BYTES, Remote
from napari_past.slide.fingerprint import METADATA, SAMPLED_FILES, Part, ReadPart, RemotePart
from napari_past.slide.planes import ZarrPlane, check_rgb8
from napari_past.slide.series import chosen_series, slide_names, unique_names
from napari_past.slide.source import SlideContent
from napari_past.slide.units import plausible_mpp, um_per_unit
from napari_past.slide.zarr_chunks import ROOM_BYTES, chunk_rule
from napari_past.slide.zarr_store import FolderStore

SIGNS = ("zarr.json", ".zgroup", ".zattrs")
_MOST_IMAGES = 1000
_AXES_BEFORE_0_4 = "tczyx"


def is_zarr_folder(path: Path) -> bool:
    """Whether the folder is a zarr group, of OME or not."""
    return any((path / sign).is_file() for sign in SIGNS)


@dataclass(frozen=True, kw_only=True)
class ZarrContent(SlideContent):
    """What an OME-Zarr folder holds."""

    arrays: tuple[zarr.Array[Any], ...]
    """All levels of all images."""
    metadata: tuple[str, ...]
    """Keys at which descriptions of groups and arrays may lie."""


def open_omezarr(folder: Folder, slide_name: str, series: int | str | None) -> ZarrContent:
    """The image of an OME-Zarr folder that `series` chooses, by default the largest.

    Raises
    ------
    NotASlide
        No OME image in the folder.
    DamagedSlide
        Metadata that cannot be read or that promise levels that are missing.
    UnsupportedPixels
        Not 8-bit RGB, or a compression that is not known.
    """
    try:
        return _content(folder, slide_name, series)
    except PastError:
        raise
    except Exception as exc:  # zarr and malformed metadata raise many types
        raise DamagedSlide(
            f"{slide_name} is a zarr folder whose image metadata cannot be read "
            f"({str(exc)[:200] or type(exc).__name__}); it is damaged or incomplete, copy it again "
            "from where it came from."
        ) from exc


def _content(folder: Folder, slide_name: str, wanted: int | str | None) -> ZarrContent:
    store = FolderStore(folder)
    root = zarr.open_group(store, mode="r")
    groups = [(root, _multiscale(root))]
    if groups[0][1] is None:
        groups = [(group, _multiscale(group)) for group in _numbered(root)]
    images = [(group, scales) for group, scales in groups if scales is not None]
    if not images:
        raise NotASlide(
            f"{slide_name} is a zarr folder without an OME image (no multiscales metadata); give "
            "the folder of an OME-Zarr image, version 0.4 or 0.5."
        )
    names = unique_names([str(scales.get("name") or "").strip("/") for _, scales in images])
    arrays = [[_array(group, d["path"]) for d in scales["datasets"]] for group, scales in images]
    areas = [a[0].shape[-1] * a[0].shape[-2] for a in arrays]
    chosen = chosen_series(slide_name, names, names, areas, wanted)
    scales = images[chosen][1]
    axes, units = _axes(scales)
    levels: list[ZarrPlane] = []
    faults = []
    for array in arrays[chosen]:
        colour = check_rgb8(slide_name, axes, array.shape, array.dtype)
        level = ZarrPlane(array, axes, colour)
        if levels and not _is_smaller(levels, level):
            faults.append(
                f"level {array.path} of {level.shape[1]} x {level.shape[0]} px is no smaller "
                "picture of the one before: left out"
            )
            continue
        store.expect(array.path, chunk_rule(slide_name, array))
        levels.append(level)
    owners = ["", *(group.path for group, _ in images), *(a.path for i in arrays for a in i)]
    return ZarrContent(
        vendor="OME-Zarr",
        objective=None,
        levels=tuple(levels),
        mpp_xy=_mpp_xy(scales, axes, units),
        series_names=names,
        image_names=slide_names(names, names),
        series=chosen,
        arrays=tuple(a for image in arrays for a in image),
        metadata=tuple(f"{o}/{name}".lstrip("/") for o in owners for name in METADATA[:-1]),
        faults=tuple(faults),
    )


def _is_smaller(levels: Sequence[ZarrPlane], level: ZarrPlane) -> bool:
    """Whether a level has fewer pixels than the last and, to 2 px or 2 %, the first one's shape."""
    first, last = levels[0].shape, levels[-1].shape
    expected = first[0] * level.shape[1] / first[1]
    smaller = level.shape[0] <= last[0] and level.shape[1] <= last[1] and level.shape != last
    return smaller and abs(level.shape[0] - expected) <= max(2.0, 0.02 * expected)


def _numbered(root: zarr.Group) -> list[zarr.Group]:
    """Groups "0", "1", …, in which bioformats2raw puts the images of one file."""
    out: list[zarr.Group] = []
    while len(out) < _MOST_IMAGES:
        member = root.get(str(len(out)))
        if not isinstance(member, zarr.Group):
            break
        out.append(member)
    return out


def sampled_parts(remote: Remote, content: ZarrContent) -> list[Part]:
    """What stands for an image whose files cannot be listed: all metadata and some chunks.

    The chunks are 32, spread evenly over the levels of all images in their order; one that is
    missing counts as empty.
    """
    parts: list[Part] = []
    for key in content.metadata:
        data = remote.whole(key, SMALL_BYTES)
        if data is not None:
            parts.append(ReadPart(key, data))
    grids = [
        [math.ceil(n / c) for n, c in zip(a.shape, a.shards or a.chunks, strict=True)]
        for a in content.arrays
    ]
    ends = np.cumsum([math.prod(grid) for grid in grids])
    total = int(ends[-1])
    for index in sorted({total * i // SAMPLED_FILES for i in range(SAMPLED_FILES)}):
        which = int(np.searchsorted(ends, index, side="right"))
        array, grid = content.arrays[which], grids[which]
        place = np.unravel_index(index - (int(ends[which - 1]) if which else 0), grid)
        chunk = array.metadata.encode_chunk_key(tuple(int(i) for i in place))
        key = f"{array.path}/{chunk}".lstrip("/")
        if array.shards:
            found = remote.head(key)
            parts.append(RemotePart(key, remote, 0 if found is None else found[0].size))
        else:
            limit = math.prod(array.chunks) * array.dtype.itemsize + ROOM_BYTES
            parts.append(ReadPart(key, remote.whole(key, limit) or b""))
    return parts


def _array(group: zarr.Group, path: str) -> zarr.Array[Any]:
    member = group[path]
    if not isinstance(member, zarr.Array):
        raise ValueError(f"{path} is no array")
    return member


def _multiscale(group: zarr.Group) -> Mapping[str, Any] | None:
    """The first multiscale of a group: under "ome" since 0.5, at the top before."""
    attributes: Mapping[str, Any] = dict(group.attrs)
    scales = dict(attributes.get("ome") or attributes).get("multiscales")
    return scales[0] if isinstance(scales, Sequence) and scales else None


def _axes(scales: Mapping[str, Any]) -> tuple[str, list[str]]:
    """One letter per axis, and the axes' units, "" where none is stated."""
    axes = scales.get("axes")
    if axes is None:
        return _AXES_BEFORE_0_4, [""] * len(_AXES_BEFORE_0_4)
    named = [{"name": a} if isinstance(a, str) else a for a in axes]
    letters = "".join("c" if a.get("type") == "channel" else str(a["name"])[0] for a in named)
    return letters.lower(), [str(a.get("unit") or "") for a in named]


def _mpp_xy(
    scales: Mapping[str, Any], axes: str, units: Sequence[str]
) -> tuple[float, float] | None:
    """Product of the scales of the first dataset and of the whole, where axes have a unit."""
    factors = [1.0] * len(axes)
    stated = False
    for owner in (scales["datasets"][0], scales):
        for step in owner.get("coordinateTransformations") or ():
            if step.get("type") == "scale" and "scale" in step:
                factors = [a * float(b) for a, b in zip(factors, step["scale"], strict=True)]
                stated = True
    um = [um_per_unit(units[axes.index(a)]) for a in "xy"]
    if not stated or um[0] is None or um[1] is None:
        return None
    return plausible_mpp((factors[axes.index("x")] * um[0], factors[axes.index("y")] * um[1]))
