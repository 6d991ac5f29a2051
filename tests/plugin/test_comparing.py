"""Predicted beside real IHC in the window, through the buttons that a user presses."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import shapely
from qtpy.QtCore import Qt

from napari_past.calibration import (
    CalibratedBy,
    Matched,
    fit_calibration,
    write_calibration,
    write_region_table,
)
from napari_past.engine import MeasuredStain, predict
from napari_past.errors import PastError
from napari_past.genes import resolve
from napari_past.io import write_regions
from napari_past.model import load_model
from napari_past.plugin.compare_request import (
    CompareRequest,
    MeasuredInView,
    PairDraft,
    PredictedFiles,
    PredictedInView,
    RegionRows,
    compared,
    save_calibration,
)
from napari_past.quality import QualityMask
from napari_past.slide import open_slide
from napari_past.types import TUMOUR, Region

LONG_MS = 120_000


def patients(k: int, seed: int, regions: int = 6) -> Matched:
    """Densities that rise with predictions, each patient off by an error of its own."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0.0, 1.0, (k, regions))
    y = 0.1 + 0.5 * x + rng.normal(0, 0.03, (k, 1)) + rng.normal(0, 0.01, x.shape)
    return Matched(
        patients=tuple(f"s{seed}p{i}" for i in range(k) for _ in range(regions)),
        regions=tuple(f"r{j}" for _ in range(k) for j in range(regions)),
        predicted=x.ravel(),
        measured=y.ravel(),
        quantity="od",
    )


def click(qtbot, button) -> None:
    assert button.isEnabled()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


@pytest.fixture
def asked(opened, qtbot):
    """A viewer whose comparison is open, HER2 in view: (viewer, widget, dialog)."""
    viewer, widget = opened()
    widget.panel.gene.set_gene("HER2")
    qtbot.waitUntil(lambda: not widget.busy, timeout=LONG_MS)
    click(qtbot, widget.panel.export.compare)
    return viewer, widget, widget._outputs.comparing.dialog


def done(qtbot, widget, button) -> None:
    """Press a button and wait for what it begins."""
    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        click(qtbot, button)


@pytest.mark.gui
def test_a_table_is_compared_saved_loaded_and_validated(
    asked, drawn, qtbot, tmp_path: Path
) -> None:
    """One viewer for all of it: a viewer is what takes the time."""
    _, widget, dialog = asked
    assert not widget.panel.regions.calibrated.isVisibleTo(widget.panel)
    assert dialog.marker.text() == "HER2"
    assert not dialog.compare.isEnabled(), "nothing is listed"
    assert not dialog.save.isEnabled()
    write_region_table(patients(12, 1), tmp_path / "train.csv")
    widget._outputs.comparing.add_table(str(tmp_path / "train.csv"))
    qtbot.keyClicks(dialog.clone, "SP3")
    done(qtbot, widget, dialog.compare)
    assert len(dialog.figures) == 2
    assert "72 regions of 12 patients" in dialog.lines.text()
    assert "calibrated: SP3, 12 patients" in dialog.lines.text()
    assert not dialog.report.isEnabled(), "a new map is no validation"
    # A picture of it: something is drawn on white.
    image = dialog.figures.grab().toImage()
    colours = {image.pixel(x, y) for x in range(0, image.width(), 3)
               for y in range(0, image.height(), 3)}  # fmt: skip
    assert len(colours) > 10

    target = tmp_path / "calibrated.past.safetensors"
    target.write_text("somebody's")
    dialog.saved_as.set_text(str(target))
    click(qtbot, dialog.save)
    assert "is there already" in dialog.message.text()
    assert target.read_text() == "somebody's"
    target.unlink()
    done(qtbot, widget, dialog.save)
    assert str(target) in dialog.message.text()
    # The store has the slide's cells of that model: nobody waits for a worker.
    predict(open_slide(drawn.path), model=str(target), device="cpu").compute()
    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        click(qtbot, dialog.load)
    (calibration,) = widget._model.card.calibrations
    assert (calibration.clone, calibration.patients) == ("SP3", 12)
    calibrated_scores_stand_below_the_table(widget, qtbot)

    dialog.pairs.selectAll()
    click(qtbot, dialog.remove)
    write_region_table(patients(4, 2), tmp_path / "new.csv")
    widget._outputs.comparing.add_table(str(tmp_path / "new.csv"))
    dialog.estimate.setCurrentIndex(1)
    dialog.marker.setText("HER2")
    done(qtbot, widget, dialog.compare)
    assert "24 regions of 4 patients, none of whom was calibrated on" in dialog.lines.text()
    assert not dialog.save.isEnabled()
    dialog.report_as.set_text(str(tmp_path / "validation.html"))
    done(qtbot, widget, dialog.report)
    assert "Bland–Altman" in (tmp_path / "validation.html").read_text(encoding="utf-8")


