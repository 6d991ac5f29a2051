from __future__ import annotations

import numpy as np
import numpy.testing as npt
import pytest

from napari_past.plugin.outline_labels import (
    COARSEST_MPP,
    PLAIN,
    OutlineDrawing,
    drawing_mpp,
    outline_layer,
)
from napari_past.types import Outlines, Rect


def test_a_square_is_drawn_where_it_lies() -> None:
    square = np.array([[10.25, 20.25], [14.25, 20.25], [14.25, 26.25], [10.25, 26.25]], np.float32)
    outlines = Outlines(square, np.array([0, 4]))
    drawing = OutlineDrawing(outlines, np.array([0]), Rect(5, 15, 20, 20), 0.5)
    labels, arguments, kind = outline_layer(drawing, np.array([2], np.int8))
    # x 10.25 µm is the centre of pixel 20 of the slide, column 10 of the field; y 20.25 alike
    expected = np.zeros((40, 40), np.uint8)
    expected[10, 10:19] = expected[22, 10:19] = 3
    expected[10:23, 10] = expected[10:23, 18] = 3
    npt.assert_array_equal(labels, expected)
    assert kind == "labels"
    # napari's pixel (0, 0) has its centre at `translate`
    assert list(arguments["translate"]) == [15.25, 5.25]


def test_lines_do_not_move_with_the_field(analysed) -> None:
    outlines, cells = analysed.found.outlines, np.arange(len(analysed))
    whole = OutlineDrawing(outlines, cells, Rect(0, 0, 450, 320), 0.5).labels(None)
    part = OutlineDrawing(outlines, cells, Rect(100.2, 50.7, 120, 90), 0.5)
    assert set(np.unique(whole)) == {0, PLAIN}
    labels = part.labels(None)
    y, x = int(part.grid.y0_um / 0.5), int(part.grid.x0_um / 0.5)
    npt.assert_array_equal(labels, whole[y : y + labels.shape[0], x : x + labels.shape[1]])


def test_outlines_carry_classes(analysed) -> None:
    cells = np.arange(len(analysed))
    drawing = OutlineDrawing(analysed.found.outlines, cells, Rect(0, 0, 450, 320), 0.5)
    classes = np.zeros(len(analysed), np.int8)
    classes[0] = 3
    x, y = (analysed.found.outlines[0][0] / 0.5).astype(int)
    near = drawing.labels(classes)[max(y - 3, 0) : y + 4, max(x - 3, 0) : x + 4]
    assert 4 in near


@pytest.mark.parametrize(("canvas", "expected"), [(0.05, 0.25), (0.25, 0.25), (0.3, 0.5), (1, 1)])
def test_drawing_is_no_coarser_than_twice_the_canvas(canvas: float, expected: float) -> None:
    assert drawing_mpp(canvas) == expected
    assert drawing_mpp(COARSEST_MPP) == COARSEST_MPP
