"""Pixels in memory, seen as a slide of one level."""

from __future__ import annotations

import numpy as np

from napari_past.slide.planes import unsupported
from napari_past.slide.slide import Slide
from napari_past.slide.source import Source
from napari_past.slide.units import checked_mpp
from napari_past.types import Rgb, SlideRef

_TILE_PX = 256


class _ArrayPlane:
    """A level that is an array."""

    def __init__(self, rgb: Rgb) -> None:
        self._rgb = rgb
        self.shape: tuple[int, int, int] = (rgb.shape[0], rgb.shape[1], 3)
        self.tile_px = (_TILE_PX, _TILE_PX)

    def read(self, y0_px: int, y1_px: int, x0_px: int, x1_px: int) -> Rgb:
        return self._rgb[y0_px:y1_px, x0_px:x1_px]


def slide_of_array(rgb: Rgb, mpp: float | None, path: str = "array") -> Slide:
    """A slide whose only level is `rgb`; it has no file, so it cannot be opened again elsewhere.

    Parameters
    ----------
    rgb
        uint8 (Y, X, 3).
    mpp
        µm/px.
    path
        Of the file that the pixels were decoded from, which names the slide.

    Raises
    ------
    UnsupportedPixels
        Not 8-bit RGB.
    """
    rgb = np.asarray(rgb)
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8 or 0 in rgb.shape:
        raise unsupported("The array", f"{rgb.dtype} values of shape {rgb.shape}")
    source = Source(
        levels=(_ArrayPlane(rgb),),
        vendor="array",
        objective=None,
        mpp_xy=None,
        series_names=("array",),
        image_names=("array",),
        series=0,
        content=list,
        stamp=lambda: None,
        close=lambda: None,
    )
    return Slide(source, SlideRef(path, checked_mpp(mpp)))
