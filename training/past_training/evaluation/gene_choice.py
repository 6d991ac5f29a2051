"""The genes that a fold compares, chosen on its training rows alone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from napari_past.errors import UnknownGene
from napari_past.genes import markers
from napari_past.validation.genes import best_expressed, most_variable
from past_training.evaluation.rows import TrainingSet

BEST_EXPRESSED = 1000
MOST_VARIABLE = 250
"""Of the best expressed: what the table is about."""
TOP_VARIABLE = 50

AskedGenes = Sequence[str] | Literal["all"] | None
"""Symbols to report beside those that are chosen; all; or none."""


class GeneChoice:
    """Genes of a fold and the subsets of them."""

    def __init__(
        self,
        genes: Sequence[str],
        variable: Sequence[str],
        top: Sequence[str],
        asked: Sequence[str],
    ) -> None:
        self.genes = tuple(genes)
        self._names = tuple(variable), tuple(top), tuple(asked)
        place = {gene: i for i, gene in enumerate(self.genes)}
        self.variable, self.top, self.asked = (
            np.array([place[g] for g in subset if g in place], np.int64) for subset in self._names
        )
        """Places among `genes` of the most variable, of the top of these, of those asked for."""

    def within(self, known: Collection[str]) -> GeneChoice:
        """The same without genes that are not among `known`."""
        return GeneChoice([g for g in self.genes if g in known], *self._names)

    def lacking(self, compared: GeneChoice) -> tuple[str, ...]:
        """Genes of the subsets that are not in those of `compared`."""
        wanted = np.unique(np.concatenate([self.variable, self.asked]))
        known = frozenset(compared.genes)
        return tuple(g for i in wanted if (g := self.genes[i]) not in known)

    @property
    def subsets(self) -> dict[str, npt.NDArray[np.int64]]:
        """By name: ``variable``, ``top``, ``asked``."""
        return {"variable": self.variable, "top": self.top, "asked": self.asked}


def chosen_genes(
    train: TrainingSet, asked: AskedGenes = None, also: Sequence[str] = ()
) -> GeneChoice:
    """The 1000 best expressed, 250 and 50 most variable of them, those asked for, and the panel.

    Of single cells only genes that every training section measured: a panel says nothing of genes
    that are not on it. In spots a gene that a section lacks was not seen there and counts as zero.

    Parameters
    ----------
    asked
        What somebody wants to read of.
    also
        Genes that are to be among them, though nobody asked.

    Raises
    ------
    UnknownGene
        A gene that was asked for is not in the dataset.
    """
    all_genes = train.dataset.genes
    for gene in asked or () if asked != "all" else ():
        if gene not in all_genes:
            raise UnknownGene(
                f"{train.dataset.name} did not measure {gene}; choose among its {len(all_genes)} "
                f"genes, or leave --genes out."
            )
    cells = any(part.record.spot_diameter_um is None for part in train.rows)
    measured = frozenset(train.dataset.common_genes if cells else all_genes)
    values = [part.sparse for part in train.rows]
    ranked = best_expressed(values, all_genes, len(all_genes))
    ranked = [gene for gene in ranked if gene in measured]
    best = ranked[:BEST_EXPRESSED]
    variable = most_variable(values, all_genes, best, MOST_VARIABLE)
    listed = ranked if asked == "all" else list(asked or ())
    panel = [gene for marker in markers() for gene in marker.genes if gene in measured]
    genes = list(dict.fromkeys([*best, *listed, *also, *panel]))
    return GeneChoice(genes, variable, variable[:TOP_VARIABLE], listed)
