"""Tokens for PAST's cell tower: a backed table of counts, against merely reading its blocks.

    python benchmarks/tokens.py [--cells 1000000] [--genes 5000] [--detected 400]

A sparse ``.h5ad`` is generated piece by piece in a temporary folder. Then, in turns, its blocks of
rows are read, and read and turned into tokens. Memory is measured in further passes, each in a new
process, as what it holds at once above what it held with all its imports.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import psutil
from anndata.io import sparse_dataset, write_elem
from common import (
    PeakMemory,
    add_outputs,
    in_turns,
    machine_line,
    memory_mb,
    ratio,
    report,
    table,
    told,
    versions_line,
)
from scipy import sparse

from napari_past.genes.gene_table import gene_table
from napari_past.model.count_rows import open_counts
from napari_past.model.tokens import ROWS_AT_ONCE, token_blocks
from napari_past.model.vocabulary import Vocabulary

VOCABULARY = 20_310
PIECE = 20_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=1_000_000)
    parser.add_argument("--genes", type=int, default=5000)
    parser.add_argument("--detected", type=int, default=400, help="genes in a cell, on average")
    parser.add_argument("--rows", type=int, default=ROWS_AT_ONCE, help="cells held at once")
    parser.add_argument("--compression", choices=("none", "gzip", "lzf"), default="none")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory-of", nargs=2, help=argparse.SUPPRESS)
    add_outputs(parser)
    options = parser.parse_args()
    if options.memory_of:
        name, file = options.memory_of
        print(peak_mb(name, Path(file), options))
        return
    folder = Path(tempfile.mkdtemp(prefix="napari-past-bench-"))
    try:
        compare(options, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def compare(options: argparse.Namespace, folder: Path) -> None:
    file = generated(options, folder / "cells.h5ad")
    known = drawn_vocabulary()
    seconds = in_turns(
        {
            "read": lambda _: read(file, options.rows),
            "tokens": lambda _: tokens(file, known, options.rows),
        },
        options.rounds,
    )
    medians = {name: statistics.median(many) for name, many in seconds.items()}
    peaks = {name: peak_of_child(name, file, options) for name in medians}
    times = ratio(seconds["tokens"], seconds["read"])
    rows = [
        [
            name,
            f"{medians[name]:.2f}",
            f"{options.cells / medians[name]:,.0f}",
            f"{peaks[name]:.0f}",
        ]
        for name in medians
    ]
    lines = [
        f"{options.cells:,} cells x {options.genes:,} genes, about {options.detected} of them in a "
        f"cell; {file.stat().st_size / 1e6:,.0f} MB on disk, compression {options.compression}, "
        f"{options.rows} cells at once",
        "",
        *table(["", "seconds", "cells/s", "peak MB above idle"], rows),
        "",
        f"Tokens over reading the same blocks: {times:.2f}x "
        f"({medians['tokens'] - medians['read']:.2f} s more).",
        "",
        machine_line(),
        versions_line(("numpy", "scipy", "anndata", "h5py")),
    ]
    report(options, lines, {"seconds": seconds, "peak_mb": peaks, "ratio": times})


def read(file: Path, rows: int) -> None:
    with open_counts(file) as counts:
        for _start, _block in counts.blocks(rows):
            pass


def tokens(file: Path, vocabulary: Vocabulary, rows: int) -> None:
    for _start, _ids in token_blocks(file, vocabulary, rows_at_once=rows):
        pass


def peak_of_child(name: str, file: Path, options: argparse.Namespace) -> float:
    command = [sys.executable, __file__, "--memory-of", name, str(file), "--rows"]
    return float(subprocess.check_output([*command, str(options.rows)]))


def peak_mb(name: str, file: Path, options: argparse.Namespace) -> float:
    """The most that a pass holds, above what this process held before."""
    known = drawn_vocabulary()
    before = memory_mb(psutil.Process())
    with PeakMemory() as peak:
        if name == "read":
            read(file, options.rows)
        else:
            tokens(file, known, options.rows)
    return peak.mb - before


def drawn_vocabulary() -> Vocabulary:
    """As many human genes as the published one has, in an order and with means drawn by lot."""
    rng = np.random.default_rng(0)
    ids = sorted({i for many in gene_table().ensembl_ids.values() for i in many})
    means = rng.gamma(2, 1, VOCABULARY).astype(np.float32)
    return Vocabulary(tuple(str(i) for i in rng.permutation(ids)[:VOCABULARY]), means)


def generated(options: argparse.Namespace, path: Path) -> Path:
    """A sparse AnnData file whose cells differ in depth, written piece by piece."""
    rng = np.random.default_rng(1)
    ids = drawn_vocabulary().ensembl[: options.genes]
    compression = None if options.compression == "none" else options.compression
    share = rng.gamma(1, 1, options.genes)
    with h5py.File(path, "w") as file:
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        for start in range(0, options.cells, PIECE):
            piece = cells(min(PIECE, options.cells - start), share, options.detected, rng)
            if start == 0:
                write_elem(file, "X", piece, dataset_kwargs={"compression": compression})
            else:
                sparse_dataset(file["X"]).append(piece)
        write_elem(file, "var", pd.DataFrame(index=list(ids)))
        write_elem(file, "obs", pd.DataFrame(index=[f"{i}" for i in range(options.cells)]))
    return path


def cells(
    rows: int, share: np.ndarray, detected: int, rng: np.random.Generator
) -> sparse.csr_matrix:
    """Counts (rows, genes) float32, most of them 1; some genes are in many cells."""
    depth = detected * rng.gamma(4, 0.25, rows)
    pieces = []
    for start in range(0, rows, 1000):
        expected = np.outer(depth[start : start + 1000], share / share.sum())
        present = sparse.csr_matrix(rng.random(expected.shape, np.float32) < 1 - np.exp(-expected))
        pieces.append(present.astype(np.float32))
    counts = sparse.vstack(pieces, format="csr")
    counts.data = rng.geometric(0.6, counts.nnz).astype(np.float32)
    # Files of this size need 64 bits to say where a row starts.
    counts.indptr = counts.indptr.astype(np.int64)
    return counts


if __name__ == "__main__":
    told(main)
