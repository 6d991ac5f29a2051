"""A cut-off dragged by the mouse: from the event to classes, layers and table that follow.

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/cutoffs.py [--cells 100000 ...]

The line of 2+ is dragged to and fro in the real widget, over cells drawn at random, 4,000 to a mm²,
with five regions and one that is ignored. A step is a move of the mouse: the layers of the slide,
the histogram and the table of scores have changed and the two latter are painted when it ends.
Afar cells are a map, between as many points as are ever drawn there, near points and outlines. What
it then takes to draw the canvas and to compose the window is told apart, since here OpenGL is
done in software. In turns with the scores of a step the same are worked out with intervals and hot
spots, as they are when the line rests: the ratio says what is saved. The bins are counted beside
the GUI thread.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
import shapely
from common import add_outputs, in_turns, machine_line, ratio, report, table
from viewing import (
    draw_now,
    fresh_cache,
    look_at,
    open_phantom,
    pause,
    show_drawn,
    wait_until,
)

STEPS = 40
FULL_ROUNDS = 5
LIMIT_MS = 50
GENES = ("EPCAM", "ERBB2")
"""The last one is shown; the other one makes it a change."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, nargs="+", default=[100_000, 1_000_000])
    add_outputs(parser)
    options = parser.parse_args()
    fresh_cache()
    viewer, widget = open_phantom()
    rows, numbers = [], {}
    for n in options.cells:
        cells, side_um = show_drawn(viewer, widget, n)
        draw_regions(viewer, side_um)
        for name, canvas_mpp in (("afar", side_um / 700), ("between", 1.9), ("near", 0.5)):
            look_at(viewer, side_um / 2, side_um / 2, canvas_mpp)
            for gene in GENES:
                widget.panel.gene.set_gene(gene)
            widget.panel.cutoffs.as_classes.setChecked(True)
            pause(0.5)
            wait_until(lambda: not widget.busy)
            step, drawn = dragged(viewer, widget)
            bins = bins_ms(widget)
            full, quick = whole_score(widget)
            numbers[f"{n} {name}"] = {
                "step_ms": step, "drawn_ms": drawn, "bins_ms": bins,
                "quick_s": quick, "full_s": full,
            }  # fmt: skip
            median = statistics.median(step)
            rows.append(
                [f"{len(cells):,}", name, f"{median:.0f}", f"{np.percentile(step, 95):.0f}",
                 f"{median / LIMIT_MS:.2f}", f"{statistics.median(drawn):.0f}", f"{bins:.0f}",
                 f"{ratio(full, quick):.0f}"]
            )  # fmt: skip
        for layer in [layer for layer in viewer.layers if layer.name == "Regions"]:
            viewer.layers.remove(layer)
    head = [
        "cells", "view", "ms a step", "95th percentile", f"of {LIMIT_MS} ms",
        "ms until the window is drawn too", "ms for the bins", "scores with intervals: times",
    ]  # fmt: skip
    lines = [*table(head, rows), "", f"Median of {STEPS} steps. Software OpenGL. {machine_line()}"]
    report(options, lines, numbers)
    viewer.close()


def draw_regions(viewer, side_um: float) -> None:
    """Five circles, and a square that is ignored."""
    from napari_past.plugin.region_shapes import add_regions_layer, complete_names
    from napari_past.types import IGNORE, TUMOUR

    rng = np.random.default_rng(0)
    layer = add_regions_layer(viewer)
    shapes = [shapely.Point(*rng.uniform(0, side_um, 2)).buffer(side_um / 4) for _ in range(5)]
    shapes.append(shapely.box(0, 0, side_um / 4, side_um / 4))
    layer.add_polygons([np.array(shape.exterior.coords)[:-1, ::-1] for shape in shapes])
    features = layer.features.copy()
    features["role"] = [TUMOUR] * 5 + [IGNORE]
    layer.features = features
    complete_names(layer)
    layer.mode = "pan_zoom"


def dragged(viewer, widget) -> tuple[list[float], list[float]]:
    """ms of each step, and of each with the canvas drawn."""
    from qtpy.QtCore import QEvent, QPointF, Qt
    from qtpy.QtGui import QMouseEvent
    from qtpy.QtWidgets import QApplication

    histogram, scores = widget.panel.cutoffs.cells.histogram, widget.panel.regions.table
    left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
    y = histogram.height() / 2

    def send(kind: QEvent.Type, x: float, button, buttons) -> None:
        place = QPointF(x, y)
        there = histogram.mapToGlobal(place)
        event = QMouseEvent(kind, place, there, button, buttons, Qt.KeyboardModifier.NoModifier)
        QApplication.sendEvent(histogram, event)

    start = histogram.line_px(1)
    room = [histogram.line_px(0) - start + 2, histogram.line_px(2) - start - 2]
    places = start + np.interp(
        np.sin(np.linspace(0, 9, STEPS + 1)[1:]), [-1, 0, 1], [room[0], 0, room[1]]
    )
    send(QEvent.Type.MouseButtonPress, start, left, left)
    step, drawn = [], []
    for x in places:
        begun = time.perf_counter()
        send(QEvent.Type.MouseMove, float(x), none, left)
        histogram.grab()
        scores.viewport().grab()
        changed = time.perf_counter()
        draw_now(viewer)
        step.append(1e3 * (changed - begun))
        drawn.append(1e3 * (time.perf_counter() - begun))
    send(QEvent.Type.MouseButtonRelease, float(places[-1]), left, none)
    wait_until(lambda: not widget.busy)
    return step, drawn


def bins_ms(widget) -> float:
    """Median ms to count all cells of the slide in bins."""
    from napari_past.plugin.value_bins import value_axis, value_bins

    shown = widget.shown
    seconds = in_turns(
        {"bins": lambda k: value_bins(shown.values, value_axis(shown.values, shown.cutoffs))}, 5
    )
    return 1e3 * statistics.median(seconds["bins"])


def whole_score(widget) -> tuple[list[float], list[float]]:
    """Seconds of the scores with intervals and hot spots, and of those of a step."""
    from napari_past.stain import rules_of, score_counted

    shown, counted = widget.shown, widget._region_scores.counted
    rules = rules_of(shown.resolved)

    def work(quick: bool) -> object:
        return score_counted(counted, shown.values, shown.cutoffs, rules, quick=quick)

    seconds = in_turns({"full": lambda k: work(False), "quick": lambda k: work(True)}, FULL_ROUNDS)
    return seconds["full"], seconds["quick"]


if __name__ == "__main__":
    main()
