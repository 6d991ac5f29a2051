from __future__ import annotations

import csv
import json
from argparse import Namespace

import anndata
import pytest

from napari_past.cli.score import execute
from napari_past.types import RESEARCH_USE, Cutoffs


def write_table(path, rows, gene="ERBB2"):
    lines = [f"x_um,y_um,{gene}", *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def four(tmp_path):
    """One cell of each class at cut-offs 1, 2, 3."""
    rows = [(10, 10, 0.5), (30, 10, 1), (10, 30, 2.5), (30, 30, 3)]
    return write_table(tmp_path / "four.csv", rows)


def test_one_cell_of_each_class_gives_150(command, four, tmp_path):
    out = tmp_path / "scores.csv"
    done = command("score", four, "--marker", "HER2", "--cutoffs", "1,2,3", "--out", out)
    assert (done.code, done.err) == (0, "")
    assert "150.0" in done.out
    assert "pseudo-H-score" in done.out
    assert "all nuclei, not tumour-only" in done.out
    assert "values as given in the file" in done.out
    assert RESEARCH_USE not in done.out
    header, row = list(csv.reader(out.open()))
    assert ",".join(header) == "region,role,n,n0,n1,n2,n3,pct_positive,h_score,lo,hi"
    assert row == ["slide", "All nuclei", "4", "1", "1", "1", "1", "75.00", "150.0", "", ""]


def test_negative_cutoffs_are_no_option(command, four):
    done = command("score", four, "--marker", "ERBB2", "--cutoffs", "-1,2,3")
    assert done.code == 0, done.err
    assert "cut-offs: -1, 2, 3" in done.out


def test_regions_are_in_pixels_of_mpp(command, four, tmp_path):
    def box(x0, y0, x1, y1, role):
        ring = [[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]
        return {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [ring]},
            "properties": {"objectType": "annotation", "classification": {"name": role}},
        }

    # Left half, right half, nothing, and the lower right corner ignored, at 0.5 µm/px.
    features = [
        box(0, 0, 40, 100, "Tumor"),
        box(40, 0, 80, 100, "Stroma"),
        box(200, 200, 300, 300, "Stroma"),
        box(40, 40, 80, 80, "Ignore*"),
    ]
    rois = tmp_path / "rois.geojson"
    rois.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    out = tmp_path / "scores.csv"
    asked = ("score", four, "--marker", "ERBB2", "--cutoffs", "1,2,3", "--rois", rois)
    done = command(*asked, "--mpp", "0.5", "--out", out)
    assert done.code == 0, done.err
    rows = list(csv.DictReader(out.open()))
    assert [(r["role"], r["n"], r["h_score"]) for r in rows] == [
        ("Tumour", "2", "100.0"),
        ("Include", "1", "100.0"),
        ("Include", "0", ""),
    ]
    assert "excluded by Ignore* regions: 1 cells" in done.out
    assert "No cell with a class lies in Region 3" in done.out
    done = command(*asked)
    assert done.code == 2
    assert "--mpp" in done.err


def test_an_empty_table_is_explained(command, tmp_path):
    table = write_table(tmp_path / "none.csv", [])
    done = command("score", table, "--marker", "ERBB2", "--cutoffs", "1,2,3")
    assert done.code == 0, done.err
    assert "No cell with a class lies in slide" in done.out


def test_predicted_values_come_with_their_evidence(command, phantom_cells):
    done = command("score", phantom_cells, "--marker", "HER2")
    assert done.code == 0, done.err
    assert "ERBB2 (HER2)" in done.out
    assert "predicted by past-mini" in done.out
    assert "reliability: ERBB2: same patient" in done.out
    assert "past-mini card" in done.out
    assert RESEARCH_USE in done.out


def test_cutoffs_of_several_genes_are_those_of_the_card(command, phantom_cells, tmp_path):
    done = command("score", phantom_cells, "--marker", "CD3")
    assert done.code == 0, done.err
    assert "mean over CD3D + CD3E + CD3G" in done.out
    # Values of another model must not be classed with this card's cut-offs.
    other = anndata.read_h5ad(phantom_cells)
    other.uns["napari_past"]["model"]["sha256"] = "0" * 64
    other.write_h5ad(tmp_path / "other.h5ad")
    done = command("score", tmp_path / "other.h5ad", "--marker", "CD3")
    assert done.code == 2
    assert "--cutoffs" in done.err


def test_scores_of_h5ad_and_csv_are_equal(command, phantom_cells, phantom, tmp_path):
    table = tmp_path / "cells.csv"
    assert command("run", phantom, "--out", table, "--genes", "ERBB2").code == 0
    a, b = (command("score", p, "--marker", "ERBB2") for p in (phantom_cells, table))
    assert a.code == b.code == 0, b.err
    assert a.out.splitlines()[1:] == b.out.splitlines()[1:]


def test_cells_that_are_not_scored_are_left_out_and_told(command, tmp_path):
    table = tmp_path / "cells.csv"
    table.write_text(
        "x_um,y_um,ERBB2,unscored\n"
        "10,10,0.5,\n30,10,1,\n10,30,2.5,\n30,30,3,\n50,10,3,pen\n50,30,3,blur\n50,50,3,blur\n"
    )
    out = tmp_path / "scores.csv"
    done = command("score", table, "--marker", "ERBB2", "--cutoffs", "1,2,3", "--out", out)
    assert (done.code, done.err) == (0, "")
    assert "not scored: 3 cells (blur 2, pen 1)" in done.out
    header, row = list(csv.reader(out.open()))
    assert ",".join(header) == "region,role,n,n0,n1,n2,n3,pct_positive,h_score,lo,hi"
    assert row == ["slide", "All nuclei", "4", "1", "1", "1", "1", "75.00", "150.0", "", ""]
    told = json.loads(out.with_name("scores.csv.json").read_text())
    assert (told["unscored"], told["unscored_cells"]) == (3, {"blur": 2, "pen": 1})


def test_they_are_counted_where_that_is_asked(tmp_path, capsys):
    table = tmp_path / "cells.csv"
    table.write_text("x_um,y_um,ERBB2,unscored\n10,10,0.5,\n30,10,3,pen\n")
    options = Namespace(
        cells=table,
        marker="ERBB2",
        cutoffs=Cutoffs(1, 2, 3, "given"),
        rois=None,
        mpp=None,
        out=None,
        include_unscored=True,
    )
    assert execute(options) == 0
    told = capsys.readouterr().out
    assert "not scored" not in told
    assert "150.0" in told


def test_a_table_without_the_column_is_scored_whole(command, four):
    done = command("score", four, "--marker", "ERBB2", "--cutoffs", "1,2,3")
    assert "not scored" not in done.out
