"""``calibrate`` and ``validate`` on the command line."""

import json
from dataclasses import replace
from html import unescape

import numpy as np
import pandas as pd
import pytest

from napari_past.calibration import check_model, read_calibration
from napari_past.errors import BadTable
from napari_past.model import load_model
from napari_past.types import RESEARCH_USE


@pytest.fixture
def fitted(sim, table, command, tmp_path):
    """The file of a calibration of the bundled model on twelve patients."""
    out = tmp_path / "er.json"
    done = command(
        "calibrate", table("train.csv", sim.patients(12, seed=1)), "--marker", "ER",
        "--clone", "SP1", "--scanner", "S360", "--out", out,
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    return out, done.out


def test_calibrate_tells_and_writes_it(fitted):
    out, told = fitted
    assert told.startswith("predicted DAB optical density (calibrated: SP1, 12 patients)\n")
    assert "estimated for each patient from the others:\n  bias" in told
    assert RESEARCH_USE in told
    found = read_calibration(out)
    assert (found.marker, found.genes) == ("ESR1 (ER)", ("ESR1",))
    assert (found.clone, found.scanner, found.patients) == ("SP1", "S360", 12)
    assert found.model_sha256 == load_model("past-mini").sha256
    assert json.loads(out.read_text())["research_use"] == RESEARCH_USE


def test_the_same_table_gives_the_same_bytes(fitted, command, tmp_path):
    out, _ = fitted
    again = tmp_path / "again.json"
    command(
        "calibrate", tmp_path / "train.csv", "--marker", "ER", "--clone", "SP1",
        "--scanner", "S360", "--out", again,
    )  # fmt: skip
    assert again.read_bytes() == out.read_bytes()


def test_validate_writes_a_report(fitted, sim, table, command, tmp_path):
    report = tmp_path / "report.html"
    done = command(
        "validate", table("new.csv", sim.patients(5, seed=2)), "--calibration", fitted[0],
        "--model", "past-mini", "--out", report,
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    assert "30 regions of 5 patients, none of whom was calibrated on" in done.out
    assert RESEARCH_USE in done.out
    assert RESEARCH_USE in unescape(report.read_text())


def test_seen_patients_are_refused_unless_asked_for(fitted, command, tmp_path):
    ask = ("validate", tmp_path / "train.csv", "--calibration", fitted[0], "--out")
    done = command(*ask, tmp_path / "r.html")
    assert done.code == 2
    assert "more of these regions were calibrated on" in done.err
    done = command(*ask, tmp_path / "r.md", "--seen-patients")
    assert done.code == 0
    assert "this is no independent validation" in (tmp_path / "r.md").read_text()


def test_a_calibration_goes_into_a_card(fitted, command, tmp_path):
    calibrated = tmp_path / "mine.safetensors"
    ask = ("calibrate", tmp_path / "train.csv", "--marker", "ER", "--clone", "SP1", "--card")
    done = command(*ask, calibrated, "--out", tmp_path / "er2.json")
    assert (done.code, done.err) == (0, "")
    ours, theirs = load_model("past-mini"), load_model(calibrated)
    made = read_calibration(tmp_path / "er2.json")
    assert theirs.card.calibrations == (made,)
    assert theirs.card.model_copy(update={"calibrations": ()}) == ours.card
    vectors = np.random.default_rng(0).normal(size=(3, ours.embed_dim)).astype(np.float32)
    genes = ours.genes[:5]
    assert np.array_equal(ours.expression(vectors, genes), theirs.expression(vectors, genes))
    check_model(made, ours)
    check_model(made, theirs)
    with pytest.raises(BadTable, match="calibrate that model too"):
        check_model(read_calibration(fitted[0]), theirs)
    twice = tmp_path / "twice.safetensors"
    done = command(*ask, twice, "--out", tmp_path / "er3.json", "--model", calibrated)
    assert done.code == 0, done.err
    assert len(load_model(twice).card.calibrations) == 1, "the earlier one is replaced"
    done = command(*ask, calibrated, "--out", tmp_path / "er3.json", "--model", calibrated)
    assert done.code == 2
    assert "is read by this command" in done.err


def test_a_calibration_of_another_model_is_refused(fitted, sim, table, command, tmp_path):
    told = json.loads(fitted[0].read_text()) | {"model_sha256": "b" * 64}
    fitted[0].write_text(json.dumps(told))
    done = command(
        "validate", table("new.csv", sim.patients(5, seed=2)), "--calibration", fitted[0],
        "--model", "past-mini", "--out", tmp_path / "r.html",
    )  # fmt: skip
    assert done.code == 2
    assert "The calibration is of past-mini 2 (SHA-256 bbbbbbbbbbbb…), but" in done.err


def broken(text):
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        return {
            "nan": lambda f: f.assign(predicted=f.predicted.where(f.index != 3)),
            "negative": lambda f: f.assign(measured_od=f.measured_od.where(f.index != 3, -0.1)),
            "missing": lambda f: f.drop(columns="predicted"),
            "no measurement": lambda f: f.drop(columns="measured_od"),
            "no region": lambda f: f.drop(columns="region"),
            "twice": lambda f: f.assign(region="R"),
            "one patient": lambda f: f.assign(patient="P", region=f.index),
            "constant": lambda f: f.assign(predicted=1.0),
            "text": lambda f: f.assign(predicted="much"),
            "empty": lambda f: f.iloc[:0],
        }[text](frame)

    return change


@pytest.mark.parametrize(
    ("mistake", "sentence"),
    [
        ("nan", "Line 5 of t.csv has no predicted value; fill it in or delete the row."),
        ("negative", "Line 5 of t.csv has a measured DAB optical density of -0.1, which cannot be"),
        ("missing", "t.csv needs one of the columns predicted (mean of the region's cells"),
        ("no measurement", "t.csv has no column of measured values; give measured_od or measured"),
        ("no region", "t.csv has no column region; it needs patient, region, predicted"),
        ("twice", "t.csv has region R of patient"),
        ("one patient", "regions are of patient P, but a calibration is judged on patients left"),
        ("constant", "Every predicted value is 1, so nothing can be calibrated"),
        ("text", "t.csv has text in predicted where numbers were expected"),
        ("empty", "t.csv holds no rows; give one for each matched region."),
    ],
)
def test_mistakes_are_told_in_one_sentence(sim, table, command, tmp_path, mistake, sentence):
    path = table("t.csv", sim.patients(4))
    broken(mistake)(pd.read_csv(path)).to_csv(path, index=False)
    done = command("calibrate", path, "--marker", "ER", "--out", tmp_path / "er.json")
    assert done.code == 2
    assert sentence in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "er.json").exists()


def test_a_marker_that_rna_cannot_stand_for_is_refused(sim, table, command, tmp_path):
    path = table("t.csv", sim.patients(4))
    done = command("calibrate", path, "--marker", "MLH1", "--out", tmp_path / "m.json")
    assert done.code == 2


def test_patients_with_leading_zeros_stay_what_they_are(sim, table, command, tmp_path):
    rows = sim.patients(3)
    names = tuple({"s0p0": "007", "s0p1": "7", "s0p2": "07"}[p] for p in rows.patients)
    path = table("t.csv", replace(rows, patients=names))
    command("calibrate", path, "--marker", "ER", "--out", tmp_path / "er.json")
    assert read_calibration(tmp_path / "er.json").patients == 3


def test_a_damaged_calibration_is_refused(command, tmp_path):
    path = tmp_path / "c.json"
    for text in ("{", '{"schema_version": 2}'):
        path.write_text(text)
        with pytest.raises(BadTable, match="is no valid calibration"):
            read_calibration(path)


def test_cells_of_another_model_are_refused(command, tmp_path):
    frame = pd.DataFrame({"x_um": [1.0], "y_um": [1.0], "ESR1": [0.5]})
    frame.to_csv(tmp_path / "he.csv", index=False)
    told = {"schema_version": 1, "model": {"name": "past", "sha256": "c" * 64}}
    (tmp_path / "he.csv.json").write_text(json.dumps(told))
    row = {"patient": "P", "predicted_cells": "he.csv", "predicted_rois": "r.geojson",
           "measured_cells": "m.csv", "measured_rois": "r.geojson"}  # fmt: skip
    pd.DataFrame([row]).to_csv(tmp_path / "pairs.csv", index=False)
    out = tmp_path / "er.json"
    done = command("calibrate", tmp_path / "pairs.csv", "--marker", "ER", "--out", out)
    assert done.code == 2
    assert "predicted by past (SHA-256 cccccccccccc…), not by past-mini" in done.err


def test_scores_are_calibrated_to_scores_alone(sim, table, command, tmp_path):
    rows = sim.patients(4)
    frame = pd.read_csv(table("t.csv", rows)).rename(columns={"predicted": "predicted_h_score"})
    frame.to_csv(tmp_path / "t.csv", index=False)
    out = tmp_path / "er.json"
    done = command("calibrate", tmp_path / "t.csv", "--marker", "ER", "--out", out)
    assert done.code == 0, done.err
    assert read_calibration(out).predicted_unit == "pseudo-H-score"
    new = table("new.csv", sim.patients(2, seed=4))
    done = command("validate", new, "--calibration", out, "--out", tmp_path / "r.html")
    assert done.code == 2
    assert "maps pseudo-H-score, but new.csv holds predictions of another kind" in done.err
