"""A real IHC slide from the command line: measured, scored, and read by `calibrate`."""

from __future__ import annotations

import html
import json
from html import unescape

import anndata
import numpy as np
import pandas as pd
import pytest
import shapely

from napari_past.calibration import match_pairs
from napari_past.calibration.measured_cells import read_measured_cells
from napari_past.io import read_csv, read_geojson, write_regions
from napari_past.io.origin import read_origin
from napari_past.sample import draw_phantom
from napari_past.sample.ome_tiff import write_pyramid
from napari_past.stain.real_stain import NO_CPS
from napari_past.types import MEASURED_RESEARCH_USE, TUMOUR, Region


@pytest.fixture(scope="module")
def table(command, drawn_ihc, tmp_path_factory):
    path = tmp_path_factory.mktemp("measured") / "ki67.h5ad"
    done = command("run", drawn_ihc.path, "--detector", "ihc-nuclear", "--out", path)
    assert done.code == 0, done.err
    assert "stain  DAB measured · haematoxylin estimated from" in done.out
    assert "values DAB nucleus, DAB cytoplasm, DAB membrane" in done.out
    assert "note" not in done.out
    assert "Predicted from H&E" not in done.out
    return path


@pytest.fixture(scope="module")
def rois(tmp_path_factory):
    path = tmp_path_factory.mktemp("rois") / "rois.geojson"
    left = Region("left", TUMOUR, shapely.box(20, 20, 180, 270))
    right = Region("right", TUMOUR, shapely.box(180, 20, 340, 270))
    write_regions([left, right], path, 0.5)
    return path


def test_nuclear_markers_have_their_real_scores(command, table, rois):
    done = command("score", table, "--marker", "ER", "--rois", rois)
    assert done.code == 0, done.err
    cells = anndata.read_h5ad(table)
    values = cells[:, "DAB nucleus"].X[:, 0]
    x, y = cells.obsm["spatial"].T
    inside = (x >= 20) & (x < 180) & (y >= 20) & (y < 270)
    counts = np.bincount(np.searchsorted([0.2, 0.4, 0.6], values[inside], "right"), minlength=4)
    line = next(t for t in done.out.splitlines() if t.startswith("left")).split()
    assert [int(n) for n in line[5:9]] == counts.tolist()
    assert "score: H-score, 0–300; interval: 95 % sampling interval\n" in done.out
    assert "pseudo" not in done.out
    assert "(1+, 2+, 3+; QuPath's defaults for DAB optical density)" in done.out
    assert "DAB measured; haematoxylin estimated" in done.out
    assert "Predicted from H&E" not in done.out
    assert "display classes" not in done.out


def test_ki67_is_a_percentage(command, table):
    done = command("score", table, "--marker", "MKI67")
    assert done.code == 0, done.err
    assert "Ki-67 is not reported as an H-score." in done.out
    assert "insufficient" in done.out


def test_scores_that_need_a_real_stain(command, table, rois):
    her2 = command("score", table, "--marker", "HER2", "--rois", rois)
    assert "left: HER2 score" in her2.out
    assert "on real stain only" not in her2.out
    assert "HER2 is not reported as an H-score." in her2.out
    assert "score: % positive" in her2.out
    pd_l1 = command("score", table, "--marker", "PD-L1", "--rois", rois)
    assert "left: TPS " in pd_l1.out
    assert "left: CPS: not told, since nobody said" in pd_l1.out


