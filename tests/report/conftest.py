"""A slide, its cells, and the command line in this process."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from napari_past.cli import main
from napari_past.sample import write_phantom


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


Command = Callable[..., Done]


@pytest.fixture(scope="session")
def command() -> Command:
    """``command("report", slide)``: code and texts of `main` in this process."""

    def run(*arguments: object) -> Done:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main([str(a) for a in arguments])
        return Done(code, out.getvalue(), err.getvalue())

    return run


@pytest.fixture(scope="session")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn slide of 512 x 384 µm at 0.5 µm/px."""
    return write_phantom(tmp_path_factory.mktemp("slide") / "phantom.ome.tif", 1024, 768)


@pytest.fixture(scope="session")
def cells(command: Command, slide: Path) -> Path:
    """The slide's cells."""
    file = slide.with_name("cells.h5ad")
    done = command("run", slide, "--out", file, "--genes", "HER2,Ki67,CD3")
    assert done.code == 0, done.err
    return file
