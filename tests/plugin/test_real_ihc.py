"""A real IHC slide in the viewer: suggested, chosen, measured, scored, exported, and kept."""

from __future__ import annotations

import anndata
import numpy as np
import numpy.testing as npt
import pytest
from napari.layers import Points
from qtpy.QtCore import QPoint, Qt

from napari_past.engine import MeasuredStain, predict
from napari_past.plugin.slide_kind import IHC_MEMBRANE, IHC_NUCLEAR
from napari_past.slide import open_slide
from napari_past.stain.slide_kind import H_AND_E
from napari_past.types import MEASURED_RESEARCH_USE, RESEARCH_USE, Cutoffs

pytestmark = pytest.mark.gui

LONG_MS = 120_000


@pytest.fixture(scope="module")
def measured(drawn_ihc, cache_dir):
    """Its cells; the store then has them for the widget."""
    cells = {}
    for name in ("ihc-nuclear", "ihc-membrane"):
        with open_slide(drawn_ihc.path) as slide:
            cells[name] = predict(slide, detector=name).compute()
    return cells


@pytest.fixture
def ihc(docked, drawn_ihc, measured, qtbot):
    """A viewer with the IHC slide, as yet taken for H&E: (viewer, widget)."""
    viewer, widget = docked()
    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        viewer.open(str(drawn_ihc.path), plugin="napari-past")
    return viewer, widget


def choose(qtbot, widget, kind: str) -> None:
    box = widget.panel.slide.kind
    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        box.setCurrentText(kind)
        box.activated.emit(box.currentIndex())


def points_of(viewer) -> list[Points]:
    return [layer for layer in viewer.layers if isinstance(layer, Points) and layer.visible]


def test_ihc_is_suggested_measured_told_exported_and_forgotten(
    ihc, qtbot, measured, tmp_path, command
) -> None:
    """One viewer for all of it: a viewer is what takes the time."""
    viewer, widget = ihc
    ihc_is_suggested_and_never_chosen_by_itself(widget, qtbot, measured)
    measured_values_take_the_place_of_predictions(viewer, widget, measured)
    cells_and_regions_are_told_as_measured(widget, qtbot)
    exported_cells_are_measured_ones(widget, qtbot, tmp_path, command)
    without_slides_nothing_is_said_of_the_last_one(viewer, widget)


def test_kinds_are_changed_kept_and_taken_up_with_their_slides(
    ihc, drawn, drawn_ihc, analysed, qtbot
) -> None:
    """One viewer for all of it."""
    viewer, widget = ihc
    the_kind_is_kept_with_the_slide_and_can_be_changed_back(viewer, widget, drawn_ihc, qtbot)
    a_gene_comes_back_with_the_kind(viewer, widget, drawn_ihc, qtbot)
    a_slide_that_is_opened_next_is_taken_up(viewer, widget, drawn, len(analysed), qtbot)


def test_her2_is_scored_on_membranes(ihc, qtbot, measured) -> None:
    """One viewer for all of it."""
    _, widget = ihc
    classes_of_her2_have_no_cutoffs_to_move(widget, qtbot)
    membranes_have_their_own_kind_and_scores(widget, qtbot, measured)


def ihc_is_suggested_and_never_chosen_by_itself(widget, qtbot, measured) -> None:
    box = widget.panel.slide
    assert widget.session.kind == box.kind.currentText() == H_AND_E
    assert box.suggestion.text() == "This slide looks like IHC (brown on blue)."
    assert box.switch.text() == "Analyse it as IHC (nuclear)"
    assert "looks like IHC" in widget.panel.banner.text()
    assert widget.panel.models.isVisibleTo(widget.panel)
    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        qtbot.mouseClick(box.switch, Qt.MouseButton.LeftButton)
    assert widget.session.kind == box.kind.currentText() == IHC_NUCLEAR
    assert not box.suggestion.isVisibleTo(box)
    assert not box.switch.isVisibleTo(box)
    assert len(widget.cells) == len(measured["ihc-nuclear"])


