"""What is laid on a slide, or lies far away, goes to the widget that is docked in the window."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import napari

from napari_past.errors import PastError


class Taker(Protocol):
    """A widget that takes what is dropped into its viewer."""

    def take_path(self, path: Path) -> None:
        """Lay a file or folder on the slide."""

    def take_address(self, address: str) -> None:
        """Open a slide that lies far away."""

    def ask_address(self) -> None:
        """Have the user type an address, and open it."""


_TAKERS: list[tuple[napari.viewer.Viewer, Taker]] = []
"""Viewers with a widget, and the widget."""


class NoWidget(PastError):
    """Something was dropped into a window that cannot lay it on a slide."""


def take_drops(viewer: napari.viewer.Viewer, taker: Taker) -> Callable[[], None]:
    """Have what is dropped handed over; returns what ends it."""
    entry = (viewer, taker)
    _TAKERS.append(entry)
    return lambda: _TAKERS.remove(entry)


def hand_over(path: Path, what: str) -> None:
    """Give a path to the widget of the viewer that is in front.

    Parameters
    ----------
    what
        Said of it where there is no widget.

    Raises
    ------
    NoWidget
        There is none.
    """
    taker = in_front()
    if taker is None:
        raise NoWidget(
            f"{path.name} {what}: open the slide, dock Virtual staining (Plugins menu), and drop "
            "it again."
        )
    taker.take_path(path)


def hand_over_address(address: str) -> bool:
    """Have the widget of the viewer that is in front open a slide; False where there is none."""
    taker = in_front()
    if taker is None:
        return False
    taker.take_address(address)
    return True


def in_front() -> Taker | None:
    """The widget of the viewer that is in front; None where there is none."""
    current = napari.current_viewer()
    takers = [taker for viewer, taker in _TAKERS if current is None or _own(viewer) is current]
    return takers[-1] if takers else None


def _own(viewer: napari.viewer.Viewer) -> object:
    """The viewer itself: plugins are given a proxy of it."""
    return getattr(viewer, "__wrapped__", viewer)
