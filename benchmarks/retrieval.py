"""The exact search of a reference bank beside the bare matrix product, and what it takes.

    python benchmarks/retrieval.py [--queries 100000] [--references 1000000] [--neighbours 50]

References lie around 40 centres, as cells of 40 types would, in a bank that is written and read as
a user's; queries lie around the same centres. The bare product is that of all float32 queries with
all references, widened once, in blocks of the same size, with nothing done to it. Product and
search have turns in slices of the queries; memory is the most that numpy holds for the whole search
beside bank and queries (its buffers, and the result twice while it is sorted).
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from common import add_outputs, in_turns, machine_line, ratio, report, table, told
from scipy.sparse import csr_array, random_array

from napari_past.model.bank import Bank, BankCells, MadeBy, read_bank, write_bank
from napari_past.model.labels import Labels
from napari_past.model.retrieval import MEMORY_MB, expression, nearest

SIZE, TYPES, GENES, ROWS = 256, 40, 50, 50_000
BARE_BLOCK = 2000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--queries", type=int, default=100_000)
    parser.add_argument("--references", type=int, default=1_000_000)
    parser.add_argument("--neighbours", type=int, default=50)
    parser.add_argument("--memory-mb", type=float, default=MEMORY_MB, help="given to the search")
    parser.add_argument("--rounds", type=int, default=4, help="slices that have turns")
    add_outputs(parser)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((TYPES, SIZE))
    queries = around(centres, options.queries, rng)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        path = written(Path(folder) / "bank.h5ad", centres, options.references, rng)
        write_s = time.perf_counter() - start
        start = time.perf_counter()
        bank = read_bank(path)
        read_s = time.perf_counter() - start
        bank_mb = (bank.vectors.nbytes + 3 * bank.types.codes.nbytes) / 1e6
        slices = np.array_split(queries, options.rounds + 1)
        works = {
            "product": lambda k: bare(bank, slices[k]),
            "search": lambda k: nearest(
                bank, slices[k], options.neighbours, memory_mb=options.memory_mb
            ),
        }
        seconds = in_turns(works, options.rounds)
        start = time.perf_counter()
        tracemalloc.start()
        found = nearest(bank, queries, options.neighbours, memory_mb=options.memory_mb)
        beside_mb = tracemalloc.get_traced_memory()[1] / 1e6
        tracemalloc.stop()
        whole_s = time.perf_counter() - start
        result_mb = (found.index.nbytes + found.similarity.nbytes) / 1e6
        start = time.perf_counter()
        expression(bank, found, bank.genes[:1])
        gene_s = time.perf_counter() - start
    overhead = ratio(seconds["search"], seconds["product"])
    products = {k: statistics.median(v) for k, v in seconds.items()}
    rows = [
        ["search over bare product", f"{overhead:.2f}x"],
        [f"product, {len(slices[0]):,} queries", f"{products['product']:.2f} s"],
        [f"search, {len(slices[0]):,} queries", f"{products['search']:.2f} s"],
        [f"search, {len(queries):,} queries", f"{whole_s:.1f} s"],
        ["memory of the search beside bank and queries, with the result", f"{beside_mb:.0f} MB"],
        ["memory of bank and of result", f"{bank_mb:.0f} and {result_mb:.0f} MB"],
        ["one more gene of all queries", f"{1e3 * gene_s:.0f} ms"],
        ["bank: written, read", f"{write_s:.1f} s, {read_s:.1f} s"],
    ]
    numbers = {
        "queries": len(queries), "references": len(bank), "neighbours": options.neighbours,
        "over_product": overhead, "seconds": seconds, "whole_s": whole_s, "beside_mb": beside_mb,
        "bank_mb": bank_mb, "result_mb": result_mb, "gene_s": gene_s, "read_s": read_s,
    }  # fmt: skip
    lines = [
        *table(["figure", "value"], rows),
        "",
        f"{len(bank):,} references, k = {options.neighbours}, vectors of {SIZE}, "
        f"{options.memory_mb:g} MB given. {machine_line()}",
    ]
    report(options, lines, numbers)


def around(centres: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Unit vectors around centres, float32 (n, d)."""
    vectors = centres[rng.integers(0, len(centres), n)].astype(np.float32)
    vectors += rng.standard_normal(vectors.shape, np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def written(path: Path, centres: np.ndarray, n: int, rng: np.random.Generator) -> Path:
    vectors = np.concatenate(
        [around(centres, min(ROWS, n - i), rng).astype(np.float16) for i in range(0, n, ROWS)]
    )
    told_nothing = Labels((), np.full(n, -1, np.int32))
    ids = [str(i) for i in range(n)]
    cells = BankCells(ids, told_nothing, told_nothing, told_nothing)
    genes = [f"G{i}" for i in range(GENES)]
    write_bank(path, vectors, values(n, rng), genes, cells, MadeBy("none", "0" * 64))
    return path


def values(n: int, rng: np.random.Generator) -> Iterator[csr_array]:
    for start in range(0, n, ROWS):
        shape = (min(ROWS, n - start), GENES)
        yield csr_array(random_array(shape, density=0.1, rng=rng, dtype=np.float32))


def bare(bank: Bank, queries: np.ndarray) -> None:
    out = np.empty((min(BARE_BLOCK, len(queries)), min(BARE_BLOCK, len(bank))), np.float32)
    for start in range(0, len(bank), BARE_BLOCK):
        references = bank.vectors[start : start + BARE_BLOCK].astype(np.float32)
        for first in range(0, len(queries), BARE_BLOCK):
            block = queries[first : first + BARE_BLOCK]
            np.matmul(block, references.T, out=out[: len(block), : len(references)])


if __name__ == "__main__":
    told(main)
