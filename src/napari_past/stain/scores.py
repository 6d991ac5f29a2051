"""Scores of regions: counts of the classes, percentages, and the pseudo-H-score.

The H-score (0–300) is 100 · (n₁ + 2·n₂ + 3·n₃) / n, n counting the cells that have a class (as
QuPath does). From predicted expression it is a *pseudo*-H-score: RNA has no optical density.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import shapely

from napari_past.stain.classes import classes
from napari_past.stain.counted import CountedCells, CountedRow, count_cells
from napari_past.stain.hot_spot import hot_spot
from napari_past.stain.interval import block_side_um, sampling_intervals
from napari_past.stain.rows import ScoreRow
from napari_past.stain.rules import PLAIN_GENE, ScoreRules
from napari_past.types import Cutoffs, Region

INTERVAL_NAME, MEASURED_INTERVAL_NAME = "sampling interval (this model)", "sampling interval"
GLASS = "glass"
"""The kind of what is not scored that is no tissue."""


@dataclass(frozen=True)
class ScoreTable:
    """The scores of all regions, and what to tell with them."""

    rows: tuple[ScoreRow, ...]
    excluded: int
    """Cells that an Ignore* region took out of the rows."""
    without_class: int
    """Cells that the rows would have counted but whose value is NaN."""
    denominator: str
    score_name: str
    interval_name: str
    cutoffs: Cutoffs
    unscored: int = 0
    """Cells that the rows would have counted but that lie where nothing is scored."""
    unscored_cells: Mapping[str, int] = field(default_factory=dict)
    """`unscored` by kind, where kinds were given."""
    unscored_area_mm2: Mapping[str, float] = field(default_factory=dict)
    """Area of the whole slide that is not scored, by kind. The area of a row is without it."""
    rules: ScoreRules = PLAIN_GENE
    """Which of the rows' scores are to be told."""

    @property
    def unscored_sentence(self) -> str:
        """What was not scored and why, one line; empty where everything was."""
        parts = []
        if self.unscored:
            kinds = ", ".join(f"{kind} {n}" for kind, n in self.unscored_cells.items())
            parts.append(f"{self.unscored} cells" + (f" ({kinds})" if kinds else ""))
        areas = unscored_areas(self.unscored_area_mm2)
        if areas:
            parts.append(areas)
        return f"not scored: {'; '.join(parts)}" if parts else ""


def unscored_areas(area_mm2: Mapping[str, float]) -> str:
    """Areas by kind in words, as "blur 0.12 mm², pen 0.03 mm²"; nobody takes glass for tissue."""
    told = {kind: area for kind, area in area_mm2.items() if area > 0 and kind != GLASS}
    return ", ".join(f"{kind} {area:.2f} mm²" for kind, area in told.items())


def h_score(counts: Sequence[int] | npt.NDArray[np.integer]) -> float:
    """100 · (n₁ + 2·n₂ + 3·n₃) / (n₀ + n₁ + n₂ + n₃), 0–300; NaN without cells.

    Parameters
    ----------
    counts
        (4,), cells of the classes 0, 1+, 2+ and 3+.
    """
    n0, n1, n2, n3 = (int(count) for count in counts)
    n = n0 + n1 + n2 + n3
    return 100 * (n1 + 2 * n2 + 3 * n3) / n if n else float("nan")


def score_table(
    values: npt.ArrayLike,
    centers_um: npt.ArrayLike,
    cutoffs: Cutoffs,
    regions: Sequence[Region] = (),
    *,
    rules: ScoreRules = PLAIN_GENE,
    denominator: str | None = None,
    slide_area_mm2: float | None = None,
    unscored: npt.ArrayLike | None = None,
    unscored_within: Callable[[shapely.Geometry], float] | None = None,
    unscored_area_mm2: Mapping[str, float] | None = None,
) -> ScoreTable:
    """One row per region that is not ignored; with none, one row for the whole slide.

    `count_cells` and `score_counted` in one: who scores the same cells again and again, as when a
    cut-off is dragged, calls the former once.

    Parameters
    ----------
    values
        (n,), one number per cell in the unit of the cut-offs; NaN has no class and is not counted.
    centers_um
        (n, 2), (x, y) in µm of slide space.
    cutoffs
        Limits of the classes; a value >= a limit reaches it.
    regions
        In slide space. A cell counts in every region that contains it.
    rules
        What is told of the marker, as `rules_of` gives it.
    denominator
        What the counted cells are, where the caller knows better than the roles tell.
    slide_area_mm2
        Area of the whole-slide row, for example of the tissue; unknown otherwise.
    unscored
        (n,), cells that lie where nothing is scored: True, or the kind's name ("" where scored).
        They are outside of every row and counted beside them.
    unscored_within
        Area in mm² that is not scored inside of a polygon in µm. Without it the area of a region
        that has such cells is unknown.
    unscored_area_mm2
        Area by kind that is not scored on the slide, to be told with the table.

    Raises
    ------
    ValueError
        Shapes that do not fit, or a centre that is not finite.
    """
    given = np.asarray(values)
    if given.ndim != 1 or np.shape(centers_um) != (len(given), 2):
        raise ValueError(
            f"Scores need values (n,) and centres (n, 2), but got {given.shape} and "
            f"{np.shape(centers_um)}."
        )
    counted = count_cells(
        centers_um,
        regions,
        slide_area_mm2=slide_area_mm2,
        unscored=unscored,
        unscored_within=unscored_within,
    )
    return score_counted(
        counted,
        given,
        cutoffs,
        rules,
        denominator=denominator,
        unscored_area_mm2=unscored_area_mm2,
    )


