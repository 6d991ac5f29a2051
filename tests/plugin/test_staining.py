from __future__ import annotations

import numpy as np
import numpy.testing as npt
import pytest

from napari_past.plugin.cell_points import layer_name, point_layer
from napari_past.plugin.staining import Channel, Look, Staining, staining
from napari_past.space import world_from_um
from napari_past.stain import CLASS_COLOURS
from napari_past.types import Cutoffs

LIMITS = Cutoffs(1.0, 2.0, 3.0, "given")


def shown_of(resolved, values: list[float], as_classes: bool) -> Staining:
    channel = Channel(resolved, np.array(values, np.float32), (0.0, 4.0))
    return Staining(channel, None, "unit", LIMITS, as_classes, "viridis")


@pytest.fixture
def erbb2(analysed):
    return analysed.resolve("ERBB2")


def test_classes_have_qupaths_colours_and_their_own_symbols(erbb2) -> None:
    shown = shown_of(erbb2, [0.5, 1.0, 2.5, 3.0, np.nan], True)
    index = np.arange(5)
    rgba = np.round(shown.colours(index) * 255).astype(int)
    npt.assert_array_equal(rgba[:4, :3], CLASS_COLOURS)
    assert list(rgba[:, 3]) == [255, 255, 255, 255, 0]
    assert len(set(shown.symbols(index)[:4])) == 4
    assert list(shown.class_names(index)) == ["Negative", "1+", "2+", "3+", "no class"]


def test_expression_runs_from_dark_to_bright(erbb2) -> None:
    colours = shown_of(erbb2, [-1.0, 0.0, 2.0, 4.0, 9.0, np.nan], False).colours(np.arange(6))
    luminance = colours[:, :3] @ [0.2126, 0.7152, 0.0722]
    npt.assert_array_equal(colours[0], colours[1])
    npt.assert_array_equal(colours[3], colours[4])
    assert luminance[1] < luminance[2] < luminance[3]
    assert colours[5, 3] == 0


def test_values_are_the_read_outs(table, analysed, erbb2) -> None:
    shown = staining(table, erbb2, None, Look(as_classes=True))
    npt.assert_allclose(shown.values, analysed.expression(["ERBB2"])[:, 0], rtol=1e-6)
    assert not shown.as_classes  # without cut-offs there are no classes
    low, high = shown.limits
    assert low < np.median(shown.values) < high
    assert staining(table, erbb2, None, Look(limits=(0.0, 9.0))).limits == (0.0, 9.0)


def test_two_genes_keep_their_own_limits(table, analysed, erbb2) -> None:
    other = analysed.resolve("CD3")
    shown = staining(table, erbb2, LIMITS, Look(as_classes=True), other)
    assert not shown.as_classes
    assert shown.name == "ERBB2 | " + " + ".join(other.symbols)
    npt.assert_allclose(shown.second.values, analysed.marker_values("CD3"), rtol=1e-5)
    low = (shown.first.limits[0], shown.second.limits[0])
    high = (shown.first.limits[1], shown.second.limits[1])
    corners = [(low[0], low[1]), (high[0], low[1]), (low[0], high[1]), (high[0], high[1])]
    first, second = np.array(corners).T
    colours = shown.palette()[shown.codes(first, second)][:, :3]
    apart = np.abs(colours[:, None] - colours[None]).sum(axis=2)
    assert apart[~np.eye(4, dtype=bool)].min() > 0.5


def test_points_are_the_cells_in_world_coordinates(table, analysed, erbb2) -> None:
    shown = staining(table, erbb2, LIMITS, Look())
    index = np.array([0, 5, 7])
    data, arguments, kind = point_layer(table, shown, index)
    assert kind == "points"
    npt.assert_array_equal(data, world_from_um(analysed.centers_um[index]))
    assert arguments["name"] == "ERBB2 · past-mini" == layer_name(table, shown)
    unit = analysed.model.card.expression_unit
    npt.assert_array_equal(arguments["features"][f"ERBB2 ({unit})"], shown.values[index])
