"""Cut-offs that are dragged in the widget: what follows, what is kept, what is exported."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import numpy.testing as npt
import pytest
import shapely
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QPoint, Qt

from napari_past.io import read_cells, write_regions
from napari_past.plugin.annotations import Annotations
from napari_past.plugin.autosave import Autosave
from napari_past.plugin.histogram_cells import IN_REGIONS, IN_VIEW, ON_SLIDE
from napari_past.plugin.viewport import fly_to, view_rect
from napari_past.stain import CLASS_NAMES, classes, score_table
from napari_past.types import IGNORE, INCLUDE, TUMOUR, Cutoffs, Rect, Region

pytestmark = pytest.mark.gui

LONG_MS = 120_000


@pytest.fixture
def stained(opened, qtbot):
    """The drawn slide in classes of ERBB2: (viewer, widget)."""
    viewer, widget = opened()
    widget.panel.gene.set_gene("ERBB2")
    widget.panel.cutoffs.as_classes.setChecked(True)
    qtbot.waitUntil(lambda: not widget.busy, timeout=LONG_MS)
    return viewer, widget


class Hand:
    """Holds the line of 2+."""

    def __init__(self, qtbot, widget) -> None:
        self._qtbot, self._histogram = qtbot, widget.panel.cutoffs.cells.histogram
        self._histogram.resize(340, 135)
        self._x = round(self._histogram.line_px(1))
        self._qtbot.mousePress(self._histogram, Qt.MouseButton.LeftButton, pos=self._at(0))

    def _at(self, away: int) -> QPoint:
        return QPoint(self._x + away, 60)

    def drag(self, away: int) -> None:
        self._qtbot.mouseMove(self._histogram, self._at(away))

    def let_go(self, away: int) -> None:
        self._qtbot.mouseRelease(self._histogram, Qt.MouseButton.LeftButton, pos=self._at(away))


def kept(widget) -> dict:
    return dict(widget._annotating._history.now.cutoffs)


def as_opened(qtbot, stained) -> None:
    """Takes back what was set and drawn: classes of ERBB2, all in view."""
    viewer, widget = stained
    while not widget._annotating._history.now.empty:
        widget._annotating.undo()
    widget.panel.gene.set_gene("ERBB2")
    widget.panel.cutoffs.as_classes.setChecked(True)
    viewer.reset_view()
    qtbot.waitUntil(lambda: not widget._region_scores.settling and not widget.busy, timeout=LONG_MS)
    assert kept(widget) == {}
    assert widget.regions() == ()


def test_a_line_that_is_held_moved_and_let_go(stained, qtbot) -> None:
    """One viewer for all of it: a viewer is what takes the time."""
    classes_layers_and_table_follow_every_step(stained, qtbot)
    as_opened(qtbot, stained)
    a_line_that_is_moved_shows_classes(stained, qtbot)
    as_opened(qtbot, stained)
    intervals_come_when_a_held_line_rests(stained, qtbot)
    as_opened(qtbot, stained)
    a_line_on_its_way_is_kept_when_the_gene_changes(stained, qtbot)
    as_opened(qtbot, stained)
    the_axis_stays_while_a_line_is_dragged(stained, qtbot)


def classes_layers_and_table_follow_every_step(stained, qtbot) -> None:
    _, widget = stained
    card = widget.shown.cutoffs
    assert not np.isnan(widget.scores.rows[0].block_um)
    whole = widget.scores.rows[0].area_mm2
    hand = Hand(qtbot, widget)
    seen = set()
    for away in (4, 8, -6):
        hand.drag(away)
        cutoffs = widget.shown.cutoffs
        seen.add(cutoffs.moderate)
        found = classes(widget.shown.values, cutoffs)
        index = widget.view.drawn
        names = np.array(CLASS_NAMES, object)[found[index]]
        npt.assert_array_equal(widget.view.points.features["class"], names)
        (row,) = widget.scores.rows
        counts = np.bincount(found, minlength=4)
        assert (row.n0, row.n1, row.n2, row.n3) == tuple(counts)
        assert row.area_mm2 == whole
        # no interval that is not known yet
        assert np.isnan((row.lo, row.hi, row.pct_lo)).all()
        table = widget.panel.regions.table
        assert table.item(0, 3).text().endswith("\n…")
        # nothing is kept on the way
        assert kept(widget) == {}
    assert len(seen) == 3
    hand.let_go(-6)
    assert widget.shown.cutoffs == cutoffs
    assert list(kept(widget).values()) == [cutoffs]
    qtbot.waitUntil(lambda: not widget.busy, timeout=LONG_MS)
    expected = score_table(widget.shown.values, widget.cells.centers_um, cutoffs)
    (row,) = widget.scores.rows
    npt.assert_equal(
        (row.n2, row.h_score, row.lo, row.hi),
        tuple(getattr(expected.rows[0], k) for k in ("n2", "h_score", "lo", "hi")),
    )
    # one step back
    widget._annotating.undo()
    assert widget.shown.cutoffs == card
    assert not widget._annotating._history.undo()


def a_line_that_is_moved_shows_classes(stained, qtbot) -> None:
    _, widget = stained
    box = widget.panel.cutoffs
    box.as_expression.setChecked(True)
    assert not widget.shown.as_classes
    box.spins[1].setValue(box.spins[1].value() + box.spins[1].singleStep())
    assert not widget.shown.as_classes
    hand = Hand(qtbot, widget)
    hand.drag(5)
    assert widget.shown.as_classes
    assert "3+" in box.legend.text()
    hand.let_go(5)
    assert widget.shown.as_classes
    assert box.as_classes.isChecked()


def intervals_come_when_a_held_line_rests(stained, qtbot) -> None:
    _, widget = stained
    hand = Hand(qtbot, widget)
    hand.drag(8)
    assert np.isnan(widget.scores.rows[0].block_um)
    qtbot.waitUntil(lambda: not np.isnan(widget.scores.rows[0].block_um), timeout=LONG_MS)
    assert kept(widget) == {}
    hand.drag(4)
    assert np.isnan(widget.scores.rows[0].block_um)
    hand.let_go(4)


def a_line_on_its_way_is_kept_when_the_gene_changes(stained, qtbot) -> None:
    _, widget = stained
    hand = Hand(qtbot, widget)
    hand.drag(12)
    dragged = widget.shown.cutoffs
    widget.panel.gene.set_gene("KRT19")
    other = widget.shown.cutoffs
    assert kept(widget) == {"past-mini: ERBB2": dragged}
    hand.drag(30)
    hand.let_go(30)
    assert widget.shown.cutoffs == other
    widget.panel.gene.set_gene("ERBB2")
    assert widget.shown.cutoffs == dragged


def the_axis_stays_while_a_line_is_dragged(stained, qtbot) -> None:
    _, widget = stained
    bins = widget.panel.cutoffs.cells.histogram.bins
    hand = Hand(qtbot, widget)
    hand.drag(40)
    hand.let_go(40)
    qtbot.waitUntil(lambda: not widget.busy, timeout=LONG_MS)
    assert widget.panel.cutoffs.cells.histogram.bins is bins


def test_a_whole_drag_is_saved_once(stained, qtbot, monkeypatch) -> None:
    _, widget = stained
    saved = []
    save = Autosave.save
    monkeypatch.setattr(Autosave, "save", lambda *a: (saved.append(a[3].cutoffs), save(*a)))
    hand = Hand(qtbot, widget)
    for away in (5, 10, 15):
        hand.drag(away)
        qtbot.wait(50)
    hand.let_go(15)
    qtbot.waitUntil(lambda: bool(saved))
    widget._annotating.close()
    assert [list(c.values()) for c in saved] == [[widget.shown.cutoffs]]


def test_cells_that_count_and_regions_of_files(stained, qtbot, tmp_path: Path) -> None:
    """One viewer for all of it: a viewer is what takes the time."""
    the_histogram_holds_the_cells_that_count(stained, qtbot)
    as_opened(qtbot, stained)
    regions_of_qupath_are_nested_holed_ignored_and_of_one_name(stained, qtbot, tmp_path)
    as_opened(qtbot, stained)
    regions_of_another_slide_are_refused_in_one_sentence(stained, qtbot, tmp_path)


def the_histogram_holds_the_cells_that_count(stained, qtbot) -> None:
    viewer, widget = stained
    cells = widget.panel.cutoffs.cells
    x, y = widget.cells.centers_um.T
    assert cells.where == IN_VIEW
    fly_to(viewer, Rect(50, 50, 120, 90))
    in_view = view_rect(viewer).contains(widget.cells.centers_um)
    assert 0 < in_view.sum() < len(x)
    qtbot.waitUntil(lambda: cells.count.text() == f"{in_view.sum():,} cells")
    assert cells.histogram.bins.n == in_view.sum()

    fly_to(viewer, Rect(9000, 9000, 50, 50))
    nowhere = f"none in view: {len(x):,} cells {ON_SLIDE}"
    qtbot.waitUntil(lambda: cells.count.text() == nowhere)
    assert cells.histogram.bins.n == len(x)

    widget.panel.regions.draw.click()
    layer = viewer.layers["Regions"]
    layer.add_polygons([np.array([[0, 0], [0, 200], [320, 200], [320, 0]])])
    layer.add_polygons([np.array([[0, 100], [0, 300], [320, 300], [320, 100]])])
    layer.add_polygons([np.array([[0, 0], [0, 450], [60, 450], [60, 0]])])
    layer.selected_data = {2}
    widget.panel.regions.role_chosen.emit(IGNORE)
    cells.cells.setCurrentText(IN_REGIONS)
    cells.asked.emit()
    inside = (x < 300) & (y > 60) & (y < 320)
    qtbot.waitUntil(lambda: cells.histogram.bins.n == inside.sum(), timeout=LONG_MS)
    cells.cells.setCurrentText(ON_SLIDE)
    cells.asked.emit()
    ignored = (x < 450) & (y < 60)
    qtbot.waitUntil(lambda: cells.histogram.bins.n == (~ignored).sum(), timeout=LONG_MS)
    assert widget.scores.rows[-1].n == (~ignored).sum()
    title = cells.histogram._title
    assert title.startswith("ERBB2 · past-mini · ")
    assert widget.shown.unit in title


def regions_of_qupath_are_nested_holed_ignored_and_of_one_name(
    stained, qtbot, tmp_path: Path
) -> None:
    viewer, widget = stained
    outer, inner = shapely.box(0, 0, 300, 300), shapely.box(100, 100, 200, 200)
    two = shapely.MultiPolygon([shapely.box(310, 0, 400, 100), shapely.box(310, 200, 400, 300)])
    regions = [
        Region("T", TUMOUR, outer.difference(inner)),
        Region("nest", INCLUDE, shapely.box(120, 120, 180, 180)),
        Region("T", TUMOUR, two),
        Region("fold", IGNORE, shapely.box(0, 0, 50, 300)),
        Region("nest", INCLUDE, outer),
    ]
    path = tmp_path / "annotations.geojson"
    write_regions(regions, path, widget.session.slide.require_mpp())
    qtbot.waitUntil(lambda: not widget.busy, timeout=LONG_MS)
    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        widget.panel.regions.read.emit(str(path))
    qtbot.waitUntil(lambda: not widget._region_scores.settling and not widget.busy)
    centers = widget.cells.centers_um
    fold = regions[3].contains(centers)
    wanted = [r.contains(centers) & ~fold for r in regions if not r.ignored]
    rows = widget.scores.rows
    assert [row.region for row in rows] == ["T", "nest", "T", "nest", "slide"]
    assert [row.role for row in rows[:4]] == [TUMOUR, INCLUDE, TUMOUR, INCLUDE]
    assert [row.n for row in rows] == [*(int(w.sum()) for w in wanted), (~fold).sum()]
    # the nest lies in the hole: no cell is counted twice there
    assert not (wanted[0] & wanted[1]).any()
    mask = widget._unscored.used
    away = (np.argwhere(mask.labels)[:, ::-1] + 0.5) * mask.mpp
    away = away[~regions[3].contains(away)]
    areas = [
        r.polygon_um.difference(regions[3].polygon_um).area - r.contains(away).sum() * mask.mpp**2
        for r in regions
    ]
    wanted_mm2 = np.take(areas, [0, 1, 2, 4]) / 1e6
    npt.assert_allclose([row.area_mm2 for row in rows[:4]], wanted_mm2, rtol=1e-4)

    # of two with one name, the one that was clicked
    widget.panel.regions.table.cellDoubleClicked.emit(2, 0)
    seen = view_rect(viewer)
    assert seen.contains(np.array([[311.0, 1.0], [399.0, 299.0]])).all()
    assert not seen.contains(np.array([[1.0, 150.0]])).any()

    # it is one change, and comes back with its holes
    widget._annotating.undo()
    assert widget.regions() == ()
    qtbot.waitUntil(lambda: not widget._region_scores.settling)
    widget._annotating.redo()
    qtbot.waitUntil(lambda: not widget._region_scores.settling)
    assert not widget._annotating._history.redo()
    areas = [region.polygon_um.area for region in widget.regions()]
    npt.assert_allclose(areas, [r.polygon_um.area for r in regions], rtol=1e-4)


def regions_of_another_slide_are_refused_in_one_sentence(stained, qtbot, tmp_path: Path) -> None:
    _, widget = stained
    path = tmp_path / "far.geojson"
    write_regions([Region("far", TUMOUR, shapely.box(9e4, 9e4, 9.1e4, 9.1e4))], path, 0.5)
    for name, words in ((path, "None of the 1 regions"), (tmp_path / "none.geojson", "none")):
        before = len(notification_manager.records)
        widget.panel.regions.read.emit(str(name))
        qtbot.waitUntil(lambda before=before: len(notification_manager.records) > before)
        assert words in str(notification_manager.records[-1].message)
    assert widget.regions() == ()


def test_what_is_told_of_cutoffs_and_area(stained, qtbot, tmp_path: Path) -> None:
    """One viewer for all of it: a viewer is what takes the time."""
    the_slides_area_is_that_of_its_tissue(stained)
    for suffix in (".h5ad", ".csv", ".geojson"):
        as_opened(qtbot, stained)
        files_of_cells_tell_cutoffs_and_source(stained, qtbot, tmp_path, suffix)
    as_opened(qtbot, stained)
    file_of_scores_tells_cutoffs_and_source(stained, qtbot, tmp_path)
    as_opened(qtbot, stained)
    cutoffs_are_copied_from_another_slide(stained, qtbot)


def the_slides_area_is_that_of_its_tissue(stained) -> None:
    _, widget = stained
    (row,) = widget.scores.rows
    width_um, height_um = widget.session.slide.size_um
    tissue = widget.session.slide.tissue_mask().area_mm2
    assert 0.3 * width_um * height_um / 1e6 < row.area_mm2 <= tissue
    assert row.density_mm2 == pytest.approx(row.n / row.area_mm2)


def files_of_cells_tell_cutoffs_and_source(stained, qtbot, tmp_path: Path, suffix) -> None:
    _, widget = stained
    hand = Hand(qtbot, widget)
    hand.drag(9)
    hand.let_go(9)
    cutoffs = widget.shown.cutoffs
    path = tmp_path / f"cells{suffix}"
    qtbot.waitUntil(lambda: not widget.busy, timeout=LONG_MS)
    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        widget.export_cells_to(path)
    back = read_cells(path)
    told = back.uns["napari_past"]
    npt.assert_allclose(told["cutoffs"]["ERBB2"], cutoffs.values)
    assert told["cutoffs_source"]["ERBB2"] == "set by you"
    found = classes(np.asarray(back[:, "ERBB2"].X).ravel(), cutoffs)
    assert list(back.obs["ERBB2_class"]) == [CLASS_NAMES[c] for c in found]


def file_of_scores_tells_cutoffs_and_source(stained, qtbot, tmp_path: Path) -> None:
    _, widget = stained
    widget.panel.cutoffs.spins[0].setValue(0.01)
    qtbot.waitUntil(lambda: not widget.busy, timeout=LONG_MS)
    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        widget.export_scores_to(tmp_path / "scores.csv")
    told = json.loads((tmp_path / "scores.csv.json").read_text())
    assert told["cutoffs"] == list(widget.shown.cutoffs.values)
    assert told["cutoffs_source"] == "set by you"
    (row,) = csv.DictReader((tmp_path / "scores.csv").open())
    assert float(row["area_mm2"]) == pytest.approx(widget.scores.rows[0].area_mm2, abs=1e-4)


def cutoffs_are_copied_from_another_slide(stained, qtbot) -> None:
    _, widget = stained
    card = widget.shown.cutoffs
    box, menu = widget.panel.cutoffs, widget._cutoff_copy.menu

    def asked() -> list[str]:
        box.copy.click()
        qtbot.waitUntil(lambda: not widget._cutoff_copy.busy)
        menu.hide()
        return [action.text() for action in menu.actions()]

    (none,) = asked()
    assert none == "You set no cut-offs of ERBB2 with past-mini on another slide"
    assert not menu.actions()[0].isEnabled()
    theirs = Cutoffs(0.5, 1.25, 2.75, "set by you")
    Autosave().save("b" * 64, "other.svs", Annotations(cutoffs={"past-mini: ERBB2": theirs}))
    Autosave().save("c" * 64, "else.svs", Annotations(cutoffs={"past-mini: KRT19": theirs}))
    assert asked() == ["other.svs:  0.5 / 1.25 / 2.75"]
    menu.actions()[0].trigger()
    assert widget.shown.cutoffs == Cutoffs(0.5, 1.25, 2.75, "copied from other.svs")
    assert box.source.text().startswith("From: copied from other.svs; default ")
    widget._annotating.undo()
    assert widget.shown.cutoffs == card
