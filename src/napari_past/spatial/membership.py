"""Which nuclei belong to which measured rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from napari_past.spatial.errors import BadPairing
from napari_past.spatial.section import MeasuredSection, Points

IntArray = npt.NDArray[np.int64]


def nucleus_places_um(section: MeasuredSection) -> Points:
    """Where the nucleus of each single cell lies, (r, 2): the source's own, else its centre.

    Raises
    ------
    BadPairing
        The source names nuclei, but not one for each cell.
    """
    if section.nuclei_um is None:
        return section.centers_um
    if len(section.nuclei_um) != len(section.ids):
        raise BadPairing(
            f"Section {section.name} has {len(section.ids)} cells but {len(section.nuclei_um)} "
            f"nuclei; a cell has one nucleus, so give one for each, in the order of the cells."
        )
    return section.nuclei_um


def assigned(centers_um: Points, spots: cKDTree, radius_um: float) -> tuple[Points, IntArray]:
    """Those nuclei that lie in a spot, by the nearest, in the order of the spots, top to bottom.

    Parameters
    ----------
    centers_um
        (n, 2) of nuclei.
    spots
        Over the spots' centres in µm.

    Returns
    -------
    Centres (m, 2) in µm, and the spot (m,) of each, ascending.
    """
    away_um, row = spots.query(centers_um, distance_upper_bound=np.nextafter(radius_um, np.inf))
    inside = np.flatnonzero(np.isfinite(away_um))
    centers, rows = centers_um[inside], row[inside].astype(np.int64)
    order = np.lexsort((centers[:, 0], centers[:, 1], rows))
    return centers[order], rows[order]


def row_means(
    values: npt.NDArray[np.floating], row: IntArray, n_rows: int
) -> npt.NDArray[np.float32]:
    """Mean over what belongs to each row, float32 (n_rows, D); NaN for a row with nothing.

    Parameters
    ----------
    values
        (n, D).
    row
        (n,) the row of each.
    """
    sums = np.zeros((n_rows, values.shape[1]))
    np.add.at(sums, row, values)
    count = np.bincount(row, minlength=n_rows)[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(count > 0, sums / count, np.nan), np.float32)
