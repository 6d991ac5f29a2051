"""Physical sizes of pixels: units of length as files write them, and what is plausible."""

from __future__ import annotations

import math

from napari_past.errors import SlideError

SMALLEST_MPP, LARGEST_MPP = 0.02, 20.0
"""µm/px of a slide: from beyond any objective to a thumbnail that still shows tissue."""
_MOST_PIXELS = 2**38
_LONGEST_MM = 500.0
"""Of the largest whole mounts twice as many pixels, and three times the length."""

_UM_PER_UNIT = {
    "um": 1.0,
    "µm": 1.0,
    "μm": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "micrometer": 1.0,
    "micrometre": 1.0,
    "nm": 1e-3,
    "nanometer": 1e-3,
    "nanometre": 1e-3,
    "mm": 1e3,
    "millimeter": 1e3,
    "millimetre": 1e3,
    "cm": 1e4,
    "centimeter": 1e4,
    "centimetre": 1e4,
    "m": 1e6,
    "meter": 1e6,
    "metre": 1e6,
}


def um_per_unit(unit: str) -> float | None:
    """µm in one unit of length, or None for a unit that is no length ("pixel", "")."""
    return _UM_PER_UNIT.get(unit.strip().lower())


def plausible_mpp(mpp_xy: tuple[float, float] | None) -> tuple[float, float] | None:
    """The same µm/px where both can belong to a slide, else None."""
    if mpp_xy is None or not all(SMALLEST_MPP <= v <= LARGEST_MPP for v in mpp_xy):
        return None
    return mpp_xy


def square_mpp(slide_name: str, mpp_xy: tuple[float, float] | None) -> float | None:
    """Mean µm/px of pixels that are square to within 1 %.

    Raises
    ------
    SlideError
        x and y differ by more.
    """
    if mpp_xy is None:
        return None
    x, y = mpp_xy
    if abs(x - y) > 0.01 * min(x, y):
        raise SlideError(
            f"{slide_name} states pixels that are not square ({x:.6g} x {y:.6g} µm), but both "
            "sides must agree within 1 %; if the file is wrong, give the size with mpp= / --mpp."
        )
    return (x + y) / 2


def checked_mpp(mpp: float | None) -> float | None:
    """The µm/px that a user gave, as a float.

    Raises
    ------
    SlideError
        Not a number between 0.02 and 20.
    """
    if mpp is None:
        return None
    try:
        value = float(mpp)
    except (TypeError, ValueError):
        value = math.nan
    if not SMALLEST_MPP <= value <= LARGEST_MPP:
        raise SlideError(
            f"mpp= / --mpp is the size of a level-0 pixel in µm, a number from {SMALLEST_MPP:g} "
            f"to {LARGEST_MPP:g}, but got {mpp!r}; 0.25 and 0.5 are usual for 40x and 20x."
        )
    return value


def check_size(slide_name: str, width_px: int, height_px: int, mpp: float | None) -> None:
    """Refuse sizes that no slide has: a small file can state any, and masks would follow.

    Raises
    ------
    SlideError
        Above 2.7e11 px, or longer than 500 mm.
    """
    longest_mm = 0.0 if mpp is None else max(width_px, height_px) * mpp / 1e3
    if width_px * height_px > _MOST_PIXELS or longest_mm > _LONGEST_MM:
        at = "" if mpp is None else f" at {mpp:g} µm/px"
        raise SlideError(
            f"{slide_name} states a size of {width_px} x {height_px} px{at}, which no slide has; "
            "check the file, and mpp= / --mpp if you gave it."
        )
