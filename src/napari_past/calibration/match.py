"""Regions of pairs of slides, H&E and stained, matched by their names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import shapely
from scipy.spatial import KDTree

from napari_past.calibration.matched import Matched, checked
from napari_past.calibration.measured_cells import MeasuredCells
from napari_past.errors import BadTable
from napari_past.io import MarkerTable
from napari_past.model.calibration import Quantity
from napari_past.spatial.landmarks import Affine
from napari_past.stain import classes, count_cells, h_score
from napari_past.stain.dab import DAB_CUTOFFS
from napari_past.types import Region

Index = npt.NDArray[np.intp]

UNNAMED = re.compile(r"Region \d+")
"""How regions without a name are called when they are read."""
LEAST_CELLS = 20
"""A region with fewer on one of both slides is left out, and told."""
MATCHED_UM = 4.0
"""Farthest apart that two cells of the same section are taken for one: a nucleus' radius."""


@dataclass(frozen=True)
class SlidePair:
    """One H&E slide and its stained neighbour."""

    patient: str
    slide: str
    """May be empty where the patient has one."""
    predicted: MarkerTable
    predicted_regions: tuple[Region, ...]
    predicted_where: str
    """Which file or slide these regions are of."""
    measured: MeasuredCells
    measured_regions: tuple[Region, ...] | None
    """None: the regions of the H&E slide, carried over by the landmarks."""
    measured_where: str
    affine: Affine | None = None

    @property
    def whose(self) -> str:
        return f"{self.patient} {self.slide}".strip()


class _Row(NamedTuple):
    patient: str
    region: str
    predicted: float
    measured: float


def match_slides(
    pairs: Iterable[SlidePair],
    where: str,
    quantity: Quantity | None = None,
    *,
    same_section: bool = False,
) -> tuple[Matched, tuple[str, ...]]:
    """The regions of pairs of slides, and what has to be told of them.

    A region's cells are those whose centre lies in it and in no Ignore* region, on each slide by
    itself; predicted cells that are not to be scored (blur, pen …) do not count. Regions are
    matched by name. H-scores and percentages of the stained cells stand on `DAB_CUTOFFS`.

    Parameters
    ----------
    where
        Where the pairs are listed, to begin an error with.
    quantity
        That is measured; optical density if omitted.
    same_section
        The stained section is the H&E section, stained again: cells are matched one to one, mutual
        nearest within `MATCHED_UM` after the landmarks' map, and each pair is a row.

    Raises
    ------
    BadTable
    """
    wanted = quantity or "od"
    if same_section and wanted != "od":
        raise BadTable(
            "Matched cells (--same-section) are calibrated to optical density; leave --measured "
            "out, or calibrate by region."
        )
    rows: list[_Row] = []
    told: list[str] = []
    for pair in pairs:
        if pair.affine is not None:
            told.append(f"{pair.whose}: {pair.affine.sentence}")
        for name, here, there in _matched_regions(pair, told):
            if same_section:
                here, there = _same_cells(pair, here, there)
            if min(len(here), len(there)) < LEAST_CELLS:
                told.append(
                    f"{pair.whose}: {name} left out, {len(here)} predicted and {len(there)} "
                    f"measured cells; {LEAST_CELLS} are needed"
                )
                continue
            label = f"{pair.slide} · {name}" if pair.slide else name
            values, densities = pair.predicted.values[here], pair.measured.density[there]
            if same_section:
                cells = zip(values.tolist(), densities.tolist(), strict=True)
                rows += [_Row(pair.patient, label, value, od) for value, od in cells]
            else:
                mean, score = float(values.mean()), _measured(densities, wanted)
                rows.append(_Row(pair.patient, label, mean, score))
    matched = Matched(
        patients=tuple(row.patient for row in rows),
        regions=tuple(row.region for row in rows),
        predicted=np.array([row.predicted for row in rows], np.float64),
        measured=np.array([row.measured for row in rows], np.float64),
        quantity=wanted,
        of_cells=same_section,
    )
    return checked(matched, where, lines=False), tuple(told)


def carried_regions(regions: Iterable[Region], affine: Affine) -> tuple[Region, ...]:
    """Regions of the H&E slide where they lie on the stained one."""
    return tuple(Region(r.name, r.role, shapely.transform(r.polygon_um, affine)) for r in regions)


def _matched_regions(pair: SlidePair, told: list[str]) -> list[tuple[str, Index, Index]]:
    """Name, predicted cells that count and measured cells of each region on both slides; what has
    to be said of them is added to `told`."""
    regions, over, over_where = pair.predicted_regions, pair.measured_regions, pair.measured_where
    if over is None:
        over_where = pair.predicted_where
        over = regions if pair.affine is None else carried_regions(regions, pair.affine)
    here = _by_name(regions, pair.predicted.centers_um, pair.predicted_where)
    there = _by_name(over, pair.measured.centers_um, over_where)
    one_sided = sorted(set(here) ^ set(there))
    if one_sided:
        told.append(f"{pair.whose}: on one slide only, not used: {', '.join(one_sided)}")
    names = [name for name in here if name in there]
    if not names:
        raise BadTable(
            f"No region of {pair.predicted_where} has a namesake in {over_where}; name matched "
            "regions alike."
        )
    numbered = [name for name in names if UNNAMED.fullmatch(name)]
    if numbered:
        told.append(
            f"{pair.whose}: regions without a name are matched by their number in the file "
            f"({', '.join(numbered)}); name them to be sure"
        )
    known = np.isfinite(pair.predicted.values)
    if pair.predicted.unscored is not None:
        known &= pair.predicted.unscored == ""
    return [(name, here[name][known[here[name]]], there[name]) for name in names]


def _by_name(
    regions: tuple[Region, ...], centers_um: npt.NDArray[np.float64], where: str
) -> dict[str, Index]:
    """The cells of each region that is not ignored."""
    twice = [n for n, k in Counter(r.name for r in regions if not r.ignored).items() if k > 1]
    if twice:
        raise BadTable(
            f"{where} has two regions named {twice[0]}; matched regions need names of their own."
        )
    if not any(not region.ignored for region in regions):
        raise BadTable(f"{where} holds no region to match; annotate some.")
    return {row.region: row.index for row in count_cells(centers_um, regions).rows}


def _same_cells(pair: SlidePair, here: Index, there: Index) -> tuple[Index, Index]:
    """The cells that are each other's nearest, within `MATCHED_UM`."""
    if not len(here) or not len(there):
        return here[:0], there[:0]
    ours = pair.predicted.centers_um[here]
    ours = ours if pair.affine is None else pair.affine(ours)
    theirs = pair.measured.centers_um[there]
    away, nearest = KDTree(theirs).query(ours)
    back = KDTree(ours).query(theirs)[1]
    kept = np.flatnonzero((away <= MATCHED_UM) & (back[nearest] == np.arange(len(ours))))
    return here[kept], there[nearest[kept]]


def _measured(densities: npt.NDArray[np.float64], quantity: Quantity) -> float:
    if quantity == "od":
        return float(densities.mean())
    counts = np.bincount(classes(densities, DAB_CUTOFFS), minlength=4)
    return h_score(counts) if quantity == "h-score" else 100 * float(1 - counts[0] / counts.sum())
