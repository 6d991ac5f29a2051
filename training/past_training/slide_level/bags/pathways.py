"""Sets of genes from a GMT file, as MSigDB has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from napari_past.errors import BadTable
from napari_past.files import existing_file

LEAST_GENES = 3
"""A set of which a model has fewer is another set."""


def read_gmt(path: str | Path) -> dict[str, tuple[str, ...]]:
    """Genes by the set's name: lines of name, description, genes, parted by tabs.

    Raises
    ------
    BadTable
        No such file, no text, no set, a set without genes, or a name twice.
    """
    source = existing_file(path)
    try:
        lines = source.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as exc:
        raise BadTable(f"{source.name} is no text; give a .gmt file, as of MSigDB.") from exc
    sets: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        name, *rest = (part.strip() for part in line.split("\t"))
        genes = tuple(dict.fromkeys(gene for gene in rest[1:] if gene))
        if not name or not genes:
            raise BadTable(
                f"Line {number} of {source.name} is no set of genes; write its name, a "
                f"description and genes, parted by tabs."
            )
        if name in sets:
            raise BadTable(f"{source.name} has the set {name!r} twice; rename one of them.")
        sets[name] = genes
    if not sets:
        raise BadTable(f"{source.name} holds no set of genes; give a .gmt file, as of MSigDB.")
    return sets


def known_pathways(
    sets: Mapping[str, Sequence[str]], genes: Sequence[str]
) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """The sets with those of their genes that a model has, and notes on what it lacks.

    Raises
    ------
    BadTable
        The model has `LEAST_GENES` of no set.
    """
    have = set(genes)
    found = {name: tuple(g for g in wanted if g in have) for name, wanted in sets.items()}
    kept = {name: there for name, there in found.items() if len(there) >= LEAST_GENES}
    if not kept:
        raise BadTable(
            f"Of none of the {len(sets)} pathways the model has {LEAST_GENES} genes; give sets of "
            f"HGNC symbols, or another model."
        )
    notes = []
    if len(kept) < len(sets):
        notes.append(
            f"{len(sets) - len(kept)} of {len(sets)} pathways were left out: the model has fewer "
            f"than {LEAST_GENES} of their genes."
        )
    partial = [name for name, there in kept.items() if 2 * len(there) < len(sets[name])]
    if partial:
        notes.append(f"Of {len(partial)} pathways the model has fewer than half of the genes.")
    return kept, notes
