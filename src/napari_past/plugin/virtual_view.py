"""The virtual stain in the viewer: drawn from the cells that are shown, looked at in four ways."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import napari
from napari.layers import Image
from napari.utils.notifications import show_error, show_info
from psygnal import EmitLoopError
from qtpy.QtCore import QObject, QSignalBlocker, QTimer, Signal

from napari_past.errors import PastError
from napari_past.plugin.desk import Desk
from napari_past.plugin.jobs import Jobs
from napari_past.plugin.reader import slide_ref
from napari_past.plugin.session import Session
from napari_past.plugin.side_by_side import SideBySide
from napari_past.plugin.slide_view import SlideView
from napari_past.plugin.swipe import Swipe
from napari_past.plugin.unscored import Unscored
from napari_past.plugin.viewport import clipped, view_rect
from napari_past.plugin.virtual_box import VirtualBox, Way
from napari_past.plugin.virtual_cells import VirtualCells, virtual_cells
from napari_past.plugin.virtual_export import save_view, suffix_of, window_of
from napari_past.plugin.virtual_layer import VirtualLayer

_STEP_MS = 200
"""While a cut-off is dragged or tiles arrive, the picture follows at most so often."""

NO_STAINS = "A virtual stain needs the haematoxylin of an H&E slide, which was not separated here."


class VirtualView(QObject):
    """Keeps the layer in step with gene, cut-offs and cells, and the canvas in the way chosen."""

    changed = Signal()
    """Another part of the slide may be in view."""

    def __init__(
        self,
        viewer: napari.Viewer,
        box: VirtualBox,
        unscored: Unscored,
        jobs: Jobs,
        desk: Desk,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._box, self._desk = viewer, box, desk
        self._unscored, self._jobs = unscored, jobs
        self.layer = VirtualLayer(viewer, self)
        self.swipe = Swipe(viewer, self.layer.set_curtain)
        self._beside = SideBySide(viewer, self)
        self._way = Way.H_AND_E
        self._cells: VirtualCells | None = None
        self._hid: tuple[SlideView, tuple[bool, bool]] | None = None
        """Whose colours and outlines are hidden, and which of them were seen before."""
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_STEP_MS)
        self._timer.timeout.connect(self._update)
        self.layer.seen.connect(self._on_seen)
        box.way_chosen.connect(self.look)
        box.save_to.connect(self.save)
        unscored.changed.connect(self.follow)

    @property
    def way(self) -> Way:
        """How it is looked at now."""
        return self._way

    @property
    def busy(self) -> bool:
        """Whether what is in view is not drawn yet."""
        return self._timer.isActive() or self.layer.busy

    # ---- what it does ------------------------------------------------------------------------

    def look(self, way: Way) -> None:
        """Look at H&E, at the virtual stain, or at both."""
        if way is not self._way:
            self._leave()
            self._way = way
            self._update()
            self.changed.emit()

    def toggle(self) -> None:
        """Virtual stain on or off."""
        self.look(Way.VIRTUAL if self._way is Way.H_AND_E else Way.H_AND_E)

    def follow(self) -> None:
        """Other cells, values or colours are shown: draw them, a few times a second."""
        if not self._timer.isActive():
            self._timer.start()

    def forget(self) -> None:
        """There are no cells any more; the way to look stays for those to come."""
        self._timer.stop()
        self._leave()
        self._cells = None
        self.layer.remove()

    def close(self) -> None:
        """Leave the viewer as it was."""
        self._timer.stop()
        self.layer.close()
        # At the end of a program the canvas may be gone before this is.
        with suppress(EmitLoopError, RuntimeError):
            self._leave()

    def save(self, path: str | Path) -> None:
        """Write what is in view to a picture, beside the GUI thread."""
        session, drawing, cells = self._desk.session, self.layer.drawing, self._cells
        if session is None or drawing is None or cells is None:
            return
        target = Path(path)
        try:
            suffix_of(target)
        except PastError as exc:
            show_error(str(exc))
            return
        rect = clipped(view_rect(self._viewer), session.slide.bounds)
        if rect is None:
            show_error("The slide is not in view; move to the tissue and save again.")
            return
        level = min(self.layer.layer.data_level, len(drawing) - 1) if self.layer.layer else 0
        window = window_of(drawing, level, rect)
        self._jobs.run(
            lambda job: save_view(drawing, level, window, cells, session.slide.name, target),
            f"Writing {target.name}",
            lambda _: show_info(f"Saved the view to {target}."),
        )

    # ---- in step -----------------------------------------------------------------------------

    def _update(self) -> None:
        session, shown, view = self._desk.session, self._desk.shown, self._desk.view
        profile = None if session is None else session.profile
        why_not = NO_STAINS if session is not None and profile is None else ""
        if session is None or shown is None or view is None or profile is None:
            self._cells = None
        else:
            self._cells = virtual_cells(session.table, shown, self._unscored.used)
        below = None if session is None else slide_layer(self._viewer, session)
        if self._way is not Way.H_AND_E and self._cells is not None and below is not None:
            assert session is not None
            assert profile is not None
            assert view is not None
            self.layer.show(below, session.slide, profile, self._cells)
            self._enter(below, view)
        self._box.show_state(self._way, self._cells, why_not)

    def _enter(self, below: Image, view: SlideView) -> None:
        """Arrange the canvas in the way that was chosen, if it is not."""
        layer = self.layer.layer
        assert layer is not None
        if self._way is Way.BESIDE:
            self._beside.begin(lambda: [layer], below)
            return
        if self._hid is None or self._hid[0] is not view:
            self._hid = view, view.seen
            view.set_seen(False, False)
        if self._way is Way.SWIPE:
            self.swipe.begin()

    def _leave(self) -> None:
        """Bring back what was hidden, and one canvas."""
        self.swipe.end()
        self._beside.end()
        self.layer.set_curtain(None)
        with QSignalBlocker(self.layer):
            self.layer.set_visible(False)
        if self._hid is not None:
            view, seen = self._hid
            self._hid = None
            view.set_seen(*seen)

    def _on_seen(self, seen: bool) -> None:
        """The eye in the layer list counts, and a layer that is removed is not looked at."""
        if not seen and self._way is not Way.H_AND_E and self._cells is not None:
            self.look(Way.H_AND_E)
        elif seen and self._way is Way.H_AND_E:
            self.look(Way.VIRTUAL)


def slide_layer(viewer: napari.Viewer, session: Session) -> Image | None:
    """The layer of a session's slide."""
    for layer in viewer.layers:
        if isinstance(layer, Image) and slide_ref(layer.metadata) == session.slide.ref:
            return layer
    return None
