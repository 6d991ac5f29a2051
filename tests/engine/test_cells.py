"""Cells of a run: lazy, any gene on demand, the same whatever part of the slide was asked for."""

from __future__ import annotations

from uuid import UUID

import dask.array as da
import numpy as np
import pytest
import shapely

from napari_past.cells import BroughtCells, GivenCells
from napari_past.engine import Cells, Store, h_score, predict
from napari_past.engine import annotated as annotated_module
from napari_past.errors import (
    MissingCutoffs,
    NotScorable,
    PastError,
    RegionError,
    UnknownGene,
)
from napari_past.io import write_h5ad
from napari_past.sample.ome_tiff import write_pyramid
from napari_past.slide import open_slide
from napari_past.types import RESEARCH_USE, Cutoffs, FoundCells, Outlines, Region


@pytest.fixture(scope="module")
def whole(undisturbed):
    return undisturbed()


def test_nothing_is_computed_before_it_is_asked_for(slide, model, tmp_path, plan):
    store = Store(plan.key, tmp_path)
    cells = predict(slide, model, (0.0, 0.0, 100.0, 100.0), store=store)
    assert not list(store.folder.glob("*.tile"))
    assert len(cells) > 0
    assert [p.name for p in sorted(store.folder.glob("*.tile"))] == ["0_0.tile"]


def test_device_is_the_loaded_models_unless_another_is_asked_for(slide, model):
    assert predict(slide, model).plan.model.device == "cpu"
    assert predict(slide, model, device="cuda").plan.model.device == "cuda"
    with pytest.raises(PastError, match="no device 'gpu'"):
        predict(slide, model, device="gpu")


def test_arrays_describe_the_same_cells(whole):
    n = len(whole)
    assert n > 150
    assert whole.centers_um.shape == (n, 2)
    assert whole.embeddings.shape == (n, 16)
    assert whole.hematoxylin_od.shape == (n,)
    assert whole.unlike_training.shape == (n,)
    assert whole.unreadable == ()
    assert len({UUID(i) for i in whole.ids}) == n
    assert whole.plan.area.contains(whole.centers_um).all()


def test_region_and_whole_slide_share_tiles_and_ids(slide, model, whole):
    computed = []
    region = (180.0, 60.5, 240.0, 217.25)
    part = predict(slide, model, region, store=whole.store)
    part.compute(on_tile=lambda p: computed.append(p.result))
    assert computed == [None]
    inside = part.plan.area.contains(whole.centers_um)
    assert 0 < inside.sum() < len(whole)
    assert part.ids == [i for i, keep in zip(whole.ids, inside, strict=True) if keep]
    np.testing.assert_array_equal(part.embeddings, whole.embeddings[inside])
    np.testing.assert_array_equal(part.hematoxylin_od, whole.hematoxylin_od[inside])
    np.testing.assert_array_equal(part.found.areas_um2, whole.found.areas_um2[inside])


def test_drawn_regions_limit_the_cells(slide, model, whole):
    ring = shapely.Point(250, 200).buffer(150).difference(shapely.Point(250, 200).buffer(60))
    regions = [Region("ring", "Include", ring), Region("box", "Tumour", shapely.box(0, 0, 90, 90))]
    part = predict(slide, model, regions=regions, store=whole.store)
    inside = regions[0].contains(whole.centers_um) | regions[1].contains(whole.centers_um)
    assert part.ids == [i for i, keep in zip(whole.ids, inside, strict=True) if keep]


def test_genes_and_markers(whole, tiny_tensors):
    erbb2 = whole.expression(["ERBB2"])[:, 0]
    row = tiny_tensors["readout.weight"][0]
    expected = whole.embeddings.astype(np.float64) @ row + tiny_tensors["readout.bias"][0]
    np.testing.assert_allclose(erbb2, expected, atol=1e-3)
    np.testing.assert_array_equal(whole.marker_values("HER2"), erbb2)
    cd3 = whole.expression(["CD3D", "CD3E", "CD3G"]).mean(axis=1)
    np.testing.assert_allclose(whole.marker_values("CD3"), cd3)
    with pytest.raises(UnknownGene, match="TP53"):
        whole.marker_values("TP53")


