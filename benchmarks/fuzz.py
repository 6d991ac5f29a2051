"""Thousands of damaged and hostile files through every reader: nothing may crash, hang, or run.

Each file is read in a child process that is watched (`fuzz_readers`). What is right: it is read, or
refused in one sentence. What is wrong: any other exception, a crash, more than 10 s of CPU, more
than 1 GB, code that runs. The same seed gives the same files.

    python benchmarks/fuzz.py --files 3000 --json fuzz.json --out fuzz.md
    python benchmarks/fuzz.py --only "cells (CSV)" --case 17 --keep here
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import psutil
from common import report, told
from fuzz_readers import CODE, FAULT, MEMORY, MEMORY_BOUND_MB, READ, TOLD, Outcome
from fuzz_seeds import SEEDS, write_seeds
from hostile_files import BOMBS
from hostile_files import CODE as CODES
from mutations import copied, mutate

from napari_past.errors import PastError

CRASH, HANG = "crash", "hang"
NEVER_READ = ("checkpoint (.pth)",)
"""Kinds whose seeds are refused when all of them was read: a whole checkpoint has gigabytes."""
SOUND = "sound"
"""Files before they are damaged: one that is not read is a fault of ours."""
CPU_BOUND_S, WALL_BOUND_S = 10.0, 90.0
WRONG = (FAULT, CRASH, HANG, MEMORY, CODE)
HOSTILE = {"bombs": BOMBS, "code": CODES}
"""By the name of the group."""


@dataclass(frozen=True)
class Case:
    """One file."""

    group: str
    """What it is counted as: a kind of seeds, bombs, or code."""
    name: str
    kind: str
    """Of the reader."""
    path: Path
    canary: Path
    """A folder that is there only if code in the file was run."""


class Child:
    """A process that reads files, started anew when one ended it."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._process: subprocess.Popen[str] | None = None

    def read(self, case: Case) -> Outcome:
        """How reading a file ends."""
        process = self._process or self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        watch = _Killer(process)
        try:
            process.stdin.write(json.dumps({"kind": case.kind, "path": str(case.path)}) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except OSError:
            line = ""
        finally:
            watch.done.set()
        if not line:
            code = process.wait()
            self._process = None
            if watch.killed is not None:
                return watch.killed
            return Outcome(CRASH, f"the process ended with code {code}", 0.0, 0.0)
        outcome = Outcome(**json.loads(line))
        if case.canary.exists():
            shutil.rmtree(case.canary, ignore_errors=True)
            return Outcome(CODE, outcome.told, outcome.cpu_s, outcome.peak_mb)
        if outcome.cpu_s > CPU_BOUND_S and outcome.outcome in (READ, TOLD):
            return Outcome(HANG, f"{outcome.told} ({outcome.cpu_s:g} s)", outcome.cpu_s, 0.0)
        return outcome

    def _started(self) -> subprocess.Popen[str]:
        environment = {
            **os.environ, "OMP_NUM_THREADS": "1", "NAPARI_PAST_CACHE": str(self._home / "cache"),
            "NAPARI_PAST_DATA_HOME": str(self._home / "data"),
            "NAPARI_PAST_MODELS": str(self._home / "models"), "HF_HUB_OFFLINE": "1",
        }  # fmt: skip
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("fuzz_readers.py"))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env=environment,
        )  # fmt: skip
        assert self._process.stdout is not None
        self._process.stdout.readline()  # it has imported what it needs
        return self._process

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


