"""Measured tissue that was opened on a slide: the rows, where they lie, and what is odd of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QObject, Signal
from scipy.spatial import cKDTree

from napari_past.errors import PastError
from napari_past.plugin.measured.counts import MeasuredCounts
from napari_past.slide import Slide, open_slide
from napari_past.spatial.checks import check
from napari_past.spatial.errors import BadPairing
from napari_past.spatial.landmarks import Affine
from napari_past.spatial.measured import MeasuredAs, read_measured
from napari_past.spatial.placement import placed
from napari_past.spatial.section import MeasuredSection
from napari_past.types import Region, SlideRef
from napari_past.validation.tissue import Tissue, tissue_of


@dataclass(frozen=True, eq=False)
class OnSlide:
    """A measured section on one slide, with everything that is worked out once. Knows no Qt."""

    path: Path
    """What was opened."""
    ref: SlideRef
    slide: Slide
    """Its H&E, open as long as this is in use."""
    read: MeasuredSection
    """As its file places it."""
    section: MeasuredSection
    """As it is placed now."""
    tissue: Tissue | None
    """The rows that a validation looks at; None where no row lies on the slide."""
    counts: MeasuredCounts
    warnings: tuple[str, ...]
    """What is odd about the pairing, a sentence each."""
    why_not: str
    """Why the section does not fit the slide as it is placed; empty where it does."""
    affine: Affine | None = None
    """From `read` to `section`; None where the file places it."""

    @property
    def label(self) -> str:
        """As "C5 (ST)"."""
        return f"{self.section.name} ({self.section.technology})"

    @property
    def row(self) -> str:
        """One row in words: "cell", "100 µm spot"."""
        diameter_um = self.section.spot_diameter_um
        return "measured cell" if diameter_um is None else f"{diameter_um:g} µm spot"

    @property
    def odd(self) -> tuple[str, ...]:
        """Everything that is odd about it, the worst first."""
        return tuple(text for text in (self.why_not, *self.warnings) if text)

    @cached_property
    def tree(self) -> cKDTree:
        """Over all rows, in µm."""
        return cKDTree(self.section.centers_um)

    @cached_property
    def on_slide(self) -> npt.NDArray[np.intp]:
        """Rows that lie on the slide and have a count: those that are shown."""
        inside = np.asarray(self.slide.bounds.contains(self.section.centers_um), bool)
        return np.flatnonzero(inside & (self.counts.totals > 0))

    @cached_property
    def place_in_tissue(self) -> npt.NDArray[np.int64]:
        """(r,), the place of each row among the tissue's rows; −1 where it is none of them."""
        place = np.full(len(self.section), -1, np.int64)
        if self.tissue is not None:
            place[self.tissue.rows] = np.arange(len(self.tissue))
        return place


def opened_on(path: Path, ref: SlideRef, asked: MeasuredAs) -> OnSlide:
    """A measured section on the slide that is open. Slow: not in the GUI thread.

    Raises
    ------
    PastError
        What is wrong with the files. Rows that do not lie on the slide are no error: landmarks may
        put them there.
    """
    slide = open_slide(ref.path, ref.mpp, ref.series)
    try:
        # Wherever rows lie, landmarks may put them in place.
        said = replace(asked, mpp=slide.require_mpp(), to_be_placed=True)
        section = read_measured(path, Path(ref.path), said)
        return _looked_at(path, ref, slide, section, section, None)
    except BaseException:
        slide.close()
        raise


def moved(before: OnSlide, affine: Affine | None, how: str) -> OnSlide:
    """The same section where a map puts it, or where its file does. Slow.

    Parameters
    ----------
    affine
        From the place that the file gives to µm of the slide; None for that place.
    how
        Where the map comes from, as notes have it.
    """
    section = before.read if affine is None else placed(before.read, affine, how)
    return _looked_at(before.path, before.ref, before.slide, before.read, section, affine)


