"""What the benchmarks share: fair turns, memory of all processes, facts of the machine, tables.

Two things are compared in one run, in turns, and by their medians: what else the machine does then
meets both alike.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from napari_past.errors import PastError

PACKAGES = (
    "napari-past", "napari", "numpy", "torch", "timm", "tifffile", "imagecodecs", "zarr", "dask",
    "distributed", "openslide-python", "tiffslide",
)  # fmt: skip
_SAMPLE_EVERY_S = 0.2


def told(main: Callable[[], None]) -> None:
    """Run a benchmark; a mistake of the user's is told in one sentence and exits 2."""
    try:
        main()
    except PastError as exc:
        print(exc, file=sys.stderr)
        sys.exit(2)


def add_slide(parser: argparse.ArgumentParser) -> None:
    """The slide that is measured on."""
    parser.add_argument("slide", type=Path)
    parser.add_argument("--mpp", type=float, help="µm/px of a slide that states none")


def add_outputs(parser: argparse.ArgumentParser) -> None:
    """The options that every benchmark has."""
    parser.add_argument("--json", type=Path, help="write every number there")
    parser.add_argument("--out", type=Path, help="write the tables as Markdown there")


def report(
    options: argparse.Namespace, markdown: Sequence[str], numbers: Mapping[str, Any]
) -> None:
    """Print the tables, and write what ``--json`` and ``--out`` ask for."""
    print("\n".join(markdown))
    if options.out:
        options.out.write_text("\n".join([*markdown, ""]), encoding="utf-8")
    if options.json:
        content = {"machine": machine(), **numbers}
        options.json.write_text(json.dumps(content, indent=1, default=str) + "\n")


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Lines of a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(str(cell) for cell in line) + " |" for line in lines]


def in_turns(
    works: Mapping[str, Callable[[int], object]], rounds: int, warm_up: int = 1
) -> dict[str, list[float]]:
    """Seconds of each work in each round, (rounds,) for each name.

    In every round each has its turn and is told the round, from 0; the order moves on by one, so
    that none is always the first. Rounds to warm up come before, have the numbers below 0 and are
    not counted.
    """
    names = list(works)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for k in range(-warm_up, rounds):
        for name in names[k % len(names) :] + names[: k % len(names)]:
            start = time.perf_counter()
            works[name](k)
            if k >= 0:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Median over rounds of our time by theirs: above 1 we are slower."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def machine() -> dict[str, Any]:
    """Processor, memory, GPUs, system and versions; nothing that names the machine."""
    return {
        "processor": _processor(),
        "logical_cores": os.cpu_count(),
        "cores_allowed": cores_allowed(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "gpus": _gpus(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": versions(PACKAGES),
    }


def machine_line() -> str:
    """The machine in one line, to stand under a table."""
    facts = machine()
    gpus = f", {', '.join(facts['gpus'])}" if facts["gpus"] else ""
    return (
        f"{facts['processor']}, {facts['cores_allowed']} logical cores, "
        f"{facts['memory_gb']:.0f} GB{gpus}, {facts['system']}, Python {facts['python']}"
    )


def versions(names: Sequence[str]) -> dict[str, str]:
    """Of those packages that are installed."""
    found = {}
    for name in names:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def versions_line(names: Sequence[str]) -> str:
    """The same as text: "zarr 3.1, dask 2026.8"."""
    return ", ".join(f"{name} {number}" for name, number in versions(names).items())


def cores_allowed() -> int:
    """Logical cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def limit_cores(count: int) -> None:
    """Keep this process and its children to `count` cores, where the system lets it (Linux)."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _gpus() -> list[str]:
    # Asking torch would load it, and hold memory of the GPU, in a benchmark that needs neither.
    with suppress(OSError):
        return [
            line.partition(":")[2].strip()
            for info in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
            for line in info.read_text().splitlines()
            if line.startswith("Model")
        ]
    return []


def memory_mb(process: psutil.Process) -> float:
    """Memory of a process and all below it, in MB (10⁶ bytes).

    Linux: proportional set size, in which a page that several processes share counts once over all.
    Elsewhere: unique set size, which leaves shared pages out.
    """
    total = 0
    with suppress(psutil.NoSuchProcess):
        for member in [process, *process.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                full = member.memory_full_info()
                total += getattr(full, "pss", full.uss)
    return total / 1e6


class PeakMemory:
    """The most memory that a process and all below it hold at once, while the block runs.

        with PeakMemory(pid) as peak:
            ...
        peak.mb

    Sampled five times a second: what is held for less may be missed. Taking a sample stops the
    process for milliseconds, so time nothing meanwhile.
    """

    def __init__(self, pid: int | None = None) -> None:
        self.mb = 0.0
        self.processes = 0
        """The most processes seen at once."""
        self._process = psutil.Process(pid)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def _sample(self) -> None:
        while True:
            with suppress(psutil.NoSuchProcess):
                children = self._process.children(recursive=True)
                self.processes = max(self.processes, 1 + len(children))
            self.mb = max(self.mb, memory_mb(self._process))
            if self._done.wait(_SAMPLE_EVERY_S):
                return

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join()
