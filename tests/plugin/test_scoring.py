"""Scores in step with what is shown: of which gene, of which cells, over which area."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely
from qtpy.QtCore import QObject

from napari_past.calibration import CalibratedBy, Matched, fit_calibration
from napari_past.engine import chosen_cutoffs, predict
from napari_past.model import load_model
from napari_past.plugin.scoring import Scored, Scoring
from napari_past.plugin.session import Session
from napari_past.plugin.slide_kind import IHC_NUCLEAR
from napari_past.plugin.staining import Look, Staining, staining
from napari_past.plugin.tissue_area import counted_tissue_mm2
from napari_past.quality import QualityMask
from napari_past.sample.ome_tiff import write_pyramid
from napari_past.slide import open_slide
from napari_past.types import TUMOUR, Cutoffs, Region

LONG_MS = 60_000


def score_erbb2(qtbot, widget) -> None:
    widget.panel.gene.set_gene("ERBB2")
    qtbot.waitUntil(lambda: not widget.busy, timeout=LONG_MS)
    assert "ERBB2" in widget.panel.regions.note.text()


@pytest.fixture
def scored(qtbot):
    """``scored(session, shown, ...)``: what comes of asking for scores."""
    owner = QObject()
    scoring = Scoring(owner)

    def ask(session: Session, shown: Staining, regions=(), mask=None) -> Scored:
        with qtbot.waitSignal(scoring.scored, timeout=LONG_MS) as told:
            scoring.ask(session, shown, tuple(regions), mask, "", "")
        (found, _) = told.args
        return found

    yield ask
    owner.deleteLater()


@pytest.fixture
def session(drawn, analysed):
    with open_slide(drawn.path) as slide:
        ref = slide.ref
    session = Session(ref, load_model("past-mini"))
    yield session
    session.close()


def shown_of(session: Session, gene: str, n: int | None = None) -> Staining:
    """A gene with its card's cut-offs, of the first n cells."""
    marker = session.model.resolve(gene)
    shown = staining(session.table, marker, chosen_cutoffs(session.model, marker), Look())
    return replace(shown, first=replace(shown.first, values=shown.values[:n]))


@pytest.mark.gui
def test_what_is_told_is_of_the_gene_and_the_cells_in_view(
    opened, qtbot, monkeypatch, tmp_path: Path
) -> None:
    """One viewer for all of it: a viewer is what takes the time."""
    _, widget = opened()
    scores_that_are_on_their_way_are_exported_when_they_are_there(widget, qtbot, tmp_path)
    a_line_that_is_dragged_at_once_tells_the_new_gene(widget, qtbot)
    with monkeypatch.context() as patch:
        a_calibration_waits_for_the_scores_of_its_marker(widget, qtbot, patch)
    the_histogram_waits_where_fewer_cells_have_a_value_than_were_counted(widget, qtbot)


def scores_that_are_on_their_way_are_exported_when_they_are_there(
    widget, qtbot, tmp_path: Path
) -> None:
    score_erbb2(qtbot, widget)
    before = widget.scores.rows[0]
    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        widget.panel.gene.set_gene("VIM")
        widget.export_scores_to(tmp_path / "scores.csv")
    (row,) = csv.DictReader((tmp_path / "scores.csv").open())
    counts = np.bincount(widget.shown.classes, minlength=4).tolist()
    assert counts != [before.n0, before.n1, before.n2, before.n3]
    assert [int(row[f"n{k}"]) for k in range(4)] == counts
    assert "VIM" in json.loads((tmp_path / "scores.csv.json").read_text())["marker"]


def a_line_that_is_dragged_at_once_tells_the_new_gene(widget, qtbot) -> None:
    score_erbb2(qtbot, widget)
    widget.panel.gene.set_gene("VIM")
    assert "of ERBB2" in widget.panel.regions.note.text()
    widget.panel.cutoffs.dragged.emit()
    note = widget.panel.regions.note.text()
    assert "of VIM" in note
    assert "ERBB2" not in note
    (row,) = widget.scores.rows
    assert [row.n0, row.n1, row.n2, row.n3] == np.bincount(
        widget.shown.classes, minlength=4
    ).tolist()