def calibrated_scores_stand_below_the_table(widget, qtbot) -> None:
    box = widget.panel.regions.calibrated
    widget.panel.gene.set_gene("HER2")
    qtbot.waitUntil(lambda: "SP3, 12 patients" in box.text(), timeout=LONG_MS)
    name, first = box.text().splitlines()[:2]
    assert name.startswith("Predicted DAB optical density (calibrated: SP3, 12 patients), 95 %")
    (row,) = widget.scores.rows
    assert first.startswith(f"{row.region}: 0.")
    widget.panel.gene.set_gene("Ki67")
    qtbot.waitUntil(lambda: not box.text(), timeout=LONG_MS)
    widget.panel.gene.set_gene("HER2")


@pytest.mark.gui
def test_the_slide_in_view_beside_files(asked, qtbot, tmp_path: Path) -> None:
    viewer, widget, dialog = asked
    click(qtbot, widget.panel.regions.draw)
    layer = viewer.layers["Regions"]
    for left in (0, 160, 320):
        box = np.array([[0, left], [0, left + 130], [320, left + 130], [320, left]])
        layer.add_polygons([box])
    qtbot.waitUntil(lambda: widget.scores is not None and len(widget.scores.rows) >= 3)
    regions = widget.regions()
    # A stained neighbour in the same frame whose density follows the prediction.
    frame = pd.DataFrame(widget.cells.centers_um, columns=["x_um", "y_um"])
    values = np.asarray(widget.shown.values, float)
    frame["dab_od"] = 0.2 + 0.1 * values
    frame.to_csv(tmp_path / "ihc.csv", index=False)
    write_regions(list(regions), tmp_path / "ihc.geojson", 0.5)

    dialog.measured.cells.edit.setText(str(tmp_path / "ihc.csv"))
    dialog.measured.regions.edit.setText(str(tmp_path / "ihc.geojson"))
    click(qtbot, dialog.add)
    assert "No patient is named" in dialog.message.text()
    qtbot.keyClicks(dialog.patient, "P1")
    click(qtbot, dialog.add)
    assert "No predicted cells are named" in dialog.message.text()
    click(qtbot, dialog.measured.take)
    assert "No stained slide" in dialog.message.text()
    assert not dialog.measured.take.isChecked()
    dialog.measured.cells.edit.setText(str(tmp_path / "ihc.csv"))
    dialog.measured.regions.edit.setText(str(tmp_path / "ihc.geojson"))
    click(qtbot, dialog.predicted.take)
    assert "3 regions" in dialog.predicted.cells.text
    click(qtbot, dialog.add)
    assert len(dialog.pairs.parts) == 1
    assert dialog.predicted.taken is None
    dialog.measured.cells.edit.setText(str(tmp_path / "ihc.csv"))
    done(qtbot, widget, dialog.compare)
    found = widget._outputs.comparing.result
    assert found.validation is None
    assert "3 regions of 1 patient; r 1.00" in dialog.lines.text()
    assert "Local: no map" in dialog.lines.text()
    assert not dialog.save.isEnabled()
    predicted, measured = found.means
    assert measured == pytest.approx(0.2 + 0.1 * predicted, abs=0.02)


