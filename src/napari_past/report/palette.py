"""Colours of values: perceptually even, and read alike by colour-blind eyes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_past.types import FloatArray

Stops = npt.NDArray[np.int64]
"""Red, green, blue (s, 3), 0–255, at equal steps from the lowest value to the highest."""

# Stops of viridis (CC0).
VIRIDIS: Stops = np.array(
    [
        (68, 1, 84), (72, 40, 120), (62, 74, 137), (49, 104, 142), (38, 130, 142),
        (31, 158, 137), (53, 183, 121), (110, 206, 88), (181, 222, 43), (253, 231, 37),
    ]
)  # fmt: skip
# From blue over grey to red: lightness falls alike on both sides.
DIVERGING: Stops = np.array(
    [(33, 64, 154), (94, 135, 200), (165, 187, 218), (216, 216, 216),
     (228, 170, 150), (206, 105, 85), (150, 22, 38)]
)  # fmt: skip


def colours(
    values: FloatArray, low: float, high: float, stops: Stops = VIRIDIS
) -> npt.NDArray[np.uint8]:
    """Red, green, blue (n, 3) uint8 of values (n,): first colour at `low`, last at `high`."""
    place = np.clip((values - low) / max(high - low, 1e-12), 0, 1) * (len(stops) - 1)
    at = np.arange(len(stops))
    channels = [np.interp(place, at, stops[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)
