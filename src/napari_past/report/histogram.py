"""The values of a marker over the counted cells, with the three cut-offs."""

from __future__ import annotations

import math

import numpy as np

from napari_past.report.drawing import GREY, INK, Colour, Drawing, Label, Path, Shape, box
from napari_past.stain import CLASS_COLOURS
from napari_past.types import Cutoffs, FloatArray

BARS = 60
PERCENTILES = (0.1, 99.9)
"""Of the values that the axis spans, besides the cut-offs; the rest is told."""
BAR: Colour = (120, 130, 145)
LEFT, RIGHT, TOP, BOTTOM = 13.0, 3.0, 9.0, 9.0
LINE_HEIGHT = 2.9
LABEL_ROOM = 19.0
"""mm that the label of a cut-off takes."""
STRIP = 1.2
"""Height of the strip below the axis that has the classes' colours."""


def histogram(
    values: FloatArray, cutoffs: Cutoffs, axis: str, width: float, height: float
) -> Drawing:
    """Bars of the number of cells, the cut-offs as labelled lines, and an axis with its unit.

    Parameters
    ----------
    values
        (n,), of the cells that count; NaN is left out.
    axis
        What the values are, with their unit.
    width, height
        In mm.
    """
    finite = np.asarray(values, np.float64)[np.isfinite(values)]
    low, high = _span(finite, cutoffs)
    inside = finite[(finite >= low) & (finite <= high)]
    counts, edges = np.histogram(inside, bins=BARS, range=(low, high))
    most = max(int(counts.max(initial=0)), 1)
    x0, x1, y0, y1 = LEFT, width - RIGHT, TOP, height - BOTTOM

    def x_of(value: float) -> float:
        return x0 + (value - low) / (high - low) * (x1 - x0)

    shapes: list[Shape] = []
    for count, left, right in zip(counts.tolist(), edges[:-1], edges[1:], strict=True):
        if count:
            tall = count / most * (y1 - y0)
            bar = box(x_of(left), y1 - tall, x_of(right) - x_of(left), tall)
            shapes.append(Path(bar, None, 0, BAR))
    limits = [low, *cutoffs.values, high]
    for k in range(4):
        strip = box(x_of(limits[k]), y1, x_of(limits[k + 1]) - x_of(limits[k]), STRIP)
        shapes.append(Path(strip, None, 0, CLASS_COLOURS[k]))
    # Labels stand on heights of their own, on the side where no line of another one reaches up to
    # them: cut-offs may lie close together.
    leftwards = x_of(cutoffs.strong) + LABEL_ROOM > width
    for k, value in enumerate(cutoffs.values):
        below = k if not leftwards else 2 - k
        base = TOP - 0.6 - (2 - below) * LINE_HEIGHT
        x = x_of(value)
        shapes.append(Path(((x, base - 1.8), (x, y1)), INK, 0.3))
        text = f"{k + 1}+ from {value:.3g}"
        anchor, at = ("end", x - 0.8) if leftwards else ("start", x + 0.8)
        shapes.append(Label(at, base, text, 2.4, anchor, INK, True))
    shapes += _axes(low, high, most, (x0, x1, y0, y1), x_of(low), x_of(high))
    for tick in _ticks(low, high):
        shapes.append(Path(((x_of(tick), y1 + STRIP), (x_of(tick), y1 + STRIP + 0.9)), INK, 0.2))
        shapes.append(Label(x_of(tick), y1 + STRIP + 3.4, f"{tick:g}", 2.4, "middle"))
    shapes.append(Label((x0 + x1) / 2, height - 0.8, axis, 2.4, "middle"))
    beyond = len(finite) - len(inside)
    told = f"; {beyond} values lie beyond the axis" if beyond else ""
    return Drawing(
        width, height, tuple(shapes), f"Histogram of {axis} over {len(finite)} cells{told}."
    )


def _axes(
    low: float, high: float, most: int, frame: tuple[float, float, float, float],
    left: float, right: float,
) -> list[Shape]:  # fmt: skip
    x0, _, y0, y1 = frame
    return [
        Path(((left, y1 + STRIP), (right, y1 + STRIP)), INK, 0.2),
        Path(((x0, y0), (x0, y1)), GREY, 0.2),
        Label(x0 - 1, y0 + 2, f"{most}", 2.4, "end"),
        Label(x0 - 1, y1, "0", 2.4, "end"),
        Label(x0 - 1, (y0 + y1) / 2 + 1, "cells", 2.4, "end"),
    ]


def _span(values: FloatArray, cutoffs: Cutoffs) -> tuple[float, float]:
    ends = [cutoffs.weak, cutoffs.strong]
    if values.size:
        ends += np.percentile(values, PERCENTILES).tolist()
    low, high = min(ends), max(ends)
    margin = 0.04 * (high - low)
    return low - margin, high + margin


def _ticks(low: float, high: float) -> list[float]:
    """Four to nine round numbers between the ends."""
    raw = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(raw))
    step = min(s * power for s in (1, 2, 5, 10) if s * power >= raw)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [round(i * step, 12) for i in range(first, last + 1)]