def test_a_report_tells_the_scores_that_need_a_real_stain(command, table, rois, tmp_path):
    out = tmp_path / "report.html"
    done = command("report", table, "--marker", "HER2,PD-L1", "--rois", rois, "--out", out)
    assert done.code == 0, done.err
    assert MEASURED_RESEARCH_USE in done.out
    assert "Predicted from H&E" not in done.out
    page = unescape(out.read_text())
    for marker in ("HER2", "PD-L1"):
        scored = command("score", table, "--marker", marker, "--rois", rois).out.splitlines()
        told = [line for line in scored if "HER2 score" in line or ": TPS" in line]
        assert len(told) == 2
        for line in told:
            assert line.partition(": ")[2].removesuffix(".") in page
    assert page.count(NO_CPS) == 1
    assert "HER2, PD-L1 · measured on the stained slide" in page
    assert "class by membrane completeness" in page


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--marker", "KRT5"], "'KRT5' is no marker of the panel"),
        (["--marker", "HER2", "--cutoffs", "0.2,0.4,0.6"], "score DAB membrane with them"),
        (["--marker", "HER2", "--cutoffs", "0.5,0.7,1.5"], "score DAB membrane with them"),
    ],
)
def test_mistakes_of_score(command, table, arguments, told):
    done = command("score", table, *arguments)
    assert (done.code, done.out) == (2, "")
    assert told in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("of", ["slide", "cells"])
def test_no_report_has_other_cutoffs_for_classes(command, drawn_ihc, table, tmp_path, of):
    given = [table] if of == "cells" else [drawn_ihc.path, "--detector", "ihc-nuclear"]
    out = tmp_path / "her2.html"
    done = command("report", *given, "--marker", "HER2", "--cutoffs", "0.5,0.7,1.5", "--out", out)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "score DAB membrane with them" in done.err
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--model", "past-mini"], "the model past-mini has no part in it; leave the model out"),
        (["--genes", "ERBB2"], "name the marker to `napari-past score --marker`"),
        (["--stain-vectors", "1,2"], "R,G,B of haematoxylin"),
        (["--stain-vectors", "1,0,0,2,0,0"], "are no two stains"),
        (["--stain-vectors", "0,0,0,2,0,0"], "are no two stains"),
    ],
)
def test_mistakes_of_run(command, drawn_ihc, tmp_path, arguments, told):
    out = tmp_path / "x.h5ad"
    done = command("run", drawn_ihc.path, "--detector", "ihc-nuclear", "--out", out, *arguments)
    assert done.code == 2
    assert told in done.err
    assert not out.exists()


def test_stain_vectors_are_of_ihc_alone(command, drawn_ihc, tmp_path):
    done = command(
        "run", drawn_ihc.path, "--stain-vectors", "published", "--out", tmp_path / "x.csv"
    )
    assert done.code == 2
    assert "use --detector ihc-nuclear or ihc-membrane" in done.err


def test_given_vectors_give_the_painted_densities(command, drawn_ihc, tmp_path):
    out = tmp_path / "given.h5ad"
    blue, brown, _ = drawn_ihc.vectors
    given = ",".join(map(str, (*blue, *brown)))
    done = command(
        "run", drawn_ihc.path, "--detector", "ihc-nuclear", "--stain-vectors", given, "--out", out
    )
    assert done.code == 0, done.err
    assert "stain vectors given" in done.out
    told = anndata.read_h5ad(out).uns["napari_past"]["measured"]
    assert told["dab"] == pytest.approx(np.array(brown) / np.linalg.norm(brown))


@pytest.mark.parametrize("suffix", ["csv", "geojson"])
def test_text_formats_keep_what_was_measured(command, drawn_ihc, table, tmp_path, suffix):
    out = tmp_path / f"ki67.{suffix}"
    done = command("run", drawn_ihc.path, "--detector", "ihc-nuclear", "--out", out)
    assert done.code == 0, done.err
    again = read_csv(out) if suffix == "csv" else read_geojson(out)
    cells = anndata.read_h5ad(table)
    column = "DAB membrane (strongest tenth)"
    np.testing.assert_allclose(
        np.asarray(again[:, column].X)[:, 0], cells[:, column].X[:, 0], atol=1e-4
    )
    assert again.uns["napari_past"]["measured"]["name"] == "DAB measured"
    if suffix == "csv":
        scored = command("score", out, "--marker", "ER")
        assert "score: H-score" in scored.out, scored.err