def test_table(whole):
    adata = whole.to_anndata(["HER2", "EPCAM", "ERBB2"])
    assert list(adata.var_names) == ["ERBB2", "EPCAM"]
    assert list(adata.obs_names) == whole.ids
    np.testing.assert_array_equal(adata.X, whole.expression(["ERBB2", "EPCAM"]))
    np.testing.assert_array_equal(adata.obsm["spatial"], whole.centers_um)
    np.testing.assert_array_equal(adata.obsm["X_past"], whole.embeddings)
    for i in (0, len(whole) - 1):
        row = adata.obsm["outline_um"][i]
        np.testing.assert_array_equal(row[~np.isnan(row[:, 0])], whole.found.outlines[i])
    assert adata.obs["unlike_training"].tolist() == (whole.unlike_training > 1).tolist()
    assert adata.var.loc["ERBB2", "r"] == 0.3125
    assert np.isnan(adata.var.loc["EPCAM", "r"])
    assert adata.var.loc["ERBB2", "evidence"].startswith("same patient · 100 µm spots · r 0.31")
    told = adata.uns["napari_past"]
    assert told["research_use"] == RESEARCH_USE
    assert told["slide"]["fingerprint"] == whole.plan.key.fingerprint
    assert (told["slide"]["mpp"], told["slide"]["width_px"]) == (0.5, 1150)
    assert told["model"]["sha256"] == whole.model.sha256
    assert told["cutoffs"] == {"ERBB2": [-0.5, 0.0, 0.5]}
    assert told["detector"].startswith("stain-log")


def test_table_of_the_panel_and_of_all_genes(whole):
    panel = whole.to_anndata()
    assert set(panel.var_names) <= set(whole.model.genes)
    assert {"ERBB2", "CD3D"} <= set(panel.var_names)
    assert list(whole.to_anndata("all").var_names) == list(whole.model.genes)
    assert list(whole.to_anndata("HER2").var_names) == ["ERBB2"]
    with pytest.raises(UnknownGene):
        whole.to_anndata(["ERBB2", "TP53"])


def test_large_tables_are_lazy_and_the_same(whole, monkeypatch):
    eager = whole.to_anndata("all")
    monkeypatch.setattr(annotated_module, "LAZY_VALUES", 10)
    monkeypatch.setattr(annotated_module, "BLOCK_CELLS", 64)
    lazy = whole.to_anndata("all")
    assert isinstance(lazy.X, da.Array)
    assert lazy.X.shape == eager.X.shape
    assert lazy.X.dtype == np.float32
    np.testing.assert_allclose(lazy.X.compute(), eager.X, atol=1e-5)


def test_two_runs_write_the_same_bytes(slide_file, model, plan, tmp_path, whole):
    files = []
    for name in ("a", "b"):
        with open_slide(slide_file) as slide:
            region = (0.0, 0.0, 250.0, 250.0)
            store = Store(plan.key, tmp_path / name)
            write_h5ad(
                predict(slide, model, region, store=store).to_anndata(), tmp_path / f"{name}.h5ad"
            )
        files.append((tmp_path / f"{name}.h5ad").read_bytes())
    assert files[0] == files[1]


def brought(centers_um: np.ndarray, ids: tuple[str, ...] = ()) -> FoundCells:
    n = len(centers_um)
    square = np.array([[-2, -2], [2, -2], [2, 2], [-2, 2]], np.float32)
    vertices = (centers_um[:, None] + square).reshape(-1, 2).astype(np.float32)
    outlines = Outlines(vertices, np.arange(n + 1, dtype=np.int64) * 4)
    return FoundCells(centers_um, outlines, np.full(n, 16, np.float32), ids)


