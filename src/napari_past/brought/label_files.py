"""Label images in TIFF, PNG and NumPy files."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from PIL import Image
from tifffile import TiffFile, TiffPageSeries

from napari_past.brought.chunks import KeptChunks
from napari_past.brought.reason import reason_of
from napari_past.errors import BadTable
from napari_past.slide.tiff_facts import tiff_mpp_xy

TIFF_MARKS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
PNG_MARK = b"\x89PNG"
NPY_MARK = b"\x93NUMPY"
_MOST_BYTES = 2 * 1024**3
_PLANES = 64
"""More planes than these are a stack through time or depth."""


@dataclass(frozen=True, eq=False)
class LabelFile:
    """The planes of an open file by name; the first of them is named "" where it is the only."""

    planes: dict[str, Any]
    """Arrays (Y, X), read when they are indexed."""
    mpp_xy: tuple[float, float] | None = None
    """What the file states."""


@contextmanager
def open_label_tiff(path: Path) -> Iterator[LabelFile]:
    """The planes (pages or channels) of the largest image of a TIFF file.

    Raises
    ------
    BadTable
        A colour picture, a stack, or damaged.
    """
    try:
        with TiffFile(path) as tif:
            series = max(tif.series, key=lambda s: int(s.shape[-1]) * int(s.shape[-2]))
            index = list(tif.series).index(series)
            yield LabelFile(
                _tiff_planes(series, path.name), tiff_mpp_xy(tif, series.levels[0], index)
            )
    except BadTable:
        raise
    except Exception as exc:  # tifffile, its codecs and zarr raise many types
        raise _damaged(path, "a TIFF file", exc) from exc


def _tiff_planes(series: TiffPageSeries, source: str) -> dict[str, Any]:
    level = series.levels[0]
    axes, shape = level.get_axes(False), level.get_shape(False)
    if "S" in axes and shape[axes.index("S")] > 1:
        raise _picture(source)
    if axes[-1] == "S":
        axes, shape = axes[:-1], shape[:-1]
    if axes[-2:] != "YX":
        raise BadTable(
            f"{source} has the axes {axes} where an image of labels, Y and X last, was expected; "
            "save one plane as a label image."
        )
    leading = tuple(int(n) for n in shape[:-2])
    count = int(np.prod(leading, dtype=np.int64))
    if count > _PLANES:
        raise BadTable(
            f"{source} is a stack of {count} planes, but cells lie in one; save that one alone."
        )
    array = _tiff_array(level, source)
    names = [""] if count == 1 else [str(i) for i in range(count)]
    places = product(*(range(n) for n in leading))
    return {
        name: KeptChunks(array, place, source) for name, place in zip(names, places, strict=True)
    }


def _tiff_array(level: TiffPageSeries, source: str) -> Any:
    shape = level.get_shape(False)
    shape = shape[:-1] if level.get_axes(False)[-1] == "S" else shape
    if level.dataoffset is not None and level.keyframe.is_memmappable:
        # One uncompressed piece, of which any window can be read.
        return _Mapped(level.asarray(out="memmap").reshape(shape))
    found = zarr.open_array(level.aszarr(level=0, squeeze=False), mode="r", zarr_format=2)
    return found if found.ndim == len(shape) else _Squeezed(found, source)


class _Mapped:
    """An array on disk, which has no pieces."""

    def __init__(self, array: Any) -> None:
        self._array = array
        self.shape, self.dtype = array.shape, array.dtype
        self.chunks = (1,) * array.ndim

    def __getitem__(self, key: Any) -> Any:
        return self._array[key]


class _Squeezed:
    """A zarr array without its last axis, which has the length one."""

    def __init__(self, array: Any, source: str) -> None:
        if array.shape[-1] != 1:
            raise _picture(source)
        self._array = array
        self.shape, self.dtype, self.chunks = array.shape[:-1], array.dtype, array.chunks[:-1]

    def __getitem__(self, key: tuple[Any, ...]) -> Any:
        return self._array[(*key, 0)]


@contextmanager
def open_label_png(path: Path) -> Iterator[LabelFile]:
    """The one plane of a PNG file, 8 or 16 bits, or indices of a palette.

    Raises
    ------
    BadTable
        A colour picture, too large, or damaged.
    """
    try:
        with Image.open(path, formats=["PNG"]) as image:
            if image.mode not in ("1", "L", "P", "I", "I;16", "I;16B"):
                raise _picture(path.name)
            labels = np.asarray(image)
    except BadTable:
        raise
    except Image.DecompressionBombError as exc:
        raise BadTable(
            f"{path.name} is too large for a PNG file, which is read as a whole; save the labels "
            "as a tiled TIFF file."
        ) from exc
    except Exception as exc:  # Pillow raises many types
        raise _damaged(path, "a PNG file", exc) from exc
    yield LabelFile({"": labels})


def open_npy(path: Path) -> Any:
    """The array of a ``.npy`` file, mapped from the disk; None where it holds Python objects.

    Raises
    ------
    BadTable
        Damaged.
    """
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0
            dtype = (read if version == (1, 0) else np.lib.format.read_array_header_2_0)(file)[2]
        if dtype.hasobject:
            return None
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as exc:  # a damaged header is parsed, and fails, in many ways
        raise _damaged(path, "a NumPy file", exc) from exc


def npy_planes(array: Any, source: str) -> LabelFile:
    """The planes of an array (Y, X) or (C, Y, X), axes of length one left out.

    Raises
    ------
    BadTable
        Another shape.
    """
    shape = [n for n in array.shape if n != 1]
    if len(shape) == 2:
        return LabelFile({"": array.reshape(shape)})
    if len(shape) == 3 and shape[0] <= _PLANES and shape[0] < min(shape[1:]):
        planes = array.reshape(shape)
        return LabelFile({str(i): planes[i] for i in range(shape[0])})
    raise BadTable(
        f"{source} has the shape {' x '.join(map(str, array.shape))} where labels, height x width, "
        "were expected; save one plane of labels."
    )


def open_npz(path: Path) -> dict[str, Any]:
    """The arrays of a ``.npz`` file.

    Raises
    ------
    BadTable
        Damaged, Python objects among them, or too large once unpacked.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(info.file_size for info in archive.infolist()) > _MOST_BYTES:
                raise BadTable(
                    f"{path.name} unpacks to over 2 GiB; save the labels as a tiled TIFF file."
                )
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except BadTable:
        raise
    except Exception as exc:  # zipfile and NumPy raise many types
        raise _damaged(path, "a NumPy archive", exc) from exc


def _picture(source: str) -> BadTable:
    return BadTable(
        f"{source} is a colour picture where labels were expected, one number for each pixel; give "
        "the label image, not the picture of it."
    )


def _damaged(path: Path, what: str, exc: Exception) -> BadTable:
    reason = reason_of(exc, path)
    return BadTable(
        f"{path.name} cannot be read as {what} ({reason}); copy it again from where it came from."
    )
