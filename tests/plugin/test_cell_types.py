"""Which types have a colour, and what the legend counts, by hand."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.testing as npt
import pytest

from napari_past.engine import TypedCells
from napari_past.plugin.cell_types import (
    BETWEEN,
    BETWEEN_COLOUR,
    OTHER,
    OTHER_COLOUR,
    TYPE_COLOURS,
    KeyRow,
    ShownTypes,
    TypeColours,
    TypeKey,
    counts_of,
    key_of,
)

N = len(TYPE_COLOURS)


@pytest.mark.parametrize("eyes", ["normal", "protanopia", "deuteranopia", "tritanopia"])
def test_colours_stay_apart_from_each_other_and_from_the_stains(seen, eyes: str) -> None:
    eosin, haematoxylin = (225, 165, 200), (120, 75, 150)
    rgb = np.array([*TYPE_COLOURS, OTHER_COLOUR, BETWEEN_COLOUR, eosin, haematoxylin]) / 255
    lab = seen(rgb[None], eyes)[0]
    distance = {
        (i, j): np.linalg.norm(lab[i] - lab[j]) for i, j in itertools.combinations(range(N + 4), 2)
    }
    ours = [d for (_, j), d in distance.items() if j < N + 2]
    with_stains = [d for (i, j), d in distance.items() if i < N and j >= N + 2]
    assert min(ours) > 24
    assert min(with_stains) > 14


def test_few_types_have_their_own_colour_whatever_is_in_view() -> None:
    colours = TypeColours()
    npt.assert_array_equal(colours.assign(np.array([0, 5, 9])), [1, 2, 3])
    npt.assert_array_equal(colours.assign(np.array([7, 0, 0])), [1, 2, 3])


def test_of_many_types_the_most_common_in_view_have_colours() -> None:
    counts = np.arange(N + 3)  # the first is not in view, the last is the most common
    labels = TypeColours().assign(counts)
    assert (labels[:3] == OTHER).all()
    assert sorted(labels[3:]) == list(range(1, N + 1))


def test_a_pan_changes_as_few_colours_as_can_be() -> None:
    colours, counts = TypeColours(), np.arange(N + 3)
    first = colours.assign(counts)
    # The view moves: the rarest of those with a colour makes way for type 0.
    moved = counts.copy()
    moved[0], moved[3] = 50, 0
    second = colours.assign(moved)
    npt.assert_array_equal(second[4:], first[4:])
    assert second[0] == first[3]
    assert second[3] == OTHER
    # And back: all have the colours that they had.
    npt.assert_array_equal(colours.assign(counts), first)
    # Once every type was seen, order alone changes nothing.
    npt.assert_array_equal(colours.assign(counts * 3), first)


@pytest.fixture
def shown() -> ShownTypes:
    code = np.array([0, 0, 1, 2, 1, 0], np.int32)
    margin = np.array([0.5, 0.01, 0.2, 0.3, 0.02, 0.4], np.float32)
    cells = TypedCells(("T cell", "B cell", "rare"), code, margin)
    return ShownTypes(cells, 0.05, np.array([1, 2, OTHER], np.uint8))


def test_cells_have_the_label_of_their_type_unless_they_are_between_two(shown) -> None:
    index = np.arange(8)  # two more cells than have a type
    npt.assert_array_equal(
        shown.labels(index), [1, BETWEEN, 2, OTHER, BETWEEN, 1, 0, 0]
    )  # fmt: skip
    npt.assert_array_equal(counts_of(shown.cells, index, 0.05), [2, 1, 1])
    npt.assert_array_equal(counts_of(shown.cells, index, 0.0), [3, 2, 1])
    assert [shown.name(label) for label in (1, 2, 3, OTHER, BETWEEN)] == [
        "T cell", "B cell", "", "other types", "between two types",
    ]  # fmt: skip


def test_a_margin_of_zero_leaves_no_cell_between_two() -> None:
    cells = TypedCells(("a", "b"), np.array([0], np.int32), np.array([0.0], np.float32))
    assert ShownTypes(cells, 0.0, np.array([1, 2], np.uint8)).labels(np.array([0])) == [1]


def test_the_legend_counts_the_cells_in_view_that_are_scored(shown) -> None:
    index = np.arange(8)
    unlike = np.array([1, 1, 0, 0, 0, 0, 0, 0], bool)
    unscored = np.array([1, 0, 0, 0, 0, 0, 0, 0], bool)
    assert key_of(shown, index, unlike, unscored) == TypeKey(
        rows=(
            KeyRow(1, "T cell", 1),
            KeyRow(2, "B cell", 1),
            KeyRow(OTHER, "other types", 1),
            KeyRow(BETWEEN, "between two types", 2),
        ),
        others=(("rare", 1),),
        cells=5,
        unscored=1,
        unlike=1,
        waiting=2,
    )
