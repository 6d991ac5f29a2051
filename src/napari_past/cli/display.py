"""Whether a napari window can be opened; asked first, since Qt ends a process that cannot."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

from napari_past.errors import MissingExtra, PastError

QT_BINDINGS = ("PySide6", "PyQt6", "PyQt5", "PySide2")


def has_display() -> bool:
    """Whether there is a screen: always on macOS and Windows, elsewhere where a server is named."""
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def has_qt() -> bool:
    """Whether a Qt binding is installed."""
    return any(find_spec(name) is not None for name in QT_BINDINGS)


def require_viewer() -> None:
    """Raise where a window cannot be opened.

    Raises
    ------
    MissingExtra
        No Qt binding is installed.
    PastError
        There is no display.
    """
    if not has_qt():
        raise MissingExtra(
            "napari needs a Qt binding and none is installed; install one with "
            "pip install 'napari-past[qt]'."
        )
    if not has_display():
        raise PastError(
            "There is no display to open napari on (neither DISPLAY nor WAYLAND_DISPLAY is set); "
            "use `napari-past run` here, or log in with a desktop or `ssh -X`."
        )
