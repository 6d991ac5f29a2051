"""Scores of membrane stains on real IHC: HER2, and PD-L1 by TPS and CPS.

On real stain only: predicted expression knows no membrane. Nothing here is a treatment cut-off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_past.types import Cutoffs, FloatArray

COMPLETE_SHARE = 0.8
"""Of a cell's visible sectors, from which on its membrane is called complete."""
TOUCHED_SHARE = 0.1
"""Of them, from which on a membrane is stained at all: fewer are a neighbour's or noise."""
LEAST_SEEN = 8
"""Sectors of 24 that must be visible for a cell to have a class."""
HER2_NAMES = ("0", "1+", "2+", "3+")

TUMOUR_CELL, LYMPHOCYTE, MACROPHAGE, OTHER_CELL = "tumour", "lymphocyte", "macrophage", "other"
"""Roles of cells in PD-L1 scores. Plasma cells, neutrophils, eosinophils and stroma are other."""
CELL_ROLES = (TUMOUR_CELL, LYMPHOCYTE, MACROPHAGE, OTHER_CELL)
LEAST_TUMOUR_CELLS = 100
"""Viable tumour cells below which PD-L1 is not scored."""


def completeness(sectors: FloatArray, cutoff: float) -> npt.NDArray[np.float32]:
    """Share of each cell's visible membrane sectors with density >= `cutoff`, (n,), 0 to 1.

    Parameters
    ----------
    sectors
        (n, 24), `membrane_sectors`; NaN is not visible. Under 8 visible sectors give NaN.
    """
    seen = np.isfinite(sectors).sum(axis=1)
    # In the sectors' own precision, as the classes of cells are compared.
    stained = (np.nan_to_num(sectors, nan=-np.inf) >= cutoff).sum(axis=1)
    share = stained / np.maximum(seen, 1)
    return np.where(seen >= LEAST_SEEN, share, np.nan).astype(np.float32)


def membrane_positive(sectors: FloatArray, cutoff: float) -> npt.NDArray[np.bool_]:
    """Whether a membrane is stained, partly or completely, at any intensity >= `cutoff`, (n,)."""
    return completeness(sectors, cutoff) >= TOUCHED_SHARE


def her2_classes(sectors: FloatArray, cutoffs: Cutoffs) -> npt.NDArray[np.int8]:
    """HER2 class of each cell, (n,) int8: 0 to 3, −1 where too little of its membrane is visible.

    3+ is a complete membrane whose mean density reaches the strong cut-off, 2+ any other complete
    one, 1+ an incomplete one, 0 none. A membrane counts as complete where 80 % of its sectors reach
    the weak cut-off and as stained from 10 % on. Strong but incomplete patterns, which guidelines
    call equivocal, are 1+ here: they need an eye.

    Parameters
    ----------
    sectors
        (n, 24), `membrane_sectors`.
    cutoffs
        Optical densities of DAB.
    """
    weak = completeness(sectors, cutoffs.weak)
    seen = np.isfinite(sectors)
    mean = np.where(seen, sectors, 0).sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
    complete = weak >= COMPLETE_SHARE
    found = np.zeros(len(sectors), np.int8)
    found[weak >= TOUCHED_SHARE] = 1
    found[complete] = 2
    found[complete & (mean >= cutoffs.strong)] = 3
    found[np.isnan(weak)] = -1
    return found


@dataclass(frozen=True)
class Her2Score:
    """HER2 of one region, from the classes of its invasive tumour cells."""

    n0: int
    n1: int
    n2: int
    n3: int

    @property
    def n(self) -> int:
        """Cells with a class."""
        return self.n0 + self.n1 + self.n2 + self.n3

    @property
    def score(self) -> str:
        """0, 1+, 2+ or 3+: the highest that more than 10 % of the cells reach; empty without cells.

        As ASCO/CAP 2018 (Wolff et al., J Clin Oncol 36:2105) count invasive cells.
        """
        if self.n == 0:
            return ""
        for grade, reached in ((3, self.n3), (2, self.n3 + self.n2), (1, self.n - self.n0)):
            if 10 * reached > self.n:
                return HER2_NAMES[grade]
        return HER2_NAMES[0]


def her2_score(found: npt.NDArray[np.integer]) -> Her2Score:
    """The score of the cells of a region by their `her2_classes`; −1 is not counted."""
    n0, n1, n2, n3 = (int((found == grade).sum()) for grade in range(4))
    return Her2Score(n0, n1, n2, n3)


@dataclass(frozen=True)
class PdL1Counts:
    """What PD-L1 scores are made of."""

    tumour: int
    """Viable tumour cells."""
    positive_tumour: int
    """Of them, with a stained membrane, partial or complete."""
    positive_lymphocytes: int = 0
    positive_macrophages: int = 0

    def __post_init__(self) -> None:
        counts = (
            self.tumour, self.positive_tumour, self.positive_lymphocytes, self.positive_macrophages,
        )  # fmt: skip
        if min(counts) < 0 or self.positive_tumour > self.tumour:
            raise ValueError(
                f"PD-L1 needs counts of 0 or more and no more positive tumour cells than tumour "
                f"cells, but got {counts}."
            )

    @property
    def sufficient(self) -> bool:
        """Whether there are the 100 viable tumour cells that both scores need."""
        return self.tumour >= LEAST_TUMOUR_CELLS

    @property
    def tps(self) -> float:
        """Tumour proportion score: positive per 100 viable tumour cells; NaN if insufficient."""
        return 100 * self.positive_tumour / self.tumour if self.sufficient else float("nan")

    @property
    def cps(self) -> float:
        """Combined positive score: positive tumour cells, lymphocytes and macrophages per 100
        viable tumour cells, at most 100; NaN if insufficient."""
        if not self.sufficient:
            return float("nan")
        positive = self.positive_tumour + self.positive_lymphocytes + self.positive_macrophages
        return min(100.0, 100 * positive / self.tumour)

    @property
    def explanation(self) -> str:
        """Why there is no score, one sentence; empty where there is one."""
        if self.sufficient:
            return ""
        return (
            f"Insufficient: {self.tumour} viable tumour cells, at least {LEAST_TUMOUR_CELLS} are "
            "needed."
        )


def pd_l1_counts(positive: npt.NDArray[np.bool_], roles: Sequence[str]) -> PdL1Counts:
    """Counts for TPS and CPS.

    Parameters
    ----------
    positive
        (n,), whether each cell's membrane is stained (`membrane_positive`); of immune cells the
        cytoplasm counts, too.
    roles
        n of `CELL_ROLES`.

    Raises
    ------
    ValueError
        A role that is none, or another number of roles than of cells.
    """
    given = np.asarray(roles, dtype=str)
    if given.shape != positive.shape:
        raise ValueError(f"{len(positive)} cells need as many roles, but got {len(given)}.")
    strange = sorted(set(given.tolist()) - set(CELL_ROLES))
    if strange:
        raise ValueError(f"{strange[0]!r} is no role of a cell; use {', '.join(CELL_ROLES)}.")
    return PdL1Counts(
        tumour=int((given == TUMOUR_CELL).sum()),
        positive_tumour=int((positive & (given == TUMOUR_CELL)).sum()),
        positive_lymphocytes=int((positive & (given == LYMPHOCYTE)).sum()),
        positive_macrophages=int((positive & (given == MACROPHAGE)).sum()),
    )
