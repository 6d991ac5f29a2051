from __future__ import annotations

import numpy as np
import numpy.testing as npt
import pytest

from napari_past.plugin.cell_points import MOST_POINTS, drawn_cells, layer_name, point_layer
from napari_past.plugin.staining import Staining, staining
from napari_past.space import world_from_um
from napari_past.stain import CLASS_COLOURS
from napari_past.types import Cutoffs, Rect

LIMITS = Cutoffs(1.0, 2.0, 3.0, "given")


def shown_of(resolved, values: list[float], as_classes: bool) -> Staining:
    array = np.array(values, np.float32)
    return Staining(resolved, "unit", array, LIMITS, as_classes, (0.0, 4.0))


@pytest.fixture
def erbb2(analysed):
    return analysed.resolve("ERBB2")


def test_classes_have_qupaths_colours_and_their_own_symbols(erbb2) -> None:
    shown = shown_of(erbb2, [0.5, 1.0, 2.5, 3.0, np.nan], True)
    index = np.arange(5)
    rgb = np.round(shown.colours(index)[:, :3] * 255).astype(int)
    npt.assert_array_equal(rgb[:4], CLASS_COLOURS)
    assert len(set(shown.symbols(index)[:4])) == 4
    assert list(shown.class_names(index)) == ["Negative", "1+", "2+", "3+", "no class"]


def test_expression_runs_from_dark_to_bright(erbb2) -> None:
    colours = shown_of(erbb2, [-1.0, 0.0, 2.0, 4.0, 9.0], False).colours(np.arange(5))
    luminance = colours[:, :3] @ [0.2126, 0.7152, 0.0722]
    npt.assert_array_equal(colours[0], colours[1])
    npt.assert_array_equal(colours[3], colours[4])
    assert luminance[1] < luminance[2] < luminance[3]


def test_values_are_the_read_outs(analysed, erbb2) -> None:
    shown = staining(analysed, erbb2, None, as_classes=True)
    npt.assert_array_equal(shown.values, analysed.expression(["ERBB2"])[:, 0])
    assert not shown.as_classes  # without cut-offs there are no classes


def test_points_are_the_cells_in_world_coordinates(analysed, erbb2) -> None:
    shown = staining(analysed, erbb2, LIMITS, as_classes=False)
    index = np.array([0, 5, 7])
    data, arguments, kind = point_layer(analysed, shown, index)
    assert kind == "points"
    npt.assert_array_equal(data, world_from_um(analysed.centers_um[index]))
    assert arguments["name"] == "ERBB2 · past-mini" == layer_name(analysed, shown)
    features = arguments["features"]
    assert list(features["id"]) == [analysed.ids[i] for i in index]
    text = features["predicted"].iloc[0]
    assert text == f"ERBB2 {shown.values[0]:.2f} {analysed.model.card.expression_unit}"


class ManyCells:
    """Only what `drawn_cells` looks at."""

    def __init__(self, n: int) -> None:
        self.centers_um = np.random.default_rng(0).uniform(0, 1000, (n, 2))

    def __len__(self) -> int:
        return len(self.centers_um)


def test_crowds_are_thinned_always_alike_and_views_are_complete() -> None:
    cells = ManyCells(3 * MOST_POINTS)
    everywhere = drawn_cells(cells, None)
    assert len(everywhere) == MOST_POINTS
    npt.assert_array_equal(everywhere, drawn_cells(cells, None))
    view = Rect(0, 0, 300, 300)
    inside = drawn_cells(cells, view)
    npt.assert_array_equal(inside, np.flatnonzero(view.contains(cells.centers_um)))
