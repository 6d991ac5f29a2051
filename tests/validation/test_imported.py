"""Tables of predictions in the shapes in which others write them, from values that are known."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array, csr_matrix

from napari_past.errors import BadTable
from napari_past.io import write_csv, write_h5ad
from napari_past.model import load_model
from napari_past.slide import slide_of_array
from napari_past.spatial.section import MeasuredSection
from napari_past.validation.imported import ImportedTable, read_predictions
from napari_past.validation.prediction_table import read_table
from napari_past.validation.predictor import NOBODY
from napari_past.validation.tissue import Tissue, tissue_of

MPP, SIDE = 0.5, 800
MEASURED = ("ERBB2", "EPCAM", "ACTB", "CCN2")
GENES = ("ERBB2", "CTGF", "ACTB")
"""Of the tables; CTGF is what CCN2 was called."""


def section(xy_um, ids, spot_um=None, name="S", mpp=MPP) -> MeasuredSection:
    rng = np.random.default_rng(3)
    return MeasuredSection(
        name=name, patient="P", species="human", tissue="", technology="Xenium",
        image=Path("he.tif"), mpp=mpp, ids=tuple(ids), centers_um=np.asarray(xy_um, float),
        counts=csr_array(rng.poisson(3, (len(ids), len(MEASURED))).astype(np.float32) + 1),
        genes=MEASURED, spot_diameter_um=spot_um,
    )  # fmt: skip


def tissue(part: MeasuredSection, limit: int = 5000) -> Tissue:
    slide = slide_of_array(np.full((SIDE, SIDE, 3), 200, np.uint8), MPP)
    return tissue_of(part, slide, "f" * 64, limit=limit)


@pytest.fixture
def cells() -> Tissue:
    """60 cells, not nearer than 10 µm to each other, with ids of a Xenium run's kind."""
    grid = np.stack(np.meshgrid(np.arange(10), np.arange(6)), -1).reshape(-1, 2) * 25.0 + 40
    jitter = np.random.default_rng(0).uniform(-5, 5, grid.shape)
    return tissue(section(grid + jitter, [f"cell{i}-1" for i in range(60)]))


@pytest.fixture
def spots() -> Tissue:
    grid = np.stack(np.meshgrid(np.arange(6), np.arange(5)), -1).reshape(-1, 2) * 60.0 + 50
    ids = ["".join("ACGT"[(i >> 2 * k) & 3] for k in range(16)) + "-1" for i in range(30)]
    return tissue(section(grid, ids, spot_um=40.0))


def known(n: int) -> np.ndarray:
    """Another value for each row and gene."""
    return (np.arange(n)[:, None] * 10 + np.arange(len(GENES))).astype(np.float32)


def predicted(table: ImportedTable, part: Tissue) -> np.ndarray:
    """What the table says of the measured genes that it has, in its own order of genes."""
    found = table.genes(MEASURED)
    assert set(found) == {"ERBB2", "CCN2", "ACTB"}
    (values,) = table.predict([part], [], ["ERBB2", "CCN2", "ACTB"], NOBODY)
    return values


def shuffled(n: int) -> np.ndarray:
    return np.random.default_rng(7).permutation(n)


def test_deepspot_cells(cells, tmp_path):
    """Places in obs as row and column, their tenth in obsm; ids of somebody else."""
    n, order = 60, shuffled(60)
    row_px, column_px = (cells.section.centers_um / MPP - 0.5)[order][:, ::-1].T
    table = anndata.AnnData(known(n)[order], var=pd.DataFrame(index=list(GENES)))
    table.obs = pd.DataFrame(
        {"x_pixel": row_px, "y_pixel": column_px, "sampleID": "NCBI858"}, index=table.obs_names
    )
    table.obs["barcode"] = table.obs.index
    table.obsm["spatial"] = table.obs[["y_pixel", "x_pixel"]].to_numpy() / 10
    table.write_h5ad(tmp_path / "deepspot.h5ad")
    found = read_predictions(tmp_path / "deepspot.h5ad")
    np.testing.assert_allclose(predicted(found, cells), known(n))
    (told,) = found.told([cells])
    assert told == (
        "60 of 60 cells of S have a prediction in deepspot.h5ad, found by place (x_pixel as the "
        "row and y_pixel as the column, in pixels)."
    )


