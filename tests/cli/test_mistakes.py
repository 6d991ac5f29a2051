"""Every mistake: exit code 2, one line that says what to do, no traceback."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import save_file

from napari_past.cells import DEFAULT_DETECTOR
from napari_past.cli import parser
from napari_past.model import DEFAULT_MODEL


@pytest.fixture
def text_slide(tmp_path):
    path = tmp_path / "notes.svs"
    path.write_text("not a slide")
    return path


def test_text_named_svs(started, text_slide, tmp_path):
    process = started("run", text_slide, "--out", tmp_path / "x.h5ad")
    out, err = process.communicate()
    assert (process.returncode, out) == (2, "")
    assert err.startswith("napari-past: notes.svs is no image")
    assert err.count("\n") == 1


def test_unknown_gene(command, told_once, phantom, tmp_path):
    done = command("run", phantom, "--out", tmp_path / "x.h5ad", "--genes", "ERBB22")
    assert "did you mean ERBB2" in told_once(done)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "required"),
        (["paint"], "invalid choice"),
        (["run"], "required"),
        (["run", "SLIDE", "--out", "OUT", "--regio", "1,2,3,4"], "unrecognized"),
        (["run", "SLIDE", "--out", "OUT", "--region", "1,2,3"], "X,Y,W,H in µm"),
        (["run", "SLIDE", "--out", "OUT", "--region", "a,b,c,d"], "X,Y,W,H in µm"),
        (["run", "SLIDE", "--out", "OUT", "--region", "0,0,-5,5"], "positive width"),
        (["run", "SLIDE", "--out", "OUT", "--region", "9e4,9e4,50,50"], "lies outside"),
        (["run", "SLIDE", "--out", "OUT", "--region", "-90,-90,50,50"], "lies outside"),
        (["run", "SLIDE", "--out", "TMP/x.xlsx"], ".geojson, .parquet, .zarr"),
        (["run", "SLIDE", "--out", "TMP/x", "--format", "xlsx"], "invalid choice"),
        (["run", "SLIDE", "--out", "TMP/x.csv", "--format", "h5ad"], "contradict"),
        (["run", "SLIDE", "TEXT", "--out", "TMP/x.csv"], "give a folder"),
        (["run", "SLIDE", "TMP/phantom.svs", "--out", "TMP/x"], "one by one"),
        (["run", "TMP", "--out", "TMP/x.csv"], "folder or list of one slide"),
        (["run", "SLIDE", "--out", "OUT", "--jobs", "0"], "number from 1 on"),
        (["run", "SLIDE", "--out", "OUT", "--embed-image"], "give --format zarr"),
        (["run", "SLIDE", "--out", "OUT", "--cells-key", "x"], "but none were given"),
        (["run", "SLIDE", "--out", "OUT", "--cells", "TMP/none.geojson"], "There are no cells"),
        (["run", "SLIDE", "--out", "TMP/missing/x.h5ad"], "does not exist"),
        (["run", "SLIDE", "--out", "SLIDE/x.h5ad"], "is a file"),
        (["run", "SLIDE", "--out", "SLIDE/folder"], "cannot be created"),
        (["run", "SLIDE", "--out", "OUT", "--genes", ","], "no gene is named"),
        (["run", "SLIDE", "--out", "OUT", "--model", "past-huge"], "past-mini"),
        (["run", "SLIDE", "--out", "OUT", "--model", "TMP/cardless.safetensors"], "has no card"),
        (["run", "SLIDE", "--out", "OUT", "--model", "TEXT"], "cannot be read as a model"),
        (["run", "SLIDE", "--out", "OUT", "--detector", "magic"], "choose one of"),
        (["run", "SLIDE", "--out", "OUT", "--rois", "TMP/none.geojson"], "check its name"),
        (["run", "SLIDE", "--out", "OUT", "--rois", "TEXT"], "export it again"),
        (["run", "SLIDE", "--out", "OUT", "--rois", "TMP/empty.geojson"], "no region"),
        (["run", "SLIDE", "--out", "OUT", "--mpp", "wide"], "is no number of µm per pixel"),
        (["run", "SLIDE", "--out", "OUT", "--mpp", "-1"], "µm"),
        (["run", "SLIDE", "--out", "OUT", "--series", "9"], "no series"),
        (["run", "TMP/none.svs", "--out", "OUT"], "does not exist"),
        (["info", "TMP/none.svs"], "does not exist"),
        (["info", "TEXT"], "no image"),
        (["view", "TEXT"], "no image"),
        (["view", "SLIDE"], "no display"),
        (["demo", "TEXT", "--out", "TMP/demo"], "no image"),
        (["demo", "--out", "TEXT/demo"], "cannot be created"),
        (["models", "card", "past-huge"], "past-mini"),
        (["score", "CELLS", "--marker", "ERBB2"], "--cutoffs A,B,C"),
        (["score", "CELLS", "--marker", "ERBB2", "--cutoffs", "3,2,1"], "does not ascend"),
        (["score", "CELLS", "--marker", "ERBB2", "--cutoffs", "1,2"], "three ascending"),
        (["score", "CELLS", "--marker", "KRT19", "--cutoffs", "1,2,3"], "does not have"),
        (["score", "CELLS", "--marker", "MLH1", "--cutoffs", "1,2,3"], "cannot be scored"),
        (["score", "TMP/none.csv", "--marker", "ERBB2", "--cutoffs", "1,2,3"], "no file"),
        (["score", "SLIDE", "--marker", "ERBB2", "--cutoffs", "1,2,3"], "no table"),
        (
            ["score", "CELLS", "--marker", "ERBB2", "--cutoffs", "1,2,3", "--out", "CELLS"],
            "read by this command",
        ),
        (
            ["score", "CELLS", "--marker", "ERBB2", "--cutoffs", "1,2,3", "--out", "TMP/x.txt"],
            "end the name in .csv",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_mistake(
    command, told_once, phantom, text_slide, tmp_path, monkeypatch, arguments, expected
):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    cells = tmp_path / "cells.csv"
    cells.write_text("x_um,y_um,ERBB2,MLH1\n1,2,3,4\n")
    (tmp_path / "empty.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    save_file({"a": np.zeros(2)}, tmp_path / "cardless.safetensors")
    before = sorted(tmp_path.iterdir())
    words = {
        "SLIDE": phantom,
        "TEXT": text_slide,
        "CELLS": cells,
        "OUT": tmp_path / "out.h5ad",
        "TMP": tmp_path,
    }
    for word, path in words.items():
        arguments = [
            str(path) + a.removeprefix(word) if a == word or a.startswith(f"{word}/") else a
            for a in arguments
        ]
    assert expected in told_once(command(*arguments))
    assert sorted(tmp_path.iterdir()) == before


def test_truncated_svs(command, told_once, slides, tmp_path):
    content = (slides / "CMU-1-Small-Region.svs").read_bytes()
    path = tmp_path / "half.svs"
    path.write_bytes(content[: len(content) // 2])
    said = told_once(command("run", path, "--out", tmp_path / "x.h5ad"))
    assert "half.svs" in said


def test_slide_without_pixel_size(command, told_once, slides, tmp_path):
    path = slides / "edge" / "invalid_resolutions_tiff.tif"
    assert "--mpp" in told_once(command("run", path, "--out", tmp_path / "x.h5ad"))
    assert "--mpp" in told_once(command("demo", path, "--out", tmp_path / "demo"))
    assert not list(tmp_path.iterdir())


def test_16_bit_slide(command, told_once, slides):
    assert "16-bit" in told_once(command("info", slides / "edge" / "smalltif.tif"))


def test_rois_of_another_slide(command, told_once, phantom, tmp_path):
    ring = "[[[9e5, 9e5], [9e5, 9.1e5], [9.1e5, 9e5], [9e5, 9e5]]]"
    rois = tmp_path / "far.geojson"
    rois.write_text(
        '{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": '
        '{"objectType": "annotation"}, "geometry": {"type": "Polygon", "coordinates": '
        f"{ring}}}}}]}}"
    )
    done = command("run", phantom, "--out", tmp_path / "x.h5ad", "--rois", rois)
    assert "check that they were drawn on this slide" in told_once(done)


def test_a_full_disk_of_scores(command, told_once, tmp_path):
    cells = tmp_path / "cells.csv"
    cells.write_text("x_um,y_um,ERBB2\n1,2,3\n")
    out = tmp_path / "missing" / "scores.csv"
    asked = ("score", cells, "--marker", "ERBB2", "--cutoffs", "1,2,3", "--out", out)
    assert "does not exist" in told_once(command(*asked))


def test_debug_shows_the_traceback(command, text_slide, monkeypatch):
    from napari_past.errors import NotASlide

    monkeypatch.setenv("NAPARI_PAST_DEBUG", "1")
    with pytest.raises(NotASlide):
        command("info", text_slide)


def test_defaults_are_those_of_the_rooms():
    assert (parser.DEFAULT_MODEL, parser.DEFAULT_DETECTOR) == (DEFAULT_MODEL, DEFAULT_DETECTOR)


def test_no_qt_binding_names_the_extra(command, told_once, phantom, monkeypatch):
    from napari_past.cli import display

    monkeypatch.setattr(display, "QT_BINDINGS", ("no_such_binding",))
    assert "napari-past[qt]" in told_once(command("view", phantom))


def test_help_and_version(command):
    done = command("--help")
    assert done.code == 0
    names = "demo view info run tma score calibrate validate report cache models"
    for name in names.split():
        assert f"\n    {name}" in done.out
    assert "fetch" in command("models", "--help").out
    said = command("run", "--help").out
    for option in ("--cells", "--jobs", "--scheduler", "--embed-image"):
        assert option in said
    assert command("--version").out.startswith("napari-past 0.")