def score_counted(
    counted: CountedCells,
    values: npt.ArrayLike,
    cutoffs: Cutoffs,
    rules: ScoreRules = PLAIN_GENE,
    *,
    denominator: str | None = None,
    unscored_area_mm2: Mapping[str, float] | None = None,
    quick: bool = False,
) -> ScoreTable:
    """The scores of cells whose rows are known; arguments as of `score_table`.

    Parameters
    ----------
    counted
        As `count_cells` gives it, of the same cells in the same order.
    quick
        Leave out what takes most of the time: sampling intervals and hot spots.
    """
    given = np.asarray(values)
    if given.shape != (len(counted.centers_um),):
        raise ValueError(
            f"Scores need a value of each of {len(counted.centers_um)} cells, but got "
            f"{given.shape}."
        )
    found = classes(given, cutoffs)
    rows = tuple(_row(row, found, counted.centers_um, rules, quick) for row in counted.rows)
    return ScoreTable(
        rows=rows,
        excluded=counted.excluded,
        without_class=int((found[counted.index] < 0).sum()),
        denominator=_denominator(rows) if denominator is None else denominator,
        score_name=rules.score_name,
        interval_name=MEASURED_INTERVAL_NAME if rules.measured else INTERVAL_NAME,
        cutoffs=cutoffs,
        unscored=counted.unscored,
        unscored_cells=counted.unscored_cells,
        unscored_area_mm2=dict(unscored_area_mm2 or {}),
        rules=rules,
    )


def _row(
    row: CountedRow,
    found: npt.NDArray[np.int8],
    centers_um: npt.NDArray[np.float64],
    rules: ScoreRules,
    quick: bool,
) -> ScoreRow:
    of_row = found[row.index]
    # Class −1 comes first, so that one pass counts it too.
    without, n0, n1, n2, n3 = (int(c) for c in np.bincount(of_row + np.int8(1), minlength=5))
    n = n0 + n1 + n2 + n3
    (lo, hi), (pct_lo, pct_hi), side_um, spot = (_NONE, _NONE, float("nan"), None)
    if not quick:
        index = row.index if not without else row.index[of_row >= 0]
        scored, places = found[index], centers_um[index]
        side_um = block_side_um(scored, places) if n else float("nan")
        (lo, hi), (pct_lo, pct_hi) = sampling_intervals([scored, scored > 0], places, side_um)
        if rules.hot_spot:
            spot = hot_spot(scored, places, least_cells=rules.least_in_hot_spot, within=row.shape)
    return ScoreRow(
        region=row.region,
        role=row.role,
        n=n,
        n0=n0,
        n1=n1,
        n2=n2,
        n3=n3,
        pct_positive=100 * (n - n0) / n if n else float("nan"),
        h_score=h_score((n0, n1, n2, n3)),
        lo=lo,
        hi=hi,
        area_mm2=row.area_mm2,
        excluded=row.excluded,
        without_class=without,
        unscored=row.unscored,
        pct_lo=pct_lo,
        pct_hi=pct_hi,
        block_um=side_um,
        hot_spot=spot,
        rules=rules,
    )


_NONE = (float("nan"), float("nan"))


def _denominator(rows: Sequence[ScoreRow]) -> str:
    """Each row's own denominator, in the order in which they first occur."""
    return "; ".join(dict.fromkeys(row.denominator for row in rows))
