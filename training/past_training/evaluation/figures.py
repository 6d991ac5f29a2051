"""Plots of an evaluation, as PNG. Drawn without pyplot, so that no state of a caller's is touched;
the same evaluation gives the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import EllipseCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from mpl_toolkits.axes_grid1.anchored_artists import (  # type: ignore[import-untyped]
    AnchoredSizeBar,
)

from past_training.evaluation.result import Evaluation, GeneMap, HeldSection, Standing
from past_training.evaluation.summary import MEAN_R, gene_means, summary

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
"""Okabe & Ito 2008: apart for colour-blind eyes."""
MARKERS = "osD^vP*X"
COLORMAP = "viridis"
DOTS_PER_INCH = 110
LIMITS_PERCENTILE = 99.0
"""Of what was measured: what is beyond is shown alike, so that no spot rules all others."""
MOST_DRAWN = 20_000


def gene_histograms(evaluation: Evaluation) -> bytes:
    """r of each variable gene, the first predictor's beside that of each other one."""
    first, others = evaluation.predictors[0], _drawn(evaluation)[1:]
    figure = Figure(figsize=(3.4 * max(len(others), 1), 3.1), layout="constrained")
    bins = np.linspace(-0.5, 1.0, 46).tolist()
    own = [float(np.mean(v)) for v in gene_means(evaluation, first).values()]
    axes = np.atleast_1d(figure.subplots(1, max(len(others), 1), sharey=True))
    for k, axis in enumerate(axes.tolist()):
        if own:
            axis.hist(own, bins, color=COLOURS[0], alpha=0.55, label=first)
        if others:
            values = [float(np.mean(v)) for v in gene_means(evaluation, others[k]).values()]
            if values:
                axis.hist(
                    values, bins, histtype="step", color=COLOURS[1], linewidth=1.6, label=others[k]
                )
        axis.axvline(0, color="0.6", linewidth=0.8)
        axis.set_xticks([-0.5, 0, 0.5, 1])
        if axis.get_legend_handles_labels()[0]:
            axis.legend(fontsize=7, frameon=False, loc="lower left", bbox_to_anchor=(0, 1))
    axes[0].set_ylabel("genes")
    figure.supxlabel("Pearson r of a gene, mean over held-out sections", fontsize=9)
    return _png(figure)


def section_points(evaluation: Evaluation) -> bytes:
    """Mean r of each predictor on each held-out section, and intervals where there are any."""
    names = evaluation.predictors
    sections = [section.name for section in evaluation.sections]
    figure = Figure(figsize=(1.6 + 1.5 * len(names), 3.4), layout="constrained")
    axis = figure.subplots()
    spread = np.linspace(-0.18, 0.18, len(sections)) if len(sections) > 1 else np.zeros(1)
    for x, name in enumerate(names):
        found = summary(evaluation, name, MEAN_R)
        for k, section in enumerate(sections):
            if section in found.points:
                axis.plot(
                    x + spread[k],
                    found.points[section],
                    MARKERS[k % len(MARKERS)],
                    color=COLOURS[k % len(COLOURS)],
                )
        if found.points:
            axis.plot([x - 0.28, x + 0.28], [found.mean] * 2, color="0.2", linewidth=1.4)
        if found.interval is not None:
            low, high = found.interval.low, found.interval.high
            axis.plot([x + 0.3] * 2, [low, high], color="0.2", linewidth=1.4)
    axis.axhline(0, color="0.6", linewidth=0.8)
    axis.set_xticks(range(len(names)), [_folded(name) for name in names], fontsize=7)
    axis.set_xlim(-0.5, len(names) - 0.5)
    axis.set_ylabel("mean r over the variable genes")
    if len(sections) <= len(MARKERS):
        shown = [
            Line2D([], [], linestyle="", marker=MARKERS[k], color=COLOURS[k % len(COLOURS)])
            for k in range(len(sections))
        ]
        figure.legend(shown, sections, fontsize=7, frameon=False, loc="outside right upper")
    return _png(figure)


