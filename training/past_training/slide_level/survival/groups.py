"""Two groups of held-out patients by a cut-point of their training fold, and their log-rank test.

Who is in which group depends on the outcomes of other folds, and theirs on this one's: each pair of
patients counts both ways, as in `interval`, so the variance of the test is doubled as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2

from past_training.slide_level.survival.data import SurvivalData
from past_training.slide_level.survival.interval import BOTH_WAYS
from past_training.slide_level.survival.result import Groups

if TYPE_CHECKING:
    from past_training.slide_level.survival.evaluate import Held

F64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]


def grouped(data: SurvivalData, held: Sequence[Held]) -> Groups:
    """Of the first repeat, in which every patient is held out once."""
    high = np.zeros(len(data), np.bool_)
    strata = []
    for answer in held:
        if answer.split.repeat == 0:
            high[answer.split.test] = answer.risk > answer.cut
            strata.append(answer.split.test)
    statistic = stratified_log_rank([(data.time[s], data.event[s], high[s]) for s in strata])
    return Groups(high, statistic, float(chi2.sf(statistic / BOTH_WAYS, 1)))


def stratified_log_rank(strata: Sequence[tuple[F64, Bool, Bool]]) -> float:
    """Mantel's chi-square of one group against the other, summed over strata before it is squared.

    Each stratum is (time, event, group), (m,) each. lifelines' test knows no strata. NaN where no
    event has patients of both groups at risk.
    """
    difference = variance = 0.0
    for time, event, group in strata:
        for moment in np.unique(time[event]):
            risk = time >= moment
            n, n1 = int(risk.sum()), int((risk & group).sum())
            now = event & (time == moment)
            d, d1 = int(now.sum()), int((now & group).sum())
            difference += d1 - d * n1 / n
            if n > 1:
                variance += d * (n1 / n) * (1 - n1 / n) * (n - d) / (n - 1)
    return difference**2 / variance if variance > 0 else float("nan")
