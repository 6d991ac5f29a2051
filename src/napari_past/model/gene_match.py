"""Which gene of the vocabulary each column of a table measures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_past.errors import BadTable
from napari_past.model.vocabulary import Vocabulary

_ID_COLUMNS = ("gene_ids", "gene_id", "ensembl_id", "ensembl_ids", "ensembl", "feature_id")
_SYMBOL_COLUMNS = ("gene_symbol", "gene_symbols", "symbol", "feature_name", "gene_name")
_TYPE_COLUMN, _GENE_TYPE = "feature_types", "Gene Expression"
_SHOWN = 5


@dataclass(frozen=True, eq=False)
class GeneMatch:
    """Columns of a table as genes of a vocabulary."""

    place: npt.NDArray[np.int32]
    """(g,) place in the vocabulary of each column; −1 where it has none."""
    unknown: tuple[str, ...]
    """Columns that the vocabulary does not have, by their names, ambiguous ones among them."""
    ambiguous: tuple[str, ...]
    """Columns whose name stands for several genes."""
    merged: tuple[str, ...]
    """Genes of the vocabulary that several columns measure: their counts are added up."""
    no_genes: int
    """Columns that are features of another type (10x): controls, codewords, proteins."""

    @property
    def known(self) -> int:
        """Columns that are genes of the vocabulary."""
        return int((self.place >= 0).sum())

    @property
    def share(self) -> float:
        """Known among all genes of the table; 0 where it has none."""
        return self.known / max(1, self.known + len(self.unknown))

    def notes(self) -> tuple[str, ...]:
        """A sentence for each kind of thing that was left out or changed."""
        notes = []
        if self.no_genes:
            notes.append(f"{self.no_genes} features that are no genes were left out.")
        if self.unknown:
            notes.append(
                f"{len(self.unknown)} of {self.known + len(self.unknown)} genes are not in the "
                f"vocabulary and were left out ({listed(self.unknown)})."
            )
        if self.ambiguous:
            notes.append(
                f"{len(self.ambiguous)} of them have names of several genes "
                f"({listed(self.ambiguous)}); give them by Ensembl id."
            )
        if self.merged:
            notes.append(
                f"{len(self.merged)} genes are measured by several columns, whose counts were "
                f"added up ({listed(self.merged)})."
            )
        return tuple(notes)


def listed(names: tuple[str, ...]) -> str:
    """The first few of many names."""
    return ", ".join(names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")


def match_genes(var: pd.DataFrame, vocabulary: Vocabulary, species: str = "human") -> GeneMatch:
    """What each column of a table measures, by the names that `var` has for it.

    A column of Ensembl ids in `var` (``gene_ids`` and the like) comes before the index, a column of
    symbols after it. The first name that stands for one known gene decides. Features whose 10x type
    is not "Gene Expression" are left out and not counted.

    Raises
    ------
    BadTable
        The species is neither human nor mouse.
    """
    if species not in ("human", "mouse"):
        raise BadTable(f"Species must be human or mouse, but got {species!r}; give one of them.")
    place = np.full(len(var), -1, np.int32)
    unknown, ambiguous = [], []
    is_gene = _is_gene(var)
    for i, names in enumerate(_names(var)):
        if not is_gene[i]:
            continue
        found = [f for n in names if (f := vocabulary.find(n, species)) is not None]
        clear = next((f for f in found if not f.ambiguous), None)
        if clear is not None and clear.place is not None:
            place[i] = clear.place
            continue
        unknown.append(str(var.index[i]))
        if found and clear is None:
            ambiguous.append(str(var.index[i]))
    times = Counter(place[place >= 0].tolist())
    merged = tuple(vocabulary.ensembl[i] for i in sorted(times) if times[i] > 1)
    no_genes = int(len(var) - is_gene.sum())
    return GeneMatch(place, tuple(unknown), tuple(ambiguous), merged, no_genes)


def _is_gene(var: pd.DataFrame) -> npt.NDArray[np.bool_]:
    if _TYPE_COLUMN not in var:
        return np.ones(len(var), np.bool_)
    return (var[_TYPE_COLUMN].astype(str) == _GENE_TYPE).to_numpy()


def _names(var: pd.DataFrame) -> Iterator[tuple[str, ...]]:
    # A missing id must not become the text "nan", which is somebody's alias.
    ids, symbols = (
        [var[c].astype(str).where(var[c].notna(), "") for c in known if c in var]
        for known in (_ID_COLUMNS, _SYMBOL_COLUMNS)
    )
    return zip(*ids, var.index.astype(str), *symbols, strict=True)