@pytest.mark.gui
def test_mistakes_are_told_in_the_dialog(asked, qtbot, tmp_path: Path) -> None:
    _, widget, dialog = asked
    widget._outputs.comparing.add_table(str(tmp_path / "none.csv"))
    assert "There is no file" in dialog.message.text()
    write_region_table(patients(3, 1), tmp_path / "train.csv")
    widget._outputs.comparing.add_table(str(tmp_path / "train.csv"))
    for marker, told in (("HER22", "HER22"), ("MLH1", "cannot be scored"), ("", "No gene")):
        dialog.marker.setText(marker)
        click(qtbot, dialog.compare)
        assert told in dialog.message.text(), marker
    dialog.marker.setText("HER2")
    model = load_model("past-mini")
    by = CalibratedBy.of(model, resolve("HER2", model.genes))
    other = fit_calibration(patients(3, 1), by).model_copy(update={"model_sha256": "c" * 64})
    write_calibration(other, tmp_path / "other.json")
    dialog.calibration_given.emit(str(tmp_path / "other.json"))
    assert dialog.calibration == other
    done(qtbot, widget, dialog.compare)
    assert "calibrate that model too" in dialog.message.text()
    dialog.calibration_given.emit(str(tmp_path / "train.csv"))
    assert "no valid calibration" in dialog.message.text()


def test_two_slides_in_view_of_one_marker_and_model(tmp_path: Path) -> None:
    model = load_model("past-mini")
    rng = np.random.default_rng(0)
    centers = rng.uniform(0, 100, (400, 2))
    values = (centers[:, 0] > 50).astype(np.float32)
    box = {"A": (0, 0, 50, 100), "B": (50, 0, 100, 100)}
    regions = tuple(Region(name, TUMOUR, shapely.box(*at)) for name, at in box.items())
    her2, er, esr1 = (model.resolve(name) for name in ("HER2", "ER", "ESR1"))
    density = np.where(values > 0, 0.6, 0.2).astype(np.float32)
    density[:5] = np.nan  # nothing is seen of them

    def stained(asked, density=density, mask=None):
        marker = MeasuredStain(compartment="membrane").resolve(asked)
        return MeasuredInView("ihc", marker, density, centers, regions, mask)

    def draft(patient, sha256=model.sha256, resolved=her2):
        here = PredictedInView("he", resolved, values, centers, regions, None, sha256)
        return PairDraft(patient, here, stained("DAB membrane"))

    found = compared(CompareRequest(model, her2, (draft("P1"), draft("P2")), "od")).comparison
    predicted, measured = found.means
    assert predicted == pytest.approx([0, 1, 0, 1])
    assert measured == pytest.approx([0.2, 0.6, 0.2, 0.6])
    assert np.array(found.calibration.knots) == pytest.approx(np.array([[0, 0.2], [1, 0.6]]))
    scores = compared(CompareRequest(model, her2, (draft("P1"), draft("P2")), "h-score"))
    assert scores.comparison.means[1] == pytest.approx([100, 300, 100, 300])
    for wrong, told in (
        (draft("P1", sha256="c" * 64), "load that one"),
        (draft("P1", resolved=er), "was taken with ESR1"),
    ):
        with pytest.raises(PastError, match=told):
            compared(CompareRequest(model, her2, (wrong,), "od"))
    # Pen on the left of A reads as much brown; its cells count on neither slide.
    labels = np.zeros((100, 100), np.uint8)
    labels[:, :25] = 1
    pen = QualityMask(labels, 1.0, "pen")
    brown = np.where(centers[:, 0] < 25, np.float32(2), density)
    parts = tuple(
        replace(draft(patient), measured=stained("DAB membrane", brown, pen))
        for patient in ("P1", "P2")
    )
    masked = compared(CompareRequest(model, her2, parts, "od")).comparison
    assert masked.means[1] == pytest.approx([0.2, 0.6, 0.2, 0.6])
    # Of ER (a nucleus) no membranes of CD8 make a calibration.
    of_er = replace(draft("P1", resolved=er), measured=stained("CD8"))
    with pytest.raises(PastError, match=r"measured as CD8: .*, but ESR1 \(ER\) is shown"):
        compared(CompareRequest(model, er, (of_er,), "od"))
    same = tuple(
        replace(draft(patient, resolved=er), measured=stained("ER")) for patient in ("P1", "P2")
    )
    assert compared(CompareRequest(model, er, same, "od")).comparison.calibration is not None
    # Who typed the gene has asked for the same stain.
    gene = tuple(replace(d, predicted=replace(d.predicted, resolved=esr1)) for d in same)
    assert compared(CompareRequest(model, esr1, gene, "od")).comparison.calibration is not None
    files = PredictedFiles(tmp_path / "none.h5ad", tmp_path / "none.geojson")
    missing = PairDraft("P1", files, draft("P1").measured)
    with pytest.raises(PastError, match="There is no file"):
        compared(CompareRequest(model, her2, (missing,), "od"))


