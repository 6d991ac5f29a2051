"""The public names, and what importing them costs."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

import napari_past

VIEWER = {"napari", "qtpy", "magicgui", "vispy", "superqt", "PySide6", "PySide2", "PyQt6", "PyQt5"}
HEAVY = {"torch", "torchvision", "timm", "lightning_fabric", *VIEWER}


def modules_after(code: str) -> set[str]:
    """Top-level names of the modules that a fresh interpreter holds after `code`."""
    report = "import sys; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; {report}"], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_import_loads_neither_torch_nor_the_viewer() -> None:
    loaded = modules_after("import napari_past")
    assert "napari_past" in loaded
    assert not loaded & HEAVY


def test_public_names_load_neither_torch_nor_the_viewer() -> None:
    names = ", ".join(napari_past.__all__)
    loaded = modules_after(f"from napari_past import {names}")
    assert not loaded & HEAVY


def test_a_worker_starts_without_tables_and_models() -> None:
    tables = {"anndata", "pandas", "dask"}
    assert not modules_after("import napari_past.engine.stoppable") & (HEAVY | tables)


@pytest.mark.parametrize("package", ["napari_past.engine", "napari_past.spatial"])
def test_every_name_that_is_loaded_on_first_use_is_there(package: str) -> None:
    names = import_module(package).__all__
    assert [name for name in names if not hasattr(import_module(package), name)] == []


def test_command_line_loads_neither_torch_nor_the_viewer_nor_tables() -> None:
    tables = {"anndata", "pandas", "dask", "zarr"}
    assert not modules_after("import napari_past.cli") & (HEAVY | tables)


def test_public_names_are_what_they_say() -> None:
    assert napari_past.__all__ == sorted(napari_past.__all__, key=_isort_order)
    for name in napari_past.__all__:
        assert name in dir(napari_past)
        value = getattr(napari_past, name)
        assert isinstance(value, str) or value.__name__ == name


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'open_slides'"):
        _ = napari_past.open_slides


def _isort_order(name: str) -> tuple[int, str]:
    """Constants, classes, functions, each in alphabetical order."""
    kind = 0 if name.isupper() else 1 if name[0].isupper() else 2
    return kind, name