def test_brought_cells_are_encoded_where_they_lie(slide, model, whole, tmp_path):
    """The detector's own centres, brought, give the detector's own embeddings."""
    some = np.arange(0, len(whole), 7)
    glass = np.array([[3.0, 3.0], [573.0, 398.0]])
    centers = np.concatenate([whole.centers_um[some], glass])[::-1].copy()
    names = tuple(f"cell {i}" for i in range(len(centers)))
    cells = predict(slide, model, cells=brought(centers, names))
    by_name = dict(zip(cells.ids, range(len(cells)), strict=True))
    assert sorted(by_name) == sorted(names)
    order = [by_name[name] for name in names]
    np.testing.assert_array_equal(cells.centers_um[order], centers)
    encoded = cells.embeddings[order][::-1][: len(some)]
    np.testing.assert_array_equal(encoded, whole.embeddings[some])
    assert np.isnan(cells.hematoxylin_od).all()
    table = cells.to_anndata(["ERBB2"])
    assert list(table.obs_names) == cells.ids
    write_h5ad(table, tmp_path / "given.h5ad")
    unnamed = predict(slide, model, cells=brought(whole.centers_um[some]))
    assert sorted(unnamed.ids) == sorted(np.array(whole.ids)[some])


def test_what_came_with_brought_cells_goes_into_tables(slide, model, whole):
    """In the order of the run's cells, which is another; names of ours win."""
    some = np.arange(40)[::-7]
    centers = np.concatenate([whole.centers_um[some], [[-5.0, 20.0]]])
    names = tuple(f"n{i}" for i in some) + ("outside",)
    found = brought(centers, names)
    columns = {
        "grade": np.arange(len(names), dtype=np.float64),
        "classification": np.array(["Tumor", ""] * 3 + ["Stroma"], dtype=object)[: len(names)],
        "area_um2": np.full(len(names), 7.0),
        "Cells/mm": np.ones(len(names)),
    }
    came = BroughtCells(
        found, "he.geojson", "QuPath GeoJSON", columns, ("One note.",), found.outlines
    )
    cells = predict(slide, model, cells=came)
    assert cells.plan.detector.identity() == GivenCells(came.on_slide(slide).found).identity()
    assert len(cells) == len(some)
    table = cells.to_anndata(["ERBB2"])
    grade = dict(zip(names, columns["grade"].tolist(), strict=True))
    assert table.obs["grade"].tolist() == [grade[name] for name in table.obs_names]
    assert table.obs["area_um2_brought"].tolist() == [7.0] * len(some)
    assert table.obs["area_um2"].tolist() == [16.0] * len(some)
    assert "Cells/mm" in table.obs
    told = dict(zip(names, columns["classification"], strict=True))
    assert table.obs["classification"].astype(object).fillna("").tolist() == [
        told[name] for name in table.obs_names
    ]
    np.testing.assert_array_equal(table.obsm["cell_outline_um"], table.obsm["outline_um"])
    assert table.uns["napari_past"]["cells"] == {
        "source": "he.geojson",
        "kind": "QuPath GeoJSON",
        "notes": ["One note.", "1 cell lies outside of the slide and is left out."],
    }
    assert whole.brought is None


def test_brought_cells_in_one_place_keep_their_names(slide, model):
    centers = np.array([[100.0, 100.0], [50.0, 50.0], [100.0, 100.0]])
    cells = predict(slide, model, cells=brought(centers, ("a", "b", "c")))
    assert cells.ids == ["a", "b", "c"]


def test_brought_cells_of_another_slide(slide, model):
    with pytest.raises(RegionError, match="centres in µm"):
        predict(slide, model, cells=brought(np.array([[9e4, 9e4], [8e4, 8e4]])))


