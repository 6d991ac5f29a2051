"""Matched regions from cells and annotations of pairs of slides, H&E and stained."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import shapely
from scipy.spatial import KDTree

from napari_past.calibration.landmarks import Affine, read_landmarks
from napari_past.calibration.matched import Matched, checked
from napari_past.calibration.measured_cells import MeasuredCells, read_measured_cells
from napari_past.calibration.region_table import text_columns
from napari_past.errors import BadTable
from napari_past.files import existing_file
from napari_past.io import MarkerTable, read_marker_table, read_regions
from napari_past.io.csv_table import csv_header
from napari_past.model.calibration import Quantity
from napari_past.slide.units import checked_mpp
from napari_past.stain import classes, count_cells, h_score
from napari_past.stain.dab import DAB_CUTOFFS
from napari_past.types import Region

Index = npt.NDArray[np.intp]

NEEDED = ("patient", "predicted_cells", "predicted_rois", "measured_cells")
COLUMNS = (*NEEDED, "measured_rois", "landmarks", "slide", "predicted_mpp", "measured_mpp")
UNNAMED = re.compile(r"Region \d+")
"""How regions without a name are called when they are read."""
LEAST_CELLS = 20
"""A region with fewer on one of both slides is left out, and told."""
MATCHED_UM = 4.0
"""Farthest apart that two cells of the same section are taken for one: a nucleus' radius."""


@dataclass(frozen=True)
class Pair:
    """The files of one H&E slide and its stained neighbour."""

    patient: str
    slide: str
    predicted_cells: Path
    predicted_rois: Path
    measured_cells: Path
    measured_rois: Path | None
    """None: the regions of the H&E slide, carried over by the landmarks."""
    landmarks: Path | None
    predicted_mpp: float | None
    measured_mpp: float | None

    @property
    def whose(self) -> str:
        return f"{self.patient} {self.slide}".strip()


class _Row(NamedTuple):
    patient: str
    region: str
    predicted: float
    measured: float


def is_pair_table(path: str | Path) -> bool:
    """Whether a CSV file names files of slides, not values of regions."""
    return "predicted_cells" in csv_header(existing_file(path))


def read_pairs(path: str | Path) -> tuple[Pair, ...]:
    """The rows of a CSV file with ``patient,predicted_cells,predicted_rois,measured_cells``.

    ``measured_rois``, ``landmarks``, ``slide``, ``predicted_mpp`` and ``measured_mpp`` are
    optional. Files are relative to the table's folder.

    Raises
    ------
    BadTable
    """
    source = existing_file(path)
    header = csv_header(source)
    for column in NEEDED:
        if column not in header:
            raise BadTable(f"{source.name} has no column {column}; it needs {', '.join(NEEDED)}.")
    columns = text_columns(source, COLUMNS)
    lines = [
        dict(zip(columns, texts, strict=True)) for texts in zip(*columns.values(), strict=True)
    ]
    return tuple(_pair(told, line, source) for line, told in enumerate(lines, start=2))


def _pair(told: dict[str, str], line: int, source: Path) -> Pair:
    missing = [column for column in NEEDED if not told[column]]
    if missing:
        raise BadTable(f"Line {line} of {source.name} has no {missing[0]}; fill it in.")
    if not told["measured_rois"] and not told["landmarks"]:
        raise BadTable(
            f"Line {line} of {source.name} has neither measured_rois nor landmarks; give the "
            "regions on the stained slide, or landmarks that carry them over."
        )

    def file(column: str) -> Path | None:
        return source.parent / told[column] if told[column] else None

    def mpp(column: str) -> float | None:
        try:
            return checked_mpp(float(told[column])) if told[column] else None
        except ValueError as exc:
            raise BadTable(
                f"Line {line} of {source.name} has {told[column]!r} as {column}; give µm/px."
            ) from exc

    return Pair(
        patient=told["patient"],
        slide=told["slide"],
        predicted_cells=source.parent / told["predicted_cells"],
        predicted_rois=source.parent / told["predicted_rois"],
        measured_cells=source.parent / told["measured_cells"],
        measured_rois=file("measured_rois"),
        landmarks=file("landmarks"),
        predicted_mpp=mpp("predicted_mpp"),
        measured_mpp=mpp("measured_mpp"),
    )


