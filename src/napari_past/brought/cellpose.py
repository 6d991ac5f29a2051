"""What Cellpose writes beside its masks: ``*_seg.npy`` and ``*_cp_outlines.txt``.

The layout is that of Cellpose's documentation ("Outputs"). A ``_seg.npy`` file is a pickled
dictionary. It is taken apart here by an unpickler that knows the pieces of NumPy arrays alone, so
that no code in such a file can run.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from napari_past.brought.reason import reason_of
from napari_past.errors import BadTable

_LARGEST_SEG_BYTES = 4 * 1024**3
_PIXEL_RIM = 0.5
"""Cellpose's outlines run through the centres of border pixels, half a pixel inside of them."""


_ARRAY = object()
"""Stands for the type of arrays, which is only ever passed on: made directly, an array could be of
any size without a byte in the file."""


def _rebuilt(kind: object, shape: object, typecode: object) -> npt.NDArray:
    """An empty array, which what follows in the file fills."""
    return np.ndarray.__new__(np.ndarray, (0,), "b")


def _numpy_parts() -> Mapping[tuple[str, str], Any]:
    """What a pickled NumPy array asks for, by module and name, as NumPy 1 and 2 spell it."""
    scalar = np.float64(1).__reduce__()[0]
    from_buffer = np.zeros(1).__reduce_ex__(5)[0]
    allowed: dict[tuple[str, str], Any] = {
        ("numpy", "ndarray"): _ARRAY,
        ("numpy", "dtype"): np.dtype,
    }
    for core in ("numpy.core", "numpy._core"):
        allowed[f"{core}.multiarray", "_reconstruct"] = _rebuilt
        allowed[f"{core}.multiarray", "scalar"] = scalar
        allowed[f"{core}.numeric", "_frombuffer"] = from_buffer
    return allowed


class _ArraysOnly(pickle.Unpickler):
    """Unpickles plain values and NumPy arrays; whatever else is asked for is refused unseen."""

    _allowed = _numpy_parts()

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._allowed[module, name]
        except KeyError:
            raise _Refused(f"{module}.{name}") from None

    def persistent_load(self, pid: Any) -> Any:
        raise _Refused("an object outside of the file")


class _Refused(pickle.UnpicklingError):
    """Something other than arrays."""


def seg_masks(path: Path) -> npt.NDArray[np.integer]:
    """The masks (Y, X) of a ``_seg.npy`` file, 0 for background.

    Raises
    ------
    BadTable
        Damaged, no file of Cellpose's, or one that asks for more than arrays; nothing of it runs.
    """
    if path.stat().st_size > _LARGEST_SEG_BYTES:
        raise BadTable(
            f"{path.name} has over {_LARGEST_SEG_BYTES / 1024**3:.0f} GiB, which would be read as "
            "a whole; give the masks (*_cp_masks.tif) instead."
        )
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            if version == (1, 0):
                np.lib.format.read_array_header_1_0(file)
            else:
                np.lib.format.read_array_header_2_0(file)
            content = _ArraysOnly(file).load()
        if isinstance(content, np.ndarray) and content.shape == ():
            content = content.item()
        masks = content.get("masks") if isinstance(content, dict) else None
    except _Refused as exc:
        raise BadTable(
            f"{path.name} asks for {exc} when it is opened, which Cellpose's files do not; it was "
            "not opened: save the masks as TIFF (*_cp_masks.tif) and give these."
        ) from exc
    except Exception as exc:  # a damaged pickle fails in any way
        reason = reason_of(exc, path)
        raise BadTable(
            f"{path.name} cannot be read as a file of Cellpose's ({reason}); save it again."
        ) from exc
    if not isinstance(masks, np.ndarray) or masks.dtype.kind not in "biu":
        raise BadTable(
            f"{path.name} holds no masks as Cellpose's *_seg.npy files do; give such a file, or a "
            "label image."
        )
    if masks.squeeze().ndim != 2:
        raise BadTable(
            f"The masks of {path.name} have the shape {' x '.join(map(str, masks.shape))}, but "
            "cells lie in one plane; give that one alone as a label image."
        )
    return masks


def is_outline_text(head: bytes) -> bool:
    """Whether a file begins like ``_cp_outlines.txt``: whole numbers with commas, an even count."""
    line = head.split(b"\n", 1)[0].strip()
    numbers = line.split(b",")
    if len(numbers) < 6 or (b"\n" in head and len(numbers) % 2):
        return False
    return all(n.strip().isdigit() for n in numbers[:-1])


def outline_polygons(path: Path) -> list[shapely.Polygon | None]:
    """The outlines of ``_cp_outlines.txt``: a line ``x,y,x,y,…`` for each cell.

    Returns
    -------
    Polygons around the pixels, vertices (x, y) in pixels, corner origin; None for an empty line.

    Raises
    ------
    BadTable
        A line that is no outline.
    """
    polygons: list[shapely.Polygon | None] = []
    try:
        with path.open(encoding="ascii") as file:
            for number, line in enumerate(file, start=1):
                polygons.append(_outline(line.strip(), number, path.name))
    except (OSError, UnicodeDecodeError) as exc:
        raise BadTable(
            f"{path.name} cannot be read as a text of outlines ({exc}); save it again."
        ) from exc
    return polygons


def _outline(line: str, number: int, source: str) -> shapely.Polygon | None:
    if not line:
        return None
    try:
        values = np.array(line.split(","), np.float64)
        xy = values.reshape(-1, 2)
    except ValueError as exc:
        raise BadTable(
            f"Line {number} of {source} is no outline x,y,x,y,… ({exc}); save it again with "
            "Cellpose."
        ) from exc
    return around_pixels(xy)


def around_pixels(xy_px: npt.NDArray[np.floating]) -> shapely.Polygon | None:
    """The polygon around pixels of which those on the border are listed, in their order.

    Parameters
    ----------
    xy_px
        (k, 2), (x, y), pixel centres are integers.

    Returns
    -------
    Vertices with corner origin; None for under three pixels.
    """
    if len(xy_px) < 3 or not np.isfinite(xy_px).all():
        return None
    through = shapely.Polygon(xy_px + 0.5)
    if not through.is_valid:
        through = shapely.make_valid(through)
    grown = shapely.buffer(through, _PIXEL_RIM, join_style="mitre")
    if grown.geom_type == "MultiPolygon":
        grown = max(grown.geoms, key=lambda part: part.area)
    return grown if grown.geom_type == "Polygon" and grown.area > 0 else None
