"""Two genes in one colour: blue for the first, orange for the second, dark for both, pale for
neither."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from skimage.color import lab2rgb, rgb2lab

SIDE = 64
"""Steps of each gene."""
NEITHER = (0.93, 0.93, 0.90)
FIRST = (0.05, 0.36, 0.75)
SECOND = (0.92, 0.55, 0.05)
BOTH = (0.10, 0.08, 0.12)
"""sRGB of the corners. Blue and orange stay apart for protan, deutan and tritan eyes (palette of
Okabe and Ito 2008, Color Universal Design)."""


@lru_cache(maxsize=1)
def bivariate_table() -> npt.NDArray[np.float32]:
    """RGBA (`SIDE`, `SIDE`, 4), 0 to 1: row for the first gene, column for the second, low to high.

    The corners are joined bilinearly in CIELAB, so that equal steps of a gene look equal, and
    either gene's makes the colour darker.
    """
    lab = rgb2lab(np.array([[NEITHER, SECOND], [FIRST, BOTH]]))
    step = np.linspace(0, 1, SIDE)
    rows = lab[0] + step[:, None, None] * (lab[1] - lab[0])
    blended = rows[:, :1] + step[:, None] * (rows[:, 1:] - rows[:, :1])
    table = np.ones((SIDE, SIDE, 4), np.float32)
    table[..., :3] = lab2rgb(blended)
    return table
