"""A level as a lazy array, for napari and users."""

from __future__ import annotations

import dask.array as da
import numpy as np

from napari_past.slide.source import LevelPixels

_CHUNK_PX = 1024


def lazy_level(pixels: LevelPixels) -> da.Array:
    """(Y, X, 3) uint8, in chunks of whole tiles near 1024 px."""
    chunks = tuple(
        _chunk_px(size, tile) for size, tile in zip(pixels.shape[:2], pixels.tile_px, strict=True)
    )
    array: da.Array = da.from_array(
        pixels,
        chunks=(*chunks, 3),
        name=False,
        asarray=False,
        fancy=False,
        meta=np.empty((0, 0, 0), np.uint8),
    )
    return array


def _chunk_px(size_px: int, tile_px: int) -> int:
    """A multiple of the tile near 1024 px; strips as wide as the slide are cut."""
    if tile_px > 4 * _CHUNK_PX:
        return _CHUNK_PX
    return min(size_px, max(1, round(_CHUNK_PX / tile_px)) * tile_px)
