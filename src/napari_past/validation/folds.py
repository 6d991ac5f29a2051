"""What is held out while a baseline is fitted: patients, else slides, else strips with a buffer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from napari_past.validation.predictor import BoolArray, TissueFold
from napari_past.validation.strips import strips
from napari_past.validation.tissue import IntArray, Tissue

HeldBy = Literal["patient", "section", "strip"]
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
            case "strip" if self.folds:
                return (
                    f"{len(self.folds)} strips of the section were held out in turn, and {beyond} "
                    f"were fitted on, which says nothing of other sections"
                )
            case _:
                return (
                    f"beyond a buffer of {self.buffer_um:.0f} µm around strips of the section too "
                    f"few rows are left to fit on"
                )


def held_out(tissues: Sequence[Tissue], buffer_um: float) -> HoldOut:
    """Patients are held out in turn where there are several, else slides, else strips.

    Nothing is fitted on rows whose square of H&E, `buffer_um` wide, overlaps that of a row that is
    held out: on the same slide the two are that far apart in x or in y. Neighbours are alike, in
    pixels and in what is measured, so that random rows held out would flatter (Roberts et al.
    2017, Ecography 40:913).
    """
    for by, units in _ways(tissues):
        folds = tuple(_folds(tissues, units, buffer_um))
        rows = sum(map(len, tissues))
        least = max(LEAST_TRAINED, _LEAST_SHARE * rows if by == "strip" else 0)
        if len(folds) > 1 and all(_rows(fold.train) >= least for fold in folds):
            return HoldOut(by, folds, buffer_um)
    return HoldOut("strip", (), buffer_um)


def _ways(tissues: Sequence[Tissue]) -> Iterator[tuple[HeldBy, list[IntArray]]]:
    """The unit (k,) of each tissue's rows, in the ways that there are, best first."""
    names: tuple[tuple[HeldBy, Callable[[Tissue], str]], ...] = (
        ("patient", lambda tissue: tissue.section.patient),
        ("section", lambda tissue: tissue.fingerprint),
    )
    for by, name in names:
        number = {unit: i for i, unit in enumerate(dict.fromkeys(map(name, tissues)))}
        if len(number) > 1:
            yield by, [np.full(len(t), number[name(t)], np.int64) for t in tissues]
            # Of several slides that are too small, strips across all would mean nothing.
    if len({tissue.fingerprint for tissue in tissues}) == 1:
        ends = np.cumsum([len(tissue) for tissue in tissues])[:-1]
        for n in STRIPS:
            strip = strips(np.concatenate([tissue.row_um for tissue in tissues]), n)
            yield "strip", np.split(strip, ends)


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
    places = np.concatenate(near)
    if not len(places):
        return np.ones(len(tissue), np.bool_)
    # By the larger of the two distances: squares that abut in x share nothing, whatever y.
    away_um, _ = cKDTree(places).query(tissue.row_um, p=np.inf)
    return np.asarray(away_um >= buffer_um)


def _rows(masks: Sequence[npt.NDArray[np.bool_]]) -> int:
    return sum(int(np.count_nonzero(mask)) for mask in masks)
