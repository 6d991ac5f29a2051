"""The score of one region."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from napari_past.stain.allred import Allred, allred
from napari_past.stain.correlation import FARTHEST_UM
from napari_past.stain.counted import WHOLE_SLIDE_ROLE
from napari_past.stain.hot_spot import HotSpot
from napari_past.stain.interval import LEAST_BLOCKS
from napari_past.stain.rules import PLAIN_GENE, ScoreRules
from napari_past.types import TUMOUR

ALL_NUCLEI = "all nuclei, not tumour-only"
TUMOUR_NUCLEI = "nuclei in Tumour regions"

MISSING = "–"
"""Stands for a number that there is none of."""


def number_text(value: float, decimals: int) -> str:
    """A number with so many decimals, or a dash for NaN."""
    return MISSING if math.isnan(value) else f"{value:.{decimals}f}"


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
    """0–300; NaN without cells. To be told only where `ScoreRules.h_score` says so."""
    lo: float
    """Lower limit of the 95 % sampling interval of `h_score`; NaN where there is none."""
    hi: float
    area_mm2: float
    """Area of the region less what Ignore* regions cover and what is not scored; NaN where that is
    not known, and for the slide unless it was given."""
    excluded: int = 0
    """Cells of the region that an Ignore* region took out."""
    without_class: int = 0
    """Cells of the region whose value is NaN."""
    unscored: int = 0
    """Cells of the region that lie where nothing is scored."""
    pct_lo: float = float("nan")
    """Lower limit of the 95 % sampling interval of `pct_positive`; NaN where there is none."""
    pct_hi: float = float("nan")
    block_um: float = float("nan")
    """Side of the blocks of tissue that the intervals stand on; infinite where cells are alike
    over too far, NaN where no interval was asked for."""
    hot_spot: HotSpot | None = None
    """None where no place holds enough cells, or none was asked for."""
    rules: ScoreRules = PLAIN_GENE

    @property
    def denominator(self) -> str:
        """What the n cells are."""
        return TUMOUR_NUCLEI if self.role == TUMOUR else ALL_NUCLEI

    @property
    def positive(self) -> int:
        """Cells of class 1+ or higher."""
        return self.n - self.n0

    @property
    def allred(self) -> Allred | None:
        """None without cells. To be told only where `ScoreRules.allred` says so."""
        return allred((self.n0, self.n1, self.n2, self.n3))

    @property
    def density_mm2(self) -> float:
        """Cells with a class per mm² of `area_mm2`; NaN where that is not known."""
        return self.n / self.area_mm2 if self.area_mm2 > 0 else float("nan")

    @property
    def positive_mm2(self) -> float:
        """Positive cells per mm² of `area_mm2`; NaN where that is not known."""
        return self.positive / self.area_mm2 if self.area_mm2 > 0 else float("nan")

    @property
    def h_score_text(self) -> str:
        """The H-score as a whole number; a dash without cells."""
        return MISSING if math.isnan(self.h_score) else str(math.floor(self.h_score + 0.5))

    @property
    def allred_text(self) -> str:
        """The Allred score and its two parts; a dash without cells."""
        parts = self.allred
        return (
            MISSING if parts is None else f"{parts.total} ({parts.proportion} + {parts.intensity})"
        )

    @property
    def interval_text(self) -> str:
        """The sampling interval of the marker's score: of its H-score, else of the percentage."""
        if self.rules.h_score:
            low, high, decimals = self.lo, self.hi, 0
        else:
            low, high, decimals = self.pct_lo, self.pct_hi, 1
        return MISSING if math.isnan(low) else f"{low:.{decimals}f}–{high:.{decimals}f}"

    @property
    def insufficient(self) -> str:
        """As "insufficient: 312 of 500 tumour nuclei"; empty where there are enough."""
        told = self.rules.insufficient(self.n)
        return f"{told} (all nuclei counted)" if told and self.role != TUMOUR else told

    @property
    def explanation(self) -> str:
        """Why numbers are missing, a sentence for each; empty where none is."""
        if self.n == 0:
            return f"No cell with a class lies in {self.region}, so it has no score."
        return " ".join(told for told in (self._no_area, self._no_interval) if told)

    @property
    def _no_area(self) -> str:
        region = self.role != WHOLE_SLIDE_ROLE
        if not (region and self.unscored and math.isnan(self.area_mm2)):
            return ""
        return (
            f"Part of {self.region} is not scored, and how large that is is not known, so its area "
            "and cells/mm² are not given."
        )

    @property
    def _no_interval(self) -> str:
        if math.isinf(self.block_um):
            return (
                f"Neighbouring cells of {self.region} are alike over {FARTHEST_UM / 1000:g} mm and "
                "more, so no interval is given."
            )
        if np.isnan(self.lo) and self.block_um > 0:
            return (
                f"The cells of {self.region} fill fewer than {LEAST_BLOCKS} squares of "
                f"{self.block_um:g} µm, so no interval is given."
            )
        return ""
