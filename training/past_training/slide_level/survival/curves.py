"""Plots of an evaluation: C of each arm, survival of two groups, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
import numpy.typing as npt

from napari_past.report.axes import DATA, INK, PALE, Axes, number
from past_training.slide_level.survival.censoring import StepCurve, survival_curve
from past_training.slide_level.survival.data import SurvivalData
from past_training.slide_level.survival.result import ArmResult, Calibration

HIGH, LOW = "#d55e00", "#0072b2"
_WIDTH, _ROW, _NAMES, _ENDS = 640, 30, 230, 120
_AXIS = 46
AT_RISK_TIMES = 5


def forest_svg(arms: Sequence[ArmResult]) -> str:
    """Harrell's C of each arm with its interval; grey dots are single folds."""
    shown = [v for arm in arms for v in (arm.harrell.low, arm.harrell.high, *arm.harrell.per_fold)]
    values = [v for v in (*shown, 0.5) if np.isfinite(v)]
    low, high = max(0.0, min(values) - 0.02), min(1.0, max(values) + 0.02)

    def x(value: float) -> float:
        return _NAMES + (value - low) / (high - low) * (_WIDTH - _NAMES - _ENDS)

    height = _ROW * len(arms) + _AXIS
    bottom = height - _AXIS + 6
    parts = [
        f'<line x1="{x(0.5):.1f}" y1="4" x2="{x(0.5):.1f}" y2="{bottom}" stroke="{INK}" '
        f'stroke-dasharray="5 4"/>',
        f'<line x1="{_NAMES}" y1="{bottom}" x2="{_WIDTH - _ENDS}" y2="{bottom}" stroke="{INK}"/>',
        f'<text x="{x((low + high) / 2):.1f}" y="{height - 6}" text-anchor="middle">'
        f"Harrell's C (0.5: chance)</text>",
    ]
    for tick in np.arange(np.ceil(low * 10), np.floor(high * 10) + 1) / 10:
        parts.append(
            f'<text x="{x(tick):.1f}" y="{bottom + 17}" text-anchor="middle">{tick:.1f}</text>'
        )
    for i, arm in enumerate(arms):
        y = _ROW * i + _ROW / 2 + 2
        name = escape(arm.name)
        parts.append(f'<text x="{_NAMES - 10}" y="{y + 4:.1f}" text-anchor="end">{name}</text>')
        c = arm.harrell
        for value in c.per_fold:
            if np.isfinite(value):
                parts.append(f'<circle cx="{x(value):.1f}" cy="{y:.1f}" r="3" fill="{PALE}"/>')
        if not np.isfinite(c.value):
            continue
        parts.append(
            f'<line x1="{x(c.low):.1f}" y1="{y:.1f}" x2="{x(c.high):.1f}" y2="{y:.1f}" '
            f'stroke="{DATA}" stroke-width="2"/><rect x="{x(c.value) - 4:.1f}" y="{y - 4:.1f}" '
            f'width="8" height="8" fill="{DATA}"><title>{name} {c.value:.3f}</title></rect>'
            f'<text x="{_WIDTH - _ENDS + 8}" y="{y + 4:.1f}">{c.value:.2f} ({c.low:.2f}–'
            f"{c.high:.2f})</text>"
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" height="{height}" font-family="sans-serif" font-size="12" role="img" '
        f'aria-label="Harrell\'s C of each arm"><rect width="{_WIDTH}" height="{height}" '
        f'fill="#ffffff"/>{"".join(parts)}</svg>'
    )


def at_risk_times(data: SurvivalData) -> npt.NDArray[np.float64]:
    """Where patients at risk are counted."""
    return np.linspace(0.0, float(data.time.max()), AT_RISK_TIMES)


def survival_svg(data: SurvivalData, high: npt.NDArray[np.bool_], title: str) -> str:
    """Kaplan and Meier's curves of both groups; ticks are censored patients."""
    unit = f"time, {data.time_unit}" if data.time_unit else "time"
    axes = Axes([0.0, float(data.time.max())], [0.0, 1.0], (unit, "without event"))
    for i, (group, colour, name) in enumerate(
        ((~high, LOW, "low risk"), (high, HIGH, "high risk"))
    ):
        if group.any():
            curve = survival_curve(data.time[group], data.event[group])
            _steps(axes, curve, colour)
            censored = np.unique(data.time[group][~data.event[group]])
            for time, value in zip(censored, curve.at(censored), strict=True):
                px, py = axes.x(time), axes.y(value)
                axes.line((px, py - 3), (px, py + 3), colour)
        axes.text(axes.x(axes.x1) - 8, 48 + 16 * i, f"{name}, n = {group.sum()}", "end", colour)
    axes.text(axes.x(axes.x1) - 8, 32, title, "end")
    return axes.svg(title)


def calibration_svg(found: Calibration, unit: str, title: str) -> str:
    """Observed against predicted survival of groups, with intervals."""
    when = f"{number(found.time)} {unit}".strip()
    values = [*found.predicted, *found.low, *found.high]
    axes = Axes(values, values, (f"predicted survival at {when}", "observed (Kaplan–Meier)"))
    axes.equal()
    columns = (found.predicted, found.observed, found.low, found.high, found.count)
    for predicted, observed, low, high, count in zip(*columns, strict=True):
        px = axes.x(predicted)
        axes.line((px, axes.y(low)), (px, axes.y(high)), DATA)
        axes.point(predicted, observed, f"{count} patients")
    axes.text(axes.x(axes.x0) + 8, 32, title, "start")
    return axes.svg(title)


def _steps(axes: Axes, curve: StepCurve, colour: str) -> None:
    x, y = axes.x(0.0), axes.y(1.0)
    for time, value in zip(curve.time, curve.value, strict=True):
        new = (axes.x(time), axes.y(value))
        axes.line((x, y), (new[0], y), colour)
        if new[1] != y:
            axes.line((new[0], y), new, colour)
        x, y = new
