"""Two small plots as SVG: estimate against measurement, and their difference (Bland–Altman)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import numpy as np
import numpy.typing as npt

from napari_past.calibration.validation import Validation

FloatArray = npt.NDArray[np.float64]

WIDTH, HEIGHT = 460, 380
LEFT, RIGHT, TOP, BOTTOM = 62, 14, 14, 50
INK, PALE, DATA, BAR = "#222222", "#bbbbbb", "#0072b2", "#56b4e9"


class _Axes:
    """From data to the picture, with frame and ticks."""

    def __init__(self, x: Sequence[float], y: Sequence[float], labels: tuple[str, str]) -> None:
        self.x0, self.x1 = _range(x)
        self.y0, self.y1 = _range(y)
        self.parts: list[str] = []
        for value in _ticks(self.x0, self.x1):
            px = self.x(value)
            self.line((px, HEIGHT - BOTTOM), (px, HEIGHT - BOTTOM + 4), INK)
            self.text(px, HEIGHT - BOTTOM + 17, _number(value), "middle")
        for value in _ticks(self.y0, self.y1):
            py = self.y(value)
            self.line((LEFT - 4, py), (LEFT, py), INK)
            self.text(LEFT - 7, py + 4, _number(value), "end")
        self.parts.append(
            f'<rect x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" '
            f'height="{HEIGHT - TOP - BOTTOM}" fill="none" stroke="{INK}"/>'
        )
        self.text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, labels[0], "middle")
        middle = (TOP + HEIGHT - BOTTOM) / 2
        self.parts.append(
            f'<text x="16" y="{middle:.1f}" text-anchor="middle" fill="{INK}" '
            f'transform="rotate(-90 16 {middle:.1f})">{escape(labels[1])}</text>'
        )

    def x(self, value: float) -> float:
        return LEFT + (value - self.x0) / (self.x1 - self.x0) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - (value - self.y0) / (self.y1 - self.y0) * (HEIGHT - TOP - BOTTOM)

    def line(
        self, start: tuple[float, float], end: tuple[float, float], colour: str, dash: str = ""
    ) -> None:
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(
            f'<line x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}" '
            f'stroke="{colour}"{dashes}/>'
        )

    def level(self, value: float, label: str, dash: str = "") -> None:
        """A line across, named at its right end."""
        self.line((LEFT, self.y(value)), (WIDTH - RIGHT, self.y(value)), INK, dash)
        self.text(WIDTH - RIGHT - 4, self.y(value) - 4, label, "end")

    def text(self, x: float, y: float, text: str, anchor: str) -> None:
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{INK}">'
            f"{escape(text)}</text>"
        )

    def point(self, x: float, y: float, title: str) -> None:
        self.parts.append(
            f'<circle cx="{self.x(x):.1f}" cy="{self.y(y):.1f}" r="3.5" fill="{DATA}" '
            f'fill-opacity="0.75"><title>{escape(title)}</title></circle>'
        )

    def svg(self, title: str) -> str:
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
            f'width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="12" '
            f'role="img" aria-label="{escape(title)}"><rect width="{WIDTH}" height="{HEIGHT}" '
            f'fill="#ffffff"/>{"".join(self.parts)}</svg>'
        )


def agreement_svg(validation: Validation) -> str:
    """Estimate with its interval against what was measured; on the dashed line they are equal."""
    rows = validation.regions
    ends = [v for row in rows for v in (row.estimate.low, row.estimate.high) if not math.isnan(v)]
    both = [v for row in rows for v in (row.measured, row.estimate.value)]
    unit = validation.unit
    told = f"predicted {unit}{', 95 % interval' if ends else ''}"
    axes = _Axes(both, [*both, *ends], (f"measured {unit}", told))
    first, last = max(axes.x0, axes.y0), min(axes.x1, axes.y1)
    axes.line((axes.x(first), axes.y(first)), (axes.x(last), axes.y(last)), INK, "5 4")
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
    axes = _Axes(measured.tolist(), predicted.tolist(), labels)
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
    axes = _Axes(means, [*differences, *levels], (f"mean of both, {unit}", "predicted − measured"))
    axes.line((LEFT, axes.y(0)), (WIDTH - RIGHT, axes.y(0)), PALE)
    axes.level(found.bias, f"bias {_number(found.bias)}")
    for limit in found.limits or ():
        axes.level(limit, f"95 % limit {_number(limit)}", "5 4")
    for row, mean, difference in zip(rows, means, differences, strict=True):
        axes.point(mean, difference, f"{row.patient} · {row.region}")
    return axes.svg(f"Bland–Altman plot of {unit}")


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = float(min(values)), float(max(values))
    margin = 0.06 * (high - low) or max(abs(high), 1.0) * 0.1
    return low - margin, high + margin


def _ticks(low: float, high: float) -> list[float]:
    """About five round numbers between both."""
    rough = (high - low) / 5
    power = 10 ** math.floor(math.log10(rough))
    step = next(f * power for f in (1, 2, 5, 10) if f * power >= rough)
    return [float(v) for v in np.arange(math.ceil(low / step), math.floor(high / step) + 1) * step]


def _number(value: float) -> str:
    return f"{0.0 if abs(value) < 1e-12 else value:.3g}".replace("-", "−")
