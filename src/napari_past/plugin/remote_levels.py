"""A slide from an address as napari takes it: napari slices in the GUI thread, which must not wait
for a server."""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Sequence

import napari
from napari.layers import Image
from napari.utils.notifications import show_warning
from qtpy.QtCore import QCoreApplication, QObject, Signal

from napari_past.plugin.fetched_pixels import BLOCK_PX, FetchedPixels, PixelLevel
from napari_past.plugin.lazy_level import LazyLevel, Window
from napari_past.plugin.timers import settling_timer
from napari_past.types import Rgb

_REFRESH_MS = 80


class RemoteLevel(LazyLevel):
    """One level, (Y, X, 3) uint8.

    The GUI thread gets what is there at once, coarser pixels in place of those that are fetched
    meanwhile; every other thread gets the level's pixels and waits for them.
    """

    def __init__(self, fetched: FetchedPixels, level: int) -> None:
        super().__init__(fetched.shape(level), 3, BLOCK_PX)
        self._fetched, self._level = fetched, level

    def _pixels(self, window: Window, whole: bool) -> Rgb:
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
