"""The genes that PAST's cell tower has tokens for, in order, with their means in one technology."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from anndata.io import read_elem

from napari_past.errors import BadTable
from napari_past.files import existing_file
from napari_past.genes.gene_table import gene_table
from napari_past.hdf5 import open_hdf5

ASSAYS = {"MERFISH": 7, "CosMx": 8, "Xenium": 9}
"""The technologies that have a token."""

_ENSEMBL_ID = re.compile(r"(ENS[A-Z]*G\d{11})(?:\.\d+)?", re.IGNORECASE)
_HEADERS = frozenset(
    {"gene", "genes", "gene_id", "gene_ids", "ensembl", "ensembl_id", "id", "symbol", "gene_symbol"}
)


@dataclass(frozen=True)
class Found:
    """What the name of a gene means in a vocabulary."""

    place: int | None
    """None: the vocabulary does not have the gene."""
    ambiguous: bool = False
    """The name stands for several genes, or the vocabulary has the gene several times."""


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Genes in the order of their tokens, with the means that their counts are divided by."""

    ensembl: tuple[str, ...]
    """Ensembl gene ids without version; a stand-in may hold symbols instead."""
    means: npt.NDArray[np.floating]
    """(G,) mean of each gene's non-zero values in the technology; 0 or NaN where it was never
    seen. Kept in the precision of its file: the order of genes in a cell depends on it."""
    technology: str = "Xenium"
    """Whose means these are: a key of `ASSAYS`."""
    sha256: str = ""
    """Over the bytes of the genes' file, then of the means' file; empty if not from files."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "technology", technology_name(self.technology))
        if not self.ensembl:
            raise BadTable("The vocabulary has no genes; give the file with the genes in order.")
        if np.shape(self.means) != (len(self.ensembl),):
            raise BadTable(
                f"The vocabulary has {len(self.ensembl)} genes, but means of shape "
                f"{np.shape(self.means)}; give the two files that belong together."
            )
        if len(set(self.ensembl)) < len(self.ensembl):
            twice = next(g for i, g in enumerate(self.ensembl) if g in self.ensembl[:i])
            raise BadTable(
                f"The vocabulary names {twice!r} more than once, but each gene has one token; "
                "give the list as it was published."
            )
        wrong = np.flatnonzero((self.means < 0) | np.isinf(self.means))
        if len(wrong):
            raise BadTable(
                f"The mean of {self.ensembl[wrong[0]]} is {self.means[wrong[0]]}, but a mean of "
                "counts is finite and not negative; give the technology's means."
            )

    @cached_property
    def divisors(self) -> npt.NDArray[np.float64]:
        """(G,) the means, with 1 for genes that were never seen."""
        means = self.means.astype(np.float64)
        return np.where(np.isnan(means) | (means == 0), 1.0, means)

    def find(self, name: str, species: str = "human") -> Found | None:
        """The gene that `name` means; None where it is no name of a gene that is known here.

        First as the vocabulary writes it (an Ensembl id without its version suffix); then, for a
        human gene, by Ensembl id, symbol, previous symbol or alias. Mouse genes have no such table
        here: they are known as the vocabulary writes them. Names of markers (CD3, ER) are no names
        of genes.
        """
        written = unversioned(name)
        if written in self._places:
            return Found(self._places[written])
        if species != "human":
            return None
        official = _official(written)
        symbols = official or _by_alias(written)
        if not symbols:
            return None
        places = {i for symbol in symbols for i in self._by_symbol.get(symbol, ())}
        if len(places) > 1 or (len(symbols) > 1 and not official):
            return Found(None, ambiguous=True)
        return Found(next(iter(places), None))

    @cached_property
    def _places(self) -> dict[str, int]:
        return {unversioned(gene): i for i, gene in enumerate(self.ensembl)}

    @cached_property
    def _by_symbol(self) -> dict[str, tuple[int, ...]]:
        """Places by official symbol; an alias stands for a gene that is not there officially."""
        official: dict[str, set[int]] = {}
        by_alias: dict[str, set[int]] = {}
        for gene, i in self._places.items():
            symbols = _official(gene)
            for symbol in symbols:
                official.setdefault(symbol, set()).add(i)
            aliased = () if symbols else _by_alias(gene)
            if len(aliased) == 1:
                by_alias.setdefault(aliased[0], set()).add(i)
        return {symbol: tuple(sorted(found)) for symbol, found in (by_alias | official).items()}


def unversioned(name: str) -> str:
    """`name` without surrounding space; an Ensembl id in capitals and without its version."""
    stripped = name.strip()
    match = _ENSEMBL_ID.fullmatch(stripped)
    return match[1].upper() if match else stripped


def technology_name(technology: str) -> str:
    """The technology as `ASSAYS` writes it, whatever the case.

    Raises
    ------
    BadTable
        It has no token.
    """
    by_folded = {name.casefold(): name for name in ASSAYS}
    name = by_folded.get(technology.strip().casefold())
    if name is None:
        raise BadTable(
            f"There are no tokens for the technology {technology!r}; give one of "
            f"{', '.join(ASSAYS)}."
        )
    return name


def read_vocabulary(
    genes: str | Path,
    means: str | Path,
    *,
    technology: str = "Xenium",
    sha256: str | None = None,
) -> Vocabulary:
    """The vocabulary of two files, as they are published with Nicheformer.

    Parameters
    ----------
    genes
        ``.h5ad``: its variables in order, nothing else of it is read. Any other suffix: text, one
        id a line or in the first column, with or without a heading.
    means
        ``.npy``: (G,) numbers. Any other suffix: text, one number a line or in the last column;
        what stands before it must be the gene.
    technology
        Whose means these are.
    sha256
        What the files must have: SHA-256 over both, one after the other, as
        ``cat GENES MEANS | sha256sum`` says it.

    Raises
    ------
    BadTable
        A file is missing or cannot be read as what it should be, the two disagree, or the hash is
        another one.
    """
    genes_file, means_file = existing_file(genes), existing_file(means)
    digest = hashlib.sha256()
    for file in (genes_file, means_file):
        with file.open("rb") as content:
            while piece := content.read(1 << 20):
                digest.update(piece)
    if sha256 is not None and sha256.strip().lower() != digest.hexdigest():
        raise BadTable(
            f"{genes_file.name} and {means_file.name} have the SHA-256 {digest.hexdigest()}, but "
            f"{sha256.strip().lower()} was expected; get both files again."
        )
    names = _read_genes(genes_file)
    return Vocabulary(names, _read_means(means_file, names), technology, digest.hexdigest())


def _official(name: str) -> tuple[str, ...]:
    """Official symbols of an Ensembl id, or the one that `name` is."""
    table = gene_table()
    if name in table.by_ensembl_id:
        return table.by_ensembl_id[name]
    if name in table.ensembl_ids:
        return (name,)
    symbol = table.by_folded_symbol.get(name.casefold()) if _one_case(name) else None
    return () if symbol is None else (symbol,)


def _by_alias(name: str) -> tuple[str, ...]:
    table = gene_table()
    folded = table.by_folded_alias.get(name.casefold(), ()) if _one_case(name) else ()
    return table.by_alias.get(name, folded)


def _one_case(name: str) -> bool:
    """Whether capitals mean nothing: erbb2 may be ERBB2, but Erbb2 is the gene of a mouse."""
    return name in (name.upper(), name.lower())


def _read_genes(path: Path) -> tuple[str, ...]:
    if path.suffix == ".h5ad":
        try:
            with open_hdf5(path) as file:
                names = [str(name) for name in read_elem(file["var"]).index]
        except BadTable:
            raise
        except Exception as exc:  # a damaged file fails in h5py or anndata in many ways
            raise BadTable(
                f"{path.name} cannot be read as an AnnData file ({exc}); give the .h5ad whose "
                "variables are the vocabulary, or a text file with one gene a line."
            ) from exc
    else:
        names = [fields[0] for fields in _lines(path, "genes, one a line")]
        if names and names[0].casefold() in _HEADERS:
            names = names[1:]
    return tuple(unversioned(name) for name in names)


def _read_means(path: Path, genes: tuple[str, ...]) -> npt.NDArray[np.floating]:
    if path.suffix == ".npy":
        try:
            values = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as exc:
            raise BadTable(
                f"{path.name} cannot be read as an array of numbers ({exc}); give the .npy file "
                "of the technology's means."
            ) from exc
        if values.dtype.kind not in "fiu":
            raise BadTable(
                f"{path.name} holds {values.dtype} values, but the technology's means are numbers; "
                "give the .npy file of the means."
            )
        floats = values if values.dtype.kind == "f" else values.astype(np.float64)
        return floats.ravel() if floats.size == len(genes) else floats
    lines = list(_lines(path, "means, one a line"))
    if lines and _number(lines[0][-1]) is None:
        lines = lines[1:]
    found = [_number(fields[-1]) for fields in lines]
    for i, (fields, value) in enumerate(zip(lines, found, strict=True)):
        if value is None:
            raise BadTable(
                f"{path.name} has {fields[-1]!r} where the mean number {i + 1} should be; give one "
                "number a line."
            )
        if len(fields) > 1 and i < len(genes) and unversioned(fields[0]) not in (genes[i], str(i)):
            raise BadTable(
                f"{path.name} has the mean of {fields[0]} where the vocabulary has {genes[i]}; "
                "give the means in the order of the vocabulary."
            )
    return np.array(found, np.float64)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _lines(path: Path, content: str) -> Iterator[list[str]]:
    """The fields of each line that is not empty, at commas or tabs."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise BadTable(
            f"{path.name} cannot be read as text ({exc}); give {content}, or an .h5ad or .npy file."
        ) from exc
    for line in text.splitlines():
        if line.strip():
            yield [field.strip().strip('"') for field in re.split(r"[,\t]", line)]