def test_deepspot_spots_on_a_grid_of_their_own(spots, tmp_path):
    """Those that lie in a measured spot are averaged; running numbers are no ids."""
    xy_um = np.stack(np.meshgrid(np.arange(20), np.arange(18)), -1).reshape(-1, 2) * 18.0 + 20.0
    obs = pd.DataFrame(
        {"x_pixel": xy_um[:, 1] / MPP - 0.5, "y_pixel": xy_um[:, 0] / MPP - 0.5},
        index=[str(i) for i in range(len(xy_um))],
    )
    values = known(len(xy_um))
    table = anndata.AnnData(values, obs=obs, var=pd.DataFrame(index=list(GENES)))
    table.obsm["spatial"] = obs[["y_pixel", "x_pixel"]].to_numpy() / 10
    table.write_h5ad(tmp_path / "grid.h5ad")
    got = predicted(read_predictions(tmp_path / "grid.h5ad"), spots)
    for place, row in zip(spots.row_um, got, strict=True):
        inside = np.hypot(*(xy_um - place).T) <= 20
        expected = values[inside].mean(0) if inside.any() else np.full(3, np.nan)
        np.testing.assert_allclose(row, expected, rtol=1e-6)


def test_ghist_csv(cells, tmp_path):
    """Ids without a name in the first column, genes, no places; some cells are missing."""
    ids = [str(81421 + 7 * i) for i in range(60)]
    part = tissue(section(cells.section.centers_um, ids))
    order = shuffled(60)[:50]
    frame = pd.DataFrame(known(60)[order], index=[int(ids[i]) for i in order], columns=list(GENES))
    frame.to_csv(tmp_path / "epoch_50_expr.csv")
    found = read_predictions(tmp_path / "epoch_50_expr.csv")
    expected = known(60)
    expected[np.setdiff1d(np.arange(60), order)] = np.nan
    np.testing.assert_allclose(predicted(found, part), expected)
    assert "50 of 60 cells of S have a prediction" in found.told([part])[0]
    assert found.unit is None


def test_stpath(spots, tmp_path):
    """Neither ids nor units: both axes stretched to 0–100, and rows in any order."""
    order = shuffled(30)
    xy = spots.section.centers_um[order] / MPP
    low, high = xy.min(0), xy.max(0)
    table = anndata.AnnData(X=known(30)[order])
    table.obsm["coordinates"] = ((xy - low) / (high - low) * 100).astype(np.float32)
    table.var_names = pd.Index(GENES)
    table.write_h5ad(tmp_path / "pred.h5ad")
    found = read_predictions(tmp_path / "pred.h5ad")
    np.testing.assert_allclose(predicted(found, spots), known(30))
    assert "stretched alike" in found.told([spots])[0]


def test_stpath_of_other_rows_is_refused(spots, tmp_path):
    table = anndata.AnnData(X=known(24))
    table.var_names = pd.Index(GENES)
    xy = spots.section.centers_um[:24]  # the last row of spots was left out
    table.obsm["coordinates"] = (xy - xy.min(0)) / np.ptp(xy, axis=0) * 100
    table.write_h5ad(tmp_path / "pred.h5ad")
    with pytest.raises(BadTable, match="has neither ids nor places of the measured spots of S"):
        read_predictions(tmp_path / "pred.h5ad").match(spots)


