"""The lines of the histogram, by mouse and by keys."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QImage
from qtpy.QtWidgets import QLineEdit, QVBoxLayout, QWidget

from napari_past.plugin.cutoff_box import CutoffBox
from napari_past.plugin.histogram import TAB_PX
from napari_past.plugin.value_bins import ValueAxis, value_bins
from napari_past.stain import CLASS_COLOURS
from napari_past.types import Cutoffs

pytestmark = pytest.mark.gui

CARD = Cutoffs(1.0, 2.0, 3.0, "card")


@pytest.fixture
def box(qtbot):
    """The section with 1000 values from 0 to 4, shown."""
    outer = QWidget()
    box = CutoffBox()
    layout = QVBoxLayout(outer)
    layout.addWidget(box)
    layout.addWidget(QLineEdit())
    qtbot.addWidget(outer)
    outer.resize(400, 400)
    box.set_cutoffs(CARD, CARD, "")
    values = np.linspace(0, 4, 1000, dtype=np.float32)
    box.cells.set_bins(value_bins(values, ValueAxis(0.0, 4.0)), "GENE", "1,000 cells")
    outer.show()
    qtbot.waitExposed(outer)
    box.told = []
    box.dragged.connect(lambda: box.told.append("step"))
    box.changed.connect(lambda: box.told.append("kept"))
    yield box
    outer.close()


def x_of(box: CutoffBox, value: float) -> float:
    histogram = box.cells.histogram
    one, two = histogram.line_px(0), histogram.line_px(2)
    low, high = box.cutoffs.weak, box.cutoffs.strong
    return one + (value - low) / (high - low) * (two - one)


def place(x: float, y: float = 60) -> QPoint:
    return QPoint(round(x), round(y))


def drag(qtbot, box: CutoffBox, start: QPoint, *to: QPoint) -> None:
    histogram = box.cells.histogram
    qtbot.mousePress(histogram, Qt.MouseButton.LeftButton, pos=start)
    for end in to:
        qtbot.mouseMove(histogram, end)
    qtbot.mouseRelease(histogram, Qt.MouseButton.LeftButton, pos=to[-1])


def test_a_dragged_line_is_told_in_steps_and_kept_once(box, qtbot) -> None:
    start = place(x_of(box, 2.0))
    ends = [place(x_of(box, v)) for v in (2.1, 2.3, 2.5)]
    drag(qtbot, box, start, *ends)
    assert box.told == ["step", "step", "step", "kept"]
    assert box.cutoffs.moderate == pytest.approx(2.5, abs=0.03)
    assert (box.cutoffs.weak, box.cutoffs.strong) == (1.0, 3.0)
    assert box.cutoffs.source == "set by you"
    assert box.spins[1].value() == box.cutoffs.moderate
    assert "set by you" in box.source.text()


def test_a_line_stops_at_its_neighbours_and_at_the_ends(box, qtbot) -> None:
    drag(qtbot, box, place(x_of(box, 2.0)), place(x_of(box, 3.9)))
    assert box.cutoffs.values == (1.0, 2.99, 3.0)
    # of lines that touch, each is still caught by its tab
    middles = box.cells.histogram.tab_px()
    assert np.diff(middles).min() > TAB_PX
    drag(qtbot, box, place(middles[2], 5), place(middles[2] + 4000, 5))
    assert box.cutoffs.values == (1.0, 2.99, 4.0)
    drag(qtbot, box, place(x_of(box, 1.0)), place(-500))
    assert box.cutoffs.weak == 0.0


def test_a_click_keeps_nothing_and_a_double_click_resets(box, qtbot) -> None:
    histogram = box.cells.histogram
    qtbot.mouseClick(histogram, Qt.MouseButton.LeftButton, pos=place(x_of(box, 2.0)))
    qtbot.mouseClick(histogram, Qt.MouseButton.LeftButton, pos=place(x_of(box, 2.5)))
    qtbot.mouseDClick(histogram, Qt.MouseButton.LeftButton, pos=place(x_of(box, 2.0)))
    assert box.told == []
    drag(qtbot, box, place(x_of(box, 2.0)), place(x_of(box, 2.5)))
    qtbot.mouseDClick(histogram, Qt.MouseButton.LeftButton, pos=place(x_of(box, 1.5)))
    assert box.told == ["step", "kept", "kept"]
    assert box.cutoffs == CARD
    assert not box.reset.isEnabled()


def test_keys_move_the_line_that_tab_chose(box, qtbot) -> None:
    histogram = box.cells.histogram
    step = histogram.bins.axis.step
    histogram.setFocus(Qt.FocusReason.TabFocusReason)
    qtbot.keyClick(histogram, Qt.Key.Key_Right)
    assert box.cutoffs.values == (1.0 + step, 2.0, 3.0)
    assert histogram.text().startswith(f"1+ from {1.0 + step:g}")
    qtbot.keyClick(histogram, Qt.Key.Key_Tab)
    qtbot.keyClick(histogram, Qt.Key.Key_Left, Qt.KeyboardModifier.ShiftModifier)
    assert box.cutoffs.values == pytest.approx((1.0 + step, 2.0 - 10 * step, 3.0))
    # a key that is held is one change
    assert box.told == ["step", "kept", "step", "kept"]
    qtbot.keyPress(histogram, Qt.Key.Key_Left)
    qtbot.keyPress(histogram, Qt.Key.Key_Left)
    qtbot.keyRelease(histogram, Qt.Key.Key_Left)
    assert box.told[4:] == ["step", "step", "kept"]
    qtbot.keyClick(histogram, Qt.Key.Key_Tab)
    assert histogram.text().startswith("3+ from 3")
    qtbot.keyClick(histogram, Qt.Key.Key_Tab)
    assert histogram.window().focusWidget() is not histogram


def test_a_line_that_is_held_lets_go_when_other_cutoffs_come(box, qtbot) -> None:
    histogram = box.cells.histogram
    qtbot.mousePress(histogram, Qt.MouseButton.LeftButton, pos=place(x_of(box, 2.0)))
    qtbot.mouseMove(histogram, place(x_of(box, 2.5)))
    other = Cutoffs(0.5, 1.5, 2.5, "card of another gene")
    box.set_cutoffs(other, other, "")
    qtbot.mouseMove(histogram, place(x_of(box, 2.2)))
    qtbot.mouseRelease(histogram, Qt.MouseButton.LeftButton, pos=place(x_of(box, 2.2)))
    assert box.cutoffs == other
    assert box.told == ["step"]


def test_a_line_beyond_the_axis_can_be_caught_at_its_end(box, qtbot) -> None:
    box.spins[2].setValue(99.0)
    histogram = box.cells.histogram
    end = histogram.line_px(2)
    assert end == pytest.approx(x_of(box, 99.0))
    drag(qtbot, box, place(end), place(end - 30))
    assert 3.0 < box.cutoffs.strong < 4.0


def test_bars_and_lines_have_the_colours_of_the_classes(box) -> None:
    image: QImage = box.cells.histogram.grab().toImage()
    histogram = box.cells.histogram
    ratio = image.devicePixelRatio()
    strip_px = round((box.cells.histogram._plot.bottom() + 1.5) * ratio)
    for value, rgb in zip((0.5, 1.5, 2.5, 3.5), CLASS_COLOURS, strict=True):
        pixel = image.pixelColor(round(x_of(box, value) * ratio), strip_px)
        assert np.abs(np.subtract((pixel.red(), pixel.green(), pixel.blue()), rgb)).max() < 12
    for k in range(3):
        x = QPointF(histogram.line_px(k), 40) * ratio
        around = [image.pixelColor(round(x.x()) + d, round(x.y())) for d in (-1, 0, 1)]
        apart = [
            np.abs(np.subtract((c.red(), c.green(), c.blue()), CLASS_COLOURS[k + 1])).max()
            for c in around
        ]
        assert min(apart) < 30


def test_nothing_is_shown_without_cells_or_cutoffs(box, qtbot) -> None:
    box.cells.set_bins(None, "", "")
    assert not box.cells.isVisible()
    box.set_cutoffs(None, None, "cannot be scored")
    assert box.cells.histogram.text() == ""
    assert not box.copy.isEnabled()
    assert not box.reset.isEnabled()
