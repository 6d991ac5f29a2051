"""Spots made of single cells, whose truth is known: what multiple-instance training is tried on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from napari_past.errors import PastError

VISIUM_PITCH = 100 / 55
"""Distance between Visium's spots over their diameter."""


@dataclass(frozen=True)
class PseudoSpots:
    """Spots on a square grid, each with at least one cell."""

    counts: sparse.csr_array
    """(s, G), sums over the cells of each spot."""
    um: npt.NDArray[np.float64]
    """(s, 2) centres, (x, y) in µm."""
    spot_of_cell: npt.NDArray[np.int64]
    """(r,) the spot that each cell lies in, −1 between the spots."""


def pseudo_spots(
    counts: sparse.csr_array,
    um: npt.NDArray[np.float64],
    diameter: float,
    pitch_um: float | None = None,
) -> PseudoSpots:
    """Pool single cells to spots.

    Parameters
    ----------
    counts
        (r, G) counts of the cells.
    um
        (r, 2) their centres, (x, y) in µm.
    diameter
        Of a spot, in µm.
    pitch_um
        Distance between the spots' centres; None: that of Visium for this diameter.

    Raises
    ------
    PastError
        The spots would overlap, or no cell lies in one.
    """
    pitch = diameter * VISIUM_PITCH if pitch_um is None else pitch_um
    if not 0 < diameter <= pitch:
        raise PastError(
            f"Spots of {diameter:g} µm every {pitch:g} µm overlap or are empty; give a diameter "
            f"above 0 and a pitch that is not smaller."
        )
    origin = um.min(0) if len(um) else np.zeros(2)
    place = np.round((um - origin) / pitch)
    inside = np.hypot(*((um - origin) - place * pitch).T) <= diameter / 2
    if not inside.any():
        raise PastError(
            f"None of {len(um)} cells lies in a spot of {diameter:g} µm; give larger spots."
        )
    used, spot = np.unique(place[inside], axis=0, return_inverse=True)
    spot_of_cell = np.full(len(um), -1, np.int64)
    spot_of_cell[inside] = spot.ravel()
    cells = np.flatnonzero(inside)
    pool = sparse.csr_array(
        (np.ones(len(cells), counts.dtype), (spot.ravel(), cells)), shape=(len(used), len(um))
    )
    return PseudoSpots(sparse.csr_array(pool @ counts), origin + used * pitch, spot_of_cell)
