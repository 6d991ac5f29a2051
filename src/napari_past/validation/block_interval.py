"""How sure a correlation is, from blocks of tissue drawn with replacement."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import norm, t

from napari_past.validation.compared_rows import (
    LEAST_ROWS,
    Array,
    ComparedRows,
    Values,
    finite_mean,
)
from napari_past.validation.figures import section_r
from napari_past.validation.intervals import LEAST_BLOCKS, squares, times_drawn
from napari_past.validation.tissue import IntArray

BLOCK_REACHES = 3
"""A block's side is at least so many times the width of H&E that a row sees."""
_DRAWS = 2000
_GENES_AT_ONCE = 128
_MOST_UNDEFINED = 0.05
"""Of the draws may lack a correlation, because the gene is not seen in any block drawn."""
_LEAST_OF_SECTION = 2
_FLAT = 1e-9
_MOST_R = 1 - 1e-9
_SEED = 20240229


@dataclass(frozen=True, eq=False)
class BlockIntervals:
    """Blocks of tissue, and how often each is drawn.

    Neighbouring rows are alike, so that drawing rows would make every figure look surer than it is.
    Whole squares of tissue are drawn instead, of each section as many as it has (block bootstrap;
    Lahiri 2003, Resampling Methods for Dependent Data, and for correlations of maps Kunsch 1989,
    Ann. Stat. 17:1217). Rows nearer than half of what a row sees to a line between two blocks are
    left out, so that no two blocks share a pixel; their r counts nevertheless, because the interval
    is laid around the r of all rows.
    """

    rows: ComparedRows
    inside: tuple[IntArray, ...]
    """(k,) of each section: rows that count, by block."""
    starts: tuple[IntArray, ...]
    """(B,) of each section: where each block begins among them."""
    times: tuple[Array, ...]
    """(1 + D, B) of each section: each block once, and how often each is drawn."""
    side_um: float
    """Of the largest blocks."""
    reach_um: float
    """Width of the square of H&E that a row sees."""

    @property
    def least_side_um(self) -> float:
        """No block is smaller."""
        return BLOCK_REACHES * self.reach_um

    @property
    def blocks(self) -> int:
        return sum(map(len, self.starts))

    @property
    def equal_blocks(self) -> list[float]:
        """To how many blocks of equal numbers of rows those of each section that counts amount: a
        sliver hardly adds to them (Kish 1965, Survey Sampling)."""
        amounts = []
        for inside, starts, kept in zip(self.inside, self.starts, self.rows.kept, strict=True):
            if len(inside):
                rows = np.diff([*starts, len(inside)])
                amounts.append(float(rows.sum() ** 2 / (rows**2).sum()))
            elif len(kept) >= LEAST_ROWS:
                amounts.append(0.0)
        return amounts

    @property
    def enough(self) -> bool:
        """Whether they amount to six equal ones or more beyond the first of each further section,
        and to two in every section: one alone does not vary when it is drawn."""
        amounts = self.equal_blocks
        return min(amounts) >= _LEAST_OF_SECTION and self._freedom >= LEAST_BLOCKS - 1

    @property
    def worth(self) -> float:
        """To how many blocks of equal numbers of rows all amount, with one in each further section
        left out; what `enough` counts."""
        return max(0.0, self._freedom + 1)

    @property
    def _freedom(self) -> float:
        return sum(amount - 1 for amount in self.equal_blocks)

    @property
    def share(self) -> float:
        """Of the rows that lie inside blocks."""
        return sum(map(len, self.inside)) / max(1, len(self.rows))

    @property
    def levels(self) -> tuple[float, float]:
        """Quantiles of the draws that bound the 95 % interval.

        Wider than 0.025 and 0.975, because few blocks drawn from themselves vary too little: to
        what makes the interval of a mean that of Student's t (Hesterberg 2015, The American
        Statistician 69:371).
        """
        widened = math.sqrt(sum(self.equal_blocks) / self._freedom)
        tail = float(norm.cdf(-widened * t.ppf(0.975, self._freedom)))
        return tail, 1 - tail

    def genes(self, predicted: Values, measured: Values) -> tuple[Array, Array]:
        """Low and high of the 95 % interval of r of each gene, (G,) each.

        NaN where the prediction does not vary, or where the gene is seen in so little tissue that
        more than one draw in twenty lacks it.

        Parameters
        ----------
        predicted, measured
            (k, G) of each section's compared rows.
        """
        low, high = np.full((2, predicted[0].shape[1]), np.nan)
        varying = np.flatnonzero(
            np.any([np.ptp(v, axis=0) > 0 for v in predicted if len(v)], axis=0)
        )
        for start in range(0, len(varying), _GENES_AT_ONCE):
            genes = varying[start : start + _GENES_AT_ONCE]
            p, m = ([v[:, genes] for v in values] for values in (predicted, measured))
            drawn = self._drawn(p, m)
            moved = _fisher(self.rows.mean(section_r(p, m))) - _fisher(drawn[0])
            limits = _percentiles(drawn[1:], self.levels)
            # On Fisher's scale, so that no limit is beyond 1.
            low[genes], high[genes] = (np.tanh(_fisher(limit) + moved) for limit in limits)
        return low, high

    def mean(self, predicted: Values, measured: Values) -> Array:
        """Mean r over the genes in each draw, (D,), of few genes."""
        drawn = finite_mean(self._drawn(predicted, measured).T)
        whole = finite_mean(self.rows.mean(section_r(predicted, measured)))
        return drawn[1:] - drawn[0] + whole

    def _drawn(self, predicted: Values, measured: Values) -> Array:
        """r of the rows inside, and of each draw of them, (1 + D, G)."""
        of_section = [
            _drawn_r(times, _moments(p[inside], m[inside], starts))
            for p, m, inside, starts, times in zip(
                predicted, measured, self.inside, self.starts, self.times, strict=True
            )
            if len(inside)
        ]
        used = [i for i, inside in enumerate(self.inside) if len(inside)]
        everything = np.full((len(self.inside), *of_section[0].shape), np.nan)
        everything[used] = of_section
        return self.rows.mean(everything)


