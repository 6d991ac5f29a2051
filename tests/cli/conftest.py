"""The command line in this process and in one of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from napari_past.sample import write_phantom


def listen_to_ctrl_c() -> None:
    """A process started in the background of a shell ignores Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def started() -> Callable[..., subprocess.Popen[str]]:
    """``started("info", slide)``: a process of its own that Ctrl-C reaches."""

    def start(*arguments: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "napari_past.cli", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
            preexec_fn=None if sys.platform == "win32" else listen_to_ctrl_c,
        )

    return start


@pytest.fixture(scope="session")
def told_once() -> Callable[[Any], str]:
    """The one sentence of a mistake, after a check that there is nothing but it."""

    def sentence(done: Any) -> str:
        assert done.code == 2, done
        assert done.out == ""
        assert done.err.startswith("napari-past: ")
        assert done.err.endswith("\n")
        assert done.err.count("\n") == 1, done.err
        return done.err.removeprefix("napari-past: ").strip()

    return sentence


@pytest.fixture(scope="session")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn slide of 512 x 384 µm at 0.5 µm/px."""
    return write_phantom(tmp_path_factory.mktemp("phantom") / "phantom.ome.tif", 1024, 768)


@pytest.fixture(scope="session")
def phantom_cells(command: Callable[..., Any], phantom: Path) -> Path:
    """The phantom's cells with ERBB2 and the genes of CD3."""
    file = phantom.with_name("cells.h5ad")
    done = command("run", phantom, "--out", file, "--genes", "HER2,CD3")
    assert done.code == 0, done.err
    return file


@pytest.fixture(scope="session")
def slides(data_dir: Path) -> Path:
    return data_dir / "slides"