def _looked_at(
    path: Path,
    ref: SlideRef,
    slide: Slide,
    read: MeasuredSection,
    section: MeasuredSection,
    affine: Affine | None,
) -> OnSlide:
    why_not, tissue = "", None
    try:
        told = {f"{section.name}: {note}" for note in section.notes}
        warnings = tuple(text for text in check(section, slide) if text not in told)
    except BadPairing as exc:
        if not _has_places_and_counts(section):
            raise
        warnings, why_not = (), str(exc)
    try:
        tissue = tissue_of(section, slide, slide.fingerprint)
    except PastError as exc:
        why_not = why_not or str(exc)
    counts = MeasuredCounts(section)
    found = OnSlide(
        path, ref, slide, read, section, tissue, counts, warnings, why_not, affine
    )  # fmt: skip
    _ = found.tree, found.on_slide, found.place_in_tissue
    return found


def _has_places_and_counts(section: MeasuredSection) -> bool:
    """Whether nothing but the place may be wrong: moved elsewhere, the section may be used."""
    values = section.counts.data
    whole = np.isfinite(values).all() and (values >= 0).all() and (values == np.round(values)).all()
    finite = len(section) > 0 and np.isfinite(section.centers_um).all()
    return bool(whole and finite and section.genes and len(set(section.ids)) == len(section))


class Measured(QObject):
    """Measured tissue of the slide that is worked on; one section for each slide that is open.

    What validates takes `tissue`, so that it looks at the very rows that are shown.
    """

    changed = Signal()
    """Another section is opened, it lies elsewhere, or there is none."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._ref: SlideRef | None = None
        self._by_slide: dict[SlideRef, list[OnSlide]] = {}
        """The last one counts; those before it are for undo."""

    @property
    def here(self) -> OnSlide | None:
        """On the slide that is worked on."""
        history = [] if self._ref is None else self._by_slide.get(self._ref, [])
        return history[-1] if history else None

    @property
    def section(self) -> MeasuredSection | None:
        return None if self.here is None else self.here.section

    @property
    def tissue(self) -> Tissue | None:
        """The rows that a validation looks at, without regard to regions."""
        return None if self.here is None else self.here.tissue

    @property
    def path(self) -> Path | None:
        """Of the measurement."""
        return None if self.here is None else self.here.path

    def tissue_in(self, regions: Sequence[Region]) -> Tissue | None:
        """The same with regions to tell apart, those that are ignored left out.

        Raises
        ------
        PastError
            No row is left.
        """
        here = self.here
        if here is None or here.tissue is None:
            return None
        return tissue_of(here.section, here.slide, here.tissue.fingerprint, regions)

    @property
    def can_undo(self) -> bool:
        """Whether the section lay elsewhere before."""
        return self._ref is not None and len(self._by_slide.get(self._ref, [])) > 1

    def turn_to(self, ref: SlideRef | None) -> None:
        """Another slide is worked on, or none."""
        if ref != self._ref:
            self._ref = ref
            self.changed.emit()

    def keep(self, found: OnSlide) -> None:
        """A section was opened on a slide, or put elsewhere."""
        history = self._by_slide.get(found.ref, [])
        again = bool(history) and history[-1].read is found.read
        self._by_slide[found.ref] = [*history, found] if again else [found]
        if found.ref == self._ref:
            self.changed.emit()

    def undo(self) -> None:
        """Put the section back to where it lay before."""
        if self._ref is not None and self.can_undo:
            self._by_slide[self._ref].pop()
            self.changed.emit()

    def forget(self, is_gone: Callable[[SlideRef], bool]) -> list[Slide]:
        """Drop what was opened on some slides; returns what is to be closed once unused."""
        gone = [ref for ref in self._by_slide if is_gone(ref)]
        # All places of one section share the slide.
        slides = [self._by_slide.pop(ref)[-1].slide for ref in gone]
        if self._ref in gone:
            self.changed.emit()
        return slides