def gene_maps(section: HeldSection) -> bytes:
    """What was measured over a section, above what was predicted, in the same limits."""
    maps = section.maps
    figure = Figure(figsize=(2.7 * len(maps), 5.6), layout="constrained")
    axes = np.asarray(figure.subplots(2, len(maps), squeeze=False))
    for column, shown in enumerate(maps):
        low, high = _limits(shown)
        for axis, values in zip(
            axes[:, column].tolist(), (shown.measured, shown.predicted), strict=True
        ):
            points = _drawn_rows(axis, section, values, low, high)
        bar = figure.colorbar(points, ax=axes[:, column].tolist(), location="bottom", shrink=0.8)
        bar.set_label("log1p(counts per 10k)", fontsize=7)
        held = "" if shown.standing is Standing.HELD_OUT else f"\n{shown.standing}"
        r = f"{shown.r:.2f}" if np.isfinite(shown.r) else "not defined"
        axes[0, column].set_title(f"{shown.gene}\nr {r}{held}", fontsize=9)
    axes[0, 0].set_ylabel("measured", fontsize=9)
    axes[1, 0].set_ylabel("predicted", fontsize=9)
    return _png(figure)


def _limits(shown: GeneMap) -> tuple[float, float]:
    low = min(
        float(np.percentile(v, 100 - LIMITS_PERCENTILE)) for v in (shown.measured, shown.predicted)
    )
    high = float(np.percentile(shown.measured, LIMITS_PERCENTILE))
    return low, max(high, low + 1e-3)


def _drawn_rows(
    axis: Axes, section: HeldSection, values: np.ndarray, low: float, high: float
) -> EllipseCollection:
    """Spots in their size, cells as discs that can be seen; y downwards as on the slide."""
    row_um = section.row_um
    every = -(-len(row_um) // MOST_DRAWN)
    extent_um = np.maximum(np.ptp(row_um, axis=0), 1.0)
    diameter_um = section.spot_diameter_um or 1.2 * float(
        np.sqrt(extent_um[0] * extent_um[1] / len(row_um))
    )
    # Spots of 100 µm at 200 µm leave more glass than colour: drawn a little larger.
    size = np.full(len(row_um[::every]), 1.3 * diameter_um)
    discs = EllipseCollection(
        size,
        size,
        np.zeros(len(size)),
        units="xy",
        offsets=row_um[::every],
        offset_transform=axis.transData,
        cmap=COLORMAP,
    )
    discs.set_array(values[::every])
    discs.set_clim(low, high)
    axis.add_collection(discs)
    corner, end = row_um.min(0) - diameter_um, row_um.max(0) + diameter_um
    axis.set_xlim(corner[0], end[0])
    # Room for the scale bar, which must not lie on tissue.
    axis.set_ylim(end[1] + 0.16 * (end[1] - corner[1]), corner[1])
    axis.set_aspect("equal")
    axis.set_xticks([])
    axis.set_yticks([])
    axis.add_artist(_scale_bar(axis, float(end[0] - corner[0])))
    return discs


def _scale_bar(axis: Axes, width_um: float) -> AnchoredSizeBar:
    """A bar of 1, 2 or 5 times a power of ten, at most a third of the width."""
    power = 10 ** np.floor(np.log10(width_um / 3))
    length_um = float(max(step * power for step in (1, 2, 5) if step * power <= width_um / 3))
    return AnchoredSizeBar(
        axis.transData,
        length_um,
        f"{length_um:g} µm",
        loc="lower left",
        pad=0.2,
        borderpad=0.2,
        frameon=False,
        size_vertical=length_um / 40,
        fill_bar=True,
    )


def _drawn(evaluation: Evaluation) -> Sequence[str]:
    """Predictors whose genes differ in r: a constant has r 0 for all."""
    first = evaluation.predictors[0]
    return [
        name
        for name in evaluation.predictors
        if name == first or any(any(v) for v in gene_means(evaluation, name).values())
    ]


def _folded(name: str) -> str:
    words, lines = name.split(), [""]
    for word in words:
        if len(lines[-1]) + len(word) > 14 and lines[-1]:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)


def _png(figure: Figure) -> bytes:
    content = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(content, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    return content.getvalue()
