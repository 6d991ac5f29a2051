"""What is held out while a baseline is fitted: patients, else slides, else strips with a buffer."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from napari_past.validation.predictor import BoolArray, TissueFold
from napari_past.validation.seen import same_slides
from napari_past.validation.strips import strips
from napari_past.validation.tissue import IntArray, Tissue

HeldBy = Literal["patient", "section", "part", "strip"]
"""Parts are strips of the large sections, and the small ones whole."""
LEAST_TRAINED = 20
"""Rows that a baseline is fitted on at least."""
STRIPS = (4, 6, 8)
"""Of these the first is taken that leaves enough beyond the buffer: narrow ones leave more."""
_LEAST_SHARE = 0.25
"""Of a section's rows that are left beyond the buffer around a strip."""


@dataclass(frozen=True, eq=False)
class HoldOut:
    """Folds that hold out each row once; none where too little would be left to fit on."""

    by: HeldBy
    folds: tuple[TissueFold, ...]
    buffer_um: float

    @property
    def sentence(self) -> str:
        """What was held out and what was fitted on."""
        beyond = f"rows {self.buffer_um:.0f} µm or more away from those that were held out"
        match self.by:
            case "patient":
                return f"{len(self.folds)} patients were held out in turn"
            case "section":
                return (
                    f"{len(self.folds)} slides were held out in turn, which says nothing of other "
                    f"patients"
                )
            case "part":
                return (
                    f"{len(self.folds)} parts were held out in turn (strips of the large sections, "
                    f"small ones whole), and {beyond} were fitted on, which says nothing of other "
                    f"sections or patients"
                )
            case "strip" if self.folds:
                return (
                    f"{len(self.folds)} strips of the section were held out in turn, and {beyond} "
                    f"were fitted on, which says nothing of other sections"
                )
            case _:
                return (
                    f"whatever is held out, a slide or a strip of one with a buffer of "
                    f"{self.buffer_um:.0f} µm around it, too few rows are left to fit on"
                )


def held_out(tissues: Sequence[Tissue], buffer_um: float) -> HoldOut:
    """Patients are held out in turn where there are several, else slides, else strips.

    Files that show the same H&E are one slide. Where several slides leave too little to fit on,
    strips are those of the slides that are large enough, and the others are held out whole.

    Nothing is fitted on rows whose square of H&E, `buffer_um` wide, overlaps that of a row that is
    held out: on the same slide the two are that far apart in x or in y. Neighbours are alike, in
    pixels and in what is measured, so that random rows held out would flatter (Roberts et al.
    2017, Ecography 40:913).
    """
    for by, units in _ways(tissues, buffer_um):
        folds = tuple(_folds(tissues, units, buffer_um))
        if len(folds) > 1 and all(_rows(fold.train) >= LEAST_TRAINED for fold in folds):
            return HoldOut(by, folds, buffer_um)
    return HoldOut("strip", (), buffer_um)


def _ways(tissues: Sequence[Tissue], buffer_um: float) -> Iterator[tuple[HeldBy, list[IntArray]]]:
    """The unit (k,) of each tissue's rows, in the ways that there are, best first."""
    slides = same_slides(tissues)
    patients = [tissue.section.patient for tissue in tissues]
    whole: tuple[tuple[HeldBy, list[int]], ...]
    whole = (("patient", _numbers(patients)), ("section", _numbers(slides)))
    for by, of in whole:
        if max(of) > 0:
            yield by, [np.full(len(t), i, np.int64) for t, i in zip(tissues, of, strict=True)]
    yield "part" if max(_numbers(slides)) else "strip", _parts(tissues, slides, buffer_um)


def _numbers(names: Sequence[Hashable]) -> list[int]:
    """From 0, in the order in which they come first."""
    number = {name: i for i, name in enumerate(dict.fromkeys(names))}
    return [number[name] for name in names]


def _parts(tissues: Sequence[Tissue], slides: Sequence[int], buffer_um: float) -> list[IntArray]:
    """Strips of each slide that is large enough; a slide that is not, whole."""
    units = [np.zeros(len(tissue), np.int64) for tissue in tissues]
    first = 0
    for slide in dict.fromkeys(slides):
        mine = [i for i, other in enumerate(slides) if other == slide]
        places = np.concatenate([tissues[i].row_um for i in mine])
        part = np.zeros(len(places), np.int64)
        # Places on two files of one H&E have nothing to do with each other.
        if len({tissues[i].fingerprint for i in mine}) == 1:
            cuts = (strips(places, n) for n in STRIPS)
            part = next((cut for cut in cuts if _enough_left(places, cut, buffer_um)), part)
        ends = np.cumsum([len(tissues[i]) for i in mine])[:-1]
        for i, of_tissue in zip(mine, np.split(part + first, ends), strict=True):
            units[i] = of_tissue
        first += int(part.max()) + 1
    return units


def _enough_left(places: npt.NDArray[np.float64], cut: IntArray, buffer_um: float) -> bool:
    least = max(LEAST_TRAINED, _LEAST_SHARE * len(places))
    left = (_away(places, places[cut == k], buffer_um) & (cut != k) for k in np.unique(cut))
    return all(np.count_nonzero(mask) >= least for mask in left)


def _folds(
    tissues: Sequence[Tissue], units: Sequence[IntArray], buffer_um: float
) -> Iterator[TissueFold]:
    for unit in np.unique(np.concatenate(units)):
        held = tuple(of == unit for of in units)
        train = tuple(
            ~mine & _apart(tissue, tissues, held, buffer_um)
            for tissue, mine in zip(tissues, held, strict=True)
        )
        yield TissueFold(held, train)


def _apart(
    tissue: Tissue, tissues: Sequence[Tissue], held: Sequence[BoolArray], buffer_um: float
) -> BoolArray:
    """Rows (k,) whose squares share no pixel with those of held rows on the same slide."""
    near = [
        other.row_um[mask]
        for other, mask in zip(tissues, held, strict=True)
        if other.fingerprint == tissue.fingerprint
    ]
    return _away(tissue.row_um, np.concatenate(near), buffer_um)


def _away(
    row_um: npt.NDArray[np.float64], held_um: npt.NDArray[np.float64], buffer_um: float
) -> BoolArray:
    if not len(held_um):
        return np.ones(len(row_um), np.bool_)
    # By the larger of the two distances: squares that abut in x share nothing, whatever y.
    away_um, _ = cKDTree(held_um).query(row_um, p=np.inf)
    return np.asarray(away_um >= buffer_um)


def _rows(masks: Sequence[npt.NDArray[np.bool_]]) -> int:
    return sum(int(np.count_nonzero(mask)) for mask in masks)
