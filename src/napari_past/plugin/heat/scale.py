"""In which unit, and between which limits, a channel is shown. Knows no Qt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_past.io.heat_map import HeatChannel, HeatKind

_DRAWN_PERCENT = {HeatKind.ATTENTION: 99.5, HeatKind.CONTRIBUTION: 95.0}
"""Of the squares whose values have colours of their own: a few high ones would dim all others.
Contributions often are strong in one direction and weak in the other, which is to be seen, too."""
_POWERS = ((1e-2, 1.0, ""), (1e-5, 1e-3, "10⁻³ "), (0.0, 1e-6, "10⁻⁶ "))
"""From which limit on a unit is used, what it is of the given one, and how it is written."""


@dataclass(frozen=True)
class HeatScale:
    """Limits of the colours, in the channel's own unit, and how its values are told."""

    low: float
    high: float
    of_unit: float
    """What is told as 1."""
    unit: str
    short: str
    """What is left of it where the channel is named beside it."""
    sign: bool
    """Whether values may be negative: these are told with their sign."""

    def told(self, value: float) -> str:
        """A value without its unit, three digits of it."""
        if value == 0:
            return "0"
        told = f"{value / self.of_unit:{'+' if self.sign else ''}#.3g}"
        return told.rstrip(".").replace("-", "−")


def scale_of(channel: HeatChannel) -> HeatScale:
    """The limits of a channel: attention from 0, contributions as far below 0 as above.

    Values beyond are drawn in the colour of the end.
    """
    values = np.abs(channel.values[np.isfinite(channel.values)])
    drawn = _DRAWN_PERCENT[channel.kind]
    high = float(np.percentile(values, drawn, method="higher")) if values.size else 0.0
    # Few squares may hold all attention, as with top-k: then the highest is the limit.
    high = high or float(values.max(initial=0.0)) or 1.0
    if channel.kind is HeatKind.ATTENTION:
        of_unit, short = (1e-2, "%") if high >= 1e-5 else (1e-6, "ppm")
        return HeatScale(0.0, high, of_unit, f"{short} of the attention", short, sign=False)
    _, of_unit, power = next(entry for entry in _POWERS if high >= entry[0])
    return HeatScale(-high, high, of_unit, f"{power}{channel.unit}", power.strip(), sign=True)
