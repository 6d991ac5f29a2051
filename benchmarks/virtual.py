r"""What the virtual stain costs beside the H&E's own read, per view of 1024 x 768.

    OMP_NUM_THREADS=1 python benchmarks/virtual.py SLIDE [--mpp M] [--json FILE] [--out FILE]

Of 25 views across the slide's finest level the nine with the most cells. Cells and their shapes are
known before the clock starts. A view is read as the plugin's layers read it (`read_grid` of the
engine stands beside it) from a slide that was opened anew, and drawn for each compartment, in
turns; a view's time is its least of five rounds, since other work on the machine only adds, and the
table has the median over views. Classes are drawn by lot, 3 % of the cells are flagged.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from common import add_outputs, add_slide, in_turns, report, table, told

from napari_past.cells import StainLogDetector, find_cells
from napari_past.slide import Slide, open_slide
from napari_past.stain.compartments import COMPARTMENTS, cell_shapes
from napari_past.stain.virtual import REACH_UM, class_densities, virtual_stain
from napari_past.types import FoundCells, PixelGrid, Rect, Rgb, StainProfile

WIDTH_PX, HEIGHT_PX = 1024, 768
VIEWS_PER_SIDE, VIEWS, ROUNDS = 5, 9, 5
FLAGGED = 0.03

View = tuple[int, int]


def views_of(slide: Slide, mpp: float) -> list[View]:
    """(column, row) of views spread evenly over the slide."""
    bounds = slide.bounds
    columns, rows = (
        np.linspace(0, max(length_um / mpp - side_px, 0), VIEWS_PER_SIDE + 2)[1:-1].astype(int)
        for length_um, side_px in ((bounds.width_um, WIDTH_PX), (bounds.height_um, HEIGHT_PX))
    )
    return [(int(column), int(row)) for column in columns for row in rows]


def known_cells(slide: Slide, mpp: float, view: View, detector: StainLogDetector) -> FoundCells:
    x_um, y_um = view[0] * mpp - REACH_UM, view[1] * mpp - REACH_UM
    width_um, height_um = (side * mpp + 2 * REACH_UM for side in (WIDTH_PX, HEIGHT_PX))
    return find_cells(slide, region=Rect(x_um, y_um, width_um, height_um), detector=detector)


def works(
    path: Path, slide: Slide, mpp: float, view: View, cells: FoundCells, profile: StainProfile
) -> dict[str, Callable[[int], object]]:
    """What is timed for one view."""
    rng = np.random.default_rng(0)
    density = class_densities(rng.integers(0, 4, len(cells)))
    flagged = rng.random(len(cells)) < FLAGGED
    shapes = cell_shapes(cells)
    grid = PixelGrid(view[0] * mpp, view[1] * mpp, mpp)
    rgb: Rgb = slide.read_grid(view[0], view[1], WIDTH_PX, HEIGHT_PX, mpp)

    # Anew for each round: what was read before is kept decoded.
    fresh = iter([open_slide(path, mpp=slide.mpp) for _ in range(2 * (ROUNDS + 1))])

    def layer(_: int) -> object:
        (left, top), level = view, next(fresh).level_arrays[0]
        return np.asarray(level[top : top + HEIGHT_PX, left : left + WIDTH_PX])

    def engine(_: int) -> object:
        return next(fresh).read_grid(view[0], view[1], WIDTH_PX, HEIGHT_PX, mpp)

    todo: dict[str, Callable[[int], object]] = {"layer": layer, "read_grid": engine}
    for compartment in COMPARTMENTS:

        def draw(_: int, compartment: Any = compartment) -> object:
            return virtual_stain(rgb, grid, cells, density, flagged, compartment, profile, shapes)

        todo[compartment] = draw
    return todo


def measured(path: Path, given_mpp: float | None) -> dict[str, float]:
    """Medians over views: cells in and around one, and ms of each work."""
    seconds: dict[str, list[float]] = {}
    with open_slide(path, mpp=given_mpp) as slide:
        mpp = slide.require_mpp()
        detector = StainLogDetector().fitted(slide)
        assert detector.stains is not None
        known = {v: known_cells(slide, mpp, v, detector) for v in views_of(slide, mpp)}
        fullest = sorted(known.items(), key=lambda item: -len(item[1]))[:VIEWS]
        for view, cells in fullest:
            todo = works(path, slide, mpp, view, cells, detector.stains)
            for name, times in in_turns(todo, ROUNDS).items():
                seconds.setdefault(name, []).append(min(times))
    ms = {name: 1000 * statistics.median(times) for name, times in seconds.items()}
    return {"mpp": mpp, "cells": statistics.median(len(c) for _, c in fullest), **ms}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_slide(parser)
    add_outputs(parser)
    options = parser.parse_args()
    row = measured(options.slide, options.mpp)
    head = ("µm/px", "cells", "layer's read", "read_grid", *COMPARTMENTS)
    drawn = [f"{row[c]:.0f} ms ({row[c] / row['layer']:.2f}x)" for c in COMPARTMENTS]
    read = [f"{row[name]:.0f} ms" for name in ("layer", "read_grid")]
    lines = table(head, [(f"{row['mpp']:.3g}", f"{row['cells']:.0f}", *read, *drawn)])
    report(options, lines, {"slide": options.slide.name, **row})


if __name__ == "__main__":
    told(main)