def test_loki_layer_of_what_was_measured(spots, tmp_path):
    table = anndata.AnnData(
        X=csr_matrix(spots.section.counts[:, [0, 3, 2]]),
        obs=pd.DataFrame(index=[f"HCA_{i}" for i in spots.section.ids]),
        var=pd.DataFrame(index=list(GENES)),
        layers={"loki": known(30)},
    )
    table.write_h5ad(tmp_path / "val.h5ad")
    found = read_predictions(tmp_path / "val.h5ad")
    np.testing.assert_allclose(predicted(found, spots), known(30))
    notes = found.told([spots])
    assert notes[0] == "Of val.h5ad the layer 'loki' was taken for the predictions."
    assert notes[1].endswith(
        "found by id. It has no places to check that by, and ids may recur from one section or run "
        "to another."
    )


def test_loki_csv(spots, tmp_path):
    ids = [f"HCAHeartST_{i}_hires" for i in spots.section.ids]
    pd.DataFrame(known(30), index=ids, columns=list(GENES)).to_csv(tmp_path / "loki.csv")
    found = read_predictions(tmp_path / "loki.csv", unit="log1p(counts per 10k)")
    np.testing.assert_allclose(predicted(found, spots), known(30))
    assert found.unit == "log1p(counts per 10k)"


def own(xy_um: np.ndarray) -> anndata.AnnData:
    """As `napari-past run` writes it, with cells that it found itself."""
    model = {"name": "tiny", "sha256": "0" * 64, "expression_unit": "log1p(counts per 10k)"}
    return anndata.AnnData(
        X=known(len(xy_um)), obs=pd.DataFrame(index=[f"uuid-{i}" for i in range(len(xy_um))]),
        var=pd.DataFrame(index=list(GENES)), obsm={"spatial": xy_um},
        uns={"napari_past": {"model": model}},
    )  # fmt: skip


@pytest.mark.parametrize("suffix", ["h5ad", "csv"])
def test_own_cells_in_spots(spots, tmp_path, suffix):
    xy_um = np.random.default_rng(1).uniform(30, 360, (400, 2))
    write = write_h5ad if suffix == "h5ad" else write_csv
    write(own(xy_um), tmp_path / f"cells.{suffix}")
    found = read_predictions(tmp_path / f"cells.{suffix}")
    assert (found.name, found.unit) == ("tiny", "log1p(counts per 10k)")
    got = predicted(found, spots)
    for place, row in zip(spots.row_um, got, strict=True):
        inside = np.hypot(*(xy_um - place).T) <= 20
        expected = known(400)[inside].mean(0) if inside.any() else np.full(3, np.nan)
        np.testing.assert_allclose(row, expected, rtol=1e-5)


def test_own_cells_nearest_to_measured_ones(cells, tmp_path):
    """Each measured cell takes the nearest within 5 µm; no cell is taken by two."""
    at = cells.section.centers_um
    xy_um = np.concatenate([at[:50] + (1.0, 0), at[:50] + (3.0, 0), at[50:] + (0, 6.0)])
    write_h5ad(own(xy_um), tmp_path / "cells.h5ad")
    got = predicted(read_predictions(tmp_path / "cells.h5ad"), cells)
    np.testing.assert_allclose(got[:50], known(50))
    assert np.isnan(got[50:]).all()


def test_a_table_of_one_of_our_models_knows_what_that_was_trained_on(tmp_path):
    model = load_model("past-mini", "cpu")
    table = own(np.ones((3, 2)))
    write_h5ad(table, tmp_path / "other.h5ad")
    table.uns["napari_past"]["model"] |= {"name": "past-mini", "sha256": model.sha256}
    write_h5ad(table, tmp_path / "ours.h5ad")
    ours, other = (read_predictions(tmp_path / f"{n}.h5ad") for n in ("ours", "other"))
    assert ours.traces.images == model.card.training_fingerprints
    assert ours.traces.images
    assert ours.field_um == model.card.encoder.field_um
    assert (other.traces.images, other.field_um) == ((), 0.0)


@pytest.mark.parametrize("unit", ["um", "px"])
def test_unit_of_places_is_found_where_it_is_clear(cells, tmp_path, unit):
    xy = cells.section.centers_um if unit == "um" else cells.section.centers_um / MPP - 0.5
    table = anndata.AnnData(known(60), var=pd.DataFrame(index=list(GENES)), obsm={"spatial": xy})
    table.write_h5ad(tmp_path / "t.h5ad")
    np.testing.assert_allclose(predicted(read_predictions(tmp_path / "t.h5ad"), cells), known(60))


