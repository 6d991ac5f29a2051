"""Results that are kept: a run that was stopped goes on where it was, one unit after the other."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_past.engine.cache import cache_folder
from napari_past.files import atomic_write

Result = dict[str, Any]
Work = Callable[..., Result]


@dataclass(frozen=True)
class Unit:
    """What is computed and kept as one: `work(data, **parameters)`."""

    stage: str
    name: str
    work: Work
    """Of a module, so that another process finds it."""
    parameters: dict[str, Any] = field(default_factory=dict)

    def file(self, folder: Path) -> Path:
        """Where its result is: another parameter is another file."""
        told = [self.stage, self.name, self.work.__module__, self.work.__name__, self.parameters]
        digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
        return folder / f"{self.stage}-{self.name}-{digest[:12]}.json"


def kept_folder() -> Path:
    """In the cache of napari-past."""
    return cache_folder() / "benchmarks" / "patients"


def sources() -> str:
    """Twelve digits of the programs that results come from."""
    root = Path(__file__).resolve().parents[1]
    files = [
        *sorted(Path(__file__).parent.glob("patients*.py")),
        *sorted((root / "training" / "past_training" / "slide_level").rglob("*.py")),
    ]
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def results_of(
    units: Sequence[Unit], data: Path, processes: int, fresh: bool = False, kept: bool = False
) -> dict[str, dict[str, Result]]:
    """The results by stage and name, each with "seconds" and "sources"; what is kept is read.

    `fresh` reads nothing that was kept, `kept` computes nothing.
    A unit that raises is told on stderr and left out: the report says what is missing, and the next
    run tries it again.
    """
    folder = kept_folder()
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, dict[str, Result]] = {unit.stage: {} for unit in units}
    left = []
    for unit in units:
        file = unit.file(folder)
        if file.exists() and not fresh:
            found[unit.stage][unit.name] = json.loads(file.read_text(encoding="utf-8"))
        elif not kept:
            left.append(unit)
    state = sources()
    # Fork would copy threads of torch and BLAS in whatever state they are.
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=spawned) as pool:
        futures: dict[Future[Result], Unit] = {
            pool.submit(_timed, unit, data): unit for unit in left
        }
        for done, future in enumerate(as_completed(futures), 1):
            unit = futures[future]
            place = f"[{done} of {len(left)}] {unit.stage} {unit.name}"
            if (error := future.exception()) is not None:
                print(f"{place} FAILED: {error!r}", file=sys.stderr, flush=True)
                continue
            result = future.result() | {"sources": state}
            with atomic_write(unit.file(folder)) as unfinished:
                unfinished.write_text(json.dumps(result), encoding="utf-8")
            found[unit.stage][unit.name] = result
            print(f"{place}: {result['seconds']:.0f} s", file=sys.stderr, flush=True)
    return found


def _timed(unit: Unit, data: Path) -> Result:
    """One thread for torch and BLAS: processes share the cores among them."""
    start = time.perf_counter()
    result = unit.work(data, **unit.parameters)
    return result | {"seconds": time.perf_counter() - start}


def limit_threads() -> None:
    """Before numpy is loaded in the processes that follow."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
