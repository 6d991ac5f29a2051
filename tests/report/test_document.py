"""One page, written twice."""

from __future__ import annotations

from html import escape

import pytest

from napari_past.report.axes import Axes, number
from napari_past.report.document import (
    Document,
    Plot,
    Plots,
    Sentence,
    Warnings,
    write_document,
)
from napari_past.report.page import Table
from napari_past.types import RESEARCH_USE

PAGE = Document(
    "A & B",
    (
        Sentence("x < y."),
        Warnings(("Mind <this>.",)),
        Table("Numbers", ("name", "n"), (("a|b", "1"),), 1, ("Of us.",)),
        Plots("", (Plot("one two", "<svg></svg>"),)),
    ),
)


def test_html_holds_everything_and_no_markup_of_others(tmp_path):
    (file,) = write_document(PAGE, tmp_path / "p.html")
    text = file.read_text(encoding="utf-8")
    for part in (
        "<h1>A &amp; B</h1>", "<p>x &lt; y.</p>", "Mind &lt;this&gt;.", "<svg></svg>",
        escape(RESEARCH_USE),
        "<tr><td>a|b</td><td class=n>1</td></tr>", "Of us.",
    ):  # fmt: skip
        assert part in text


def test_markdown_has_its_pictures_beside_it(tmp_path):
    page, picture = write_document(PAGE, tmp_path / "p.md")
    assert picture.name == "p-one two.svg"
    lines = page.read_text(encoding="utf-8").splitlines()
    for line in (
        "# A & B", f"**{RESEARCH_USE}**", "x < y.", "> Mind <this>.", "| name | n |",
        "| a\\|b | 1 |", "Of us.", "![p-one two.svg](p-one%20two.svg)",
    ):  # fmt: skip
        assert line in lines


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (-0.5, "−0.5"), (1500.0, "1500"), (0.12345, "0.123"), (2e7, "2e+07")],
)
def test_numbers_of_axes(value, text):
    assert number(value) == text


def test_axes_put_values_where_their_ticks_say():
    axes = Axes([0, 10], [0, 10], ("x", "y"))
    assert axes.x(5) == pytest.approx((axes.x(0) + axes.x(10)) / 2)
    assert axes.y(0) > axes.y(10)
