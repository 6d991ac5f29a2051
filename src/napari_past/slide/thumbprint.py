"""What tissue looks like from afar, by which it is known again in another file.

A content hash changes when a slide is saved in another format; where it is darker or lighter than
its surroundings does not. Known again are copies in other formats, sizes and colours, turned,
mirrored, stretched by some percent, or with a small pen mark; larger crops and marks make other
pictures.
"""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.ndimage import gaussian_filter

from napari_past.optical_density import density_of_values
from napari_past.slide.slide import Slide

FIELDS = 32
"""To each side of the slide."""
SURROUNDINGS_FIELDS = 2.0
"""Deviation of the blur that is taken off: what is left are details, in which neighbouring sections
differ, and not the outline, which they share."""
CLIPPED = 0.02
"""Share of the fields at either end that count as equally dark or light: ink must not drown the
tissue."""
LEVELS = 16
"""Of a field: one hexadecimal digit."""
SAME = 0.8
"""Correlation of the fields from which two slides are the same tissue. Of her2st's sections C2 to
C5, neighbours stay below 0.55 as they lie, and reach 0.86 only where one is shifted and scaled onto
the other; C5 and its pyramid reach 0.99, C4 and its copy with a pen mark 0.92, turned by 5° 0.81,
cropped by 4 % at one side 0.81, cropped by 5 % all around 0.58."""
_READ_PX = 12
"""Of a field's side, when it is read."""


def thumbprint(slide: Slide) -> str:
    """`FIELDS` x `FIELDS` hexadecimal digits, row by row.

    Raises
    ------
    MissingPixelSize
    """
    width_um, height_um = slide.size_um
    # Square pixels along the longer side; the fields are as oblong as the slide.
    mpp = max(max(width_um, height_um) / (FIELDS * _READ_PX), slide.require_mpp())
    rgb = slide.picture(0, 0, width_um, height_um, mpp)
    channels = [density_of_values(glass)[rgb[..., c]] for c, glass in enumerate(slide.background)]
    picture = Image.fromarray(np.mean(channels, axis=0).astype(np.float32))
    means = np.asarray(picture.resize((FIELDS, FIELDS), Image.Resampling.BOX), np.float64)
    detail = means - gaussian_filter(means, SURROUNDINGS_FIELDS)
    low, high = np.quantile(detail, (CLIPPED, 1 - CLIPPED)).tolist()
    scaled = np.clip((detail - low) / (high - low), 0, 1) if high > low else detail * 0
    digits = np.minimum((scaled * LEVELS).astype(int), LEVELS - 1).ravel()
    return "".join(f"{digit:x}" for digit in digits.tolist())


def same_tissue(a: str, b: str) -> bool:
    """Whether two thumbprints are of one section, whichever way up each was scanned.

    Raises
    ------
    ValueError
        One of them is none.
    """
    first, second = _fields(a), _fields(b)
    for turns, mirrored in product(range(4), (False, True)):
        turned = np.rot90(second[:, ::-1] if mirrored else second, turns)
        if _correlation(first, turned) >= SAME:
            return True
    return False


def _fields(text: str) -> npt.NDArray[np.float64]:
    if len(text) != FIELDS**2:
        raise ValueError(f"a thumbprint has {FIELDS**2} digits, not {len(text)}")
    values = np.array([int(digit, LEVELS) for digit in text], np.float64)
    return values.reshape(FIELDS, FIELDS)


def _correlation(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    x, y = a - a.mean(), b - b.mean()
    norm = math.sqrt(float((x**2).sum() * (y**2).sum()))
    # A slide that is the same everywhere looks like nothing in particular.
    return float((x * y).sum()) / norm if norm > 0 else 0.0
