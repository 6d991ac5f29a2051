from __future__ import annotations

import io

import numpy as np

from napari_past.cli.progress import ArchiveProgress, ProgressLine
from napari_past.engine import Progress
from napari_past.types import FoundCells, Outlines, TileResult, TileSpec


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def tile(n):
    none = Outlines(np.zeros((0, 2), np.float32), np.zeros(n + 1, int))
    cells = FoundCells(np.zeros((n, 2)), none, np.zeros(n, np.float32))
    od = np.zeros(n, np.float32)
    return TileResult(TileSpec(0, 0, 1), cells, np.zeros((n, 1), np.float16), od)


def told(stream):
    line = ProgressLine("s.svs", stream)
    line(Progress(1, 3, None))
    line(Progress(2, 3, tile(5)))
    line(Progress(3, 3, tile(2)))
    line.close()
    return stream.getvalue()


def test_a_file_gets_few_lines():
    lines = told(io.StringIO()).splitlines()
    assert lines[0] == "s.svs: tile 1/3 (1 from the cache)"
    assert lines[-1].startswith("s.svs: tile 3/3 · 7 cells · ")
    assert len(lines) == 2


def test_a_terminal_gets_one_line_that_is_rewritten():
    text = told(Terminal())
    assert text.count("\n") == 1
    assert text.startswith("\rs.svs: tile 1/3")
    assert text.endswith("\n")


def test_many_slides_stay_on_one_line_of_a_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    stream = Terminal()
    archive = ArchiveProgress(3, stream)
    first = archive.slide("first.svs")
    second = archive.slide("a-slide-with-a-long-name-that-goes-on.svs")
    for line in (first, second):
        line(Progress(1, 3, None))
    archive.tell()
    archive.finished("first.svs")
    archive.note("first.svs: told")
    archive.close()
    shown = [part for line in stream.getvalue().splitlines() for part in line.split("\r")]
    assert shown[1] == "0/3 slides · first.svs"
    assert all(len(part) < 40 for part in shown)
    assert "napari-past: first.svs: told" in shown
