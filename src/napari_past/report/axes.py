"""Axes of a small plot as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import numpy as np

WIDTH, HEIGHT = 460, 380
LEFT, RIGHT, TOP, BOTTOM = 62, 14, 14, 50
INK, PALE, DATA, BAR = "#222222", "#bbbbbb", "#0072b2", "#56b4e9"


class Axes:
    """From data to the picture, with frame and ticks.

    Parameters
    ----------
    x, y
        Values that must lie inside.
    labels
        Of both axes.
    """

    def __init__(self, x: Sequence[float], y: Sequence[float], labels: tuple[str, str]) -> None:
        self.x0, self.x1 = _range(x)
        self.y0, self.y1 = _range(y)
        self.parts: list[str] = []
        for value in _ticks(self.x0, self.x1):
            px = self.x(value)
            self.line((px, HEIGHT - BOTTOM), (px, HEIGHT - BOTTOM + 4), INK)
            self.text(px, HEIGHT - BOTTOM + 17, number(value), "middle")
        for value in _ticks(self.y0, self.y1):
            py = self.y(value)
            self.line((LEFT - 4, py), (LEFT, py), INK)
            self.text(LEFT - 7, py + 4, number(value), "end")
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
        """Of the picture, in px."""
        return LEFT + (value - self.x0) / (self.x1 - self.x0) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """Of the picture, in px from above."""
        return HEIGHT - BOTTOM - (value - self.y0) / (self.y1 - self.y0) * (HEIGHT - TOP - BOTTOM)

    def line(
        self, start: tuple[float, float], end: tuple[float, float], colour: str, dash: str = ""
    ) -> None:
        """Between two points of the picture."""
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(
            f'<line x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}" '
            f'stroke="{colour}"{dashes}/>'
        )

    def level(self, value: float, label: str, dash: str = "") -> None:
        """A line across, named at its right end."""
        self.line((LEFT, self.y(value)), (WIDTH - RIGHT, self.y(value)), INK, dash)
        self.text(WIDTH - RIGHT - 4, self.y(value) - 4, label, "end")

    def equal(self) -> None:
        """The dashed line on which both axes have the same value."""
        first, last = max(self.x0, self.y0), min(self.x1, self.y1)
        if first < last:
            self.line((self.x(first), self.y(first)), (self.x(last), self.y(last)), INK, "5 4")

    def text(self, x: float, y: float, text: str, anchor: str, colour: str = INK) -> None:
        """At a point of the picture."""
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">'
            f"{escape(text)}</text>"
        )

    def point(
        self, x: float, y: float, title: str, colour: str = DATA, radius: float = 3.5
    ) -> None:
        """A mark, by its values; `title` is told where the pointer rests on it."""
        told = f"<title>{escape(title)}</title>" if title else ""
        self.parts.append(
            f'<circle cx="{self.x(x):.1f}" cy="{self.y(y):.1f}" r="{radius:g}" fill="{colour}" '
            f'fill-opacity="0.75">{told}</circle>'
        )

    def svg(self, title: str) -> str:
        """The whole picture."""
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
            f'width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="12" '
            f'role="img" aria-label="{escape(title)}"><rect width="{WIDTH}" height="{HEIGHT}" '
            f'fill="#ffffff"/>{"".join(self.parts)}</svg>'
        )


def number(value: float) -> str:
    """Three digits, or all of a number above 1000, with a real minus."""
    text = f"{value:.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}"
    return ("0" if abs(value) < 1e-12 else text).replace("-", "−")


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = float(min(values)), float(max(values))
    margin = 0.06 * (high - low) or max(abs(high), 1.0) * 0.1
    return low - margin, high + margin


def _ticks(low: float, high: float) -> list[float]:
    """About five round numbers between both."""
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(f * power for f in (1, 2, 5, 10) if f * power >= rough)
    return [float(v) for v in np.arange(math.ceil(low / step), math.floor(high / step) + 1) * step]
