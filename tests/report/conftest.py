"""A slide, its cells, and the command line in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from napari_past.sample import write_phantom


@pytest.fixture(scope="session")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn slide of 512 x 384 µm at 0.5 µm/px."""
    return write_phantom(tmp_path_factory.mktemp("slide") / "phantom.ome.tif", 1024, 768)


@pytest.fixture(scope="session")
def cells(command: Callable[..., Any], slide: Path) -> Path:
    """The slide's cells."""
    file = slide.with_name("cells.h5ad")
    done = command("run", slide, "--out", file, "--genes", "HER2,Ki67,CD3")
    assert done.code == 0, done.err
    return file