def test_unclear_unit_must_be_told(tmp_path):
    """Cells everywhere lie near something in either unit."""
    rng = np.random.default_rng(0)
    part = tissue(
        section(rng.uniform(5, 195, (1500, 2)), [f"c{i}-a" for i in range(1500)], mpp=0.9)
    )
    table = anndata.AnnData(known(1500), var=pd.DataFrame(index=list(GENES)))
    table.obsm["spatial"] = rng.uniform(5, 195, (1500, 2))
    table.write_h5ad(tmp_path / "t.h5ad")
    with pytest.raises(BadTable, match="say it with --placed-in um or px"):
        read_predictions(tmp_path / "t.h5ad").match(part)
    assert read_predictions(tmp_path / "t.h5ad", placed_in="um").match(part).told


def test_running_numbers_are_ids_only_where_nothing_speaks_against_it(cells, tmp_path):
    numbers = [str(i) for i in range(60)]
    part = tissue(section(cells.section.centers_um, numbers))
    order = shuffled(60)
    table = anndata.AnnData(
        known(60)[order], obs=pd.DataFrame(index=numbers), var=pd.DataFrame(index=list(GENES)),
        obsm={"spatial": part.section.centers_um[order]},
    )  # fmt: skip
    table.write_h5ad(tmp_path / "t.h5ad")
    np.testing.assert_allclose(predicted(read_predictions(tmp_path / "t.h5ad"), part), known(60))
    pd.DataFrame(known(70), columns=list(GENES)).to_csv(tmp_path / "t.csv")
    with pytest.raises(BadTable, match="neither ids nor places"):
        read_predictions(tmp_path / "t.csv").match(part)


def placed(part: Tissue, xy: np.ndarray, key: str, path: Path) -> ImportedTable:
    """Known values by the rows' own ids, and places that say what they say."""
    table = anndata.AnnData(
        known(len(part)), obs=pd.DataFrame(index=list(part.section.ids)),
        var=pd.DataFrame(index=list(GENES)),
    )  # fmt: skip
    if key == "obs":
        table.obs["x_um"], table.obs["y_um"] = xy.T
    else:
        table.obsm["spatial"] = xy
    table.write_h5ad(path / "t.h5ad")
    return read_predictions(path / "t.h5ad")


@pytest.mark.parametrize("key", ["obs", "obsm"])
def test_ids_that_places_contradict_are_not_gone_by(cells, tmp_path, key):
    """The same ids on other cells, as of another run."""
    order = shuffled(60)
    xy = cells.section.centers_um[order] / (1 if key == "obs" else MPP)
    found = placed(cells, xy, key, tmp_path)
    np.testing.assert_allclose(predicted(found, cells)[order], known(60))
    (told,) = found.told([cells])
    assert "found by place" in told
    assert told.endswith("Its ids name other rows than its places do, so they were not gone by.")
    elsewhere = placed(cells, xy + 9000, key, tmp_path)
    with pytest.raises(BadTable, match=r"places are\. Its ids name other rows than its places do"):
        elsewhere.match(cells)


def test_ids_hold_where_places_are_in_a_frame_of_their_own(cells, tmp_path):
    """As a Xenium run's µm, turned against the H&E."""
    turned = cells.section.centers_um @ [[0, 0.9], [-0.9, 0]] + (7000, 300)
    found = placed(cells, turned, "obsm", tmp_path)
    np.testing.assert_allclose(predicted(found, cells), known(60))
    assert (
        "found by id. Its places agree with the measured ones only after" in found.told([cells])[0]
    )
    right = placed(cells, cells.section.centers_um, "obs", tmp_path)
    assert right.told([cells])[0].endswith("found by id.")


