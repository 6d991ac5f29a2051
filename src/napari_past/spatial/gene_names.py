"""Measured features, under the names of the genes that they measure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array

from napari_past.genes.gene_table import gene_table
from napari_past.spatial.errors import BadSource

GENE_EXPRESSION = "Gene Expression"
"""10x' type of a feature that is a gene; all others are controls, codewords or proteins."""

_CONTROL = re.compile(
    r"(neg(ative)?[ _-]?(control|prb|probe)|negative[0-9]|blank[-_]|unassigned[ _-]?codeword"
    r"|deprecated[ _-]?codeword|antisense_|system[ _-]?control|falsecode|intergenic_?region)",
    re.IGNORECASE,
)
_ENSEMBL = re.compile(r"(ENS(?P<species>[A-Z]*)G\d{11})(\.\d+)?")
_SPECIES = {"": "human", "MUS": "mouse"}


def species_of(feature_ids: Sequence[str]) -> str | None:
    """The species that at least half of the features' Ensembl ids are of, or None."""
    matches = [_ENSEMBL.fullmatch(i) for i in feature_ids]
    seen = Counter(_SPECIES.get(m["species"], "") for m in matches if m is not None)
    if not seen:
        return None
    species, count = seen.most_common(1)[0]
    return species if species and 2 * count >= len(feature_ids) else None


def named_species(names: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """The species that genes are named as by most of their names, and what to tell about it.

    Human symbols are written large (ERBB2, C1orf159), those of mice with one large letter (Erbb2);
    Ensembl ids say it themselves. Empty where no name tells.

    Parameters
    ----------
    names
        Symbols or Ensembl ids, as the source writes them.
    """
    by_ids = species_of(names)
    if by_ids is not None:
        return by_ids, ()
    symbols = gene_table().by_folded_symbol
    known = [(name, symbols[name.casefold()]) for name in names if name.casefold() in symbols]
    human = sum(name == symbol for name, symbol in known)
    mouse = [name for name, symbol in known if name != symbol and name == name.capitalize()]
    if not human and not mouse:
        return "", ("No gene's name tells the species; give it with --option species=human.",)
    if human >= len(mouse):
        return "human", ()
    return "mouse", (
        f"Genes are written as those of mice ({mouse[0]}), so that was taken for the species; "
        "--option species=human gives another.",
    )


def checked_species(species: str) -> str:
    """The species as "human" or "mouse", from the ways in which files write it.

    Raises
    ------
    BadSource
        Another species: no gene names are known for it.
    """
    folded = species.strip().casefold()
    if folded in {"human", "homo sapiens", "grch38", "hg38"}:
        return "human"
    if folded in {"mouse", "mus musculus", "grcm39", "mm10"}:
        return "mouse"
    raise BadSource(
        f"Species must be human or mouse, but got {species!r}; give it with species= or --option "
        "species=human."
    )


def gene_counts(
    counts: csr_array,
    names: Sequence[str],
    species: str,
    *,
    ids: Sequence[str] | None = None,
    types: Sequence[str] | None = None,
) -> tuple[csr_array, tuple[str, ...], tuple[str, ...]]:
    """Counts per gene, the genes' names, and what to tell about them.

    Human genes get their HGNC symbol: by Ensembl id, by symbol, or by a previous symbol or alias
    that stands for one gene only, which is not measured under its own symbol too. Marker names
    (ER, CD3) are no gene names and mean nothing here. What does not resolve, and every gene of
    another or no known species, keeps its name. Features of one gene are added up. Controls are
    dropped.

    Parameters
    ----------
    counts
        (r, f) raw counts.
    names
        (f,) as the source writes them: symbols or Ensembl ids.
    species
        "human", "mouse", or empty where it is not known.
    ids
        (f,) Ensembl ids where the source has them.
    types
        (f,) 10x feature types; only `GENE_EXPRESSION` stays.

    Returns
    -------
    counts
        (r, g) float32.
    genes
        (g,) unique, in the order in which they first come.
    notes
        A sentence for each kind of thing that was left out or changed.
    """
    genes = [
        i
        for i, name in enumerate(names)
        if (types is None or types[i] == GENE_EXPRESSION) and not _CONTROL.match(name)
    ]
    written = [names[i].strip() for i in genes]
    known = [""] * len(genes) if ids is None else [ids[i].strip() for i in genes]
    if species == "human":
        symbols, unresolved = _human(written, known)
    else:
        symbols, unresolved = [w or k for w, k in zip(written, known, strict=True)], []
    columns: dict[str, int] = {}
    target = [columns.setdefault(symbol, len(columns)) for symbol in symbols]
    notes = []
    if len(genes) < len(names):
        notes.append(f"{len(names) - len(genes)} features that are no genes were left out.")
    if unresolved:
        shown = ", ".join(unresolved[:3]) + (" …" if len(unresolved) > 3 else "")
        notes.append(
            f"{len(unresolved)} of {len(genes)} genes have no HGNC symbol that is known here and "
            f"keep their names ({shown})."
        )
    if len(columns) < len(genes):
        notes.append(
            f"{len(genes) - len(columns)} features measure a gene that another one measures too: "
            "their counts were added up."
        )
    summed = counts.astype(np.float32)
    if len(columns) < len(names):
        chosen = np.ones(len(genes), np.float32), (genes, target)
        summed = csr_array(summed @ csr_array(chosen, shape=(len(names), len(columns))))
    summed.eliminate_zeros()
    summed.sort_indices()
    return summed, tuple(columns), tuple(notes)


def _human(names: Sequence[str], ids: Sequence[str]) -> tuple[list[str], list[str]]:
    """The symbol of each feature, or its own name; and the names that did not resolve."""
    table = gene_table()
    official = [_official(name, i) for name, i in zip(names, ids, strict=True)]
    taken = {symbol for symbol in official if symbol is not None}
    aliases = [
        table.by_alias.get(name, ()) if symbol is None else ()
        for name, symbol in zip(names, official, strict=True)
    ]
    claims = Counter(a[0] for a in aliases if len(a) == 1)
    symbols, unresolved = [], []
    for name, ensembl, symbol, alias in zip(names, ids, official, aliases, strict=True):
        if symbol is None and len(alias) == 1 and alias[0] not in taken and claims[alias[0]] == 1:
            symbol = alias[0]
        if symbol is None:
            symbol = _unversioned(name or ensembl)
            unresolved.append(symbol)
        symbols.append(symbol)
    return symbols, unresolved


def _official(name: str, ensembl: str) -> str | None:
    table = gene_table()
    for written in (ensembl, name):
        found = table.by_ensembl_id.get(_unversioned(written), ())
        if len(found) == 1:
            return found[0]
    return table.by_folded_symbol.get(name.casefold())


def _unversioned(name: str) -> str:
    match = _ENSEMBL.fullmatch(name)
    return match[1] if match else name
