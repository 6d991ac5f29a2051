"""Groups of rows, told apart by regions, types and measured markers."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from napari_past.types import INCLUDE, Region
from napari_past.validation.compared_rows import ComparedRows
from napari_past.validation.figures import known_r
from napari_past.validation.within import group_figure, row_groups

GENES = ("EPCAM", "KRT8", "PTPRC", "CD3E", "COL1A1", "COL1A2", "OTHER")


def compared(*tissues):
    return ComparedRows(tissues, tuple(np.arange(len(t)) for t in tissues))


def marked(n):
    """Thirds of epithelium, immune cells and stroma, and a last row without any marker."""
    counts = np.ones((n, 7)) * [0, 0, 0, 0, 0, 0, 50]
    for k in range(3):
        counts[k : n - 1 : 3, 2 * k : 2 * k + 2] = 9
    return counts


def test_compartments_are_those_of_the_markers(at):
    places = np.random.default_rng(0).uniform(0, 900, (91, 2))
    groups = row_groups(compared(at(places, marked(91), GENES)))
    assert [g.name for g in groups] == [
        f"{name}, by markers" for name in ("epithelium", "immune cells", "stroma")
    ]
    for k, group in enumerate(groups):
        assert group.kind == "cell type"
        assert np.flatnonzero(group.members[0]).tolist() == list(range(k, 90, 3))
        assert group.defined_by == set(GENES[:6])


def test_one_known_compartment_is_not_told_from_nothing(at):
    places = np.random.default_rng(0).uniform(0, 900, (30, 2))
    genes = ("EPCAM", "KRT8", "PTPRC", "A", "B", "C", "D")
    assert row_groups(compared(at(places, np.ones((30, 7)), genes))) == ()


def test_annotated_types_go_before_markers_and_an_empty_one_is_none(at):
    places = np.random.default_rng(0).uniform(0, 900, (6, 2))
    types = ("B", "A", "", "A", "B", "A")
    tissue = at(places, marked(6) + 1, GENES, types=types)
    other = at(places, marked(6) + 1, GENES, name="S2", patient="Q")
    groups = row_groups(compared(tissue, other))
    assert [(g.kind, g.name, len(g)) for g in groups] == [
        ("cell type", "A", 3),
        ("cell type", "B", 2),
        ("section", "A", 6),
        ("section", "S2", 6),
        ("patient", "P", 6),
        ("patient", "Q", 6),
    ]
    assert groups[0].members[0].tolist() == [False, True, False, True, False, True]
    assert groups[0].defined_by == frozenset()


def test_regions_of_one_name_are_one_group(at):
    places = np.array([[x, 50.0] for x in range(0, 100, 10)])
    left = Region("Invasive front", INCLUDE, shapely.box(-1, 0, 25, 100))
    far = Region("Invasive front", INCLUDE, shapely.box(75, 0, 100, 100))
    ignored = Region("Fold", "Ignore*", shapely.box(39, 0, 61, 100))
    tissue = at(places, np.ones((10, 1)), ["A"], regions=(left, far, ignored))
    (group,) = row_groups(compared(tissue))
    assert (group.kind, group.name) == ("region", "Invasive front")
    # Rows at 40, 50 and 60 µm are not looked at.
    assert tissue.row_um[group.members[0], 0].tolist() == [0, 10, 20, 80, 90]


def test_small_groups_have_no_figure(at):
    rng = np.random.default_rng(1)
    types = ("A",) * 19 + ("B",) * 21
    tissues = [
        at(rng.uniform(0, 900, (40, 2)), np.ones((40, 1)), ["X"], name=name, types=types)
        for name in "ST"
    ]
    rows = compared(*tissues)
    measured = [rng.normal(size=(40, 2)).astype(np.float32) for _ in tissues]
    predicted = [m + rng.normal(size=(40, 2)).astype(np.float32) for m in measured]
    few, enough = row_groups(rows)[:2]
    assert (few.name, len(few), enough.name, len(enough)) == ("A", 38, "B", 42)
    assert np.isnan(group_figure(few, rows, predicted, measured, known_r)).all()
    expected = np.mean(
        [known_r(p[19:], m[19:]) for p, m in zip(predicted, measured, strict=True)], axis=0
    )
    found = group_figure(enough, rows, predicted, measured, known_r)
    assert found == pytest.approx(expected)
