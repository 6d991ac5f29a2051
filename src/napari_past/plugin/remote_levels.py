"""A slide from an address as napari takes it: napari slices in the GUI thread, which must not wait
for a server."""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Sequence
from typing import Any

import napari
import numpy as np
import numpy.typing as npt
from napari.layers import Image
from napari.utils.notifications import show_warning
from qtpy.QtCore import QCoreApplication, QObject, Signal

from napari_past.plugin.fetched_pixels import BLOCK_PX, FetchedPixels, PixelLevel, Window
from napari_past.plugin.timers import settling_timer
from napari_past.types import Rgb

_REFRESH_MS = 80


class RemoteLevel:
    """One level, (Y, X, 3) uint8.

    The GUI thread gets what is there at once, coarser pixels in place of those that are fetched
    meanwhile; every other thread gets the level's pixels and waits for them.
    """

    ndim = 3
    dtype = np.dtype(np.uint8)

    def __init__(self, fetched: FetchedPixels, level: int) -> None:
        self._fetched, self._level = fetched, level
        self.shape = (*fetched.shape(level), 3)
        self.size = int(np.prod(self.shape))
        self.chunks = (BLOCK_PX, BLOCK_PX, 3)
        """napari asks for whole blocks, so that small steps of the view need no new ones."""

    def __getitem__(self, key: Any) -> Rgb:
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
        return self._window((y0, y1, x0, x1))[::y_step, ::x_step, channels]

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Rgb:
        return self._window((0, self.shape[0], 0, self.shape[1]))

    def _window(self, window: Window) -> Rgb:
        if threading.current_thread() is threading.main_thread():
            return self._fetched.glimpse(self._level, window)
        return self._fetched.read(self._level, window)


def remote_levels(levels: Sequence[PixelLevel]) -> list[RemoteLevel]:
    """Levels for an image layer, from fine to coarse. Reads the last one: not in the GUI thread.

    Raises
    ------
    SlideError
        It cannot be read.
    """
    refresh = _Refresh()
    application = QCoreApplication.instance()
    if application is not None:
        refresh.moveToThread(application.thread())
    fetched = FetchedPixels(levels, refresh.wake)
    made = [RemoteLevel(fetched, k) for k in range(len(levels))]
    refresh.watch(fetched, made[0])
    # The threads hold what they fetch for, and nobody else knows when the layer is gone.
    weakref.finalize(made[0], fetched.close)
    return made


class _Refresh(QObject):
    """Has napari slice a slide anew when pixels of it came; lives in the GUI thread."""

    _woken = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._finest: weakref.ref[RemoteLevel] | None = None
        self._fetched: FetchedPixels | None = None
        self._timer = settling_timer(self, _REFRESH_MS, self._refresh)
        self._woken.connect(self._on_woken)

    def watch(self, fetched: FetchedPixels, finest: RemoteLevel) -> None:
        """Refresh the layer that has this level."""
        self._fetched, self._finest = fetched, weakref.ref(finest)

    def wake(self) -> None:
        """Something came; from any thread."""
        # The application may have ended meanwhile, and this object with it.
        with contextlib.suppress(RuntimeError):
            self._woken.emit()

    def _on_woken(self) -> None:
        # Not started anew: while blocks keep coming, they are drawn as they come.
        if not self._timer.isActive():
            self._timer.start()

    def _refresh(self) -> None:
        viewer = napari.current_viewer()
        finest = None if self._finest is None else self._finest()
        if viewer is None or finest is None or self._fetched is None:
            return
        error = self._fetched.take_error()
        if error is not None:
            show_warning(str(error))
        for layer in viewer.layers:
            if isinstance(layer, Image) and layer.multiscale and layer.data[0] is finest:
                layer.refresh(extent=False, thumbnail=False)
