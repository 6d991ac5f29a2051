"""Which core each cell of a table lies in."""

from __future__ import annotations

import numpy as np
from anndata import AnnData

from napari_past.tma.grid import TmaGrid


def add_cores(adata: AnnData, grid: TmaGrid) -> None:
    """Give every cell of a table its core, and its case where cases are known.

    ``obs`` gains ``core`` and, with cases, ``case``; both are empty for a cell outside of every
    core.

    Parameters
    ----------
    adata
        With ``obsm["spatial"]`` in µm.
    """
    at = grid.core_at(np.asarray(adata.obsm["spatial"])[:, :2])
    # Number −1, no core, takes the last one.
    adata.obs["core"] = np.array([*(core.name for core in grid.cores), ""], object)[at]
    if grid.cases:
        adata.obs["case"] = np.array([*(core.case for core in grid.cores), ""], object)[at]