class _Killer(threading.Thread):
    """Ends a child that takes too much of memory or time with one file."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        super().__init__(daemon=True)
        self.killed: Outcome | None = None
        self.done = threading.Event()
        self._process = process
        self.start()

    def run(self) -> None:
        child, began_s = psutil.Process(self._process.pid), time.monotonic()
        before = child.memory_info().rss
        with suppress(psutil.Error):
            while not self.done.wait(0.05):
                more_mb = (child.memory_info().rss - before) / 2**20
                seconds = time.monotonic() - began_s
                if more_mb > 2 * MEMORY_BOUND_MB:
                    self.killed = Outcome(MEMORY, "killed: it wanted more", seconds, more_mb)
                elif seconds > WALL_BOUND_S:
                    self.killed = Outcome(HANG, f"killed after {seconds:.0f} s", seconds, more_mb)
                if self.killed is not None:
                    self._process.kill()
                    return


def mutated(kind: str, n: int, seed: int, folder: Path, first: int = 0) -> Iterator[Case]:
    """`n` damaged files of a kind, one after the other in the same place."""
    sound = write_seeds(kind, folder / "sound")
    for path in sound:
        yield Case(SOUND, f"{kind}: {path.name}", kind, path, folder / "canary")
    position = list(SEEDS).index(kind)
    for k in range(first, first + n):
        rng = np.random.default_rng([seed, position, k])
        source = sound[k % len(sound)]
        path = copied(source, folder / source.name)
        name = f"{k}: {source.name}: {mutate(path, rng)}"
        yield Case(kind, name, kind, path, folder / "canary")


def hostile(group: str, folder: Path) -> Iterator[Case]:
    """The files that are made to do harm."""
    for name, (kind, file, write) in HOSTILE[group].items():
        place = folder / "hostile"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        write(place / file, folder / "canary")
        yield Case(group, name, kind, place / file, folder / "canary")


def cases(options: argparse.Namespace, folder: Path) -> Iterator[Case]:
    """All that is asked for."""
    wanted = options.only or [*SEEDS, *HOSTILE]
    share = max(1, -(-options.files // len(SEEDS)))
    for kind in wanted:
        place = folder / str(abs(hash(kind)))
        if kind in HOSTILE:
            yield from hostile(kind, place)
        elif options.case is not None:
            yield from mutated(kind, 1, options.seed, place, options.case)
        else:
            yield from mutated(kind, share, options.seed, place)
        shutil.rmtree(place, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, default=2500, help="damaged files in all")
    parser.add_argument("--seed", type=int, default=8)
    parser.add_argument("--only", action="append", choices=[*SEEDS, *HOSTILE])
    parser.add_argument("--case", type=int, help="one file of --only, by its number")
    parser.add_argument("--keep", type=Path, help="copy what went wrong there")
    parser.add_argument("--add", type=Path, nargs="*", default=[], help="counts of earlier runs")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.case is not None and not options.only:
        raise PastError("--case is the number of a file of one kind: give --only KIND.")
    rows: list[dict[str, object]] = []
    for earlier in options.add:
        rows += json.loads(earlier.read_text())["files"]
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as made:
        child = Child(Path(made))
        try:
            for number, case in enumerate(cases(options, Path(made)), start=1):
                outcome = child.read(case)
                if case.group == SOUND and outcome.outcome == TOLD and case.kind not in NEVER_READ:
                    outcome = replace(outcome, outcome=FAULT)
                rows.append({"group": case.group, "name": case.name, **asdict(outcome)})
                if outcome.outcome in WRONG or options.case is not None:
                    print(f"{outcome.outcome}: {case.group}: {case.name}: {outcome.told}")
                    if options.keep is not None:
                        options.keep.mkdir(parents=True, exist_ok=True)
                        copied(case.path, options.keep / f"{number}-{case.path.name}")
        finally:
            child.close()
    numbers = {"seed": options.seed, "seconds": time.monotonic() - began_s, "files": rows}
    report(options, table(rows), numbers)


def table(rows: list[dict[str, object]]) -> list[str]:
    """Counts by group, as Markdown."""
    columns = (READ, TOLD, *WRONG)
    lines = [
        f"| files | n | {' | '.join(columns)} | longest (CPU s) | most memory (MB) |",
        f"|---|{'---:|' * (len(columns) + 3)}",
    ]
    groups = list(dict.fromkeys(str(row["group"]) for row in rows))
    for group in [*groups, "all"]:
        those = [row for row in rows if group in (row["group"], "all")]
        counts = Counter(str(row["outcome"]) for row in those)
        longest = max(float(str(row["cpu_s"])) for row in those)
        most = max(float(str(row["peak_mb"])) for row in those)
        cells = " | ".join(str(counts[c]) for c in columns)
        lines.append(f"| {group} | {len(those)} | {cells} | {longest:.1f} | {most:.0f} |")
    lines += ["", f"Bounds: {CPU_BOUND_S:g} s of CPU and {MEMORY_BOUND_MB} MB a file."]
    return lines


if __name__ == "__main__":
    told(main)