def measured_values_take_the_place_of_predictions(viewer, widget, measured) -> None:
    panel = widget.panel
    assert isinstance(widget.session.model, MeasuredStain)
    (layer,) = points_of(viewer)
    assert layer.name == "DAB nucleus · DAB measured"
    panel.gene.set_gene("Ki67")
    assert layer.name == "Ki-67 · DAB measured"
    assert panel.gene.meaning.text().startswith("→ Ki-67: DAB nucleus")
    assert panel.gene.badge.text().startswith("measured: DAB optical density · haematoxylin est")
    assert widget.shown.unit == "DAB optical density"
    cells = measured["ihc-nuclear"]
    npt.assert_array_equal(np.sort(widget.shown.values), np.sort(cells.marker_values("Ki67")))
    assert panel.cutoffs.cutoffs.values == (0.2, 0.4, 0.6)
    assert panel.cutoffs.classes_shown
    for widget_of_models in (panel.models, panel.compare, panel.banner, panel.types):
        assert not widget_of_models.isVisibleTo(panel)
    assert panel.notice.text() == MEASURED_RESEARCH_USE
    assert widget._outputs.reporting.dialog.notice.text() == MEASURED_RESEARCH_USE


def cells_and_regions_are_told_as_measured(widget, qtbot) -> None:
    widget._inspecting.pick(0)
    lines = dict(widget.panel.cell.facts.lines())
    nucleus = widget.cells.expression(["DAB nucleus"])[0, 0]
    assert lines["DAB"].startswith(f"nucleus {nucleus:.2f}, cytoplasm ")
    assert "% complete, HER2 class" in lines["membrane"] or lines["membrane"] == "not seen"
    assert "training" not in lines
    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        widget.panel.gene.set_gene("ER")
    assert widget.scores.score_name == "H-score"
    n0, n1, n2, n3 = np.bincount(widget.shown.classes, minlength=4).tolist()
    row = widget.scores.rows[-1]
    assert (row.n0, row.n1, row.n2, row.n3) == (n0, n1, n2, n3)
    assert "pseudo" not in widget.panel.regions.note.text()
    assert "predicted" not in widget.panel.regions.note.text()


def membranes_have_their_own_kind_and_scores(widget, qtbot, measured) -> None:
    choose(qtbot, widget, IHC_NUCLEAR)
    widget.panel.gene.set_gene("HER2")
    assert "IHC (membrane) finds cells by their blue alone" in widget.panel.gene.meaning.text()
    choose(qtbot, widget, IHC_MEMBRANE)
    assert widget.panel.gene.current.name == "HER2"
    assert len(widget.cells) == len(measured["ihc-membrane"])
    assert widget.panel.cutoffs.cutoffs.values == (1, 2, 3)
    table = widget.panel.regions.table
    tips = [table.item(line, 0).toolTip() for line in range(table.rowCount())]
    assert any("HER2 score" in tip for tip in tips)


def classes_of_her2_have_no_cutoffs_to_move(widget, qtbot) -> None:
    choose(qtbot, widget, IHC_MEMBRANE)
    box, annotating = widget.panel.cutoffs, widget._annotating
    model = widget.session.model
    # As an earlier version kept them: cells of class 1 would become 3+.
    annotating.set_cutoffs(model.name, model.resolve("HER2"), Cutoffs(0.5, 0.7, 0.95, "set by you"))
    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        widget.panel.gene.set_gene("HER2")
    assert box.cutoffs.values == widget.shown.cutoffs.values == (1, 2, 3)
    for part in (*box.spins, box.reset, box.copy):
        assert not part.isEnabled()
    assert box.source.text().endswith("classes have no other cut-offs")
    histogram = box.cells.histogram
    place = QPoint(round(histogram.line_px(0)), 40)
    assert histogram.line_at(place.x(), place.y()) is None
    qtbot.mousePress(histogram, Qt.MouseButton.LeftButton, pos=place)
    assert not histogram.held
    qtbot.mouseRelease(histogram, Qt.MouseButton.LeftButton, pos=place)
    qtbot.keyClick(histogram, Qt.Key.Key_Left)
    assert box.cutoffs.values == (1, 2, 3)
    assert widget.scores.score_name == "% positive", "no H-score of classes"
    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        widget.panel.gene.set_gene("DAB membrane")
    assert all(spin.isEnabled() for spin in box.spins)
    assert histogram.line_at(histogram.line_px(0), 40) == 0


