"""Derive ``src/napari_past/data/gene_names.tsv.gz`` from Bioconductor's ``org.Hs.eg.db``.

On Debian or Ubuntu, without installing anything:

    apt-get download r-bioc-org.hs.eg.db && dpkg -x r-bioc-org.hs.eg.db_*.deb unpacked
    database=unpacked/usr/lib/R/site-library/org.Hs.eg.db/extdata/org.Hs.eg.sqlite
    python tools/derive_gene_names.py $database src/napari_past/data/gene_names.tsv.gz

One line per gene: symbol, Ensembl gene ids, previous symbols and aliases (both ``|``-separated).
Kept are protein-coding genes, immunoglobulin and T-cell-receptor genes ("other"), and RNA genes
with an Ensembl id; unnamed LOC genes and pseudogenes are left out. An alias that is another gene's
official symbol is left out too, because the official symbol wins. The same database gives the same
bytes.
"""

from __future__ import annotations

import argparse
import gzip
import sqlite3
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Names:
    """What the database says of one symbol."""

    ensembl_ids: set[str] = field(default_factory=set)
    aliases: set[str] = field(default_factory=set)


def kept_genes(database: Path) -> dict[str, Names]:
    """The kept genes of an ``org.Hs.eg.sqlite``, by symbol."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        symbols = dict(connection.execute("SELECT _id, symbol FROM gene_info"))
        kinds = dict(connection.execute("SELECT _id, gene_type FROM genetype"))
        ensembl_ids: dict[int, set[str]] = defaultdict(set)
        for key, ensembl_id in connection.execute("SELECT _id, ensembl_id FROM ensembl"):
            ensembl_ids[key].add(ensembl_id)
        aliases: dict[int, set[str]] = defaultdict(set)
        for key, alias in connection.execute("SELECT _id, alias_symbol FROM alias"):
            aliases[key].add(alias)
    genes: dict[str, Names] = defaultdict(Names)
    for key, symbol in symbols.items():
        named = not (symbol.startswith("LOC") and symbol[3:].isdigit())
        kind = kinds.get(key)
        wanted = kind in ("protein-coding", "other") or (kind == "ncRNA" and ensembl_ids[key])
        if named and wanted:
            genes[symbol].ensembl_ids |= ensembl_ids[key]
            genes[symbol].aliases |= aliases[key]
    for names in genes.values():
        names.aliases = {a for a in names.aliases if a not in genes and not set(a) & set("|\t\n")}
    return genes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("database", type=Path, help="org.Hs.eg.sqlite")
    parser.add_argument("table", type=Path, help="gene_names.tsv.gz to write")
    arguments = parser.parse_args()
    genes = kept_genes(arguments.database)
    lines = ["symbol\tensembl_ids\taliases"]
    for symbol in sorted(genes):
        names = genes[symbol]
        lines.append(
            f"{symbol}\t{'|'.join(sorted(names.ensembl_ids))}\t{'|'.join(sorted(names.aliases))}"
        )
    text = ("\n".join(lines) + "\n").encode()
    # Neither a time nor a name in the gzip header, so that the bytes depend on the database alone.
    arguments.table.write_bytes(gzip.compress(text, compresslevel=9, mtime=0))
    print(f"{len(genes)} genes, {arguments.table.stat().st_size} bytes")


if __name__ == "__main__":
    main()
