"""Labels that are as high as their text."""

from __future__ import annotations

from napari_past.plugin.wrapped_label import WrappedLabel


def test_height_follows_the_text_both_ways(qtbot) -> None:
    label = WrappedLabel("one line")
    qtbot.addWidget(label)
    label.resize(120, 20)
    label.show()
    low = label.height()
    label.setText("several words that need more than one line of this narrow label")
    high = label.height()
    assert high > 1.8 * low
    label.setText("one line")
    assert label.height() == low
    label.setText("several words that need more than one line of this narrow label")
    label.resize(900, label.height())
    assert label.height() == low