def the_kind_is_kept_with_the_slide_and_can_be_changed_back(
    viewer, widget, drawn_ihc, qtbot
) -> None:
    choose(qtbot, widget, IHC_NUCLEAR)
    viewer.layers.clear()
    assert not widget.panel.slide.kind.isVisibleTo(widget.panel)
    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        viewer.open(str(drawn_ihc.path), plugin="napari-past")
    assert widget.session.kind == IHC_NUCLEAR
    choose(qtbot, widget, H_AND_E)
    panel = widget.panel
    assert widget.session.model is widget._model
    assert panel.gene.model is widget._model
    assert panel.models.isVisibleTo(panel)
    assert panel.notice.text() == RESEARCH_USE
    assert widget._outputs.reporting.dialog.notice.text() == RESEARCH_USE
    assert "past-mini was trained on" in panel.banner.text()


def a_gene_comes_back_with_the_kind(viewer, widget, drawn_ihc, qtbot) -> None:
    box = widget.panel.gene
    with open_slide(drawn_ihc.path) as slide:  # so that no worker has to import torch for it
        predict(slide, device="cpu").compute()
    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        widget.stain_slide()
    assert len(widget.cells) > 0
    box.set_gene("ESR1")
    choose(qtbot, widget, IHC_NUCLEAR)
    assert box.current.name == "DAB nucleus"
    choose(qtbot, widget, H_AND_E)
    assert box.box.currentText() == box.current.name == "ESR1"
    assert [layer.name for layer in points_of(viewer)] == ["ESR1 · past-mini"]
    # A name that means nothing gives way to the first marker.
    box.set_gene("NOGENE")
    choose(qtbot, widget, IHC_NUCLEAR)
    box.set_gene("Ki67")
    choose(qtbot, widget, H_AND_E)
    assert box.box.currentText() == box.box.itemText(0)
    assert box.current is not None


def a_slide_that_is_opened_next_is_taken_up(viewer, widget, drawn, n_analysed: int, qtbot) -> None:
    choose(qtbot, widget, IHC_NUCLEAR)
    first = widget._slides.layer
    cells = [layer for layer in viewer.layers if layer.visible and "DAB measured" in layer.name]
    assert cells
    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        viewer.open(str(drawn.path), plugin="napari-past")
    assert widget.panel.slide.box.currentText() == widget._slides.layer.name != first.name
    assert widget.session.kind == H_AND_E
    assert len(widget.cells) == n_analysed
    assert widget.panel.notice.text() == RESEARCH_USE
    # H&E is not taken for IHC.
    assert not widget.panel.slide.switch.isVisibleTo(widget.panel)
    assert "looks like" not in widget.panel.banner.text()
    assert not first.visible
    assert not any(layer.visible for layer in cells)
    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        widget.panel.slide.box.setCurrentText(first.name)
    assert first.visible
    assert widget.session.kind == IHC_NUCLEAR


def without_slides_nothing_is_said_of_the_last_one(viewer, widget) -> None:
    viewer.layers.clear()
    panel = widget.panel
    assert panel.notice.text() == RESEARCH_USE
    assert panel.models.isVisibleTo(panel)
    assert "measured" not in panel.gene.badge.text()
    assert panel.gene.current is not None


def exported_cells_are_measured_ones(widget, qtbot, tmp_path, command) -> None:
    widget.panel.gene.set_gene("ER")
    out = tmp_path / "er.h5ad"
    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        widget.export_cells_to(out)
    cells = anndata.read_h5ad(out)
    assert cells.uns["napari_past"]["measured"]["name"] == "DAB measured"
    npt.assert_array_equal(cells[:, "ER"].X, cells[:, "DAB nucleus"].X)
    counts = cells.obs["ER_class"].value_counts()
    scored = command("score", out, "--marker", "ER")
    assert scored.code == 0, scored.err
    line = next(t for t in scored.out.splitlines() if t.startswith("slide")).split()
    assert [int(n) for n in line[4:8]] == [counts[c] for c in ("Negative", "1+", "2+", "3+")]