@pytest.mark.parametrize("odd", ["x0", "9" * 31, "9" * 5000], ids=["text", "31", "5000"])
def test_ids_that_are_hardly_numbers(tmp_path, odd):
    ids = [*map(str, range(119)), odd]
    grid = np.stack(np.meshgrid(np.arange(12), np.arange(10)), -1).reshape(-1, 2) * 25.0 + 40
    part = tissue(section(grid, ids))
    pd.DataFrame(known(120), index=ids, columns=list(GENES)).to_csv(tmp_path / "t.csv")
    np.testing.assert_allclose(predicted(read_predictions(tmp_path / "t.csv"), part), known(120))


def test_only_rows_that_are_looked_at(cells, tmp_path):
    part = tissue(cells.section, limit=20)
    pd.DataFrame(known(60), index=cells.section.ids, columns=list(GENES)).to_csv(tmp_path / "a.csv")
    np.testing.assert_allclose(
        predicted(read_predictions(tmp_path / "a.csv"), part), known(60)[part.rows]
    )


def test_a_table_for_each_section(cells, tmp_path):
    other = tissue(section(cells.section.centers_um, cells.section.ids, name="T"))
    for name, add in (("S", 0), ("T", 100)):
        frame = pd.DataFrame(known(60) + add, index=cells.section.ids, columns=list(GENES))
        frame.to_csv(tmp_path / f"{name}.csv")
    both = ImportedTable({name: read_table(tmp_path / f"{name}.csv") for name in "ST"})
    first, second = both.predict([cells, other], [], ["ERBB2"], NOBODY)
    np.testing.assert_allclose(second, first + 100)
    with pytest.raises(BadTable, match="There are no predictions for section T"):
        ImportedTable({"S": both.tables[0]}).match(other)


def test_the_measurement_is_no_prediction(cells, tmp_path):
    table = anndata.AnnData(
        csr_matrix(cells.section.counts), obs=pd.DataFrame(index=list(cells.section.ids)),
        var=pd.DataFrame(index=list(MEASURED)),
    )  # fmt: skip
    table.write_h5ad(tmp_path / "m.h5ad")
    with pytest.raises(BadTable, match="holds the measured counts of section S"):
        read_predictions(tmp_path / "m.h5ad").predict([cells], [], MEASURED, NOBODY)


@pytest.mark.parametrize(
    "done",
    [
        np.sqrt,
        lambda counts: np.log1p(counts / counts.sum(1, keepdims=True) * 321),
        lambda counts: counts / counts.sum(1, keepdims=True) * 1e6,
    ],
    ids=["sqrt", "median-normalised", "cpm"],
)
def test_what_was_computed_from_the_measurement_is_no_prediction(cells, tmp_path, done):
    counts = cells.section.counts.toarray().astype(np.float64)
    frame = pd.DataFrame(done(counts), index=cells.section.ids, columns=list(MEASURED))
    frame.to_csv(tmp_path / "m.csv")
    with pytest.raises(BadTable, match="or what was computed from them, where predictions were"):
        read_predictions(tmp_path / "m.csv").predict([cells], [], MEASURED, NOBODY)
    blurred = frame + np.random.default_rng(0).normal(0, 0.3 * frame.std(), frame.shape)
    blurred.to_csv(tmp_path / "n.csv")
    read_predictions(tmp_path / "n.csv").predict([cells], [], MEASURED, NOBODY)


@pytest.mark.parametrize("sparse", [True, False])
def test_a_gene_that_is_missing_in_many_rows_costs_the_gene_not_the_rows(cells, tmp_path, sparse):
    values = known(60).astype(np.float64)
    values[:4, 1] = values[7, 0] = np.nan
    values[50:] = np.nan  # not predicted at all
    table = anndata.AnnData(
        csr_matrix(values) if sparse else values, obs=pd.DataFrame(index=list(cells.section.ids)),
        var=pd.DataFrame(index=list(GENES)),
    )  # fmt: skip
    table.write_h5ad(tmp_path / "t.h5ad")
    found = read_predictions(tmp_path / "t.h5ad")
    assert found.genes(MEASURED) == ("ERBB2", "ACTB")
    assert found.told([cells])[0] == (
        "CTGF of t.h5ad: left out, because there is no value (NaN) in over 5% of the rows that it "
        "predicts."
    )
    (got,) = found.predict([cells], [], ["ACTB", "ERBB2"], NOBODY)
    np.testing.assert_allclose(got, values[:, [2, 0]])