def a_calibration_waits_for_the_scores_of_its_marker(widget, qtbot, monkeypatch) -> None:
    score_erbb2(qtbot, widget)
    model, calibrated = widget.session.model, widget._outputs.calibrated
    x = np.linspace(0.1, 1.0, 72)
    matched = Matched(
        patients=tuple(f"p{i // 6}" for i in range(72)),
        regions=tuple(f"r{i % 6}" for i in range(72)),
        predicted=x,
        measured=0.1 + 0.5 * x + np.random.default_rng(0).normal(0, 0.02, 72),
        quantity="od",
    )
    by = CalibratedBy.of(model, model.resolve("HER2"), clone="SP3")
    known = (fit_calibration(matched, by),)
    monkeypatch.setattr(model, "card", model.card.model_copy(update={"calibrations": known}))
    widget.panel.gene.set_gene("Ki67")
    qtbot.waitUntil(lambda: not widget.busy, timeout=LONG_MS)
    widget.panel.gene.set_gene("HER2")
    # what is there is Ki67's table
    assert not calibrated.busy
    box = widget.panel.regions.calibrated
    assert box.text() == ""
    qtbot.waitUntil(lambda: "SP3, 12 patients" in box.text(), timeout=LONG_MS)
    widget.panel.gene.set_gene("Ki67")
    assert box.text() == ""


def the_histogram_waits_where_fewer_cells_have_a_value_than_were_counted(widget, qtbot) -> None:
    """As when a gene is looked up in a bank after another one was scored."""
    score_erbb2(qtbot, widget)
    shown, distribution = widget.shown, widget._distribution
    widget.view.shown = replace(shown, first=replace(shown.first, values=shown.values[:10]))
    distribution.follow()
    assert not distribution.busy
    widget._region_scores.score()
    qtbot.waitUntil(lambda: not widget.busy, timeout=LONG_MS)
    assert widget.panel.cutoffs.cells.count.text().startswith("10 cells")


def test_tiles_whose_cells_wait_for_a_value_add_no_area(drawn_ihc, cache_dir, scored) -> None:
    with open_slide(drawn_ihc.path) as slide:
        predict(slide, detector="ihc-nuclear").compute()
        ref = slide.ref
    session = Session(ref, load_model("past-mini"), kind=IHC_NUCLEAR)
    table, rects = session.table, session.tile_rects()
    size_um = table.tiles[0].size_um
    of_tile = [tuple(p) for p in np.floor(table.centers_um / size_um).astype(int).tolist()]
    first, second, third = list(dict.fromkeys(of_tile))[:3]
    # all cells of the first tile have a value, and all but one of the second
    n = of_tile.index(third) - 1
    tissue = session.slide.tissue_mask(faint=True)
    whole = scored(session, shown_of(session, "ER")).table.rows[0]
    assert whole.area_mm2 == pytest.approx(counted_tissue_mm2(tissue, rects))
    part = scored(session, shown_of(session, "ER", n)).table.rows[0]
    session.close()
    assert part.n == n > of_tile.index(second) > 0
    x_um, y_um = first[0] * size_um, first[1] * size_um
    done = np.array([[x_um, y_um, size_um, size_um]])
    assert part.area_mm2 == pytest.approx(counted_tissue_mm2(tissue, done))


def test_what_the_mask_leaves_out_of_a_region_is_left_out_of_its_area(session, scored) -> None:
    labels = np.zeros((40, 57), np.uint8)
    labels[:, :20] = 2
    mask = QualityMask(labels, 8.0, "drawn")
    region = Region("T", TUMOUR, shapely.box(80, 0, 320, 240))
    row, slide = scored(session, shown_of(session, "ERBB2"), [region], mask).table.rows
    assert row.unscored > 0
    # 160 of its 240 µm are scored
    assert row.area_mm2 == pytest.approx(160 * 240 / 1e6)
    assert row.density_mm2 == pytest.approx(row.n / row.area_mm2)
    assert slide.area_mm2 < 290 * 320 / 1e6


def test_pale_tissue_of_real_ihc_counts_as_area(tmp_path: Path, cache_dir, scored) -> None:
    rng = np.random.default_rng(3)
    height, width, mpp = 800, 1200, 0.5
    rgb = np.full((height, width, 3), (242.0, 241.0, 240.0))
    rgb[:, 600:] = (214, 221, 236)
    y, x = np.mgrid[:height, :width]
    for center_y in range(20, 800, 40):
        for center_x in range(620, 1200, 40):
            rgb[np.hypot(y - center_y, x - center_x) < 8] = (150, 165, 205)
    rgb[60:240, 900:1080] = (90, 60, 45)
    rgb += rng.normal(0, 4, rgb.shape)
    path = tmp_path / "pale.ome.tif"
    write_pyramid(path, np.clip(rgb, 0, 255).astype(np.uint8), mpp, "pale", jpeg=False)
    with open_slide(path) as slide:
        assert len(predict(slide, detector="ihc-nuclear").compute()) > 100
        ref = slide.ref
    session = Session(ref, load_model("past-mini"), kind=IHC_NUCLEAR)
    marker = session.model.resolve("DAB nucleus")
    shown = staining(session.table, marker, Cutoffs(0.2, 0.4, 0.6, "QuPath"), Look())
    (row,) = scored(session, shown).table.rows
    session.close()
    assert row.area_mm2 == pytest.approx(300 * 400 / 1e6, rel=0.08)
