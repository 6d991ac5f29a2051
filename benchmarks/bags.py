"""Memory and time of bags of a million cells: a step of training, and the explanation of a bag.

    python benchmarks/bags.py [--cells 1000000] [--patients 2] [--json FILE] [--out FILE.md]

Cells are drawn at random and written as a run of the engine writes them, so that what is read is a
real store. Each pooling is fitted to the survival of all patients, each of whom has all of these
cells, in one step, on all of them (`instances=None`), and explains one bag; each in a process of
its own, whose highest resident memory is told. The limit is 4 GB.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from common import add_outputs, report, told

from napari_past.engine import Store
from napari_past.engine.plan import StoreKey
from napari_past.types import FoundCells, Outlines, TileResult, TileSpec
from past_training.slide_level.networks.poolings import POOLINGS

DIM = 256
LIMIT_MB = 4000
_CELLS_OF_TILE = 2000
_TILE_UM = 512.0
_CORNERS = 16
_KEY = StoreKey("drawn", "None", 0.5, "0" * 64, 0.5, "drawn")


@dataclass(frozen=True)
class MemoryRow:
    """One step of one pooling."""

    pooling: str
    step: str
    """``fit`` or ``explain``."""
    cells: int
    """Of a bag."""
    bags: int
    peak_mb: float
    """Highest resident memory of the process up to the end of the step."""
    seconds: float


def measured(
    cells: int = 1_000_000, patients: int = 2, poolings: Sequence[str] = POOLINGS
) -> tuple[MemoryRow, ...]:
    """Rows of each pooling; the store is written first, and removed at the end."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        write_store(Path(folder), cells)
        for pooling in poolings:
            done = subprocess.run(
                [sys.executable, __file__, "--one", pooling, "--store", folder,
                 "--cells", str(cells), "--patients", str(patients)],
                check=True, capture_output=True, text=True,
            )  # fmt: skip
            rows += [MemoryRow(**row) for row in json.loads(done.stdout.splitlines()[-1])]
    return tuple(rows)


def lines(rows: Sequence[MemoryRow]) -> tuple[str, ...]:
    """The table as Markdown."""
    body = [
        f"| {row.pooling} | {row.step} | {row.bags} x {row.cells:,} | {row.peak_mb:,.0f} | "
        f"{row.seconds:.0f} |"
        for row in rows
    ]
    worst = max(row.peak_mb for row in rows)
    kept = "kept" if worst < LIMIT_MB else "NOT KEPT"
    return (
        "| pooling | step | cells | peak MB | s |", "|---|---|---:|---:|---:|", *body, "",
        f"Vectors of {DIM} float16 numbers from tile files of a result store; highest "
        f"{worst:,.0f} MB of {LIMIT_MB:,}: {kept}.",
    )  # fmt: skip


def tiles_of(cells: int) -> tuple[tuple[TileSpec, ...], tuple[int, ...]]:
    """Tiles of a square slide, and how many of the cells each has."""
    count = -(-cells // _CELLS_OF_TILE)
    side = int(np.ceil(np.sqrt(count)))
    tiles = tuple(TileSpec(k % side, k // side, _TILE_UM) for k in range(count))
    sizes = [_CELLS_OF_TILE] * count
    sizes[-1] -= count * _CELLS_OF_TILE - cells
    return tiles, tuple(sizes)


def write_store(root: Path, cells: int) -> None:
    """A store with so many cells, with outlines as nuclei have them."""
    store = Store(_KEY, root)
    rng = np.random.default_rng(0)
    circle = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
    corners = 4 * np.stack([np.cos(circle), np.sin(circle)], 1)
    for tile, n in zip(*tiles_of(cells), strict=True):
        places = rng.uniform(0, _TILE_UM, (n, 2)) + _TILE_UM * np.array([tile.column, tile.row])
        outlines = Outlines(
            (places[:, None] + corners).reshape(-1, 2).astype(np.float32),
            np.arange(n + 1, dtype=np.int64) * _CORNERS,
        )
        found = FoundCells(places, outlines, np.full(n, 50, np.float32))
        vectors = rng.standard_normal((n, DIM), np.float32).astype(np.float16)
        store.write(TileResult(tile, found, vectors, np.zeros(n, np.float32)))


def one(pooling: str, root: Path, cells: int, patients: int) -> list[dict[str, object]]:
    """Fit and explain in this process."""
    import torch

    from past_training.slide_level.bags.stored_bag import StoredBag
    from past_training.slide_level.fitting import FitOptions, SurvivalTarget, fit_network

    torch.set_num_threads(1)
    tiles, sizes = tiles_of(cells)
    bags = [
        StoredBag(f"patient {k}", _KEY, tiles, sizes, np.ones(cells, np.bool_), DIM, root)
        for k in range(patients)
    ]
    target = SurvivalTarget(np.arange(1.0, patients + 1), np.ones(patients, np.bool_))
    options = FitOptions(pooling=pooling, epochs=1, instances=None)  # type: ignore[arg-type]
    begun = time.monotonic()
    network = fit_network(bags, target, options)
    rows = [MemoryRow(pooling, "fit", cells, patients, peak_mb(), time.monotonic() - begun)]
    begun = time.monotonic()
    attention = sum(
        float(part.attention.sum(dtype=np.float64)) for part in network.explain(bags[0])
    )
    if abs(attention - 1) > 1e-3:
        raise RuntimeError(f"attention of {pooling} sums to {attention}, not to 1")
    rows.append(MemoryRow(pooling, "explain", cells, 1, peak_mb(), time.monotonic() - begun))
    return [asdict(row) for row in rows]


def peak_mb() -> float:
    """Highest resident memory of this process so far."""
    status = Path("/proc/self/status")
    if status.is_file():
        # Not getrusage: its maximum may be that of the process which started this one.
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e6
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=1_000_000)
    parser.add_argument("--patients", type=int, default=2, help="bags of a step")
    parser.add_argument("--poolings", default=",".join(POOLINGS))
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--store", type=Path, help=argparse.SUPPRESS)
    add_outputs(parser)
    options = parser.parse_args()
    if options.one is not None:
        print(json.dumps(one(options.one, options.store, options.cells, options.patients)))
        return
    rows = measured(options.cells, options.patients, options.poolings.split(","))
    report(options, lines(rows), {"rows": [asdict(row) for row in rows]})


if __name__ == "__main__":
    told(main)