def block_intervals(rows: ComparedRows, reach_um: float) -> BlockIntervals:
    """About 25 blocks of each section, fewer where they would be narrower than three reaches.

    Parameters
    ----------
    reach_um
        Width of the square of H&E that a row sees.
    """
    rng = np.random.default_rng(_SEED)
    inside, starts, times, sides = [], [], [], [0.0]
    for row_um in rows.row_um:
        grid = squares(row_um, BLOCK_REACHES * reach_um)
        sides.append(grid.side_um)
        counts = len(row_um) >= LEAST_ROWS
        chosen = np.flatnonzero((grid.to_line_um >= reach_um / 2) & counts)
        _, block = np.unique(grid.column_row[chosen], axis=0, return_inverse=True)
        block = block.reshape(-1)
        order = np.argsort(block, kind="stable")
        inside.append(chosen[order].astype(np.int64))
        _, first = np.unique(block[order], return_index=True)
        starts.append(first.astype(np.int64))
        n = len(first)
        drawn = rng.integers(n, size=(_DRAWS, n)) if n else np.zeros((_DRAWS, 0), np.int64)
        times.append(np.concatenate([np.ones((1, n)), times_drawn(drawn, n)]))
    return BlockIntervals(rows, tuple(inside), tuple(starts), tuple(times), max(sides), reach_um)


def _moments(
    predicted: npt.NDArray[np.float32], measured: npt.NDArray[np.float32], starts: IntArray
) -> Sequence[Array]:
    """Sums over each block, (B, G): of rows, p, m, p², m² and p·m, less the means of all."""
    p = predicted - predicted.mean(axis=0, dtype=np.float64)
    m = measured - measured.mean(axis=0, dtype=np.float64)
    rows = np.diff([*starts, len(p)]).astype(np.float64)[:, None]
    return (rows, *(np.add.reduceat(v, starts, axis=0) for v in (p, m, p * p, m * m, p * m)))


def _drawn_r(times: Array, moments: Sequence[Array]) -> Array:
    """Pearson r from sums of the blocks of each draw, (D, G); 0 for a constant prediction, NaN
    where what was measured is constant."""
    n, p, m, pp, mm, pm = (times @ moment for moment in moments)
    of_p, of_m = pp - p * p / n, mm - m * m / n
    both = np.sqrt(np.maximum(of_p, 0) * np.maximum(of_m, 0))
    r = np.where(both > _FLAT, (pm - p * m / n) / np.where(both > _FLAT, both, 1.0), 0.0)
    return np.where(np.isnan(both) | (of_m <= _FLAT), np.nan, r)


def _fisher(r: Array) -> Array:
    return np.arctanh(np.clip(r, -_MOST_R, _MOST_R))


def _percentiles(drawn: Array, levels: tuple[float, float]) -> tuple[Array, Array]:
    undefined = np.isnan(drawn).mean(axis=0)
    low, high = np.full((2, drawn.shape[1]), np.nan)
    whole = undefined == 0
    low[whole], high[whole] = np.quantile(drawn[:, whole], levels, axis=0)
    some = (undefined > 0) & (undefined <= _MOST_UNDEFINED)
    if some.any():
        low[some], high[some] = np.nanquantile(drawn[:, some], levels, axis=0)
    return low, high
