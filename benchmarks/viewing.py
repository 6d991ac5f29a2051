"""What the benchmarks of the viewer share: a window with a slide, patience, a scripted eye."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

CANVAS_PX = (1024, 768)
"""Width and height of the canvas, as near as the window allows."""
LONGEST_S = 600.0


def fresh_cache() -> Path:
    """An empty folder for results, used by this process and its workers."""
    folder = Path(tempfile.mkdtemp(prefix="napari-past-bench-"))
    os.environ["NAPARI_PAST_CACHE"] = str(folder / "cache")
    os.environ["NAPARI_PAST_DATA_HOME"] = str(folder / "data")
    return folder


def open_window(slide: Path, live: bool) -> tuple[Any, Any]:
    """A viewer with the slide and the docked widget, when the slide has been read."""
    import napari

    from napari_past.plugin.widget import VirtualStaining

    viewer = napari.Viewer(title="benchmark")
    widget = VirtualStaining(viewer)
    viewer.window.add_dock_widget(widget, name="Virtual staining", area="right")
    widget.panel.live.setChecked(live)
    viewer.window.resize(1500, 900)
    viewer.open(str(slide), plugin="napari-past")
    wait_until(lambda: widget.session is not None and not widget.busy)
    height, width = viewer.canvas.size
    window = viewer.window._qt_window.size()
    viewer.window.resize(
        window.width() + CANVAS_PX[0] - width, window.height() + CANVAS_PX[1] - height
    )
    pause(0.5)
    return viewer, widget


def open_phantom() -> tuple[Any, Any]:
    """A viewer with a small drawn slide and the docked widget, for cells of our own."""
    from napari_past.sample import write_phantom

    slide = write_phantom(Path(tempfile.mkdtemp()) / "phantom.ome.tif", 900, 640, 0.5, 3)
    return open_window(Path(slide), live=False)


def show_drawn(viewer: Any, widget: Any, n: int) -> tuple[Any, float]:
    """About `n` drawn cells in place of the slide's own; they, and the side of their field, µm."""
    from napari_past.plugin.slide_view import SlideView

    cells = drawn_table(widget.session.model, n)
    side_um = float(cells.centers_um.max())
    widget.session.table = cells
    slides = widget._slides
    slides._views[slides.layer] = SlideView(viewer, (side_um, side_um))
    widget._pointer.table = cells
    return cells, side_um


def pause(seconds: float) -> None:
    """Let the window live for a while."""
    end = time.perf_counter() + seconds
    wait_until(lambda: time.perf_counter() >= end)


def wait_until(done: Callable[[], bool], longest_s: float = LONGEST_S) -> float:
    """Run the event loop until something is true; returns the seconds that it took.

    Raises
    ------
    TimeoutError
    """
    from qtpy.QtCore import QEventLoop, QTimer

    start = time.perf_counter()
    loop = QEventLoop()
    timer = QTimer()
    timer.setInterval(2)

    def look() -> None:
        if done() or time.perf_counter() - start > longest_s:
            loop.quit()

    timer.timeout.connect(look)
    timer.start()
    loop.exec_()
    timer.stop()
    if not done():
        raise TimeoutError("the viewer did not come to an end; run the benchmark again")
    return time.perf_counter() - start


def draw_now(viewer: Any) -> float:
    """Draw what is due; seconds."""
    from qtpy.QtWidgets import QApplication

    start = time.perf_counter()
    QApplication.processEvents()
    return time.perf_counter() - start


def look_at(viewer: Any, x_um: float, y_um: float, canvas_mpp: float) -> None:
    """Point the camera: centre in µm, µm per pixel of the canvas."""
    camera = viewer.scene.camera
    camera.center = (y_um, x_um)
    camera.zoom = 1.0 / canvas_mpp


def tissue_places(widget: Any, n: int, seed: int, field_um: tuple[float, float]) -> np.ndarray:
    """(n, 2) centres in µm of fields, (width, height) µm, with tissue throughout, far apart.

    They fall anywhere within a tile, as an eye does: how many tiles a field touches is up to that.
    """
    session = widget.session
    tiles = {(t.column, t.row) for t in session.whole.tiles}
    size = session.whole.tiles[0].size_um
    reach = [int(np.ceil(side / 2 / size)) for side in field_um]
    inside = [
        (column, row)
        for column, row in tiles
        if all(
            (column + dx, row + dy) in tiles
            for dx in range(-reach[0], reach[0] + 1)
            for dy in range(-reach[1], reach[1] + 1)
        )
    ]
    rng = np.random.default_rng(seed)
    found: list[tuple[int, int]] = []
    for column, row in rng.permutation(np.array(inside).reshape(-1, 2)).tolist():
        apart = [max(abs(column - c) - 2 * reach[0], abs(row - r) - 2 * reach[1]) for c, r in found]
        if all(a > 1 for a in apart):
            found.append((column, row))
        if len(found) == n:
            break
    return (np.array(found, float).reshape(-1, 2) + rng.random((len(found), 2))) * size


def drawn_table(model: Any, n: int) -> Any:
    """At least `n` cells whose embeddings scatter about the training mean, 4,000 to a mm².

    Their values mean nothing; their number and form are those of tissue.
    """
    from napari_past.engine import CellTable
    from napari_past.types import FoundCells, Outlines, TileResult, TileSpec

    rng = np.random.default_rng(0)
    table = CellTable(model, "0" * 64)
    size_um, per_tile, corners = 256.0, 262, 20
    side = int(np.ceil(np.sqrt(n / per_tile)))
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    circle = 3.0 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    mean = model._tensors["statistics.mean"].astype(np.float32)
    noise = (0.5 * rng.normal(size=(8 * per_tile, len(mean)))).astype(np.float32)
    for row in range(side):
        for column in range(side):
            centers = (rng.random((per_tile, 2)) + (column, row)) * size_um
            rings = (centers[:, None] + circle).astype(np.float32).reshape(-1, 2)
            first = rng.integers(7 * per_tile)
            table.append(
                [
                    TileResult(
                        TileSpec(column, row, size_um),
                        FoundCells(
                            centers,
                            Outlines(rings, np.arange(per_tile + 1, dtype=np.int64) * corners),
                            np.full(per_tile, 28, np.float32),
                        ),
                        (mean + noise[first : first + per_tile]).astype(np.float16),
                        np.zeros(per_tile, np.float32),
                    )
                ]
            )
    return table
