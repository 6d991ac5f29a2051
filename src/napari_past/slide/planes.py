"""A zarr array of any axes order, seen as RGB rows and columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import zarr

from napari_past.errors import DamagedSlide, UnsupportedPixels
from napari_past.types import Rgb

HOW_TO_CONVERT = (
    "convert the image, for example with `vips colourspace IN rgb.tif srgb` and "
    "`vips tiffsave rgb.tif OUT.tif --tile --pyramid --compression jpeg`"
)


def unsupported(slide_name: str, found: str) -> UnsupportedPixels:
    """The error for an image that is not 8-bit RGB; `found` says what it is."""
    return UnsupportedPixels(
        f"{slide_name} holds {found}, but a slide must be 8-bit RGB; {HOW_TO_CONVERT}."
    )


def check_rgb8(slide_name: str, axes: str, shape: tuple[int, ...], dtype: Any) -> str:
    """The name of the colour axis of an image that is 8-bit RGB.

    Parameters
    ----------
    slide_name
        For the message.
    axes
        One lower-case letter per axis; colour is ``s`` (samples) or ``c`` (channels).
    shape
        Sizes of the axes, px.
    dtype
        Of the pixels.

    Raises
    ------
    UnsupportedPixels
        Another depth, number of channels, or several planes.
    DamagedSlide
        An axis of length 0.
    """
    sizes = dict(zip(axes, shape, strict=True))
    dtype = np.dtype(dtype)
    if 0 in shape:
        raise DamagedSlide(
            f"{slide_name} states a size of {' x '.join(map(str, shape))} px, which is empty; the "
            "file is damaged, copy it again from where it came from."
        )
    if "y" not in sizes or "x" not in sizes:
        raise unsupported(slide_name, f"an image with the axes {axes!r}")
    colours = [a for a in "sc" if sizes.get(a, 1) > 1]
    n = sizes[colours[0]] if len(colours) == 1 else 1
    if dtype != np.uint8:
        channels = "channel" if n == 1 else "channels"
        raise unsupported(slide_name, f"{dtype.itemsize * 8}-bit pixels ({dtype}, {n} {channels})")
    if len(colours) > 1:
        raise unsupported(slide_name, f"{sizes['c']} channels of {sizes['s']} samples")
    if n != 3:
        extra = ", one of them alpha" if n == 4 else ""
        found = "one channel" if n == 1 else f"{n} channels{extra}"
        raise unsupported(slide_name, found)
    deep = [f"{a} = {sizes[a]}" for a in axes if a not in "yxsc" and sizes[a] != 1]
    if deep:
        raise unsupported(slide_name, f"several planes ({', '.join(deep)})")
    return colours[0]


class ZarrPlane:
    """The one plane of a zarr array with axes y, x, a colour axis of 3, and others of length 1."""

    def __init__(self, array: zarr.Array[Any], axes: str, colour: str) -> None:
        y, x = axes.index("y"), axes.index("x")
        self.shape = (array.shape[y], array.shape[x], 3)
        self.tile_px = (array.chunks[y], array.chunks[x])
        self._array = array
        self._axes = axes
        self._colour = colour
        kept = [a for a in axes if a in ("y", "x", colour)]
        self._order = tuple(kept.index(a) for a in ("y", "x", colour))

    def read(self, y0_px: int, y1_px: int, x0_px: int, x1_px: int) -> Rgb:
        """Pixels of a window inside the plane, uint8, (y1 − y0, x1 − x0, 3)."""
        wanted: dict[str, int | slice] = {
            "y": slice(y0_px, y1_px),
            "x": slice(x0_px, x1_px),
            self._colour: slice(0, 3),
        }
        pixels = np.asarray(self._array[tuple(wanted.get(a, 0) for a in self._axes)])
        return np.ascontiguousarray(pixels.transpose(self._order))
