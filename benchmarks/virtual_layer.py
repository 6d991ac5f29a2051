r"""What a view of the virtual stain costs beside the same view of the H&E, both through napari.

    OMP_NUM_THREADS=1 python benchmarks/virtual_layer.py SLIDE [--mpp M] [--json FILE] [--out FILE]

Cells are known before the clock starts: of those that lie in the store, or of a square in the
middle of the tissue, which is analysed first. A canvas of 1024 x 768 pixels looks at the place with
the most cells, in three zooms. Each round opens the slide anew and has napari slice the H&E layer,
and, from another anew, the layer of the virtual stain until every block in view is drawn: its own
reading of the H&E is in its time. Then a cut-off moves, and it is drawn again. Both take turns, and
the table has the medians over rounds, of ratios the medians of each round's.
Classes are by quartiles of a gene of each compartment; 3 % of the cells are flagged.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from common import add_outputs, add_slide, ratio, report, table, told
from napari.layers import Image

from napari_past.cells import StainLogDetector
from napari_past.engine import CellTable, predict
from napari_past.genes import resolve
from napari_past.plugin.curtain import Curtain
from napari_past.plugin.staining import Look, staining
from napari_past.plugin.virtual_cells import VirtualCells, virtual_cells
from napari_past.plugin.virtual_drawing import VirtualDrawing
from napari_past.plugin.virtual_level import VirtualLevel, Window
from napari_past.slide import Slide, open_slide
from napari_past.types import Cutoffs, Rect, StainProfile

CANVAS_PX = (768, 1024)
"""Height and width."""
CANVAS_MPP = (0.25, 0.5, 1.0)
GENES = {"nucleus": "MKI67", "cytoplasm": "KRT19", "membrane": "ERBB2"}
LARGEST_UM = 2000.0
ROUNDS = 5
FLAGGED = 0.03


class Canvas:
    """Takes whatever a layer is asked for as shown."""

    curtain: Curtain | None = None

    def shows(self, level: int, window: Window) -> bool:
        return True


def known_cells(slide: Slide) -> tuple[CellTable, StainProfile]:
    """The cells of the slide, or of the middle of its tissue."""
    tissue = slide.tissue_mask()
    rows, columns = np.nonzero(tissue.mask)
    x_um, y_um = float(np.median(columns)) * tissue.mpp, float(np.median(rows)) * tissue.mpp
    width_um, height_um = slide.size_um
    region = None
    if max(width_um, height_um) > LARGEST_UM:
        half = LARGEST_UM / 2
        region = Rect(max(x_um - half, 0), max(y_um - half, 0), 2 * half, 2 * half)
    cells = predict(slide, region=region, device="cpu").compute()
    detector = cells.plan.detector
    assert isinstance(detector, StainLogDetector)
    assert detector.stains is not None
    known = CellTable(cells.model, slide.fingerprint)
    known.append(t for tile in cells.plan.tiles if (t := cells.store.read(tile)) is not None)
    return known, detector.stains


def drawn_cells(known: CellTable, gene: str) -> VirtualCells:
    marker = resolve(gene)
    values = staining(known, marker, None, Look()).values
    cutoffs = Cutoffs(*(float(q) for q in np.quantile(values, (0.25, 0.5, 0.75))), "quartiles")
    cells = virtual_cells(known, staining(known, marker, cutoffs, Look(as_classes=True)), None)
    assert cells is not None
    flagged = np.random.default_rng(0).random(len(values)) < FLAGGED
    return replace(cells, unlike=np.where(flagged, 2.0, 0.0).astype(np.float32))


def densest(known: CellTable) -> tuple[float, float]:
    """(x, y) in µm of the middle of the 300 µm square with the most cells."""
    squares, counts = np.unique(np.floor(known.centers_um / 300), axis=0, return_counts=True)
    x, y = (squares[counts.argmax()] + 0.5) * 300
    return float(x), float(y)


def look_at(layer: Image, x_um: float, y_um: float, canvas_mpp: float) -> None:
    """What the canvas tells a layer when it draws."""
    half = np.array(CANVAS_PX) * canvas_mpp / 2
    corners = np.array([[y_um, x_um] - half, [y_um, x_um] + half])
    layer._update_draw(canvas_mpp, corners, CANVAS_PX)


def measured(path: Path, mpp: float | None) -> list[dict[str, float | str]]:
    """One row for each compartment and zoom."""
    with open_slide(path, mpp=mpp) as slide:
        known, profile = known_cells(slide)
        x_um, y_um = densest(known)
    rows: list[dict[str, float | str]] = []
    for compartment, gene in GENES.items():
        cells = drawn_cells(known, gene)
        for canvas_mpp in CANVAS_MPP:
            half = np.array(CANVAS_PX[::-1]) * canvas_mpp / 2
            inside = np.abs(cells.centers_um - (x_um, y_um)) < half
            rounds = []
            for k in range(-1, ROUNDS):
                looks = [None, cells] if k % 2 else [cells, None]
                seconds = {}
                for drawn in looks:
                    took = looked_at(path, mpp, (x_um, y_um), canvas_mpp, drawn, profile)
                    seconds[drawn is None] = took
                if k >= 0:
                    rounds.append((*seconds[True], *seconds[False]))
            read, _, first, again = zip(*rounds, strict=True)
            rows.append(
                {
                    "compartment": compartment,
                    "canvas_mpp": canvas_mpp,
                    "cells": int(inside.all(axis=1).sum()),
                    "h_and_e_ms": 1000 * statistics.median(read),
                    "virtual_ms": 1000 * statistics.median(first),
                    "again_ms": 1000 * statistics.median(again),
                    "ratio": ratio(first, read),
                    "ratio_again": ratio(again, read),
                }
            )
    return rows


def looked_at(
    path: Path,
    mpp: float | None,
    middle_um: tuple[float, float],
    canvas_mpp: float,
    cells: VirtualCells | None,
    profile: StainProfile,
) -> tuple[float, float]:
    """Seconds until a view is there, of a slide that was opened anew, and until it is there again
    with other cut-offs; without cells it is the H&E's."""
    with open_slide(path, mpp=mpp) as slide:
        scale = slide.require_mpp()
        levels: list[object] = list(slide.display_levels)
        drawing, told_of = None, threading.Event()
        if cells is not None:
            drawing = VirtualDrawing(slide.display_pixels, scale, profile, told_of.set)
            drawing.set_cells(cells)
            levels = [VirtualLevel(drawing, k, Canvas()) for k in range(len(drawing))]
        # A coarsest level of nothing: napari reads it whole as soon as there is a layer.
        shape = slide.display_levels[-1].shape
        levels.append(np.zeros((shape[0] // 2, shape[1] // 2, 4 if drawing else 3), np.uint8))
        layer = Image(levels, rgb=True, multiscale=True, scale=(scale, scale))
        start = time.perf_counter()
        look_at(layer, *middle_um, canvas_mpp)
        if drawing is None or cells is None:
            return time.perf_counter() - start, 0.0
        wait_for(drawing, told_of)
        layer.refresh(extent=False, thumbnail=False)
        first = time.perf_counter() - start
        assert cells.cutoffs is not None
        weak, moderate, strong = cells.cutoffs.values
        start = time.perf_counter()
        drawing.set_cells(replace(cells, cutoffs=Cutoffs(weak, moderate, strong + 1e-3, "moved")))
        layer.refresh(extent=False, thumbnail=False)
        wait_for(drawing, told_of)
        layer.refresh(extent=False, thumbnail=False)
        again = time.perf_counter() - start
        drawing.close()
        return first, again


def wait_for(drawing: VirtualDrawing, told_of: threading.Event) -> None:
    while drawing.busy:
        told_of.wait(0.05)
        told_of.clear()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_slide(parser)
    add_outputs(parser)
    options = parser.parse_args()
    rows = measured(options.slide, options.mpp)
    head = (
        "compartment", "µm per canvas px", "cells in view", "H&E", "virtual stain",
        "other cut-offs",
    )  # fmt: skip
    cells = [
        (
            row["compartment"], row["canvas_mpp"], row["cells"], f"{row['h_and_e_ms']:.0f} ms",
            f"{row['virtual_ms']:.0f} ms ({row['ratio']:.1f}x)",
            f"{row['again_ms']:.0f} ms ({row['ratio_again']:.1f}x)",
        )
        for row in rows
    ]  # fmt: skip
    report(options, table(head, cells), {"slide": options.slide.name, "rows": rows})


if __name__ == "__main__":
    told(main)
