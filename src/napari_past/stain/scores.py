"""Scores of regions: counts of the classes, and the pseudo-H-score.

The H-score (0–300) is 100 · (n₁ + 2·n₂ + 3·n₃) / n, n counting the cells that have a class (as
QuPath does). From predicted expression it is a *pseudo*-H-score: RNA has no optical density.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import shapely

from napari_past.stain.classes import classes
from napari_past.stain.interval import BLOCK_UM, LEAST_BLOCKS, sampling_interval
from napari_past.types import TUMOUR, Cutoffs, Region

ALL_NUCLEI = "all nuclei, not tumour-only"
TUMOUR_NUCLEI = "nuclei in Tumour regions"
WHOLE_SLIDE, WHOLE_SLIDE_ROLE = "slide", "All nuclei"
PSEUDO_H_SCORE = "pseudo-H-score"
INTERVAL_NAME = "sampling interval (this model)"
GLASS = "glass"
"""The kind of what is not scored that is no tissue."""


@dataclass(frozen=True)
class ScoreRow:
    """The score of one region."""

    region: str
    role: str
    n: int
    """Cells with a class: n0 + n1 + n2 + n3."""
    n0: int
    n1: int
    n2: int
    n3: int
    pct_positive: float
    """Part of the n cells with class 1+ or higher, 0–100; NaN without cells."""
    h_score: float
    """0–300; NaN without cells."""
    lo: float
    """Lower limit of the 95 % sampling interval of `h_score`; NaN where there is none."""
    hi: float
    area_mm2: float
    """Area of the region less what Ignore* regions cover; NaN for the slide unless it was given."""

    @property
    def denominator(self) -> str:
        """What the n cells are."""
        return TUMOUR_NUCLEI if self.role == TUMOUR else ALL_NUCLEI

    @property
    def explanation(self) -> str:
        """Why a number is missing, one sentence; empty where none is."""
        if self.n == 0:
            return f"No cell with a class lies in {self.region}, so it has no score."
        if np.isnan(self.lo):
            return (
                f"The cells of {self.region} fill fewer than {LEAST_BLOCKS} squares of "
                f"{BLOCK_UM:g} µm, so no interval is given."
            )
        return ""


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
    """Area of the whole slide that is not scored, by kind. Areas of rows contain it."""

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
    denominator: str | None = None,
    slide_area_mm2: float | None = None,
    unscored: npt.ArrayLike | None = None,
    unscored_area_mm2: Mapping[str, float] | None = None,
) -> ScoreTable:
    """One row per region that is not ignored; with none, one row for the whole slide.

    A cell belongs to every region that contains its centre, so regions may overlap; holes are
    outside; what lies in an Ignore* region counts nowhere.

    Parameters
    ----------
    values
        (n,), one number per cell in the unit of the cut-offs; NaN has no class and is not counted.
    centers_um
        (n, 2), (x, y) in µm of slide space.
    cutoffs
        Limits of the classes; a value >= a limit reaches it.
    regions
        In slide space.
    denominator
        What the counted cells are, where the caller knows better than the roles tell.
    slide_area_mm2
        Area of the whole-slide row, for example of the tissue; unknown otherwise.
    unscored
        (n,), cells that lie where nothing is scored: True, or the kind's name ("" where scored).
        They are outside of every row and counted beside them.
    unscored_area_mm2
        Area by kind that is not scored, to be told with the table; no area is subtracted.

    Raises
    ------
    ValueError
        Shapes that do not fit, or a centre that is not finite.
    """
    given = np.asarray(values)
    centers = np.asarray(centers_um, dtype=np.float64)
    if given.ndim != 1 or centers.shape != (len(given), 2):
        raise ValueError(
            f"Scores need values (n,) and centres (n, 2), but got {given.shape} and "
            f"{centers.shape}."
        )
    if not np.isfinite(centers).all():
        raise ValueError("Every cell needs a finite centre in µm.")
    kinds = np.zeros(len(given), np.bool_) if unscored is None else np.asarray(unscored)
    if kinds.shape != given.shape or kinds.dtype.kind not in "bUO":
        raise ValueError(
            f"Cells not scored are told by bool or text {given.shape}, but got {kinds.dtype} "
            f"{kinds.shape}."
        )
    away = kinds if kinds.dtype == np.bool_ else kinds != ""
    found = classes(given, cutoffs)
    ignored = np.zeros(len(given), np.bool_)
    for region in regions:
        if region.ignored:
            ignored |= _inside(region, centers)
    scored = [region for region in regions if not region.ignored]
    cover = shapely.union_all([shapely.make_valid(r.polygon_um) for r in regions if r.ignored])
    rows: list[ScoreRow] = []
    asked = np.zeros(len(given), np.bool_)
    for region in scored:
        inside = _inside(region, centers)
        asked |= inside
        area_mm2 = shapely.make_valid(region.polygon_um).difference(cover).area / 1e6
        keep = inside & ~ignored & ~away
        rows.append(_row(region.name, region.role, found[keep], centers[keep], area_mm2))
    if not scored:
        asked[:] = True
        area_mm2 = float("nan") if slide_area_mm2 is None else slide_area_mm2
        keep = ~ignored & ~away
        rows.append(_row(WHOLE_SLIDE, WHOLE_SLIDE_ROLE, found[keep], centers[keep], area_mm2))
    left_out = asked & ~ignored & away
    return ScoreTable(
        rows=tuple(rows),
        excluded=int((asked & ignored).sum()),
        without_class=int((asked & ~ignored & ~away & (found < 0)).sum()),
        denominator=_denominator(rows) if denominator is None else denominator,
        score_name=PSEUDO_H_SCORE,
        interval_name=INTERVAL_NAME,
        cutoffs=cutoffs,
        unscored=int(left_out.sum()),
        unscored_cells={} if kinds.dtype == np.bool_ else _counted(kinds[left_out]),
        unscored_area_mm2=dict(unscored_area_mm2 or {}),
    )


def _counted(kinds: npt.NDArray) -> dict[str, int]:
    """How many cells of each kind, most first."""
    names, counts = np.unique(kinds.astype(str), return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return {str(names[i]): int(counts[i]) for i in order}


def _inside(region: Region, centers_um: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """`Region.contains`, asked only of the cells in its bounding box: a slide has a million."""
    x0, y0, x1, y1 = region.polygon_um.bounds
    x, y = centers_um[:, 0], centers_um[:, 1]
    near = np.flatnonzero((x >= x0) & (x <= x1) & (y >= y0) & (y <= y1))
    inside = np.zeros(len(centers_um), np.bool_)
    shapely.prepare(region.polygon_um)
    inside[near] = region.contains(centers_um[near])
    return inside


def _row(
    region: str,
    role: str,
    found: npt.NDArray[np.int8],
    centers_um: npt.NDArray[np.float64],
    area_mm2: float,
) -> ScoreRow:
    classified = found >= 0
    found, centers_um = found[classified], centers_um[classified]
    n0, n1, n2, n3 = (int(count) for count in np.bincount(found, minlength=4))
    n = len(found)
    lo, hi = sampling_interval(found, centers_um)
    return ScoreRow(
        region=region,
        role=role,
        n=n,
        n0=n0,
        n1=n1,
        n2=n2,
        n3=n3,
        pct_positive=100 * (n - n0) / n if n else float("nan"),
        h_score=h_score((n0, n1, n2, n3)),
        lo=lo,
        hi=hi,
        area_mm2=float(area_mm2),
    )


def _denominator(rows: Sequence[ScoreRow]) -> str:
    """Each row's own denominator, in the order in which they first occur."""
    return "; ".join(dict.fromkeys(row.denominator for row in rows))
