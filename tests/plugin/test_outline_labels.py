from __future__ import annotations

import itertools

import numpy as np
import numpy.testing as npt

from napari_past.plugin.outline_labels import PLAIN, OutlineDrawing, outline_layer
from napari_past.types import Outlines


def test_a_square_is_drawn_where_it_lies() -> None:
    square = np.array([[10.25, 20.25], [14.25, 20.25], [14.25, 26.25], [10.25, 26.25]], np.float32)
    outlines = Outlines(square, np.array([0, 4]))
    drawing = OutlineDrawing(outlines, np.array([3], np.uint8), {(0, 0): np.array([0])})
    block = drawing.block(30, 10, (40, 40), 0.5)
    # x 10.25 µm is the centre of pixel 20, column 10 of the block; y 20.25 of pixel 40, row 10
    expected = np.zeros((40, 40), np.uint8)
    expected[10, 10:19] = expected[22, 10:19] = 3
    expected[10:23, 10] = expected[10:23, 18] = 3
    npt.assert_array_equal(block, expected)


def test_blocks_do_not_depend_on_their_borders(analysed) -> None:
    levels, _arguments, kind = outline_layer(analysed, None)
    assert kind == "labels"
    whole = levels[0].compute()
    assert set(np.unique(whole)) == {0, PLAIN}
    npt.assert_array_equal(levels[0][480:560, 470:580].compute(), whole[480:560, 470:580])
    assert all(a.shape[0] == 2 * b.shape[0] for a, b in itertools.pairwise(levels))


def test_outlines_carry_classes(analysed) -> None:
    classes = np.zeros(len(analysed), np.int8)
    classes[0] = 3
    levels, _, _ = outline_layer(analysed, classes)
    x, y = (analysed.found.outlines[0][0] / 0.5).astype(int)
    near = levels[0][max(y - 3, 0) : y + 4, max(x - 3, 0) : x + 4].compute()
    assert 4 in near
