"""A small drawn slide whose nuclei are known, analysed once for all tests of this room."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import timm  # noqa: F401  # before any window: triton, which it imports, and Mesa crash otherwise

from napari_past.engine import Cells, CellTable, predict
from napari_past.sample import Phantom, draw_phantom
from napari_past.sample.ome_tiff import write_pyramid
from napari_past.slide import open_slide

WIDTH_PX, HEIGHT_PX, MPP, SEED = 900, 640, 0.5, 3


@dataclass(frozen=True)
class DrawnSlide:
    path: Path
    truth: Phantom


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> DrawnSlide:
    truth = draw_phantom(WIDTH_PX, HEIGHT_PX, MPP, SEED)
    path = tmp_path_factory.mktemp("slides") / "drawn.ome.tif"
    write_pyramid(path, truth.rgb, MPP, "drawn", jpeg=False)
    return DrawnSlide(path, truth)


@pytest.fixture(scope="session")
def analysed(drawn: DrawnSlide, cache_dir: Path) -> Cells:
    """Cells of the whole drawn slide; the store then has them for the widget."""
    return predict(open_slide(drawn.path), device="cpu").compute()


@pytest.fixture(scope="session")
def table(analysed: Cells) -> CellTable:
    """The same cells as the viewer holds them."""
    table = CellTable(analysed.model, analysed.plan.key.fingerprint)
    tiles = [analysed.store.read(tile) for tile in analysed.plan.tiles]
    table.append([tile for tile in tiles if tile is not None])
    return table


@pytest.fixture(autouse=True)
def data_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where regions and notes are saved: a test's own."""
    monkeypatch.setenv("NAPARI_PAST_DATA_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def docked(make_napari_viewer_proxy: Callable, qtbot: object) -> Iterator[Callable]:
    """Opens a viewer with the widget docked as napari's menu does it: (viewer, widget).

    Live is off: a test says when it wants workers.
    """

    def dock(**arguments: bool) -> tuple:
        viewer = make_napari_viewer_proxy(**arguments)
        _, widget = viewer.window.add_plugin_dock_widget("napari-past", "Virtual staining")
        widget.panel.live.setChecked(False)
        return viewer, widget

    return dock


@pytest.fixture
def opened(docked: Callable, drawn: DrawnSlide, analysed: Cells, qtbot) -> Callable:
    """A viewer with the drawn slide, whose cells are shown: (viewer, widget)."""

    def open_drawn(**arguments: bool) -> tuple:
        viewer, widget = docked(**arguments)
        with qtbot.waitSignal(widget.idle, timeout=60_000):
            viewer.open(str(drawn.path), plugin="napari-past")
        return viewer, widget

    return open_drawn
