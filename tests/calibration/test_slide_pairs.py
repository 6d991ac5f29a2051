"""Matched regions from cells and annotations of two slides."""

import anndata
import numpy as np
import pandas as pd
import pytest
import shapely

from napari_past.calibration import match_pairs
from napari_past.errors import BadTable
from napari_past.io import write_regions
from napari_past.types import Region

MPP = 0.5
SHIFT = np.array([300.0, 40.0])


def grid(x0, y0, n=10, step=8.0):
    axis = (np.arange(n) + 0.5) * step
    return np.stack(np.meshgrid(x0 + axis, y0 + axis), -1).reshape(-1, 2)


def box(name, x0, y0, side=80.0, role="Include"):
    return Region(name, role, shapely.box(x0, y0, x0 + side, y0 + side))


@pytest.fixture
def folder(tmp_path):
    """Two regions of 100 cells at (0, 0) and (100, 0), and cells in neither; stained neighbour
    shifted by `SHIFT`."""
    centers = np.concatenate([grid(0, 0), grid(100, 0), grid(200, 0)])
    predicted = np.repeat([0.5, 1.0, 9.0], 100)
    density = np.concatenate([np.repeat([0.1, 0.3], 50), np.repeat([0.3, 0.7], 50), [5.0] * 100])
    frame = pd.DataFrame({"x_um": centers[:, 0], "y_um": centers[:, 1], "ESR1": predicted})
    frame.to_csv(tmp_path / "he.csv", index=False)
    stained = pd.DataFrame(centers + SHIFT, columns=["Centroid X µm", "Centroid Y µm"])
    stained["Nucleus: DAB OD mean"] = density
    stained.to_csv(tmp_path / "ihc.csv", index=False)
    write_regions(
        [box("A", 0, 0), box("B", 100, 0), box("only here", 0, 0)], tmp_path / "he.geojson", MPP
    )
    write_regions([box("B", 400, 40), box("A", 300, 40)], tmp_path / "ihc.geojson", MPP)
    marks = np.array([[0.0, 0], [200, 0], [200, 80], [0, 80]])
    columns = ["predicted_x_um", "predicted_y_um", "measured_x_um", "measured_y_um"]
    pd.DataFrame(np.hstack([marks, marks + SHIFT]), columns=columns).to_csv(
        tmp_path / "marks.csv", index=False
    )
    return tmp_path


def pairs(folder, **columns):
    row = {"patient": "007", "predicted_cells": "he.csv", "predicted_rois": "he.geojson",
           "measured_cells": "ihc.csv", **columns}  # fmt: skip
    pd.DataFrame([row]).to_csv(folder / "pairs.csv", index=False)
    return folder / "pairs.csv"


def test_regions_are_matched_by_name(folder):
    rows, told = match_pairs(pairs(folder, measured_rois="ihc.geojson"), "ER")
    assert rows.patients == ("007", "007")
    assert rows.regions == ("A", "B")
    assert rows.predicted == pytest.approx([0.5, 1.0])
    assert rows.measured == pytest.approx([0.2, 0.5])
    assert told == ("007: on one slide only, not used: only here",)


@pytest.mark.parametrize(("quantity", "values"), [("h-score", [50, 200]), ("percent", [50, 100])])
def test_scores_of_the_stained_cells(folder, quantity, values):
    rows, _ = match_pairs(pairs(folder, measured_rois="ihc.geojson"), "ER", quantity)
    assert rows.measured == pytest.approx(values)


def test_landmarks_carry_regions_over(folder):
    rows, told = match_pairs(pairs(folder, landmarks="marks.csv", slide="S1"), "ER")
    assert rows.regions == ("S1 · A", "S1 · B", "S1 · only here")
    assert rows.measured == pytest.approx([0.2, 0.5, 0.2])
    assert told == ("007 S1: 4 landmarks, off by 0.0 µm (root mean square), 0.0 µm at worst",)


def test_ignored_regions_take_cells_out(folder):
    half = Region("fold", "Ignore*", shapely.box(300, 40, 380, 80))
    write_regions([box("A", 300, 40), half], folder / "ihc.geojson", MPP)
    rows, _ = match_pairs(pairs(folder, measured_rois="ihc.geojson"), "ER")
    assert rows.regions == ("A",)
    assert rows.measured == pytest.approx([0.3]), "the fold covers the cells of 0.1"


def test_cells_of_the_same_section_are_matched_one_to_one(folder):
    stained = pd.read_csv(folder / "ihc.csv")
    stained["Centroid X µm"] += 1.0
    stained = stained.drop(index=range(40, 50)).sample(frac=1, random_state=0)
    stained.to_csv(folder / "ihc.csv", index=False)
    rows, _ = match_pairs(
        pairs(folder, measured_rois="ihc.geojson", landmarks="marks.csv"), "ER", same_section=True
    )
    assert rows.of_cells
    per_region = [rows.regions.count(name) for name in ("A", "B")]
    assert per_region == [90, 100], "cells without a partner are left out"
    of_a = np.array(rows.regions) == "A"
    assert rows.measured[of_a].mean() == pytest.approx((40 * 0.1 + 50 * 0.3) / 90)


