"""A level of pixels that napari slices window by window."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Window = tuple[int, int, int, int]
"""y0, y1, x0, x1 in pixels of a level."""


class LazyLevel(ABC):
    """One level, (Y, X, C) uint8; its heirs give the pixels of a window."""

    ndim = 3
    dtype = np.dtype(np.uint8)

    def __init__(self, shape_px: tuple[int, int], channels: int, block_px: int) -> None:
        self.shape = (*shape_px, channels)
        self.size = int(np.prod(self.shape))
        self.chunks = (block_px, block_px, channels)
        """napari asks for whole blocks, so that small steps of the view need no new ones."""

    def __getitem__(self, key: Any) -> Pixels:
        keys = key if isinstance(key, tuple) else (key,)
        if Ellipsis in keys or len(keys) > self.ndim:
            return self.__array__()[key]
        keys += (slice(None),) * (self.ndim - len(keys))
        rows, columns, channels = keys
        if not (isinstance(rows, slice) and isinstance(columns, slice)):
            return self.__array__()[key]
        (y0, y1, y_step), (x0, x1, x_step) = (
            s.indices(n) for s, n in zip((rows, columns), self.shape[:2], strict=True)
        )
        if y_step < 1 or x_step < 1 or y1 <= y0 or x1 <= x0:
            return np.zeros(self.shape, np.uint8)[key]
        window, whole = (y0, y1, x0, x1), y_step == x_step == 1
        return np.asarray(self._pixels(window, whole)[::y_step, ::x_step, channels])

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Pixels:
        return self._pixels((0, self.shape[0], 0, self.shape[1]), whole=False)

    @abstractmethod
    def _pixels(self, window: Window, whole: bool) -> Pixels:
        """Pixels of a window; `whole` where a slice asks for every one of them."""
