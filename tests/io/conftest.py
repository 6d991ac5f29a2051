"""A table of cells as the engine hands it over, small and made by hand."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID, uuid5

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from napari_past.stain import CLASS_NAMES
from napari_past.types import RESEARCH_USE

GENES = ["ERBB2", "CD3D", "CD3E", "KRT19"]
MPP = 0.499


def cells_table(n: int = 12) -> AnnData:
    """`n` cells; the second has no outline, the third no value of ERBB2 and so no class."""
    rng = np.random.default_rng(7)
    centers_um = rng.uniform(10, 5000, (n, 2))
    angles = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    outline_um = np.full((n, 8, 2), np.nan, np.float32)
    for i in range(n):
        if i != 1:
            corners = 8 - i % 3
            circle = 3 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
            outline_um[i, :corners] = (centers_um[i] + circle)[:corners]
    x = rng.uniform(0, 4, (n, len(GENES))).astype(np.float32)
    codes = np.arange(n) % 4
    if n > 2:
        x[2, 0] = np.nan
        codes[2] = -1
    namespace = UUID(int=5)
    obs = pd.DataFrame(
        {
            "area_um2": rng.uniform(20, 60, n).astype(np.float32),
            "hematoxylin_od": np.where(np.arange(n) == 3, np.nan, 0.7).astype(np.float32),
            "unlike_training": np.arange(n) % 5 == 0,
            "ERBB2_class": pd.Categorical.from_codes(codes, list(CLASS_NAMES), ordered=True),
        },
        index=[str(uuid5(namespace, str(i))) for i in range(n)],
    )
    var = pd.DataFrame(
        {
            "r": [0.31, np.nan, 0.2, 0.44],
            "detected_fraction": np.array([0.9, 0.02, 0.3, 1.0]),
            "learnable": [True, False, True, True],
            "evidence": ["same patient · 100 µm spots"] * 4,
        },
        index=GENES,
    )
    told = {
        "schema_version": 1,
        "research_use": RESEARCH_USE,
        "slide": {
            "name": "slide.svs",
            "fingerprint": "ab" * 32,
            "mpp": MPP,
            "width_px": 12000,
            "height_px": 11000,
        },
        "model": {
            "name": "past-mini",
            "sha256": "cd" * 32,
            "expression_unit": "log1p(counts per 10k)",
        },
        "detector": "stain-log",
        "cutoffs": {"ERBB2": [1.0, 2.0, 3.0]},
        "cutoffs_source": {"ERBB2": "model card of past-mini"},
        "unreadable_tiles": 0,
        "versions": {"napari_past": "0.1.0"},
    }
    return AnnData(
        X=x,
        obs=obs,
        var=var,
        obsm={
            "spatial": centers_um,
            "X_past": rng.normal(size=(n, 6)).astype(np.float16),
            "outline_um": outline_um,
        },
        uns={"napari_past": told},
    )


@pytest.fixture
def make_cells() -> Callable[..., AnnData]:
    return cells_table


@pytest.fixture
def cells() -> AnnData:
    return cells_table()