def test_an_h5ad_of_measured_cells(folder):
    frame = pd.read_csv(folder / "ihc.csv")
    adata = anndata.AnnData(
        np.zeros((len(frame), 1), np.float32),
        obs=pd.DataFrame(
            {"dab_od": frame["Nucleus: DAB OD mean"].to_numpy()}, index=map(str, frame.index)
        ),
        obsm={"spatial": frame.iloc[:, :2].to_numpy()},
    )
    adata.write_h5ad(folder / "ihc.h5ad")
    table = pairs(folder, measured_rois="ihc.geojson", measured_cells="ihc.h5ad")
    assert match_pairs(table, "ER")[0].measured == pytest.approx([0.2, 0.5])


def test_all_genes_of_a_marker_are_needed(folder):
    frame = pd.read_csv(folder / "he.csv").rename(columns={"ESR1": "CD3D"})
    frame.to_csv(folder / "he.csv", index=False)
    table, genes = pairs(folder, measured_rois="ihc.geojson"), ("CD3D", "CD3E", "CD3G")
    with pytest.raises(BadTable, match=r"he\.csv has CD3D where CD3 is CD3D \+ CD3E \+ CD3G"):
        match_pairs(table, "CD3", genes=genes)
    for gene, value in (("CD3E", 2.0), ("CD3G", 3.0)):
        frame[gene] = value
    frame.to_csv(folder / "he.csv", index=False)
    rows, _ = match_pairs(table, "CD3", genes=genes)
    assert rows.predicted == pytest.approx([5.5 / 3, 2.0]), "several genes are averaged"


def test_few_cells_are_left_out_and_told(folder):
    write_regions([box("A", 0, 0, side=20), box("B", 100, 0)], folder / "he.geojson", MPP)
    rows, told = match_pairs(pairs(folder, measured_rois="ihc.geojson"), "ER")
    assert rows.regions == ("B",)
    assert told == ("007: A left out, 4 predicted and 100 measured cells; 20 are needed",)


def test_mistakes(folder):
    with pytest.raises(BadTable, match="neither measured_rois nor landmarks"):
        match_pairs(pairs(folder), "ER")
    with pytest.raises(BadTable, match=r"no file .*nothing\.csv"):
        match_pairs(pairs(folder, measured_rois="ihc.geojson", measured_cells="nothing.csv"), "ER")
    write_regions([box("C", 300, 40)], folder / "ihc.geojson", MPP)
    with pytest.raises(BadTable, match=r"No region of he\.geojson has a namesake in ihc\.geojson"):
        match_pairs(pairs(folder, measured_rois="ihc.geojson"), "ER")
    write_regions([box("A", 300, 40), box("A", 400, 40)], folder / "ihc.geojson", MPP)
    with pytest.raises(BadTable, match="two regions named A"):
        match_pairs(pairs(folder, measured_rois="ihc.geojson"), "ER")
    table = pairs(folder, measured_rois="ihc.geojson")
    with pytest.raises(BadTable, match="no column 'Brown'; check --od-column"):
        match_pairs(table, "ER", od_column="Brown")
    stained = pd.read_csv(folder / "ihc.csv")
    stained.assign(**{"Cell: DAB OD mean": 1.0}).to_csv(folder / "ihc.csv", index=False)
    with pytest.raises(BadTable, match=r"has several .* name the one of the marker's"):
        match_pairs(table, "ER")
    with pytest.raises(BadTable, match="calibrated to optical density"):
        match_pairs(table, "ER", "h-score", same_section=True)


def test_cells_that_are_not_to_be_scored_do_not_count(folder):
    frame = pd.read_csv(folder / "he.csv")
    frame["unscored"] = [""] * 50 + ["blur"] * 50 + [""] * 200
    frame.loc[50:99, "ESR1"] = 100.0
    frame.to_csv(folder / "he.csv", index=False)
    rows, _ = match_pairs(pairs(folder, measured_rois="ihc.geojson"), "ER")
    assert rows.predicted == pytest.approx([0.5, 1.0])


@pytest.mark.parametrize("suffix", ["csv", "h5ad"])
def test_measured_cells_that_are_not_to_be_scored_do_not_count(folder, suffix):
    frame = pd.read_csv(folder / "ihc.csv")
    # Half of A lies under pen, which reads as much brown.
    frame["unscored"] = ["pen"] * 50 + [""] * 250
    frame.loc[:49, "Nucleus: DAB OD mean"] = 2.0
    frame.to_csv(folder / "ihc.csv", index=False)
    obs = frame[["unscored", "Nucleus: DAB OD mean"]].rename(columns=lambda c: c.split(": ")[-1])
    obs = obs.rename(columns={"DAB OD mean": "dab_od"}).set_index(frame.index.astype(str))
    spatial = frame.iloc[:, :2].to_numpy()
    anndata.AnnData(np.zeros((300, 1), np.float32), obs=obs, obsm={"spatial": spatial}).write_h5ad(
        folder / "ihc.h5ad"
    )
    table = pairs(folder, measured_rois="ihc.geojson", measured_cells=f"ihc.{suffix}")
    rows, _ = match_pairs(table, "ER")
    assert rows.measured == pytest.approx([0.3, 0.5])


def test_regions_without_a_name_are_told(folder):
    for name, x0, y0 in (("he", 0, 0), ("ihc", 300, 40)):
        write_regions([box("", x0, y0)], folder / f"{name}.geojson", MPP)
    rows, told = match_pairs(pairs(folder, measured_rois="ihc.geojson"), "ER")
    assert rows.regions == ("Region 1",)
    assert "matched by their number in the file (Region 1)" in told[0]
