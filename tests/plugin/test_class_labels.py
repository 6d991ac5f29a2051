"""Classes, labels and the cells they speak of, without a viewer."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import numpy.testing as npt
import pytest
import shapely
from napari.components import ViewerModel
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QObject

from napari_past.engine import CellTable
from napari_past.engine import table as table_module
from napari_past.engine.vector_rows import VectorRows
from napari_past.errors import ModelError
from napari_past.model.classifier import write_classifier
from napari_past.plugin.annotating import Annotating
from napari_past.plugin.annotations import Annotations, joined
from napari_past.plugin.autosave import Autosave
from napari_past.plugin.cell_types import OTHER, fixed_labels
from napari_past.plugin.classing.classed import ClassedCells
from napari_past.plugin.classing.labelled_cells import labelled_cells
from napari_past.plugin.classing.labels import (
    LONGEST_NAME,
    MOST_CLASSES,
    BadClassName,
    ClassLabels,
    LabelledArea,
    LabelledPlace,
)
from napari_past.plugin.classing.probing import Probing
from napari_past.plugin.classing.words import hint, labelled_text
from napari_past.quality import QualityMask

SLIDE = "c" * 64
HOLED = shapely.Polygon([(0, 0), (90, 0), (90, 60)], [[(60, 10), (70, 10), (70, 20)]])
THREE = ClassLabels(
    ("Tumour", "Stroma", "淋巴"),
    (LabelledPlace(1.25, 2.5, 0), LabelledPlace(10.0, 1 / 3, 1), LabelledPlace(5.0, 5.0, 2)),
    (LabelledArea(HOLED, 1), LabelledArea(shapely.box(0, 0, 4, 4), 2)),
)


@dataclass(frozen=True)
class Named:
    """A slide, as far as annotations ask."""

    fingerprint: str
    name: str


@pytest.mark.parametrize("name", ["", "  ", "tumour", " STROMA ", "x" * (LONGEST_NAME + 1)])
def test_a_class_needs_a_name_of_its_own(name: str) -> None:
    with pytest.raises(BadClassName):
        THREE.with_class(name)
    with pytest.raises(BadClassName):
        THREE.renamed(2, name)
    assert THREE.renamed(0, " Tumour ") is THREE
    assert THREE.with_class(" In  situ ").names[-1] == "In situ"


def test_there_are_as_many_classes_as_colours() -> None:
    labels = ClassLabels()
    for k in range(MOST_CLASSES):
        labels = labels.with_class(f"class {k}")
    with pytest.raises(BadClassName, match="remove a class first"):
        labels.with_class("one more")
    npt.assert_array_equal(fixed_labels(9), [1, 2, 3, 4, 5, 6, 7, OTHER, OTHER])


def test_a_removed_class_takes_its_labels_along_and_the_others_keep_theirs() -> None:
    left = THREE.without_class(1)
    assert left.names == ("Tumour", "淋巴")
    assert [(p.x_um, p.code) for p in left.places] == [(1.25, 0), (5.0, 1)]
    assert [a.code for a in left.areas] == [1]
    with pytest.raises(ValueError, match="2 classes"):
        ClassLabels(("a", "b"), (LabelledPlace(0, 0, 2),))


def test_a_second_click_takes_the_label_back_and_another_class_replaces_it() -> None:
    once = ClassLabels(("a", "b")).with_place(7.0, 8.0, 0)
    assert once.counts(0) == (1, 0)
    assert once.with_place(7.0, 8.0, 0).places == ()
    other = once.with_place(7.0, 8.0, 1)
    assert (other.counts(0), other.counts(1)) == ((0, 0), (1, 0))
    assert len(once.with_place(9.0, 8.0, 0).places) == 2


def test_classes_come_back_as_they_were_saved(tmp_path: Path) -> None:
    kept = Autosave(tmp_path)
    kept.save(SLIDE, "slide.svs", Annotations(classes=THREE))
    assert kept.load(SLIDE).classes == THREE
    # Files of before have none.
    content = json.loads(kept.path(SLIDE).read_text(encoding="utf-8"))
    del content["classes"]
    kept.path(SLIDE).write_text(json.dumps(content), encoding="utf-8")
    assert kept.load(SLIDE).classes == ClassLabels()


def test_two_states_are_joined_by_the_names_of_their_classes() -> None:
    later = ClassLabels(("Stroma", "Necrosis"), (LabelledPlace(1.25, 2.5, 1),))
    found = joined(Annotations(classes=THREE), Annotations(classes=later)).classes
    assert found.names == ("Tumour", "Stroma", "淋巴", "Necrosis")
    codes = {(p.x_um, p.y_um): found.names[p.code] for p in found.places}
    assert codes == {(1.25, 2.5): "Necrosis", (10.0, 1 / 3): "Stroma", (5.0, 5.0): "淋巴"}
    assert found.areas == THREE.areas


def test_clicks_outdo_areas_and_later_areas_the_earlier(table: CellTable) -> None:
    centers = table.centers_um
    x, y = centers[5].tolist()
    wide = shapely.box(x - 60, y - 60, x + 60, y + 60)
    narrow = shapely.box(x - 20, y - 20, x + 20, y + 20)
    labels = ClassLabels(
        ("a", "b", "c"),
        (LabelledPlace(x + 0.8, y, 2), LabelledPlace(-500.0, -500.0, 0)),
        (LabelledArea(wide, 0), LabelledArea(narrow, 1)),
    )
    found = labelled_cells(labels, table)
    in_wide = (np.abs(centers - centers[5]) < 60).all(axis=1)
    in_narrow = (np.abs(centers - centers[5]) < 20).all(axis=1)
    npt.assert_array_equal(found.index, np.flatnonzero(in_wide))
    expected, act = np.where(in_narrow, 1, 0), np.where(in_narrow, 1, 0)
    expected[5], act[5] = 2, -1
    npt.assert_array_equal(found.code, expected[in_wide])
    npt.assert_array_equal(found.act, act[in_wide])
    assert found.missed == 1
    assert found.same_as(labelled_cells(labels, table))
    assert not found.same_as(labelled_cells(labels.without_class(2), table))


def test_vectors_of_a_table_are_read_across_its_blocks(analysed, table, monkeypatch) -> None:
    everything = np.stack([table.embedding(i) for i in range(len(table))])
    monkeypatch.setattr(table_module, "BLOCK_CELLS", 64)
    small = CellTable(analysed.model, "f" * 64)
    small.append([analysed.store.read(tile) for tile in analysed.plan.tiles])
    rows, n = small.vectors, len(small)
    assert len(rows) == n == len(everything) > 200
    npt.assert_array_equal(np.concatenate(list(rows.pieces())), everything)
    npt.assert_array_equal(np.concatenate(list(rows.pieces(130))), everything[130:])
    assert list(rows.pieces(n)) == []
    index = np.array([n - 1, 3, 64, 63, 3, 128])
    npt.assert_array_equal(rows.take(index), everything[index])
    assert rows.take(np.arange(0)).shape == (0, everything.shape[1])
    assert list(VectorRows([], 0).pieces()) == []


def test_labels_wait_for_their_cells_and_later_cells_get_a_class(analysed, qtbot) -> None:
    tile = analysed.plan.tiles[0]
    result, table = analysed.store.read(tile), CellTable(analysed.model, SLIDE)
    slide, parent = Named(SLIDE, "slide.svs"), QObject()
    annotating = Annotating(ViewerModel(), parent)
    annotating.set_slide(slide)
    labels = ClassLabels(("a", "b", "nothing yet"))
    for cell, code in ((3, 0), (40, 1), (90, 1)):
        labels = labels.with_place(*result.cells.centers_um[cell].tolist(), code)
    annotating.set_classes(labels)
    probing = Probing(annotating, parent)
    probing.set_session(SimpleNamespace(table=table, model=analysed.model, slide=slide))
    assert (probing.labelled.missed, probing.busy, len(probing.cells)) == (3, False, 0)
    table.append([result])
    probing.grow()
    n = len(table)
    qtbot.waitUntil(lambda: not probing.busy, timeout=30_000)
    assert (probing.labelled.missed, len(probing.cells)) == (0, n)
    assert probing.classifier.names == ("a", "b")
    assert probing.types.names == labels.names
    assert probing.cells.told(3).startswith("a, probability 0.")
    # The same cells again, as of another tile.
    table.append([replace(result, tile=replace(tile, column=tile.column + 9))])
    probing.grow()
    qtbot.waitUntil(lambda: not probing.busy, timeout=30_000)
    code = probing.types.code
    assert len(code) == 2 * n
    npt.assert_array_equal(code[n:], code[:n])
    probing.close()


def test_labels_teach_another_model_whose_vectors_a_classifier_refuses(
    analysed, table, banked_table, qtbot, tmp_path: Path
) -> None:
    """The model with a bank has the same tower, but is another file."""
    slide, parent = Named(SLIDE, "slide.svs"), QObject()
    annotating = Annotating(ViewerModel(), parent)
    annotating.set_slide(slide)
    labels = ClassLabels(("a", "b"))
    for cell, code in ((3, 0), (40, 1)):
        labels = labels.with_place(*table.centers_um[cell].tolist(), code)
    annotating.set_classes(labels)
    probing = Probing(annotating, parent)
    first = SimpleNamespace(table=table, model=analysed.model, slide=slide)
    probing.set_session(first)
    qtbot.waitUntil(lambda: not probing.busy, timeout=30_000)
    file = tmp_path / "kinds.past-classes.json"
    write_classifier(probing.classifier.named("kinds"), file)
    probing.load(file)
    qtbot.waitUntil(lambda: not probing.busy, timeout=30_000)
    assert probing.classifier.card.name == probing.loaded.card.name == "kinds"
    told = len(notification_manager.records)
    model = banked_table.model
    probing.set_session(SimpleNamespace(table=banked_table, model=model, slide=slide))
    assert "was fitted on vectors of past-mini" in str(notification_manager.records[told].message)
    assert probing.loaded is None
    qtbot.waitUntil(lambda: not probing.busy, timeout=30_000)
    assert probing.classifier.card.model_sha256 == model.sha256 != analysed.model.sha256
    assert (len(probing.labelled), len(probing.cells)) == (2, len(banked_table))
    with pytest.raises(ModelError):
        probing.load(file)
    probing.close()


def test_counts_leave_out_the_uncertain_and_what_is_not_scored(table: CellTable) -> None:
    cells = ClassedCells(("a", "b"))
    probability = np.array([0.9, 0.55, 0.8, 0.95], np.float32)
    cells.append(np.array([0, 0, 1, 1], np.int32), probability, 2 * probability - 1)
    counts, uncertain = cells.counts(0.6, None, table)
    assert (counts.tolist(), uncertain) == ([1, 2], 1)
    x, y = (table.centers_um[3] / 8).astype(int)
    labels = np.zeros((60, 60), np.uint8)
    labels[y, x] = 1
    inside = QualityMask(labels, 8.0, "drawn").kind_at(table.centers_um[:4]) > 0
    counts, uncertain = cells.counts(0.6, QualityMask(labels, 8.0, "drawn"), table)
    told = np.array([0, 1, 1])[np.flatnonzero(~inside[[0, 2, 3]])]
    assert counts.tolist() == np.bincount(told, minlength=2).tolist()
    assert inside[3]
    assert cells.told(0) == "a, probability 0.90"
    assert cells.told(4) == ""


def test_the_hint_says_the_next_step() -> None:
    def told(labels: ClassLabels, **changes: object) -> str:
        given = {
            "chosen": 0, "labelling": True, "drawing": False, "has_cells": True, "missed": 0,
            "why_not": "", "suggestion": "",
        } | changes  # fmt: skip
        return hint(labels, **given)

    one = ClassLabels(("Tumour",))
    assert "stain a view" in told(one, has_cells=False)
    assert told(ClassLabels()).startswith("Name two or more classes")
    assert "Name a second class" in told(one)
    assert told(THREE, chosen=1).startswith("Click cells of Stroma; keys 1–3")
    assert "No label yet: b" in told(ClassLabels(("a", "b"), (LabelledPlace(0, 0, 0),)))
    assert "2 labels on cells that are not analysed yet" in told(THREE, missed=2)
    assert "looks 0.46 a" in told(THREE, suggestion="0.46 a")
    texts = [labelled_text(THREE, k) for k in range(3)]
    assert texts == ["1", "1 + 1 area", "1 + 1 area"]
