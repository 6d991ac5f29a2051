"""Measured values of one gene in all rows of a section, at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.sparse import csc_array, csr_array

from napari_past.spatial.section import MeasuredSection
from napari_past.validation.genes import log1p_cp10k


class MeasuredCounts:
    """Counts of a section by gene."""

    def __init__(self, section: MeasuredSection) -> None:
        self._place = {gene: k for k, gene in enumerate(section.genes)}
        self._by_gene = csc_array(section.counts)
        self.totals: npt.NDArray[np.float64] = np.asarray(
            section.counts.sum(axis=1), np.float64
        ).ravel()
        """(r,), of each row over all genes."""

    def of(self, gene: str) -> npt.NDArray[np.float32]:
        """Counts (r,) of a measured gene."""
        return np.asarray(self._column(gene).toarray(), np.float32).ravel()

    def values(self, genes: Sequence[str]) -> npt.NDArray[np.float32]:
        """log1p(counts per 10k), the mean over some measured genes, (r,); NaN without any count."""
        summed = np.zeros(len(self.totals), np.float32)
        for gene in genes:
            summed += log1p_cp10k(self._column(gene), self.totals).toarray().ravel()
        return np.where(self.totals > 0, summed / len(genes), np.float32(np.nan))

    def _column(self, gene: str) -> csr_array:
        return csr_array(self._by_gene[:, [self._place[gene]]])
