"""The size of a pixel from spots whose spacing is known: what a slide of spots measures itself by.

Space Ranger's ``spot_diameter_fullres`` is no such measure: it is the diameter of a theoretical
spot of 65 µm (10x Genomics' description of its spatial outputs), though the spots' is 55 µm.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.spatial import cKDTree

from napari_past.spatial.section import Points

PITCH_UM = {"ST": 200.0, "Visium": 100.0}
"""Centre to centre, by technology (Ståhl et al. 2016, Science 353:78; 10x Genomics)."""
DIAMETER_UM = {"ST": 100.0, "Visium": 55.0}
"""Of a spot."""
VISIUM_STEP_UM = (50.0, 100.0 * math.sqrt(3) / 2)
"""One step of Visium's array_col and array_row: rows are shifted by half a pitch."""

_WORST_RESIDUAL = 0.25
"""Of a pitch: positions on real arrays stay within a tenth."""


def lattice_mpp(grid_um: Points, xy_px: Points) -> float | None:
    """µm/px from where spots lie on their array, (n, 2) µm, and on the picture, (n, 2) px.

    An affine map is fitted, so the picture may be turned or mirrored. None where there are too few
    spots, all in a line, or the positions do not follow the array.
    """
    if len(grid_um) < 3:
        return None
    design = np.column_stack([grid_um, np.ones(len(grid_um))])
    solution, _, rank, _ = np.linalg.lstsq(design, xy_px, rcond=None)
    if rank < 3:
        return None
    px_per_um = math.sqrt(abs(float(np.linalg.det(solution[:2]))))
    if px_per_um == 0:
        return None
    residual_um = np.linalg.norm(design @ solution - xy_px, axis=1) / px_per_um
    if float(np.median(residual_um)) > _WORST_RESIDUAL * (pitch(grid_um) or 0.0):
        return None
    return 1 / px_per_um


def pitch(xy: Points) -> float | None:
    """Median distance of a point (n, 2) to its nearest neighbour, or None of fewer than two."""
    if len(xy) < 2:
        return None
    distance, _ = cKDTree(xy).query(xy, k=2)
    return float(np.median(distance[:, 1]))
