"""Measured tissue that is dropped into a window goes to the widget that is docked there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import napari

from napari_past.errors import PastError

_TAKERS: list[tuple[napari.viewer.Viewer, Callable[[Path], None]]] = []
"""Viewers with a widget, and what takes a path there."""


class NoWidget(PastError):
    """Measured tissue was dropped into a window that cannot lay it on a slide."""


def take_drops(viewer: napari.viewer.Viewer, taker: Callable[[Path], None]) -> Callable[[], None]:
    """Have paths of measured tissue handed over; returns what ends it."""
    entry = (viewer, taker)
    _TAKERS.append(entry)
    return lambda: _TAKERS.remove(entry)


def hand_over(path: Path) -> None:
    """Give a path to the widget of the viewer that is in front.

    Raises
    ------
    NoWidget
        There is none.
    """
    current = napari.current_viewer()
    takers = [taker for viewer, taker in _TAKERS if current is None or _own(viewer) is current]
    if not takers:
        raise NoWidget(
            f"{path.name} is measured tissue, which is laid on its H&E: open the slide, dock "
            "Virtual staining (Plugins menu), and drop it again."
        )
    takers[-1](path)


def _own(viewer: napari.viewer.Viewer) -> object:
    """The viewer itself: plugins are given a proxy of it."""
    return getattr(viewer, "__wrapped__", viewer)