def match_pairs(
    path: str | Path,
    marker: str,
    quantity: Quantity | None = None,
    *,
    genes: tuple[str, ...] = (),
    same_section: bool = False,
    od_column: str | None = None,
    check_cells: Callable[[Path], None] = lambda _: None,
) -> tuple[Matched, tuple[str, ...]]:
    """The regions of a table of slide pairs, and what has to be told of them.

    A region's cells are those whose centre lies in it and in no Ignore* region, on each slide by
    itself; predicted cells that are not to be scored (blur, pen …) do not count. Regions are
    matched by name. H-scores and percentages of the stained cells stand on
    `DAB_CUTOFFS`.

    Parameters
    ----------
    path
        Of the table, as `read_pairs` has it.
    marker
        Gene or marker whose predicted values are read.
    quantity
        That is measured; optical density if omitted.
    genes
        That the marker stands for: a file must have as many of them. Any number if omitted.
    same_section
        The stained section is the H&E section, stained again: cells are matched one to one, mutual
        nearest within `MATCHED_UM` after the landmarks' map, and each pair is a row.
    od_column
        Of the measured cells.
    check_cells
        Called with each file of predicted cells; raises where another model made it.

    Raises
    ------
    BadTable, MissingPixelSize, RegionError, UnknownGene, AmbiguousGene
    """
    wanted = quantity or "od"
    if same_section and wanted != "od":
        raise BadTable(
            "Matched cells (--same-section) are calibrated to optical density; leave --measured "
            "out, or calibrate by region."
        )
    rows: list[_Row] = []
    told: list[str] = []
    for pair in read_pairs(path):
        check_cells(existing_file(pair.predicted_cells))
        predicted = read_marker_table(pair.predicted_cells, marker)
        if genes and len(predicted.resolved.symbols) != len(genes):
            raise BadTable(
                f"{pair.predicted_cells.name} has {' + '.join(predicted.resolved.symbols)} where "
                f"{marker} is {' + '.join(genes)}; predict them all, with --genes {marker}."
            )
        measured = read_measured_cells(pair.measured_cells, od_column)
        affine = None if pair.landmarks is None else read_landmarks(pair.landmarks)
        if affine is not None:
            told.append(f"{pair.whose}: {affine.sentence}")
        for name, here, there in _matched_regions(pair, predicted, measured, affine, told):
            if same_section:
                here, there = _same_cells(predicted, measured, here, there, affine)
            if min(len(here), len(there)) < LEAST_CELLS:
                told.append(
                    f"{pair.whose}: {name} left out, {len(here)} predicted and {len(there)} "
                    f"measured cells; {LEAST_CELLS} are needed"
                )
                continue
            label = f"{pair.slide} · {name}" if pair.slide else name
            values, densities = predicted.values[here], measured.density[there]
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
    return checked(matched, Path(path).name, lines=False), tuple(told)


def _matched_regions(
    pair: Pair,
    predicted: MarkerTable,
    measured: MeasuredCells,
    affine: Affine | None,
    told: list[str],
) -> list[tuple[str, Index, Index]]:
    """Name, predicted cells that count and measured cells of each region on both slides; what has
    to be said of them is added to `told`."""
    regions = read_regions(pair.predicted_rois, pair.predicted_mpp or predicted.mpp)
    over, over_file = regions, pair.predicted_rois
    if pair.measured_rois is not None:
        over_file = pair.measured_rois
        over = read_regions(over_file, pair.measured_mpp or measured.mpp)
    elif affine is not None:
        over = tuple(_carried(region, affine) for region in regions)
    here = _by_name(regions, predicted.centers_um, pair.predicted_rois)
    there = _by_name(over, measured.centers_um, over_file)
    one_sided = sorted(set(here) ^ set(there))
    if one_sided:
        told.append(f"{pair.whose}: on one slide only, not used: {', '.join(one_sided)}")
    names = [name for name in here if name in there]
    if not names:
        raise BadTable(
            f"No region of {pair.predicted_rois.name} has a namesake in {over_file.name}; name "
            "matched regions alike."
        )
    numbered = [name for name in names if UNNAMED.fullmatch(name)]
    if numbered:
        told.append(
            f"{pair.whose}: regions without a name are matched by their number in the file "
            f"({', '.join(numbered)}); name them to be sure"
        )
    known = np.isfinite(predicted.values)
    if predicted.unscored is not None:
        known &= predicted.unscored == ""
    return [(name, here[name][known[here[name]]], there[name]) for name in names]


def _by_name(
    regions: tuple[Region, ...], centers_um: npt.NDArray[np.float64], source: Path
) -> dict[str, Index]:
    """The cells of each region that is not ignored."""
    twice = [n for n, k in Counter(r.name for r in regions if not r.ignored).items() if k > 1]
    if twice:
        raise BadTable(
            f"{source.name} has two regions named {twice[0]}; matched regions need names of their "
            "own."
        )
    if not any(not region.ignored for region in regions):
        raise BadTable(f"{source.name} holds no region to match; annotate some.")
    return {row.region: row.index for row in count_cells(centers_um, regions).rows}


def _carried(region: Region, affine: Affine) -> Region:
    return Region(region.name, region.role, shapely.transform(region.polygon_um, affine))


def _same_cells(
    predicted: MarkerTable,
    measured: MeasuredCells,
    here: Index,
    there: Index,
    affine: Affine | None,
) -> tuple[Index, Index]:
    """The cells that are each other's nearest, within `MATCHED_UM`."""
    if not len(here) or not len(there):
        return here[:0], there[:0]
    ours = predicted.centers_um[here]
    ours = ours if affine is None else affine(ours)
    theirs = measured.centers_um[there]
    away, nearest = KDTree(theirs).query(ours)
    back = KDTree(ours).query(theirs)[1]
    kept = np.flatnonzero((away <= MATCHED_UM) & (back[nearest] == np.arange(len(ours))))
    return here[kept], there[nearest[kept]]


def _measured(densities: npt.NDArray[np.float64], quantity: Quantity) -> float:
    if quantity == "od":
        return float(densities.mean())
    counts = np.bincount(classes(densities, DAB_CUTOFFS), minlength=4)
    return h_score(counts) if quantity == "h-score" else 100 * float(1 - counts[0] / counts.sum())
