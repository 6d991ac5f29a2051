"""Time, size and memory of every format that tables of cells are written in and read from.

    python benchmarks/formats.py --cells 1000000

It prints a Markdown table. The table of cells is made up: outlines of 20 vertices, 12 genes, a
class, a note in every hundredth cell, embeddings of 64 numbers. Memory is the peak of a process of
its own: of writing beyond the table, of reading beyond the table that is read. Seconds are those of
the processor, so that other work on the machine does not count.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
from anndata import AnnData

from napari_past.io import read_cells, writable_suffixes, write_cells
from napari_past.stain import CLASS_NAMES

GENES, VERTICES, EMBEDDING = 12, 20, 64
MB = 1e6


def cells_table(n: int) -> AnnData:
    rng = np.random.default_rng(0)
    centers_um = rng.uniform(0, 40_000, (n, 2))
    angle = np.linspace(0, 2 * np.pi, VERTICES, endpoint=False)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    outlines_um = np.empty((n, VERTICES, 2), np.float32)
    for start in range(0, n, 65_536):
        rows = slice(start, start + 65_536)
        radii = rng.uniform(2.5, 4.5, len(centers_um[rows])).astype(np.float32)
        outlines_um[rows] = (
            centers_um[rows, None].astype(np.float32) + radii[:, None, None] * circle
        )
    obs = pd.DataFrame(
        {
            "area_um2": rng.uniform(20, 60, n).astype(np.float32),
            "hematoxylin_od": rng.uniform(0.2, 1, n).astype(np.float32),
            "unlike_training": rng.random(n) < 0.1,
            "ERBB2_class": pd.Categorical.from_codes(
                rng.integers(0, 4, n), pd.Index(CLASS_NAMES), ordered=True
            ),
            "note": np.where(np.arange(n) % 100 == 0, "seen at the tumour board", ""),
        },
        index=[f"00000000-0000-4000-8000-{i:012x}" for i in range(n)],
    )
    told = {"slide": {"name": "made up", "mpp": 0.25}, "model": {"expression_unit": "log1p"}}
    return AnnData(
        X=rng.uniform(0, 4, (n, GENES)).astype(np.float32),
        obs=obs,
        var=pd.DataFrame(index=[f"GENE{i}" for i in range(GENES)]),
        obsm={
            "spatial": centers_um,
            "outline_um": outlines_um,
            "X_past": rng.normal(size=(n, EMBEDDING)).astype(np.float16),
        },
        uns={"napari_past": told},
    )


class Peak:
    """The most memory that this process holds while the block runs, in bytes."""

    def __enter__(self) -> Peak:
        self.before = self.most = psutil.Process().memory_info().rss
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        self.started_s = time.process_time()
        return self

    def _watch(self) -> None:
        process = psutil.Process()
        while not self._done.wait(0.02):
            self.most = max(self.most, process.memory_info().rss)

    def __exit__(self, *args: object) -> None:
        self.seconds = time.process_time() - self.started_s
        self._done.set()
        self._thread.join()


def size_of(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [*path.parent.glob(f"{path.name}*")]
    return sum(f.stat().st_size for f in files if f.is_file())


def measured(task: str, path: Path, n: int) -> tuple[float, float]:
    """CPU seconds and megabytes of one task, in this process."""
    if task == "write":
        adata = cells_table(n)
        # What is loaded on first use is not the writer's.
        write_cells(adata[:10].copy(), path.with_name(f"warm{path.suffix}"))
        with Peak() as peak:
            write_cells(adata, path)
        return peak.seconds, (peak.most - peak.before) / MB
    read_cells(path.with_name(f"warm{path.suffix}"))
    with Peak() as peak:
        adata = read_cells(path)
    held = psutil.Process().memory_info().rss
    assert adata.n_obs == n
    return peak.seconds, (peak.most - held) / MB


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=100_000)
    parser.add_argument("--formats", nargs="*", default=writable_suffixes())
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--task", choices=("write", "read"))
    options = parser.parse_args()
    if options.task:
        path = options.folder / f"cells{options.formats[0]}"
        print(*measured(options.task, path, options.cells))
        return
    print(f"{options.cells} cells, {GENES} genes, outlines of {VERTICES} vertices\n")
    print(
        "| format | size, MB | written, cells/CPU s | memory, MB | read, cells/CPU s | memory, MB |"
    )
    print("|---|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for suffix in options.formats:
            found = []
            for task in ("write", "read"):
                command = [sys.executable, __file__, "--task", task, "--formats", suffix]
                command += ["--cells", str(options.cells), "--folder", folder]
                out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                seconds, memory = map(float, out.split()[-2:])
                found += [f"{options.cells / seconds:,.0f}", f"{memory:.0f}"]
            size = size_of(Path(folder) / f"cells{suffix}") / MB
            print(f"| `{suffix}` | {size:.0f} | {' | '.join(found)} |", flush=True)


if __name__ == "__main__":
    main()
