"""Which µm/px a section's picture has, where a file, the measurement and the user each know one."""

from __future__ import annotations

from pathlib import Path

from napari_past.errors import MissingPixelSize
from napari_past.slide.units import LARGEST_MPP, SMALLEST_MPP, checked_mpp
from napari_past.spatial.picture import stated_mpp

AGREEMENT = 0.05
"""Relative; scanners and registrations differ by less where both are right."""


def settled_mpp(
    image: Path, given: float | None, derived: float | None, how: str
) -> tuple[float, tuple[str, ...]]:
    """µm/px of a picture, and what to tell about it.

    What the user gives wins. Else the file's own number, which inference on this slide will use
    too, unless the measurement says otherwise: a registration to spots or to the DAPI image rests
    on known lengths, a resolution tag on whoever wrote the file.

    Parameters
    ----------
    image
        The picture.
    given
        The user's.
    derived
        From the measurement, or None.
    how
        Where `derived` comes from: "the alignment", "the pitch of the spots".

    Raises
    ------
    MissingPixelSize
        Nobody knows.
    SlideError
        An implausible `given`, or no readable picture.
    """
    given = checked_mpp(given)
    if derived is not None and not SMALLEST_MPP <= derived <= LARGEST_MPP:
        derived = None
    if given is not None:
        if derived is not None and not agree(given, derived):
            return given, (
                f"{image.name}: {given:g} µm/px was given, though {how} says {derived:.4g}.",
            )
        return given, ()
    stated = stated_mpp(image)
    if stated is None and derived is None:
        raise MissingPixelSize(
            f"{image.name} states no pixel size and nothing else tells it; give its µm/px with "
            "mpp= or --mpp (0.25 and 0.5 are usual for 40x and 20x)."
        )
    if stated is None:
        assert derived is not None
        return derived, (f"{image.name}: {derived:.4g} µm/px, from {how}.",)
    if derived is None or agree(stated, derived):
        return stated, ()
    return derived, (
        f"{image.name} states {stated:.4g} µm/px, but {how} says {derived:.4g}, which was taken; "
        "if the file is right, give its number with mpp= or --mpp.",
    )


def agree(a: float, b: float) -> bool:
    """Whether two µm/px are the same to within `AGREEMENT`."""
    return abs(a - b) <= AGREEMENT * min(a, b)
