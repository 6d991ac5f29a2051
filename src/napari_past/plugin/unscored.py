"""The slide's mask of what is not scored: found beside the GUI thread, shown, edited, imported."""

from __future__ import annotations

import threading
from functools import partial

import napari
from napari.utils.notifications import show_error, show_warning
from qtpy.QtCore import QObject, Signal

from napari_past.engine import unscored_of
from napari_past.errors import Cancelled, PastError
from napari_past.io import read_unscored
from napari_past.plugin.autosave import Autosave, NotReadNow
from napari_past.plugin.latest import Latest
from napari_past.plugin.niceness import give_way
from napari_past.plugin.timers import settling_timer
from napari_past.plugin.unscored_layer import UnscoredLayer
from napari_past.quality import QualityMask
from napari_past.slide import Slide, open_slide
from napari_past.stain import unscored_areas
from napari_past.types import SlideRef

AFTER_MS = 1500
"""The slide and the first cells are drawn before."""


class Unscored(QObject):
    """Emits `changed` when another mask counts."""

    changed = Signal()

    def __init__(self, viewer: napari.Viewer, parent: QObject) -> None:
        super().__init__(parent)
        self._layer = UnscoredLayer(viewer, self)
        self._layer.edited.connect(self._on_edited)
        self._latest = Latest(self)
        self._latest.ready.connect(self._on_found)
        self._slide: Slide | None = None
        self._stop = threading.Event()
        self._counted = False
        self._timer = settling_timer(self, AFTER_MS, self._find)

    @property
    def busy(self) -> bool:
        """Whether the mask is being looked for."""
        return self._latest.busy or self._timer.isActive()

    @property
    def mask(self) -> QualityMask | None:
        return self._layer.mask

    @property
    def used(self) -> QualityMask | None:
        """The mask that scores leave out; None where the user counts everything."""
        return None if self._counted else self.mask

    @property
    def note(self) -> str:
        """Area by kind, in words."""
        if self.mask is None:
            return "Looking for blur, pen, folds and bubbles …" if self.busy else ""
        found = unscored_areas(self.mask.area_mm2())
        if not found:
            return "Nothing that must not be scored was found; paint it where you see some."
        return f"{'Found, but counted' if self._counted else 'Not scored'}: {found}."

    def set_slide(self, slide: Slide | None) -> None:
        """Look at another slide, a moment later."""
        self._stop.set()
        self._stop = threading.Event()
        self._timer.stop()
        self._latest.drop()
        self._layer.set_mask(None)
        self._slide = slide
        if slide is not None:
            self._timer.start()

    def set_mask(self, mask: QualityMask) -> None:
        """Take a mask in place of what is found."""
        self._timer.stop()
        self._latest.drop()
        self._on_found(mask)

    def edit(self) -> None:
        """Hand the user the brush."""
        self._layer.edit()

    def read(self, path: str) -> None:
        """Import a mask of somebody else's."""
        if self._slide is None:
            return
        try:
            self.set_mask(read_unscored(path, self._slide.size_um, self._slide.require_mpp()))
        except PastError as exc:
            show_error(str(exc))
        else:
            self._keep()

    def set_counted(self, counted: bool) -> None:
        """Score what is in the mask, too."""
        self._counted = counted
        self.changed.emit()

    def close(self) -> None:
        """Stop looking."""
        self._stop.set()
        self._timer.stop()

    def _find(self) -> None:
        slide = self._slide
        if slide is not None:
            self._latest.ask(partial(_found, slide.ref, self._stop))
            self.changed.emit()

    def _on_found(self, mask: QualityMask) -> None:
        self._layer.set_mask(mask)
        self.changed.emit()

    def _on_edited(self) -> None:
        self._keep()
        self.changed.emit()

    def _keep(self) -> None:
        """What the user made of the mask comes back with the slide."""
        if self._slide is None:
            return
        try:
            Autosave().save_mask(self._slide.fingerprint, self.mask)
        except PastError as exc:
            show_error(str(exc))


def _found(ref: SlideRef, stop: threading.Event) -> QualityMask | None:
    """The mask that the user made, else what is found; None where it was stopped."""
    give_way()
    # A handle of its own: the GUI may close the session's while this reads.
    slide = open_slide(ref.path, ref.mpp, ref.series)
    try:
        try:
            kept = Autosave().load_mask(slide.fingerprint, slide.size_um)
        except NotReadNow as exc:
            # Without a mask in its place nobody can save over it.
            show_warning(str(exc))
            return None
        except PastError:  # a damaged one was set aside
            kept = None
        return kept or unscored_of(slide, cancelled=stop.is_set)
    except Cancelled:
        return None
    finally:
        slide.close()
