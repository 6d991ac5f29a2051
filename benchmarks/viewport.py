"""From the settled view to its cells: fresh, from the store, and with another gene.

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/viewport.py SLIDE [--views 5]

The canvas is about 1024 x 768 pixels at 0.5 µm each, over tissue that was never analysed. Times
begin when the camera has come to rest (its debounce is told apart); "first" and "all" are when the
cells of the first and of the last tile in view stand in their layer. Beside: read, detector and
forward pass of the same tiles in one process, one after the other, on as many threads as a worker
has. Back: the camera returns to a field that was analysed.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

from common import add_outputs, machine_line, report, table
from viewing import fresh_cache, look_at, open_window, pause, tissue_places, wait_until

CANVAS_MPP = 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("slide", type=Path)
    parser.add_argument("--views", type=int, default=5)
    add_outputs(parser)
    options = parser.parse_args()
    fresh_cache()
    # The bare tiles run in this process: triton, which timm imports, must come before Mesa.
    import timm  # noqa: F401

    viewer, widget = open_window(options.slide, live=True)
    height, width = viewer.canvas.size
    field_um = (width * CANVAS_MPP, height * CANVAS_MPP)
    places = tissue_places(widget, options.views + 1, 1, field_um)
    # The worker is warm when a first field has been analysed, as after the first look of a user.
    show(viewer, widget, places[0])
    views = [show(viewer, widget, place) for place in places[1:]]
    back = [again(viewer, widget, place) for place in places[1:]]
    gene = [other_gene(widget, name) for name in ("KRT19", "ERBB2") * 3]
    bare = [beside(widget, place, field_um) for place in places[1:]]
    viewer.close()
    first, last = ([v[k] for v in views] for k in ("first", "all"))
    rows = [
        ["fresh: first cells", ms(first), ""],
        ["fresh: all cells of the view", ms(last), 1000],
        ["the same tiles: read + detector + forward, bare", ms(bare), ""],
        ["ratio: all cells over bare", f"{statistics.median(last) / statistics.median(bare):.2f}",
         ""],
        ["back to an analysed view: cells in place", ms(back), 50],
        ["another gene: layer changed", ms(gene), 50],
    ]  # fmt: skip
    tiles = [v["tiles"] for v in views]
    lines = [
        *table(["what", "median, ms", "to reach"], rows),
        "",
        f"{len(views)} views of {field_um[0]:.0f} x {field_um[1]:.0f} µm, {min(tiles)}–"
        f"{max(tiles)} tiles each; the camera's rest of 150 ms is not counted. Software OpenGL. "
        f"{machine_line()}",
    ]
    numbers = {"views": views, "back_s": back, "gene_s": gene, "bare_s": bare}
    report(options, lines, numbers)


def ms(seconds: list[float]) -> str:
    return f"{1e3 * statistics.median(seconds):.0f}"


def show(viewer, widget, place) -> dict[str, float]:
    """Look at a fresh place; seconds from the camera's rest to first and to all cells."""
    before = widget.session.analysed_tiles
    settled: list[float] = []
    widget._camera_timer.timeout.connect(lambda: settled.append(time.perf_counter()))
    look_at(viewer, *place, CANVAS_MPP)
    wait_until(lambda: bool(settled))
    pause(0.001)
    tiles = widget._stainer.waiting_in_view
    wait_until(lambda: widget.session.analysed_tiles > before)
    first = time.perf_counter() - settled[0]
    wait_until(lambda: widget._stainer.waiting_in_view == 0)
    everything = time.perf_counter() - settled[0]
    wait_until(lambda: not widget._stainer.busy)  # the ring, which is not what is timed
    return {"first": first, "all": everything, "tiles": tiles}


def again(viewer, widget, place) -> float:
    """Seconds from the camera's rest to the cells of a field that was analysed."""
    far = place + 5000.0
    look_at(viewer, *far, CANVAS_MPP)
    pause(0.5)
    look_at(viewer, *place, CANVAS_MPP)
    widget._camera_timer.stop()
    start = time.perf_counter()
    widget._on_camera_rested()
    return time.perf_counter() - start


def other_gene(widget, name: str) -> float:
    start = time.perf_counter()
    widget.panel.gene.set_gene(name)
    seconds = time.perf_counter() - start
    pause(0.3)
    return seconds


def beside(widget, place, field_um) -> float:
    """Seconds for the tiles of a field in this process, pixels to vectors."""
    from napari_past.engine import run_tile
    from napari_past.types import Rect

    session = widget.session
    plan = session.whole
    width, height = field_um
    rect = Rect(place[0] - width / 2, place[1] - height / 2, width, height)
    tiles = session.tiles_in(rect)
    run_tile(plan.slide, tiles[0], plan.model, plan.detector)
    start = time.perf_counter()
    for tile in tiles:
        run_tile(plan.slide, tile, plan.model, plan.detector)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