def test_blank_slide_gives_an_empty_table(tmp_path, model):
    path = tmp_path / "blank.ome.tif"
    write_pyramid(path, np.full((300, 400, 3), 244, np.uint8), 0.5, "blank", jpeg=False)
    with open_slide(path) as slide:
        cells = predict(slide, model)
        adata = cells.to_anndata()
        assert adata.shape[0] == 0
        write_h5ad(adata, tmp_path / "blank.h5ad")
        table = h_score(cells, "ERBB2")
    assert table.rows[0].n == 0
    assert np.isnan(table.rows[0].h_score)


def test_slide_smaller_than_a_tile(tmp_path, model, slide):
    path = tmp_path / "small.ome.tif"
    corner = np.asarray(slide.level_arrays[0][300:503, 300:611])
    write_pyramid(path, corner, 0.5, "small", jpeg=False)
    with open_slide(path) as small:
        cells = predict(small, model)
        assert len(cells.plan.tiles) == 1
        assert len(cells) > 5
        assert small.bounds.contains(cells.centers_um).all()
        assert np.isfinite(cells.embeddings).all()


def test_h_score_counts_classes(whole):
    values = whole.marker_values("ERBB2")
    a, b, c = (float(q) for q in np.quantile(values, [0.2, 0.5, 0.9]))
    row = h_score(whole, "HER2", cutoffs=(a, b, c)).rows[0]
    counts = [(values < a).sum(), ((values >= a) & (values < b)).sum(),
              ((values >= b) & (values < c)).sum(), (values >= c).sum()]  # fmt: skip
    assert (row.n0, row.n1, row.n2, row.n3) == tuple(counts)
    expected = 100 * (counts[1] + 2 * counts[2] + 3 * counts[3]) / len(whole)
    assert row.h_score == pytest.approx(expected)


def test_h_score_by_region(whole):
    left = Region("left", "Tumour", shapely.box(0, 0, 280, 400))
    fold = Region("fold", "Ignore*", shapely.box(0, 0, 280, 100))
    table = h_score(whole, "ERBB2", [left, fold])
    inside = left.contains(whole.centers_um)
    ignored = fold.contains(whole.centers_um)
    assert [r.region for r in table.rows] == ["left"]
    assert table.rows[0].n == (inside & ~ignored).sum()
    assert table.excluded == (inside & ignored).sum()


def test_cutoffs_given_come_before_the_card(whole):
    assert h_score(whole, "ERBB2").cutoffs.values == (-0.5, 0.0, 0.5)
    assert h_score(whole, "ERBB2").cutoffs.source == "tiny card: drawn by lot"
    assert h_score(whole, "ERBB2", cutoffs=(1, 2, 3)).cutoffs == Cutoffs(1, 2, 3, "given")
    file = Cutoffs(1, 2, 3, "file")
    assert h_score(whole, "ERBB2", cutoffs=file).cutoffs is file


def test_scores_that_there_are_not(whole):
    with pytest.raises(MissingCutoffs, match="EPCAM"):
        h_score(whole, "EPCAM")
    with pytest.raises(MissingCutoffs, match="CD3"):  # the card has those of two of three genes
        h_score(whole, "CD3")
    assert h_score(whole, "CD3", cutoffs=(0, 1, 2)).rows[0].n == len(whole)
    for wrong in ((3, 2, 1), (1, 2), ("a", 1, 2), (1, 2, float("nan"))):
        with pytest.raises(PastError, match="three ascending numbers"):
            h_score(whole, "ERBB2", cutoffs=wrong)
    with pytest.raises(UnknownGene):
        h_score(whole, "TP53")


def test_marker_that_rna_cannot_score(whole, monkeypatch):
    """p53 is scored by pattern, not by amount."""
    genes = (*whole.model.genes[:-1], "TP53")
    monkeypatch.setattr(type(whole.model), "genes", genes)
    with pytest.raises(NotScorable):
        h_score(Cells(whole.plan, whole.model, whole.store), "p53", cutoffs=(0, 1, 2))
