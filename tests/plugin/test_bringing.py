"""Somebody's cells in the place of found ones, in a real viewer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.testing as npt
import pytest
from napari.layers import Labels
from napari.utils.notifications import notification_manager

from napari_past.engine import predict
from napari_past.io import read_cells
from napari_past.plugin.brought_box import FOUND
from napari_past.plugin.brought_layers import bring_layer
from napari_past.slide import open_slide

pytestmark = pytest.mark.gui

LONG_MS = 120_000
MPP = 0.5


@dataclass(frozen=True)
class Theirs:
    """Nuclei of the drawn slide as somebody labelled them; the store has their vectors."""

    labels: np.ndarray
    centers_um: np.ndarray
    """By label, from 1 on."""


@pytest.fixture(scope="module")
def theirs(drawn, analysed) -> Theirs:
    centers = drawn.truth.centers_um[::3]
    with open_slide(drawn.path) as slide:
        level = slide.levels[0]
        labels = np.zeros((level.height_px, level.width_px), np.int32)
        for label, (x, y) in enumerate((centers / MPP).astype(int).tolist(), start=1):
            labels[max(y - 3, 0) : y + 4, max(x - 3, 0) : x + 4] = label
        brought = bring_layer(Labels(labels, name="nuclei"), slide)()
        predict(slide, cells=brought, device="cpu").compute()
    return Theirs(labels, brought.found.centers_um)


def choose(widget, text: str) -> None:
    """As the user does it in the box."""
    box = widget.panel.brought.box
    index = box.findText(text)
    assert index >= 0, [box.itemText(k) for k in range(box.count())]
    box.setCurrentIndex(index)
    box.activated.emit(index)


def test_brought_cells_take_the_place_of_found_ones(
    opened, theirs, analysed, qtbot, tmp_path: Path
) -> None:
    """One viewer for all of it: a viewer is what takes the time."""
    viewer, widget = opened()
    labels_give_the_cells_until_found_ones_are_wanted(viewer, widget, theirs, qtbot, tmp_path)
    assert len(widget.cells) == len(analysed)
    files_give_cells_and_mistakes_change_nothing(viewer, widget, len(analysed), qtbot, tmp_path)


def labels_give_the_cells_until_found_ones_are_wanted(
    viewer, widget, theirs, qtbot, tmp_path: Path
) -> None:
    box = widget.panel.brought
    assert box.box.currentText() == FOUND
    layer = viewer.add_labels(theirs.labels, name="nuclei")
    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        choose(widget, "Layer: nuclei")
    # What was encoded before is there at once.
    npt.assert_array_equal(
        np.sort(widget.cells.centers_um, axis=0), np.sort(theirs.centers_um, axis=0)
    )
    assert box.box.currentText() == "Layer: nuclei"
    assert f"{len(theirs.centers_um):,} cells of nuclei (labels layer)" in box.facts.text()
    assert "no units: it was laid on the slide" in box.facts.text()
    assert [str(unit) for unit in layer.units] == ["micrometer", "micrometer"]
    npt.assert_allclose((layer.scale, layer.translate), [[MPP, MPP], [MPP / 2, MPP / 2]])

    assert widget.session.profile is not None  # the virtual stain can be drawn of them

    widget._pointer.picked.emit(5)
    facts = widget.panel.cell.facts
    x, y = np.floor(widget.cells.centers_um[5] / MPP).astype(int)
    assert facts.id == str(theirs.labels[y, x])
    widget.panel.cell.note_changed.emit(facts.key, "mitosis?")

    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        widget.export_cells_to(tmp_path / "cells.h5ad")
    back = read_cells(tmp_path / "cells.h5ad")
    assert sorted(back.obs_names, key=int) == sorted(
        map(str, np.unique(theirs.labels[theirs.labels > 0])), key=int
    )
    assert back.obs.loc[facts.id, "note"] == "mitosis?"
    assert (back.obs["note"] != "").sum() == 1
    assert back.uns["napari_past"]["cells"]["kind"] == "labels layer"
    npt.assert_allclose(
        back.obsm["spatial"][back.obs_names.get_loc(facts.id)], [facts.x_um, facts.y_um]
    )

    # To be drawn anew is no edit.
    layer.refresh()
    assert not box.edited.isVisibleTo(box)
    layer.data[:5, :5] = 0
    layer.refresh()
    layer.events.paint(value=[])
    assert box.edited.text() == "nuclei was edited after its cells were taken."
    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        box.again.click()
    assert not box.edited.isVisibleTo(box)

    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        choose(widget, FOUND)
    assert not box.facts.isVisibleTo(box)


def files_give_cells_and_mistakes_change_nothing(
    viewer, widget, n_found: int, qtbot, tmp_path: Path
) -> None:
    box = widget.panel.brought
    path = tmp_path / "found.csv"
    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        widget.export_cells_to(tmp_path / "found.geojson")
    told = len(notification_manager.records)
    far = viewer.add_points(np.full((2, 2), 1e6), name="far", units=("um", "um"))
    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        choose(widget, "Layer: far")
    assert "None of the 2 cells of far lies on" in str(notification_manager.records[told].message)
    assert box.box.currentText() == FOUND
    viewer.layers.remove(far)
    assert box.box.findText("Layer: far") < 0

    path.write_text("nothing\n1\n")
    told = len(notification_manager.records)
    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        box.path_wanted.emit(str(path))
    assert len(notification_manager.records) > told
    assert len(widget.cells) == n_found

    # Dropped into the window: QuPath's cells are laid on the slide.
    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        viewer.open(str(tmp_path / "found.geojson"), plugin="napari-past")
    assert box.box.currentText() == "found.geojson"
    assert f"{n_found:,} cells of found.geojson" in box.facts.text()
