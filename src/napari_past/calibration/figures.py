"""Two small plots as SVG: estimate against measurement, and their difference (Bland–Altman)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from napari_past.calibration.validation import Validation
from napari_past.report.axes import BAR, LEFT, PALE, RIGHT, WIDTH, Axes, number

FloatArray = npt.NDArray[np.float64]


def agreement_svg(validation: Validation) -> str:
    """Estimate with its interval against what was measured; on the dashed line they are equal."""
    rows = validation.regions
    ends = [v for row in rows for v in (row.estimate.low, row.estimate.high) if not math.isnan(v)]
    both = [v for row in rows for v in (row.measured, row.estimate.value)]
    unit = validation.unit
    told = f"predicted {unit}{', 95 % interval' if ends else ''}"
    axes = Axes(both, [*both, *ends], (f"measured {unit}", told))
    axes.equal()
    for row in rows:
        if row.inside is not None:
            px = axes.x(row.measured)
            axes.line((px, axes.y(row.estimate.low)), (px, axes.y(row.estimate.high)), BAR)
    for row in rows:
        axes.point(row.measured, row.estimate.value, f"{row.patient} · {row.region}")
    return axes.svg(f"Predicted against measured {unit}")


def values_svg(
    measured: FloatArray, predicted: FloatArray, names: Sequence[str], labels: tuple[str, str]
) -> str:
    """Values of different units against each other: without a line on which they were equal.

    Parameters
    ----------
    measured, predicted
        (n,).
    names
        (n,), of the regions.
    labels
        Of both axes.
    """
    axes = Axes(measured.tolist(), predicted.tolist(), labels)
    for name, x, y in zip(names, measured, predicted, strict=True):
        axes.point(float(x), float(y), name)
    return axes.svg("Predicted against measured values")


def bland_altman_svg(validation: Validation) -> str:
    """Difference against mean of estimate and measurement, with bias and limits of agreement."""
    rows, found = validation.regions, validation.found
    means = [(row.estimate.value + row.measured) / 2 for row in rows]
    differences = [row.estimate.value - row.measured for row in rows]
    unit = validation.unit
    levels = [0.0, found.bias, *(found.limits or ())]
    axes = Axes(means, [*differences, *levels], (f"mean of both, {unit}", "predicted − measured"))
    axes.line((LEFT, axes.y(0)), (WIDTH - RIGHT, axes.y(0)), PALE)
    axes.level(found.bias, f"bias {number(found.bias)}")
    for limit in found.limits or ():
        axes.level(limit, f"95 % limit {number(limit)}", "5 4")
    for row, mean, difference in zip(rows, means, differences, strict=True):
        axes.point(mean, difference, f"{row.patient} · {row.region}")
    return axes.svg(f"Bland–Altman plot of {unit}")