@pytest.mark.parametrize(
    ("name", "told"),
    [("new.txt", "neither"), ("past-mini", "neither")],
)
def test_a_calibration_needs_a_name_that_says_what_it_is(tmp_path: Path, name, told) -> None:
    model = load_model("past-mini")
    calibration = fit_calibration(patients(3, 1), CalibratedBy.of(model, model.resolve("HER2")))
    with pytest.raises(PastError, match=told):
        save_calibration(model, calibration, "", "", tmp_path / name)
    with pytest.raises(PastError, match="in use"):
        save_calibration(model, calibration, "", "", Path(model.path))
    save_calibration(model, calibration, " SP1 ", "", tmp_path / "alone.json")
    assert '"clone": "SP1"' in (tmp_path / "alone.json").read_text()


def test_a_calibration_of_another_model_is_not_saved_in_this_one(tmp_path: Path) -> None:
    model = load_model("past-mini")
    by = CalibratedBy.of(model, model.resolve("HER2"))
    other = fit_calibration(patients(3, 1), replace(by, model_sha256="c" * 64))
    for name in ("new.past.safetensors", "alone.json"):
        with pytest.raises(PastError, match="calibrate that model too"):
            save_calibration(model, other, "", "", tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.gui
def test_what_ends_after_it_was_cancelled(asked, qtbot, tmp_path) -> None:
    """One viewer for both: a viewer is what takes the time."""
    _, widget, dialog = asked
    it_is_not_of_the_next_model(widget, dialog, qtbot, tmp_path)
    a_file_that_was_written_all_the_same_is_told(widget, dialog, qtbot, tmp_path)


def it_is_not_of_the_next_model(widget, dialog, qtbot, tmp_path) -> None:
    comparing = widget._outputs.comparing
    model = load_model("past-mini")
    write_region_table(patients(3, 1), tmp_path / "train.csv")
    request = CompareRequest(
        model, model.resolve("HER2"), (RegionRows(tmp_path / "train.csv"),), None
    )
    outcome = compared(request)
    go_on = threading.Event()

    def work(job) -> object:
        go_on.wait(30)
        return outcome  # it never looks whether it is cancelled

    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        comparing._run(work, "Comparing …", comparing._on_compared)
        comparing.set_model(model)
        go_on.set()
    assert comparing.result is None
    assert not dialog.save.isEnabled()
    assert dialog.message.text() == "Cancelled."


def a_file_that_was_written_all_the_same_is_told(widget, dialog, qtbot, tmp_path) -> None:
    comparing = widget._outputs.comparing
    write_region_table(patients(3, 1), tmp_path / "train.csv")
    comparing.add_table(str(tmp_path / "train.csv"))
    done(qtbot, widget, dialog.compare)
    target = tmp_path / "alone.json"
    dialog.saved_as.set_text(str(target))
    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        comparing.save()
        comparing.set_model(load_model("past-mini"))
    assert dialog.message.text() == f"{target} was written before it could be cancelled."
    assert target.exists()
    assert not dialog.load.isVisibleTo(dialog)
