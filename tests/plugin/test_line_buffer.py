"""Chunks of a pipe become whole lines, wherever they are cut."""

import pytest

from napari_past.plugin.line_buffer import LineBuffer

TEXT = "1 of 2 cells\r2 of 2 cells\nZeroDivisionError: µm by zero"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_lines_are_whole_wherever_the_chunks_end(size) -> None:
    data, buffer, lines = TEXT.encode(), LineBuffer(), []
    for start in range(0, len(data), size):
        lines += buffer.lines(data[start : start + size])
    assert lines == ["1 of 2 cells", "2 of 2 cells"]
    assert buffer.rest() == ["ZeroDivisionError: µm by zero"]
    assert buffer.rest() == []
