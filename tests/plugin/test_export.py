from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.testing as npt
import pytest
import shapely

from napari_past.io import found_cells, read_cells
from napari_past.plugin.export import export_cells, exported_table
from napari_past.space import um_from_world, world_from_um
from napari_past.stain import CLASS_NAMES, classes
from napari_past.types import IGNORE, RESEARCH_USE, TUMOUR, Cutoffs, Region


@pytest.fixture
def her2(analysed):
    """The gene, its cut-offs and the classes of the cells."""
    values = analysed.marker_values("HER2")
    limits = Cutoffs(*(float(q) for q in np.quantile(values, (0.4, 0.6, 0.8))), "given")
    return analysed.resolve("HER2"), limits, [CLASS_NAMES[c] for c in classes(values, limits)]


def test_table_tells_classes_regions_and_cutoffs(analysed, her2) -> None:
    gene, limits, named = her2
    tumour = Region("A", TUMOUR, shapely.box(0, 0, 200, 400))
    fold = Region("B", IGNORE, shapely.box(100, 0, 500, 100))
    adata = exported_table(analysed, gene, limits, [tumour, fold], {analysed.ids[4]: "mitosis?"})
    x, y = analysed.centers_um.T
    in_a, in_b = (x < 200) & (y < 400), (x > 100) & (y < 100)
    npt.assert_array_equal(adata.obs["ignored"], in_b)
    npt.assert_array_equal(adata.obs["regions"] == "A; B", in_a & in_b)
    npt.assert_array_equal(adata.obs["regions"] == "", ~in_a & ~in_b)
    assert list(adata.obs["ERBB2_class"]) == named
    assert adata.obs["note"].iloc[4] == "mitosis?"
    assert (adata.obs["note"] == "").sum() == len(analysed) - 1
    told = adata.uns["napari_past"]
    assert told["research_use"] == RESEARCH_USE
    assert told["cutoffs"]["ERBB2"] == list(limits.values)


@pytest.mark.parametrize("suffix", [".h5ad", ".csv", ".geojson"])
def test_files_are_read_back(analysed, her2, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"cells{suffix}"
    gene, limits, named = her2
    export_cells(analysed, gene, limits, path, mismatch="It looks like IHC.")
    back = read_cells(path)
    assert back.uns["napari_past"]["mismatch"] == "It looks like IHC."
    assert back.n_obs == len(analysed)
    values = np.asarray(back[:, "ERBB2"].X).ravel()
    npt.assert_allclose(values, analysed.marker_values("HER2"), rtol=1e-5)
    assert list(back.obs["ERBB2_class"]) == named


def test_same_place_after_layer_anndata_geojson_layer(analysed, her2, tmp_path: Path) -> None:
    in_layer = world_from_um(analysed.centers_um)
    path = tmp_path / "cells.geojson"
    gene, limits, _ = her2
    export_cells(analysed, gene, limits, path)
    back = world_from_um(found_cells(read_cells(path)).centers_um)
    half_a_pixel = 0.5 * analysed.plan.key.slide_mpp
    assert np.abs(back - in_layer).max() <= half_a_pixel
    npt.assert_allclose(um_from_world(in_layer), analysed.centers_um)
