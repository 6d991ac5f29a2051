"""The report from the widget, through the buttons that a user presses."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from pypdf import PdfReader
from qtpy.QtCore import QObject, Qt

from napari_past.errors import CannotWrite
from napari_past.plugin.jobs import Jobs
from napari_past.plugin.report_dialog import NO_SLIDE
from napari_past.plugin.save_field import SaveField
from napari_past.report.case_code import NO_CASE_CODE
from napari_past.types import RESEARCH_USE

pytestmark = pytest.mark.gui

LONG_MS = 120_000


def click(qtbot, button) -> None:
    assert button.isEnabled()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def write(qtbot, widget, dialog) -> None:
    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        click(qtbot, dialog.write)


def test_a_report_is_asked_for_and_written(opened, qtbot, tmp_path: Path) -> None:
    """One viewer for all of it: a viewer is what takes the time."""
    _, widget = opened()
    widget.panel.gene.set_gene("HER2")
    qtbot.waitUntil(lambda: not widget.busy, timeout=LONG_MS)
    click(qtbot, widget.panel.export.report)
    dialog = widget._outputs.reporting.dialog
    dialog.out.set_text(str(tmp_path / "report.pdf"))
    cancelled_writes_nothing(widget, dialog, qtbot, tmp_path)
    a_page_says_what_the_widget_shows(widget, dialog, qtbot, tmp_path)
    a_report_that_was_written_all_the_same_is_told(widget, dialog, qtbot, tmp_path)
    markers_that_were_looked_at_can_be_ticked(widget, dialog, qtbot, tmp_path)
    mistakes_are_told_in_the_dialog_and_lose_nothing(dialog, qtbot, tmp_path)
    a_case_code_stays_with_its_slide(widget, dialog, qtbot)


def a_page_says_what_the_widget_shows(widget, dialog, qtbot, tmp_path: Path) -> None:
    assert dialog.ticked == ("HER2",)
    widget.panel.cutoffs.spins[2].setValue(98.5)
    qtbot.waitUntil(lambda: not widget.busy, timeout=LONG_MS)
    qtbot.keyClicks(dialog.case, "S26-12345")
    write(qtbot, widget, dialog)
    assert dialog.message.text() == f"Saved 1 page to {tmp_path / 'report.pdf'}."
    assert dialog.show_file.isVisibleTo(dialog)
    (page,) = PdfReader(tmp_path / "report.pdf").pages
    text = " ".join(page.extract_text().split())
    (row,) = widget.scores.rows
    for told in (
        "S26-12345", widget.session.slide.fingerprint, "drawn.ome.tif", RESEARCH_USE, "past-mini",
        f"{row.n} ", row.h_score_text, "98.5", "not calibrated",
    ):  # fmt: skip
        assert told in text, told


def markers_that_were_looked_at_can_be_ticked(widget, dialog, qtbot, tmp_path: Path) -> None:
    for gene in ("Ki67", "MLH1"):  # the latter has no score
        widget.panel.gene.set_gene(gene)
        qtbot.waitUntil(lambda: not widget.busy, timeout=LONG_MS)
    widget._outputs.reporting.come_up()
    names = [dialog.markers.item(i).text() for i in range(dialog.markers.count())]
    assert "ERBB2 (HER2)" in names
    assert "MKI67 (Ki-67)" in names
    assert not any("MLH1" in name for name in names)
    for i in range(dialog.markers.count()):
        dialog.markers.item(i).setCheckState(Qt.CheckState.Checked)
    dialog.case.clear()
    dialog.out.set_text(str(tmp_path / "two.html"))
    write(qtbot, widget, dialog)
    text = (tmp_path / "two.html").read_text(encoding="utf-8")
    assert "ERBB2 (HER2) by region" in text
    assert "MKI67 (Ki-67) by region" in text
    assert NO_CASE_CODE in text


def mistakes_are_told_in_the_dialog_and_lose_nothing(dialog, qtbot, tmp_path: Path) -> None:
    old = tmp_path / "old.pdf"
    old.write_text("old")
    for case, name, told in (
        ("x" * 33, "a.pdf", "33 letters"),
        ("Ł-1", "a.pdf", "Ł"),
        ("S1", "a.docx", ".html or .pdf"),
        ("S1", "missing/a.pdf", "does not exist"),
        ("S1", "old.pdf", "is there already"),
        ("S1", "", "No file is named"),
    ):
        dialog.case.setText(case)
        dialog.out.set_text(str(tmp_path / name) if name else "")
        click(qtbot, dialog.write)
        assert told in dialog.message.text(), name
    assert old.read_text() == "old"
    dialog.out.set_text(str(tmp_path / "a.pdf"))
    for i in range(dialog.markers.count()):
        dialog.markers.item(i).setCheckState(Qt.CheckState.Unchecked)
    click(qtbot, dialog.write)
    assert "No marker is chosen" in dialog.message.text()
    assert list(tmp_path.glob("a.*")) == []


def cancelled_writes_nothing(widget, dialog, qtbot, tmp_path: Path) -> None:
    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        click(qtbot, dialog.write)
        click(qtbot, dialog.stop)
    assert dialog.message.text() == "Cancelled; nothing was written."
    assert not (tmp_path / "report.pdf").exists()


def a_report_that_was_written_all_the_same_is_told(widget, dialog, qtbot, tmp_path: Path) -> None:
    reporting, out = widget._outputs.reporting, tmp_path / "late.pdf"
    dialog.out.set_text(str(out))

    def cancel_late(done: int, total: int, what: str) -> None:
        if what.startswith("Writing"):
            reporting.cancel()

    reporting._stepped.connect(cancel_late, Qt.ConnectionType.DirectConnection)
    write(qtbot, widget, dialog)
    assert dialog.message.text() == f"{out} was written before it could be cancelled."
    assert out.exists()
    assert not dialog.show_file.isVisibleTo(dialog), "another slide may be in view"
    click(qtbot, dialog.write)
    assert "is there already" in dialog.message.text()
    reporting._stepped.disconnect(cancel_late)


def a_case_code_stays_with_its_slide(widget, dialog, qtbot) -> None:
    dialog.case.clear()
    qtbot.keyClicks(dialog.case, "S26-1")
    reporting, session = widget._outputs.reporting, widget.session
    reporting.set_session(None)
    assert dialog.case.text() == ""
    assert dialog.slide.text() == NO_SLIDE
    assert not dialog.write.isEnabled()
    reporting.set_session(session)
    assert dialog.case.text() == "S26-1"
    assert session.slide.fingerprint[:4] in dialog.slide.text()


def test_a_written_file_allows_no_other(qtbot, tmp_path: Path) -> None:
    field = SaveField("Report", "PDF (*.pdf)")
    qtbot.addWidget(field)
    ours, theirs = tmp_path / "ours.pdf", tmp_path / "theirs.pdf"
    for path in (ours, theirs):
        path.write_text("somebody's")
    field.set_text(str(theirs))
    field.written(ours)
    with pytest.raises(CannotWrite, match="is there already"):
        field.target()
    field.edit.setText(str(ours))
    assert field.target() == ours
    # Proposed for another slide, nobody agreed to it.
    field.set_text(str(ours))
    with pytest.raises(CannotWrite, match="is there already"):
        field.target()


def test_a_cancelled_job_hands_nothing_over(qtbot) -> None:
    parent, told, go_on = QObject(), [], threading.Event()
    jobs = Jobs(parent)
    with qtbot.waitSignal(jobs.idle, timeout=LONG_MS):
        jobs.run(lambda job: go_on.wait(30), "waits", told.append)
        jobs.clear()
        go_on.set()
    assert told == []
