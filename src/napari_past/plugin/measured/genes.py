"""Genes that were measured and that a model predicts, those first that it predicts best here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_past.model import Model
from napari_past.plugin.measured.tissue import OnSlide
from napari_past.validation.genes import mean_and_deviation
from napari_past.validation.metrics import pearson
from napari_past.validation.model_predictor import model_symbols
from napari_past.validation.row_cells import RowCells

MOST_LISTED = 2_000
"""The most variable ones of those that are seen often enough."""
LEAST_SEEN = 0.05
"""Share of the rows."""


@dataclass(frozen=True, eq=False)
class SharedGenes:
    """Of a section and a model."""

    count: int
    """How many there are."""
    listed: tuple[tuple[str, str], ...]
    """What to show of each, and the model's name of it."""


def shared_genes(here: OnSlide, model: Model, cells: RowCells | None) -> SharedGenes:
    """The shared genes, by r over the tissue's rows, or by their measured variance. Slow.

    Parameters
    ----------
    cells
        The model's cells on the tissue's rows; None while they are not known.
    """
    tissue = here.tissue
    known = model_symbols(model.genes, here.section.genes)
    shared = [gene for gene in here.section.genes if gene in known]
    if tissue is None or not shared:
        return SharedGenes(len(shared), ())
    _, deviation = mean_and_deviation([tissue.sparse])
    seen = np.bincount(tissue.sparse.indices, minlength=len(here.section.genes)) / len(tissue)
    place = {gene: k for k, gene in enumerate(here.section.genes)}
    often = [gene for gene in shared if seen[place[gene]] >= LEAST_SEEN]
    listed = sorted(often, key=lambda gene: (-deviation[place[gene]], gene))[:MOST_LISTED]
    if cells is None:
        return SharedGenes(len(shared), tuple((gene, known[gene]) for gene in listed))
    r = _local_r(listed, [known[gene] for gene in listed], here, cells)
    order = np.argsort(-np.nan_to_num(r, nan=-2.0), kind="stable")
    told = tuple((f"{listed[k]} · r {r[k]:.2f}", known[listed[k]]) for k in order.tolist())
    return SharedGenes(len(shared), told)


def _local_r(
    genes: Sequence[str], symbols: Sequence[str], here: OnSlide, cells: RowCells
) -> np.ndarray:
    assert here.tissue is not None
    predicted = cells.expression(symbols)
    has_cells = np.isfinite(predicted).all(axis=1)
    if has_cells.sum() < 3:
        return np.full(len(genes), np.nan)
    measured = here.tissue.measured(genes)[has_cells]
    return pearson(predicted[has_cells], measured)
