"""What is to be stained: this view, regions, the whole slide, or wherever the user looks."""

from __future__ import annotations

from collections.abc import Sequence

import napari
from napari.utils.notifications import show_warning

from napari_past.errors import PastError
from napari_past.plugin.desk import Desk
from napari_past.plugin.jobs import Jobs
from napari_past.plugin.stainer import Stainer
from napari_past.plugin.telling import live_line, too_wide
from napari_past.plugin.viewport import clipped, view_rect
from napari_past.types import Rect, Region


class Running:
    """Turns what the user asks for into tiles that the stainer wants."""

    def __init__(self, viewer: napari.Viewer, stainer: Stainer, jobs: Jobs, desk: Desk) -> None:
        self._viewer, self._stainer, self._jobs, self._desk = viewer, stainer, jobs, desk

    def stain_view(self) -> None:
        """Stain what the canvas shows."""
        area = self._view_on_slide()
        if area is None:
            show_warning("The slide is not in view; move to its tissue and try again.")
        elif too_wide(area):
            show_warning(too_wide(area))
        else:
            self.run(area)

    def stain_regions(self, regions: Sequence[Region]) -> None:
        """Stain these regions but for those that are ignored."""
        wanted = tuple(r for r in regions if not r.ignored)
        if not wanted:
            show_warning("There is no region to stain; draw one with New regions layer first.")
            return
        self.run(None, wanted)

    def run(self, area: Rect | None, regions: tuple[Region, ...] = ()) -> None:
        """Stain the tissue of a part of the slide; None for all of it."""

        def start(_: object = None) -> None:
            session = self._desk.session
            if session is None:
                return
            try:
                self._stainer.run(session.tiles_of(area, regions))
            except PastError as exc:
                show_warning(str(exc))

        if self._jobs.busy and self._desk.session is None:
            # A click while the slide is being read waits for it.
            self._jobs.run(lambda job: None, "Reading the slide", start)
        else:
            start()

    def follow(self, live: bool) -> None:
        """Live: want the tiles in view, unless the view is too wide to be useful."""
        area = self._view_on_slide()
        useful = area is not None and not too_wide(area)
        self._stainer.follow(area if live and useful else None)

    @property
    def live_line(self) -> str:
        """What Live does, in words."""
        stainer = self._stainer
        return live_line(
            self._desk.session, self._view_on_slide(), stainer.waiting_in_view, stainer.running
        )

    def _view_on_slide(self) -> Rect | None:
        bounds = self._desk.slide_bounds
        return None if bounds is None else clipped(view_rect(self._viewer), bounds)
