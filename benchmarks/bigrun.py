"""A whole slide from the command line: time, tiles, and the memory of all processes.

    python benchmarks/bigrun.py SLIDE [--kill-after TILES]

`napari-past run SLIDE` is started with an empty store. With ``--kill-after`` its worker process is
killed (kill -9) once so many tiles are stored; the run must go on and end whole.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from common import PeakMemory, add_outputs, machine_line, report, table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("slide", type=Path)
    parser.add_argument("--kill-after", type=int, metavar="TILES")
    add_outputs(parser)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="napari-past-bench-"))
    environment = {**os.environ, "NAPARI_PAST_CACHE": str(folder / "cache")}
    command = [sys.executable, "-m", "napari_past.cli", "run", str(options.slide),
               "--out", str(folder / "cells.h5ad"), "--genes", "ERBB2,KRT19"]  # fmt: skip
    start = time.perf_counter()
    killed = 0
    with (
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process,
        PeakMemory(process.pid) as peak,
    ):
        while process.poll() is None:
            time.sleep(0.5)
            if options.kill_after and not killed and tiles_in(folder) >= options.kill_after:
                killed = kill_worker(process.pid)
    seconds = time.perf_counter() - start
    if process.returncode:
        raise SystemExit(f"the run ended with {process.returncode}")
    import h5py

    with h5py.File(folder / "cells.h5ad") as file:
        cells = file["obsm/spatial"].shape[0]
    tiles = tiles_in(folder)
    rows = [
        ["tiles", f"{tiles:,}"],
        ["cells", f"{cells:,}"],
        ["seconds", f"{seconds:.0f}"],
        ["tiles a second", f"{tiles / seconds:.2f}"],
        ["most memory over all processes, MB", f"{peak.mb:.0f}"],
        ["processes", peak.processes],
        ["workers killed meanwhile (kill -9)", killed],
    ]
    lines = [*table(["what", "measured"], rows), "", machine_line()]
    numbers = {"tiles": tiles, "cells": cells, "seconds": seconds, "peak_mb": peak.mb}
    report(options, lines, numbers)


def tiles_in(folder: Path) -> int:
    return sum(1 for _ in folder.glob("cache/cells-*/*/*.tile"))


def kill_worker(pid: int) -> int:
    for process in psutil.Process(pid).children(recursive=True):
        if "napari_past.engine.worker_process" in process.cmdline():
            process.send_signal(signal.SIGKILL)
            return 1
    return 0


if __name__ == "__main__":
    main()
