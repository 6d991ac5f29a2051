"""The table of gene names: HGNC symbols, their Ensembl ids, previous symbols and aliases."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class GeneTable:
    """All names of all genes, indexed every way in which they are looked up."""

    ensembl_ids: dict[str, tuple[str, ...]]
    """By official symbol, sorted; may be empty."""
    aliases: dict[str, tuple[str, ...]]
    """By official symbol; never another gene's official symbol."""
    by_folded_symbol: dict[str, str]
    """Official symbol by its casefolded form: no two symbols differ in case alone."""
    by_ensembl_id: dict[str, tuple[str, ...]]
    by_alias: dict[str, tuple[str, ...]]
    by_folded_alias: dict[str, tuple[str, ...]]


def _inverted(names: dict[str, tuple[str, ...]], fold: bool = False) -> dict[str, tuple[str, ...]]:
    """Symbols by each of their names; sorted, as `names` is."""
    found: dict[str, dict[str, None]] = {}
    for symbol, many in names.items():
        for name in many:
            found.setdefault(name.casefold() if fold else name, {})[symbol] = None
    return {name: tuple(symbols) for name, symbols in found.items()}


@cache
def gene_table() -> GeneTable:
    """The table of ``data/gene_names.tsv.gz``; read once, on first use."""
    packed = files("napari_past").joinpath("data", "gene_names.tsv.gz").read_bytes()
    ensembl_ids: dict[str, tuple[str, ...]] = {}
    aliases: dict[str, tuple[str, ...]] = {}
    for line in gzip.decompress(packed).decode().splitlines()[1:]:
        symbol, ids, others = line.split("\t")
        ensembl_ids[symbol] = tuple(ids.split("|")) if ids else ()
        aliases[symbol] = tuple(others.split("|")) if others else ()
    return GeneTable(
        ensembl_ids=ensembl_ids,
        aliases=aliases,
        by_folded_symbol={symbol.casefold(): symbol for symbol in ensembl_ids},
        by_ensembl_id=_inverted(ensembl_ids),
        by_alias=_inverted(aliases),
        by_folded_alias=_inverted(aliases, fold=True),
    )
