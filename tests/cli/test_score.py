from __future__ import annotations

import csv
import json
from argparse import Namespace

import anndata
import numpy as np
import pandas as pd
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
    assert done.out.splitlines()[3].split() == (
        ["slide", "All", "nuclei", "4", "1", "1", "1", "1", "75.0", "150", "–"]
    )
    assert "pseudo-H-score" in done.out
    assert "0/1+/2+/3+ of HER2: on real stain only." in done.out
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
        model=None,
    )
    assert execute(options) == 0
    told = capsys.readouterr().out
    assert "not scored" not in told
    assert "150" in told


def test_a_table_without_the_column_is_scored_whole(command, four):
    done = command("score", four, "--marker", "ERBB2", "--cutoffs", "1,2,3")
    assert "not scored" not in done.out


@pytest.fixture
def tumour(tmp_path):
    """A thousand nuclei in 0.2 x 0.2 mm, half of them positive, and a Tumour region at 1 µm/px."""
    rows = [(50 + i % 40 * 5, 50 + i // 40 * 8, i % 4 if i % 2 else 0) for i in range(1000)]
    table = write_table(tmp_path / "tumour.csv", rows, "MKI67")
    ring = [[0, 0], [500, 0], [500, 500], [0, 500], [0, 0]]
    feature = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {
            "objectType": "annotation",
            "name": "invasive front",
            "classification": {"name": "Tumor"},
        },
    }
    rois = tmp_path / "rois.geojson"
    rois.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    return table, rois


def test_ki67_is_told_as_a_percentage_and_its_hot_spot(command, tumour, tmp_path):
    table, rois = tumour
    out = tmp_path / "scores.csv"
    asked = ("score", table, "--cutoffs", "1,2,3", "--rois", rois, "--mpp", "1", "--out", out)
    done = command(*asked, "--marker", "Ki67")
    assert (done.code, done.err) == (0, "")
    assert "score: % positive, at any intensity" in done.out
    assert "pseudo-H-score" not in done.out
    assert "Ki-67 is not reported as an H-score." in done.out
    assert "hot spot of invasive front: " in done.out
    assert "cells in a circle of 0.25 mm² around x" in done.out
    header, row = list(csv.reader(out.open()))
    assert ",".join(header) == "region,role,n,n0,n1,n2,n3,pct_positive,h_score,lo,hi"
    assert row[:3] == ["invasive front", "Tumour", "1000"]
    assert row[7:] == ["50.00", "", "", ""]
    done = command(*asked, "--marker", "MKI67")
    assert "score: pseudo-H-score, 0–300" in done.out
    assert list(csv.reader(out.open()))[1][8] == "100.0", "of the plain gene, as ever"


def test_too_few_tumour_nuclei_are_insufficient(command, tmp_path):
    rows = [(10 * i, 10, 2) for i in range(312)]
    table = write_table(tmp_path / "few.csv", rows, "MKI67")
    done = command("score", table, "--marker", "Ki67", "--cutoffs", "1,2,3")
    assert done.code == 0, done.err
    assert "slide: insufficient: 312 of 500 tumour nuclei (all nuclei counted)" in done.out
    assert "100.0" not in done.out


def test_er_has_allred_and_a_lymphocyte_marker_its_density(command, tumour, tmp_path):
    table, rois = tumour
    text = table.read_text()
    er = tmp_path / "er.csv"
    er.write_text(text.replace("MKI67", "ESR1"))
    done = command("score", er, "--marker", "ER", "--cutoffs", "1,2,3")
    assert "pseudo-Allred" in done.out
    assert "6 (4 + 2)" in done.out, "50 % positive, half of them 1+, half 3+"
    cd68 = tmp_path / "cd68.csv"
    cd68.write_text(text.replace("MKI67", "CD68"))
    done = command("score", cd68, "--marker", "CD68", "--cutoffs", "1,2,3")
    assert "density: the area of the slide is not known; score regions with --rois" in done.out
    done = command(
        "score", cd68, "--marker", "CD68", "--cutoffs", "1,2,3", "--rois", rois, "--mpp", "1"
    )
    header, row = done.out.splitlines()[1:3]
    assert header.split()[:6] == ["region", "role", "mm²", "n", "n/mm²", "n0"]
    assert "positive/mm²" in header
    assert row.split()[3:6] == ["0.250", "1000", "4000"]
    assert "density:" not in done.out


def test_mismatch_repair_is_not_scored(command, tmp_path, told_once):
    table = write_table(tmp_path / "mmr.csv", [(1, 1, 1)], "MLH1")
    done = command("score", table, "--marker", "MLH1", "--cutoffs", "1,2,3")
    assert "cannot be scored from gene RNA" in told_once(done)


def test_a_mistake_in_the_users_markers_is_one_line(
    command, four, tmp_path, told_once, monkeypatch
):
    (tmp_path / "own.toml").write_text('[[marker]]\nname = "X"\ngenes = ["ERBB2"]\n')
    monkeypatch.setenv("NAPARI_PAST_MARKERS", str(tmp_path / "own.toml"))
    done = command("score", four, "--marker", "X", "--cutoffs", "1,2,3")
    assert told_once(done) == "Marker 'X' in own.toml has no field compartment; add it."


def test_predicted_classes_are_called_display_classes(command, phantom_cells):
    done = command("score", phantom_cells, "--marker", "HER2")
    assert "display classes of predicted means" in done.out


def test_what_speaks_against_all_scores_comes_before_them(command, phantom_cells, tmp_path):
    poor = anndata.read_h5ad(phantom_cells)
    poor.var["evidence"] = poor.var["evidence"].astype(str)
    poor.var.loc["ERBB2", ["learnable", "evidence"]] = [False, "not learnable · seen in 0.1 %"]
    told = poor.uns["napari_past"]
    told["slide_unlike_training"] = "The slide looks unlike the training tissue."
    told["mismatch"] = "The slide looks like IHC."
    poor.obs["unlike_training"] = True
    poor.write_h5ad(tmp_path / "poor.h5ad")
    done = command("score", tmp_path / "poor.h5ad", "--marker", "HER2")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    flags = [
        "The slide looks like IHC.",
        "reliability: ERBB2: not learnable · seen in 0.1 %",
        "The slide looks unlike the training tissue.",
        f"{poor.n_obs} of {poor.n_obs} cells (100 %) look unlike the training tissue; their values "
        "are the least certain.",
    ]
    first = lines.index(flags[0])
    assert lines[first : first + 4] == flags
    assert lines[first + 4].startswith("region")
    assert done.out.count("reliability:") == 1


def test_another_pixel_size_than_the_files_is_told(command, phantom_cells):
    done = command("score", phantom_cells, "--marker", "HER2", "--mpp", "0.25")
    assert done.code == 0
    assert done.err == (
        "napari-past: --mpp 0.25 places the regions, but cells.h5ad says 0.5 µm per pixel.\n"
    )
    assert command("score", phantom_cells, "--marker", "HER2", "--mpp", "0.501").err == ""


def test_what_could_not_be_read_is_told_beside_the_scores(command, phantom_cells, tmp_path):
    table = anndata.read_h5ad(phantom_cells)
    rects = np.array([[0.0, 0.0, 100.0, 100.0]])
    table.uns["napari_past"]["unreadable"] = {"tiles": 1, "rects_um": rects}
    table.write_h5ad(tmp_path / "lost.h5ad")
    ring = [[0, 0], [400, 0], [400, 400], [0, 400], [0, 0]]
    region = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"objectType": "annotation", "name": "T"},
    }
    rois = tmp_path / "rois.geojson"
    rois.write_text(json.dumps({"type": "FeatureCollection", "features": [region]}))
    out = tmp_path / "scores.csv"
    asked = ("score", tmp_path / "lost.h5ad", "--marker", "HER2")
    done = command(*asked, "--rois", rois, "--out", out)
    assert done.code == 1
    assert "25 % of region T (0.01 mm²) could not be read" in done.err
    scores = pd.read_csv(out)
    assert scores["unreadable_mm2"].tolist() == [0.01]
    done = command(*asked)
    assert (done.code, "1 tile of the slide (0.01 mm²) could not be read" in done.err) == (1, True)
