"""What tissue looks like from afar, by which it is known again in another file.

A content hash changes when a slide is saved in another format; how dense the stain is in each of
24 x 24 fields of the slide does not. Crops of a slide are other pictures, and are not known again.
"""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import numpy.typing as npt
from PIL import Image

from napari_past.optical_density import density_of_values
from napari_past.slide.slide import Slide

FIELDS = 24
"""To each side of the slide."""
LEVELS = 16
"""Of a field's density: one hexadecimal digit."""
SAME = 0.97
"""Correlation of the fields from which two slides are the same tissue: neighbouring sections of
one block of breast tissue (her2st C2 to C5) reach 0.86, a slide and its copy in another format
0.999."""
MOST_STRETCH = 1.03
"""Of one slide's shape against the other's."""
_READ_PX = 12
"""Of a field's side, when it is read."""


def thumbprint(slide: Slide) -> str:
    """`FIELDS` x `FIELDS` hexadecimal digits, row by row, and the slide's width over its height.

    Raises
    ------
    MissingPixelSize, DamagedSlide
    """
    width_um, height_um = slide.size_um
    # Square pixels along the longer side; the fields are as oblong as the slide.
    mpp = max(max(width_um, height_um) / (FIELDS * _READ_PX), slide.require_mpp())
    rgb = slide.read_region(0, 0, width_um, height_um, mpp)
    channels = [density_of_values(glass)[rgb[..., c]] for c, glass in enumerate(slide.background)]
    density = np.mean(channels, axis=0)
    picture = Image.fromarray(density.astype(np.float32))
    means = np.asarray(picture.resize((FIELDS, FIELDS), Image.Resampling.BOX))
    low, high = float(means.min()), float(means.max())
    scaled = (means - low) / (high - low) if high > low else means * 0
    digits = np.minimum((scaled * LEVELS).astype(int), LEVELS - 1).ravel()
    return "".join(f"{d:x}" for d in digits.tolist()) + f":{width_um / height_um:.4f}"


def same_tissue(a: str, b: str) -> bool:
    """Whether two thumbprints are of one section, whichever way up each was scanned.

    Raises
    ------
    ValueError
        One of them is none.
    """
    fields_a, shape_a = _fields(a)
    fields_b, shape_b = _fields(b)
    for turns, mirrored in product(range(4), (False, True)):
        shape = 1 / shape_b if turns % 2 else shape_b
        if max(shape, shape_a) / min(shape, shape_a) > MOST_STRETCH:
            continue
        turned = np.rot90(fields_b[:, ::-1] if mirrored else fields_b, turns)
        if _correlation(fields_a, turned) >= SAME:
            return True
    return False


def _fields(text: str) -> tuple[npt.NDArray[np.float64], float]:
    digits, _, shape = text.partition(":")
    if len(digits) != FIELDS**2:
        raise ValueError(f"a thumbprint has {FIELDS**2} digits, not {len(digits)}")
    values = np.array([int(d, LEVELS) for d in digits], np.float64)
    return values.reshape(FIELDS, FIELDS), float(shape)


def _correlation(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    x, y = a - a.mean(), b - b.mean()
    norm = math.sqrt(float((x**2).sum() * (y**2).sum()))
    # A slide that is the same everywhere looks like nothing in particular.
    return float((x * y).sum()) / norm if norm > 0 else 0.0
