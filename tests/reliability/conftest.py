"""A small drawn slide with secrets in it, and commands that are ended by force."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from napari_past.sample import write_phantom

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="session")
def slide_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """575 x 400 µm: six tiles."""
    return write_phantom(tmp_path_factory.mktemp("slide") / "phantom.ome.tif", 1150, 800, seed=4)


DYING = """
import os, signal, sys
real, left = os.replace, [int(sys.argv[2])]
def dying(*names):
    if str(names[1]).endswith(sys.argv[1]):
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left[0] -= 1
    return real(*names)
os.replace = dying
def heard(event, told):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        print("CONNECTS", event, told, file=sys.stderr, flush=True)
sys.addaudithook(heard)
"""


@pytest.fixture(scope="session")
def dying() -> Callable[..., subprocess.Popen[str]]:
    """``dying(suffix, times, script, *arguments, **environment)``: a process that is killed by
    signal 9 when a file whose name ends so is to get its name for the (times + 1)th time.

    Until then it says on stderr, in lines with CONNECTS, what it wants of a network.
    """

    def start(suffix: str, times: int, script: str, *arguments: object, **environment: object):
        paths = os.pathsep.join(p for p in sys.path if p)
        told = {key: str(value) for key, value in environment.items()}
        return subprocess.Popen(
            [sys.executable, "-c", DYING + script, suffix, str(times), *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": paths, **told},
        )

    return start


@pytest.fixture
def on_benchmarks_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """The modules of `benchmarks` can be imported."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