def test_no_more_of_a_table_is_unpacked_than_is_looked_at(cells, tmp_path):
    """Three genes of 100,000 cells are 2.4 MB as float64, of the 10 that are looked at nothing.

    The bound leaves room for what other threads allocate meanwhile.
    """
    part = tissue(cells.section, limit=10)
    rng = np.random.default_rng(0)
    xy_um = np.concatenate([part.section.centers_um, rng.uniform(1e5, 2e5, (99_940, 2))])
    values = csr_matrix((np.arange(60.0), (range(60), [0] * 60)), (100_000, 300), np.float32)
    names = [*MEASURED[:3], *(f"G{i}" for i in range(297))]
    table = anndata.AnnData(values, var=pd.DataFrame(index=names), obsm={"spatial": xy_um})
    table.write_h5ad(tmp_path / "t.h5ad")
    found = read_predictions(tmp_path / "t.h5ad", placed_in="um")
    found.match(part)
    found.predict([part], [], MEASURED[:3], NOBODY)  # else what is imported then is counted
    tracemalloc.start()
    (got,) = found.predict([part], [], MEASURED[:3], NOBODY)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    np.testing.assert_array_equal(got[:, 0], part.rows)
    assert most < 1_000_000


def test_a_model_that_is_not_here_is_told(cells, tmp_path):
    write_h5ad(own(cells.section.centers_um), tmp_path / "t.h5ad")
    found = read_predictions(tmp_path / "t.h5ad", field_um=120.0)
    assert found.told([cells])[0] == (
        "t.h5ad says that tiny (SHA-256 000000000000…) made it, which is not among the models "
        "here: whether it was trained on this tissue could not be looked at."
    )
    assert found.field_um == 120.0
    with pytest.raises(BadTable, match="--field-um is 0, but the width in µm"):
        read_predictions(tmp_path / "t.h5ad", field_um=0.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (",ERBB2,ACTB,ERBB2\na,1,2,3\n", "has the column ERBB2 twice; give every gene one"),
        ("x_um,y_um,A,A\n1,2,3,4\n", "has the column A twice; give every gene one"),
        (",ERBB2\na,1e31\nb,1\n", r"has values beyond 1e\+30, which are no expression"),
        ("", "cannot be read as a CSV table"),
        (",ERBB2\n", "has no row"),
        (",ERBB2\na,much\nb,more\n", "has no column of numbers"),
        (",ERBB2\na,inf\nb,1\n", "has infinite values"),
    ],
    ids=["twice", "ours twice", "huge", "empty", "no rows", "no numbers", "infinite"],
)
def test_mistakes_in_csv_are_one_sentence(tmp_path, text, message):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(BadTable, match=message):
        read_predictions(tmp_path / "t.csv")


def test_other_mistakes_are_one_sentence(cells, tmp_path):
    (tmp_path / "t.npy").write_bytes(b"")
    with pytest.raises(BadTable, match=r"give an AnnData file \(.h5ad\) or a table"):
        read_predictions(tmp_path / "t.npy")
    with pytest.raises(BadTable, match="There is no file"):
        read_predictions(tmp_path / "nowhere.csv")
    write_h5ad(own(np.full((5, 2), 399.0)), tmp_path / "t.h5ad")
    with pytest.raises(BadTable, match="there are: none"):
        read_predictions(tmp_path / "t.h5ad", layer="mine")
    with pytest.raises(BadTable, match="Only 0% of the measured cells of S have a row"):
        read_predictions(tmp_path / "t.h5ad").match(cells)