def test_calibrate_reads_what_run_measured(table, rois, drawn_ihc, tmp_path):
    cells = anndata.read_h5ad(table)
    measured = read_measured_cells(table)
    np.testing.assert_array_equal(measured.density, cells[:, "DAB nucleus"].X[:, 0])
    assert measured.mpp == 0.5
    named = read_measured_cells(table, "DAB cytoplasm")
    np.testing.assert_array_equal(
        named.density, [v for v in cells[:, "DAB cytoplasm"].X[:, 0] if np.isfinite(v)]
    )
    centers = cells.obsm["spatial"]
    frame = pd.DataFrame({"x_um": centers[:, 0], "y_um": centers[:, 1], "ESR1": 1.0})
    frame.to_csv(tmp_path / "he.csv", index=False)
    row = {"patient": "P", "predicted_cells": "he.csv", "predicted_rois": rois,
           "measured_cells": table, "measured_rois": rois, "predicted_mpp": 0.5}  # fmt: skip
    pd.DataFrame([row]).to_csv(tmp_path / "pairs.csv", index=False)
    rows, _ = match_pairs(tmp_path / "pairs.csv", "ER")
    assert rows.regions == ("left", "right")
    left = (centers[:, 0] < 180) & (centers[:, 0] >= 20) & (centers[:, 1] >= 20)
    left &= centers[:, 1] < 270
    assert rows.measured[0] == pytest.approx(float(measured.density[left].mean()), abs=1e-6)


def test_he_that_is_measured_as_ihc_is_told(command, tmp_path):
    path = tmp_path / "he.ome.tif"
    write_pyramid(path, draw_phantom(600, 400, 0.5, 3).rgb, 0.5, "he", jpeg=False)
    done = command("run", path, "--detector", "ihc-nuclear", "--out", tmp_path / "x.h5ad")
    assert done.code == 0, done.err
    assert "note   The slide looks like H&E (pink and purple), but its DAB is measured" in done.out
    assert "Use --detector stain-log." in done.out
    sentence = read_origin(tmp_path / "x.h5ad").mismatch
    assert sentence.startswith("The slide looks like H&E")
    assert sentence.endswith("the values mean nothing then.")
    out = tmp_path / "scores.csv"
    scored = command("score", tmp_path / "x.h5ad", "--marker", "ER", "--out", out)
    assert scored.code == 0, scored.err
    lines = scored.out.splitlines()
    assert lines.index(sentence) < next(i for i, t in enumerate(lines) if t.startswith("region"))
    assert json.loads(out.with_name("scores.csv.json").read_text())["mismatch"] == sentence
    page = tmp_path / "page.html"
    reported = command("report", tmp_path / "x.h5ad", "--marker", "ER", "--out", page)
    assert reported.code == 0, reported.err
    # At the page's head, before any number.
    assert 0 < page.read_text("utf-8").index(html.escape(sentence)) < page.read_text().index("n0")


def test_ihc_that_a_model_reads_is_told(command, drawn_ihc, tmp_path):
    done = command(
        "run", drawn_ihc.path, "--genes", "ERBB2", "--region", "50,50,60,60",
        "--out", tmp_path / "x.h5ad",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "looks like IHC (brown on blue), but a model for H&E reads it" in done.out
    assert "Use --detector ihc-nuclear (or ihc-membrane)." in done.out
    assert "looks like IHC" in read_origin(tmp_path / "x.h5ad").mismatch


def test_a_slide_of_the_right_kind_has_no_mismatch(table):
    assert "mismatch" not in anndata.read_h5ad(table).uns["napari_past"]
    assert read_origin(table).mismatch == ""


def test_another_kind_that_fits_the_marker_better_is_told_in_one_line(command, table):
    her2 = command("score", table, "--marker", "HER2")
    (line,) = (text for text in her2.out.splitlines() if "IHC (membrane)" in text)
    assert line.endswith(
        "HER2 stains the membrane: the slide's kind IHC (membrane) finds cells by their blue alone "
        "and fits better."
    )
    assert "fits better" not in command("score", table, "--marker", "ER").out
