"""Area of the tissue whose cells count: the denominator of a slide's densities. Knows no Qt."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_past.quality import QualityMask
from napari_past.slide.tissue import TissueMask
from napari_past.types import FloatArray, Region


def counted_tissue_mm2(
    tissue: TissueMask,
    tiles_um: FloatArray,
    mask: QualityMask | None = None,
    regions: Sequence[Region] = (),
) -> float:
    """Area in mm² of tissue in finished tiles, without what is not scored and Ignore* regions.

    Counted in pixels of the tissue mask, by their centres.

    Parameters
    ----------
    tissue
        Of the slide.
    tiles_um
        (m, 4), x, y, width and height in µm of the finished tiles.
    mask
        What is not scored; None where everything is.
    regions
        In slide space; roles other than Ignore* say nothing here.
    """
    analysed = np.zeros(tissue.mask.shape, np.bool_)
    # Rounded alike on both sides of a border, so that neighbours neither overlap nor part.
    corners = np.round(
        np.stack(
            [
                tiles_um[:, 0],
                tiles_um[:, 1],
                tiles_um[:, 0] + tiles_um[:, 2],
                tiles_um[:, 1] + tiles_um[:, 3],
            ],
            axis=1,
        )
        / tissue.mpp
    ).astype(int)
    for x0, y0, x1, y1 in corners.tolist():
        analysed[y0:y1, x0:x1] = True
    row, column = np.nonzero(analysed & tissue.mask)
    centers_um = (np.stack([column, row], axis=1) + 0.5) * tissue.mpp
    if mask is not None:
        centers_um = centers_um[mask.kind_at(centers_um) == 0]
    for region in regions:
        if region.ignored:
            centers_um = centers_um[~region.contains(centers_um)]
    return len(centers_um) * tissue.mpp**2 / 1e6


def tiles_with_values(tiles_um: FloatArray, waiting_um: FloatArray) -> FloatArray:
    """Those of some tiles in which no cell waits for its value.

    Parameters
    ----------
    tiles_um
        (m, 4), as above, on one grid that begins at 0.
    waiting_um
        (k, 2), centres of the cells without a value.
    """
    if not len(tiles_um) or not len(waiting_um):
        return tiles_um
    size_um = tiles_um[0, 2]
    places = np.round(tiles_um[:, :2] / size_um).astype(np.int64)
    waiting = np.floor(waiting_um / size_um).astype(np.int64)
    columns = places[:, 0].max() + 1
    undone = np.isin(places @ (1, columns), waiting @ (1, columns))
    return np.asarray(tiles_um[~undone])
