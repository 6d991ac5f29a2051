"""A bag in numbers that a reader knows: composition, markers, pathways; and its mean vector."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from napari_past.errors import PastError
from napari_past.model import Model
from napari_past.model.classifier import CellClassifier
from past_training.slide_level.bags.bag import Bag

BLOCK = 4096
"""Cells at once: their values of 20,000 genes take 330 MB."""


@dataclass(frozen=True, eq=False)
class Reading:
    """What is read of cells' vectors."""

    model: Model | None = None
    """None reads no genes and no types: the vectors are of a model that is not here."""
    genes: tuple[str, ...] = ()
    """Markers whose mean is told, and the share of cells from the card's weak cut-off on."""
    pathways: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Genes of the model by the pathway's name."""
    classifier: CellClassifier | None = None
    """Its classes are the composition; else the types of the model's bank, where it has one."""

    @property
    def every_gene(self) -> tuple[str, ...]:
        """Markers and genes of pathways, each once."""
        of_pathways = (gene for genes in self.pathways.values() for gene in genes)
        return tuple(dict.fromkeys([*self.genes, *of_pathways]))


@dataclass(frozen=True, eq=False)
class Summary:
    """What the cells of one bag are like."""

    cells: int
    mean: npt.NDArray[np.float64]
    """(d,), mean vector."""
    values: dict[str, float]
    """By the column's name, as in `Prepared.summaries`, without ``cells``."""
    digest: str
    """SHA-256 of all vectors in order, and of all places."""


def summarised(bag: Bag, reading: Reading) -> Summary:
    """One pass over a bag; no more than a block of it is in memory.

    Raises
    ------
    PastError
        A vector or place is not finite.
    """
    of_vectors, of_places = hashlib.sha256(), hashlib.sha256()
    mean = np.zeros(bag.dim)
    genes = reading.every_gene
    gene_sum, positive = np.zeros(len(genes)), np.zeros(len(genes))
    classes: dict[str, int] = {}
    limits = _weak_cutoffs(reading, genes)
    for chunk in bag.chunks(BLOCK):
        vectors = np.ascontiguousarray(chunk.vectors)
        if not (np.isfinite(vectors).all() and np.isfinite(chunk.places_um).all()):
            raise PastError(
                f"{bag.name} has vectors or places that are not finite; write the table again, or "
                f"give the slide itself."
            )
        of_vectors.update(vectors.tobytes())
        of_places.update(np.ascontiguousarray(chunk.places_um).tobytes())
        mean += vectors.sum(axis=0, dtype=np.float64)
        if genes and reading.model is not None:
            values = reading.model.expression(vectors, genes)
            gene_sum += values.sum(axis=0, dtype=np.float64)
            positive += (values >= limits).sum(axis=0)
        for name, count in _classes(vectors, reading).items():
            classes[name] = classes.get(name, 0) + count
    n = max(bag.n, 1)
    told = {f"share:{name}": count / n for name, count in classes.items()}
    place = {gene: i for i, gene in enumerate(genes)}
    for gene in reading.genes:
        told[f"mean:{gene}"] = float(gene_sum[place[gene]] / n)
        if np.isfinite(limits[place[gene]]):
            told[f"positive:{gene}"] = float(positive[place[gene]] / n)
    for name, members in reading.pathways.items():
        told[f"pathway:{name}"] = float(np.mean([gene_sum[place[gene]] for gene in members]) / n)
    of_vectors.update(of_places.digest())
    return Summary(bag.n, mean / n, told, of_vectors.hexdigest())


def _weak_cutoffs(reading: Reading, genes: Sequence[str]) -> npt.NDArray[np.float64]:
    """(g,), of the card; NaN where it has none."""
    known = [None if reading.model is None else reading.model.cutoffs(gene) for gene in genes]
    return np.array([np.nan if one is None else one.weak for one in known], np.float64)


def _classes(vectors: npt.NDArray[np.float16], reading: Reading) -> dict[str, int]:
    """How many cells are of each class; each class is named, also where no cell is of it."""
    if reading.classifier is not None:
        found = reading.classifier.classified(vectors)
        names, code = found.names, found.code
    else:
        types = None if reading.model is None else reading.model.cell_types(vectors)
        if types is None:
            return {}
        names, code = types.names, types.code
    counts = np.bincount(code, minlength=len(names))
    return {name: int(count) for name, count in zip(names, counts, strict=True)}
