"""What lies before the user, as the parts of the widget ask for it."""

from __future__ import annotations

from typing import Protocol

from napari_past.plugin.session import Session
from napari_past.plugin.slide_view import SlideView
from napari_past.plugin.staining import Staining
from napari_past.types import Rect


class Desk(Protocol):
    """Each is None while there is none."""

    @property
    def session(self) -> Session | None:
        """The chosen slide with the chosen model."""

    @property
    def view(self) -> SlideView | None:
        """The layers of the chosen slide."""

    @property
    def shown(self) -> Staining | None:
        """The gene in the colours of the session's cells."""

    @property
    def slide_bounds(self) -> Rect | None:
        """The chosen slide in µm."""
