"""Optical density, and the stain vectors that were published.

Optical density (OD) is −log10(pixel / background), so that amounts of stains add (Beer–Lambert).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Vector = tuple[float, float, float]
"""Red, green, blue."""

# Ruifrok & Johnston 2001 (Anal Quant Cytol Histol 23:291): the vectors when a picture gives no own.
RUIFROK_HEMATOXYLIN: Vector = (0.650, 0.704, 0.286)
RUIFROK_EOSIN: Vector = (0.072, 0.990, 0.105)
RUIFROK_DAB: Vector = (0.268, 0.570, 0.776)


def density_of_values(glass: float) -> npt.NDArray[np.float64]:
    """Optical density of each value of a channel, 0 to 255, (256,).

    What is brighter than the background has density 0.

    Parameters
    ----------
    glass
        The background's value, 0–255.
    """
    light = np.maximum(np.arange(256, dtype=np.float64), 1.0)
    return np.maximum(-np.log10(light / max(glass, 1.0)), 0.0)
