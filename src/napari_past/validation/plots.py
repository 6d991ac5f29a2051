"""Two plots over genes: r, sorted, beside chance; and predicted against measured means."""

from __future__ import annotations

import numpy as np

from napari_past.report.axes import BAR, BOTTOM, DATA, HEIGHT, INK, PALE, TOP, Axes
from napari_past.validation.gene_table import by_r
from napari_past.validation.result import Validation
from napari_past.validation.tissue import MEASURED_UNIT

_MOST_POINTS = 1500
"""Of more genes some are drawn, spread evenly over their order."""
_FEW = 200
"""So many points are large, and their intervals apart from each other."""
_BAND = "#d5e8f6"
_ROOM = 0.2
"""Of the height, above all points."""
_LONGEST = 32
"""Letters of a unit on an axis."""
_RANDOM, _BASELINE = "#e69f00", "#999999"


def sorted_r_svg(validation: Validation) -> str:
    """r of each gene from the best to the worst, with its interval, beside the r of random genes of
    the same expression and that of the first baseline."""
    main = validation.main.figures
    order = by_r(validation)
    order = order[np.isfinite(main.r[order])]
    places = _spread(len(order))
    drawn = order[places]
    baseline = validation.results[1].figures.r if len(validation.results) > 1 else None
    shown = [0.0, 1.0, main.r[drawn], main.low[drawn], main.high[drawn], validation.random_r[drawn]]
    if baseline is not None:
        shown.append(baseline[drawn])
    values = np.concatenate([np.atleast_1d(v) for v in shown])
    values = values[np.isfinite(values)]
    room_for_names = values.max() + _ROOM * np.ptp(values)
    span = [float(values.min()), float(room_for_names)]
    axes = Axes([0, max(1, len(order))], span, ("genes, by r", "Pearson r"))
    axes.line((axes.x(axes.x0), axes.y(0)), (axes.x(axes.x1), axes.y(0)), PALE)
    few = len(drawn) < _FEW
    radius = 3.0 if few else 1.6
    for place, gene in zip(places.tolist(), drawn.tolist(), strict=True):
        x = axes.x(place + 0.5)
        if np.isfinite(main.low[gene]):
            ends = (x, axes.y(main.low[gene])), (x, axes.y(main.high[gene]))
            axes.line(*ends, BAR if few else _BAND)
    for place, gene in zip(places.tolist(), drawn.tolist(), strict=True):
        if baseline is not None and np.isfinite(baseline[gene]):
            axes.point(place + 0.5, baseline[gene], "", _BASELINE, 0.8 * radius)
        if np.isfinite(validation.random_r[gene]):
            axes.point(place + 0.5, validation.random_r[gene], "", _RANDOM, 0.8 * radius)
    for place, gene in zip(places.tolist(), drawn.tolist(), strict=True):
        told = f"{validation.genes[gene]} · r {main.r[gene]:.2f}"
        axes.point(place + 0.5, main.r[gene], told, DATA, radius)
    named = [(validation.about, DATA), ("random genes of the same expression", _RANDOM)]
    if baseline is not None:
        named.insert(1, (validation.results[1].name, _BASELINE))
    right = axes.x(axes.x1) - 8
    for i, (name, colour) in enumerate(named):
        axes.text(right, TOP + 16 + 15 * i, f"● {name}", "end", colour)
    return axes.svg("r of each gene, sorted, beside chance and the first baseline")


def means_svg(validation: Validation) -> str:
    """Mean predicted against mean measured value of each gene; with one unit they should be equal,
    on the dashed line."""
    main = validation.main
    same = bool(np.isfinite(main.figures.rmse).any())
    genes = np.flatnonzero(np.isfinite(main.figures.predicted_mean))
    drawn = genes[np.argsort(validation.measured_mean[genes], kind="stable")][_spread(len(genes))]
    measured, predicted = validation.measured_mean[drawn], main.figures.predicted_mean[drawn]
    unit = MEASURED_UNIT if same else validation.unit or "in a unit that is not told"
    unit = unit if len(unit) <= _LONGEST else f"{unit[: _LONGEST - 1]}…"
    labels = (f"measured mean, {MEASURED_UNIT}", f"predicted mean, {unit}")
    both = [*measured.tolist(), *predicted.tolist()] if same else None
    axes = Axes(both or measured.tolist(), both or predicted.tolist(), labels)
    if same:
        axes.equal()
        axes.text(axes.x(axes.x1) - 8, HEIGHT - BOTTOM - 8, "dashed: equal", "end", INK)
    radius = 3.0 if len(drawn) < _FEW else 1.8
    for gene, x, y in zip(drawn.tolist(), measured.tolist(), predicted.tolist(), strict=True):
        axes.point(x, y, validation.genes[gene], DATA, radius)
    return axes.svg("Mean predicted against mean measured expression of each gene")


def _spread(n: int) -> np.ndarray:
    """At most so many places of 0 to n − 1, evenly."""
    if n <= _MOST_POINTS:
        return np.arange(n)
    return np.unique(np.linspace(0, n - 1, _MOST_POINTS).round().astype(np.int64))
