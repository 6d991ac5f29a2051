"""DAB measured in place of a prediction: what was painted comes back through plan, tiles, store."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from napari_past.cells import GivenCells, read_block
from napari_past.engine import (
    CellTable,
    MeasuredStain,
    Store,
    h_score,
    look_of,
    make_plan,
    mismatch,
    predict,
)
from napari_past.engine.measured import MPP, assay_of
from napari_past.errors import PastError
from napari_past.model import DEFAULT_MODEL
from napari_past.sample import draw_phantom
from napari_past.slide import open_slide, slide_of_array
from napari_past.stain.compartments import cell_densities, cell_shapes, membrane_sectors
from napari_past.stain.dab import given_dab_stains, stain_densities
from napari_past.stain.measured import COLUMNS, readings
from napari_past.types import TUMOUR, Region


@pytest.fixture(scope="module")
def slide(drawn_ihc):
    with open_slide(drawn_ihc.path) as opened:
        yield opened


@pytest.fixture(scope="module")
def cells(slide, tmp_path_factory):
    plan = make_plan(slide, detector="ihc-nuclear")
    store = Store(plan.key, tmp_path_factory.mktemp("measured"))
    return predict(slide, detector="ihc-nuclear", store=store).compute()


@pytest.fixture(scope="module")
def matched(cells, drawn_ihc):
    """Cell and painted nucleus, both (m,), of those within 2 µm of each other."""
    away, nearest = cKDTree(drawn_ihc.centers_um).query(cells.centers_um)
    return np.flatnonzero(away < 2), nearest[away < 2]


def test_painted_densities_come_back(cells, drawn_ihc, matched):
    found, painted = matched
    assert len(found) >= 0.95 * len(drawn_ihc.dab)
    assert cells.model.name == "DAB measured"
    assert "published" not in cells.model.stains.source
    values = cells.marker_values("Ki67")[found]
    # Outlines reach a little into what is clear around the nuclei.
    np.testing.assert_allclose(values, drawn_ihc.dab[painted], atol=0.09)
    assert np.abs(values - drawn_ihc.dab[painted]).mean() < 0.04
    np.testing.assert_allclose(
        cells.hematoxylin_od[found], drawn_ihc.hematoxylin[painted], atol=0.06
    )


def test_classes_and_h_score_are_the_painted_ones(cells, drawn_ihc, matched):
    found, painted = matched
    classes = np.searchsorted([0.2, 0.4, 0.6], drawn_ihc.dab[painted], side="right")
    assert np.array_equal(
        np.searchsorted([0.2, 0.4, 0.6], cells.marker_values("ER")[found], "right"), classes
    )
    table = h_score(cells, "ER")
    assert table.score_name == "H-score"
    assert table.interval_name == "sampling interval"
    assert table.rows[0].h_score == pytest.approx(100 * classes.mean(), abs=6)
    assert h_score(cells, "p53").rows[0].n == len(cells), "its stain can be counted"


def test_tiles_agree_with_one_look_at_the_whole_slide(slide, cells):
    """Borders and neighbours across tiles: every reading as if there were no tiles."""
    assert len(cells.plan.tiles) == 4
    rgb, grid = read_block(slide, slide.bounds, MPP, 80)
    dab = stain_densities(rgb, cells.model.stains)[1]
    shapes = cell_shapes(cells.found)
    whole = readings(cell_densities(dab, grid, shapes), membrane_sectors(dab, grid, shapes))
    np.testing.assert_allclose(cells.embeddings, whole, atol=2e-5)


def test_nothing_is_rounded_in_the_store(cells):
    again = [cells.store.read(tile) for tile in cells.plan.tiles]
    assert all(tile.embeddings.dtype == np.float32 for tile in again)
    table = CellTable(cells.model, cells.plan.key.fingerprint)
    table.append(again)
    names = ["Ki-67", *COLUMNS]
    np.testing.assert_array_equal(table.expression(names), cells.expression(names))
    assert np.isnan(table.unlike_training).all()
    assert np.isnan(table.slide_unlike_training)
    assert table.next_piece(["Ki-67"]) is None


def test_workers_measure_the_same(slide, cells, workers, tmp_path):
    store = Store(cells.plan.key, tmp_path)
    again = predict(slide, detector="ihc-nuclear", store=store).compute(workers=workers)
    np.testing.assert_array_equal(again.embeddings, cells.embeddings)
    np.testing.assert_array_equal(again.hematoxylin_od, cells.hematoxylin_od)


def test_cells_that_are_brought_are_measured_alike(slide, cells, tmp_path):
    plan = make_plan(slide, cells.model, GivenCells(cells.found))
    brought = predict(slide, cells.model, cells=cells.found, store=Store(plan.key, tmp_path))
    order = cKDTree(brought.centers_um).query(cells.centers_um)[1]
    np.testing.assert_allclose(brought.embeddings[order], cells.embeddings, atol=2e-5)


def test_given_vectors_are_used_and_are_another_key(slide, cells, drawn_ihc):
    blue, brown, glass = drawn_ihc.vectors
    stain = MeasuredStain(given_dab_stains(blue, brown, glass))
    plan = make_plan(slide, stain, "ihc-nuclear")
    assert plan.model == stain
    assert plan.key.digest != cells.plan.key.digest
    assert plan.key.digest == make_plan(slide, stain, "ihc-nuclear").key.digest
    wider = MeasuredStain(stain.stains, ring_um=5.0)
    assert make_plan(slide, wider, "ihc-nuclear").key.digest != plan.key.digest
    assert make_plan(slide, stain).detector.name == "ihc-nuclear"


def test_the_table_tells_what_was_measured(cells):
    adata = cells.to_anndata()
    assert list(adata.var_names) == list(COLUMNS)
    assert set(adata.var["unit"][:3]) == {"DAB optical density"}
    assert adata.var["evidence"].str.startswith("measured: ").all()
    assert adata.X.dtype == np.float32
    np.testing.assert_array_equal(adata.obs["dab_od"], adata[:, "DAB nucleus"].X[:, 0])
    assert "X_past" not in adata.obsm
    told = adata.uns["napari_past"]
    assert "model" not in told
    assert told["measured"]["expression_unit"] == "DAB optical density"
    assert told["cutoffs"]["DAB nucleus"] == [0.2, 0.4, 0.6]
    assert "Predicted from H&E" not in told["research_use"]
    assert "For research use only" in told["research_use"]


def test_regions_count_as_tumour(cells, slide):
    import shapely

    box = Region("T", TUMOUR, shapely.box(20, 20, 340, 270))
    row = h_score(cells, "PD-L1", [box]).rows[0]
    assert row.rules.real_stain == ("TPS", "CPS")
    assert row.denominator == "nuclei in Tumour regions"


@pytest.mark.parametrize("model", [DEFAULT_MODEL, None])
def test_a_model_has_no_part_in_it(slide, model):
    if model is None:
        assert isinstance(make_plan(slide, None, "ihc-membrane").model, MeasuredStain)
        assert make_plan(slide, None, "ihc-membrane").model.compartment == "membrane"
        assert assay_of(None, None).name == DEFAULT_MODEL
        return
    with pytest.raises(PastError, match="the model past-mini has no part in it; leave the model"):
        make_plan(slide, model, "ihc-nuclear")


def test_a_kind_that_does_not_fit_is_told(slide):
    ihc = look_of(slide)
    assert ihc.kind == "IHC"
    assert "looks like IHC (brown on blue)" in mismatch(ihc, measured=False)
    assert mismatch(ihc, measured=True) == ""
    he = look_of(slide_of_array(draw_phantom(900, 640, 0.5, 3).rgb, 0.5))
    assert he.kind == "H&E"
    assert "looks like H&E (pink and purple), but its DAB is measured" in mismatch(he, True)
    assert mismatch(he, measured=False) == ""


def test_a_slide_of_glass_has_no_cells_and_published_vectors(tmp_path):
    glass = slide_of_array(np.full((400, 500, 3), 240, np.uint8), 0.5)
    plan = make_plan(glass, detector="ihc-nuclear")
    assert plan.tiles == ()
    assert "published" in plan.model.stains.source
    found = predict(glass, detector="ihc-nuclear", store=Store(plan.key, tmp_path)).compute()
    assert len(found) == 0
    assert found.to_anndata().shape == (0, len(COLUMNS))


def test_a_slide_without_brown_says_so():
    """Blue alone: the published vector of DAB is taken, and every marker's badge tells it."""
    rng = np.random.default_rng(0)
    amount = np.where(rng.random((400, 500)) < 0.5, 0.5, 0.02)[..., None]
    blue = np.rint(240 * 10 ** -(amount * (0.78, 0.58, 0.22))).astype(np.uint8)
    stain = make_plan(slide_of_array(blue, 0.5), detector="ihc-nuclear").model
    assert isinstance(stain, MeasuredStain)
    label = stain.reliability("Ki-67").label
    assert "haematoxylin estimated" in label
    assert "DAB published" in label
    assert "brown pixels were seen" in label
