"""A measurement drawn for the phantom: counts of a few genes in each of its nuclei.

Its numbers are made up: they show how a measured section is laid beside predictions, and stand in
tests for one whose truth is known. They say nothing about any model.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy.sparse import csr_matrix

from napari_past.sample.phantom import Phantom

RATES: Mapping[str, tuple[float, float, float]] = {
    "EPCAM": (12.0, 0.3, 0.3),
    "KRT8": (18.0, 0.5, 0.4),
    "KRT19": (15.0, 0.4, 0.3),
    "ERBB2": (9.0, 0.8, 0.4),
    "MKI67": (1.5, 0.1, 0.5),
    "PTPRC": (0.3, 0.5, 10.0),
    "CD3E": (0.2, 0.2, 6.0),
    "CD74": (2.0, 2.0, 20.0),
    "COL1A1": (1.0, 25.0, 0.8),
    "COL3A1": (0.8, 18.0, 0.6),
    "VIM": (2.0, 20.0, 6.0),
    "ACTB": (20.0, 20.0, 20.0),
}
"""Gene → expected counts in an epithelial cell, a fibroblast and a lymphocyte."""
DRAWN = "napari-past: drawn, no measurement of anybody's tissue"
"""By which a reader knows it."""
KINDS = ("epithelial", "fibroblast", "lymphocyte")
DEPTH_SD = 0.4
"""Of the logarithm of how much of a cell was caught."""


def draw_counts(phantom: Phantom, seed: int = 0) -> AnnData:
    """Counts of each nucleus of a phantom: X (n, 12) sparse, raw.

    ``obsm["spatial"]`` is (x, y) in µm of slide space, ``obs["cell_type"]`` the kind of nucleus.
    ERBB2 rises from a tenth of its rate at the left edge to twice that at the right, so that it
    varies within the epithelium, too. The same arguments give the same counts.
    """
    rng = np.random.default_rng(seed)
    kind = np.array([KINDS.index(name) for name in phantom.kinds.tolist()])
    rates = np.array(list(RATES.values())).T[kind]
    across = phantom.centers_um[:, 0] / (phantom.rgb.shape[1] * phantom.mpp)
    rates[:, list(RATES).index("ERBB2")] *= 0.1 + 1.9 * across
    depth = rng.lognormal(0.0, DEPTH_SD, len(kind))[:, None]
    counts = rng.poisson(rates * depth).astype(np.float32)
    names = pd.Index([f"nucleus-{i}" for i in range(len(kind))], dtype=object)
    return AnnData(
        X=csr_matrix(counts),
        obs=pd.DataFrame({"cell_type": pd.Categorical(phantom.kinds)}, index=names),
        var=pd.DataFrame(index=pd.Index(list(RATES), dtype=object)),
        obsm={"spatial": phantom.centers_um},
        uns={"made_by": DRAWN},
    )
