"""A small drawn slide whose nuclei are known, analysed once for all tests of this room."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import timm  # noqa: F401  # before any window: triton, which it imports, and Mesa crash otherwise
from scipy.spatial import cKDTree
from skimage.color import rgb2lab

from napari_past.engine import Cells, CellTable, looked_up, predict
from napari_past.model import bank_readout, load_model, model_path, retrieval
from napari_past.plugin import unscored
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


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mask is looked for without the pause that lets a slide be drawn first."""
    monkeypatch.setattr(unscored, "AFTER_MS", 0)


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


MACHADO = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
"""Of linear RGB at severity 1.0: Machado, Oliveira and Fernandes 2009, A physiologically-based
model for simulation of color vision deficiency, doi:10.1109/TVCG.2009.113."""


@pytest.fixture(scope="session")
def seen() -> Callable[[np.ndarray, str], np.ndarray]:
    """``seen(rgb, eyes)``: CIELAB of sRGB colours (..., 3 or 4), 0 to 1, as some eyes see them."""

    def as_seen(table: np.ndarray, eyes: str) -> np.ndarray:
        rgb = table[..., :3].astype(float)
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        linear = np.clip(linear @ np.transpose(MACHADO[eyes]), 0, 1)
        encoded = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
        return rgb2lab(encoded)

    return as_seen


BANK_GENES = ("VIM", "INS", "GCG")
"""The read-out has the first one; the others are looked up."""


@pytest.fixture(scope="session")
def banked_folder(
    tmp_path_factory: pytest.TempPathFactory,
    analysed: Cells,
    drawn: DrawnSlide,
    write_banked_model: Callable[..., Path],
) -> Path:
    """The default model with a bank of cells of the drawn slide, their types as they were drawn."""
    _, nearest = cKDTree(drawn.truth.centers_um).query(analysed.centers_um)
    rng = np.random.default_rng(6)
    n = len(analysed)
    folder: Path = write_banked_model(
        tmp_path_factory.mktemp("banked") / "past-drawn",
        model_path("past-mini"),
        analysed.embeddings.astype(np.float32),
        list(drawn.truth.kinds[nearest]),
        BANK_GENES,
        rng.gamma(1.0, size=(n, 3)) * (rng.random((n, 3)) < 0.5),
    )
    return folder


@pytest.fixture
def banked_table(banked_folder: Path, analysed: Cells) -> CellTable:
    """The drawn slide's cells with that model: nothing is looked up yet."""
    table = CellTable(load_model(str(banked_folder), "cpu"), analysed.plan.key.fingerprint)
    tiles = [analysed.store.read(tile) for tile in analysed.plan.tiles]
    table.append([tile for tile in tiles if tile is not None])
    return table


class Gate:
    """Lets look-ups in a bank go on block by block, and notes in which threads they ran."""

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []
        self.reached, self.open = threading.Event(), threading.Event()

    def close(self) -> None:
        """As at first, for what is looked up from now on."""
        self.threads.clear()
        self.reached.clear()
        self.open.clear()

    def nearest(self, bank, queries, k, leave_out=None, on_share=None):
        self.threads.append(threading.current_thread())

        def gated(share: float) -> None:
            self.reached.set()
            assert self.open.wait(30), "the gate stayed closed"
            if on_share is not None:
                on_share(share)

        return retrieval.nearest(bank, queries, k, leave_out, on_share=gated)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """Closed at first: what is looked up waits at its first block."""
    gate = Gate()
    monkeypatch.setattr(bank_readout, "nearest", gate.nearest)
    monkeypatch.setattr(looked_up, "MOST_CELLS", 100)
    monkeypatch.setattr(looked_up, "LEAST_CELLS", 100)
    yield gate
    gate.open.set()
