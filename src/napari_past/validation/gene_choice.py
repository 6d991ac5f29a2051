"""The genes that are compared, and those by which predictors are."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_past.errors import PastError
from napari_past.genes import resolve
from napari_past.validation.compared_rows import ComparedRows
from napari_past.validation.genes import mean_and_deviation
from napari_past.validation.predictor import Predictor
from napari_past.validation.tissue import Tissue

VARIABLE = 50
"""So many genes stand for all where predictors are compared."""
LEAST_DETECTED = 0.05
"""Of the rows in which such a gene is seen; the variance of rarer ones is mostly noise."""


@dataclass(frozen=True, eq=False)
class MeasuredLevels:
    """How much of each gene was measured, (G,) each."""

    mean: npt.NDArray[np.float64]
    """log1p(counts per 10k), over all rows."""
    detected: npt.NDArray[np.float64]
    """Share of the rows in which the gene was seen."""
    deviation: npt.NDArray[np.float64]
    """Within sections, so that differences between them do not count."""

    def variable(self) -> npt.NDArray[np.int64]:
        """Places of the 50 most variable genes seen in at least 5 % of the rows, most first; of
        all genes where none is seen as often."""
        often = np.flatnonzero(self.detected >= LEAST_DETECTED)
        among = often if len(often) else np.arange(len(self.mean))
        return among[np.argsort(-self.deviation[among], kind="stable")[:VARIABLE]].astype(np.int64)


def compared_genes(tissues: Sequence[Tissue], predictors: Sequence[Predictor]) -> tuple[str, ...]:
    """Genes that were measured in all sections and that every predictor has.

    Raises
    ------
    PastError
        There is none.
    """
    genes = _each(tissues[0].genes, [tissue.genes for tissue in tissues[1:]])
    if not genes:
        raise PastError(
            "No gene was measured in all sections; give sections that share genes, or validate "
            "them one by one."
        )
    for predictor in predictors:
        left = _each(genes, [predictor.genes(genes)])
        if not left:
            raise PastError(
                f"None of the {len(genes)} measured genes (such as {', '.join(genes[:3])}) is "
                f"predicted by {predictor.name}; check that both name genes by symbols of the same "
                f"species."
            )
        genes = left
    return genes


def asked_genes(asked: Sequence[str], genes: Sequence[str]) -> npt.NDArray[np.int64]:
    """Places of the genes that were asked for, each once, in that order.

    Raises
    ------
    GeneError
        A name that means nothing, or no gene that is both measured and predicted.
    """
    place = {gene: i for i, gene in enumerate(genes)}
    found: dict[int, None] = {}
    for name in asked:
        for symbol in resolve(name, genes, holder="What is both measured and predicted").symbols:
            found[place[symbol]] = None
    return np.array(list(found), np.int64)


def measured_levels(rows: ComparedRows, genes: Sequence[str]) -> MeasuredLevels:
    """Of the compared rows."""
    parts = []
    for tissue, kept in zip(rows.tissues, rows.kept, strict=True):
        place = {gene: i for i, gene in enumerate(tissue.genes)}
        parts.append(tissue.sparse[kept][:, [place[gene] for gene in genes]])
    mean, _ = mean_and_deviation(parts)
    seen = sum(np.bincount(part.indices[part.data > 0], minlength=len(genes)) for part in parts)
    variance = sum(
        len(kept) * mean_and_deviation([part])[1] ** 2
        for part, kept in zip(parts, rows.kept, strict=True)
        if len(kept)
    )
    n = len(rows)
    return MeasuredLevels(mean, np.asarray(seen / n), np.sqrt(np.asarray(variance / n)))


def _each(genes: Sequence[str], others: Sequence[Collection[str]]) -> tuple[str, ...]:
    common = set(genes).intersection(*others)
    return tuple(gene for gene in genes if gene in common)
