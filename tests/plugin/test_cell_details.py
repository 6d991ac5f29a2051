from __future__ import annotations

from dataclasses import replace

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_past.plugin.cell_details import EMPTY, NOT_FLAGGED, CellDetails, CellFacts, GeneFact

ERBB2 = GeneFact("ERBB2", "1.27 log1p(counts per 10k)", "same patient · 100 µm spots · r 0.31")
KRT19 = GeneFact("KRT19", "0.42 log1p(counts per 10k)", "not learnable")
CELL = CellFacts(
    id="8d0e9f1c-0000-5000-8000-000000000001",
    genes=(ERBB2,),
    cell_type="",
    class_name="2+",
    unlike_training=1.84,
    unscored="pen",
    x_um=1234.56,
    y_um=78.9,
    area_um2=43.2,
    note="",
)
OTHER = replace(CELL, id="other", unlike_training=0.4, unscored="", class_name="", note="seen")


@pytest.fixture
def details(qtbot) -> CellDetails:
    part = CellDetails()
    qtbot.addWidget(part)
    part.resize(360, 400)
    part.show()
    return part


@pytest.fixture
def told(details) -> list[tuple[str, str]]:
    """What was noted, in order."""
    notes: list[tuple[str, str]] = []
    details.note_changed.connect(lambda cell, text: notes.append((cell, text)))
    return notes


def shown(details: CellDetails) -> dict[str, str]:
    return {name.text(): text.text() for name, text in details.rows if text.isVisible()}


def test_says_how_to_choose_a_cell(details) -> None:
    assert details.hint.text() == EMPTY
    assert details.hint.isVisible()
    assert not details.note.isVisible()
    details.show_cell(CELL)
    assert not details.hint.isVisible()
    details.show_cell(None)
    assert details.hint.isVisible()
    assert shown(details) == {}
    assert not details.note.isVisible()


def test_everything_that_is_known_of_a_cell(details) -> None:
    details.show_cell(replace(CELL, genes=(ERBB2,)))
    assert shown(details) == {
        "ERBB2": ERBB2.value,
        "evidence": ERBB2.reliability,
        "class": "2+",
        "training": "looks unlike the training cells: 1.8x the limit",
        "not scored": "pen",
        "place": "x 1234.6, y 78.9 µm",
        "nucleus": "43 µm²",
    }
    assert details.id.text() == CELL.id
    details.id.setSelection(0, len(CELL.id))
    assert details.id.selectedText() == CELL.id
    details.show_cell(OTHER)
    assert shown(details)["training"] == NOT_FLAGGED
    assert "no promise" in NOT_FLAGGED
    assert "not scored" not in shown(details)
    assert "class" not in shown(details)
    assert details.note.text() == "seen"


def test_two_genes_stand_with_their_own_evidence(details) -> None:
    details.show_cell(replace(CELL, genes=(ERBB2, KRT19)))
    texts = [(name.text(), text.text()) for name, text in details.rows if text.isVisible()]
    assert texts[:4] == [
        ("ERBB2", ERBB2.value),
        ("evidence", ERBB2.reliability),
        ("KRT19", KRT19.value),
        ("evidence", KRT19.reliability),
    ]


def test_limit_itself_is_not_flagged() -> None:
    assert replace(CELL, unlike_training=1.0).flag == NOT_FLAGGED
    assert "1.0x" in replace(CELL, unlike_training=1.001).flag


def test_summary_is_short_and_tells_a_flag_only_where_there_is_one() -> None:
    assert CELL.summary.splitlines()[0] == f"ERBB2 {ERBB2.value}"
    assert "1.8x the limit" in CELL.summary
    assert "not scored: pen" in CELL.summary
    assert NOT_FLAGGED not in OTHER.summary
    assert "not scored" not in OTHER.summary


def test_note_is_told_once_with_its_cell(details, told, qtbot) -> None:
    details.show_cell(CELL)
    qtbot.keyClicks(details.note, "mitosis?")
    assert told == []
    qtbot.keyClick(details.note, Qt.Key.Key_Return)
    assert told == [(CELL.id, "mitosis?")]
    qtbot.keyClick(details.note, Qt.Key.Key_Return)
    details.show_cell(OTHER)
    details.show_cell(replace(CELL, note="mitosis?"))
    assert details.note.text() == "mitosis?"
    details.note.clear()
    qtbot.keyClick(details.note, Qt.Key.Key_Return)
    assert told == [(CELL.id, "mitosis?"), (CELL.id, "")]


def test_pointer_over_other_cells_does_not_take_a_note_away(details, told, qtbot) -> None:
    details.show_cell(CELL)
    qtbot.keyClicks(details.note, "mit")
    details.show_cell(OTHER)
    assert details.facts == CELL
    qtbot.keyClicks(details.note, "osis")
    # another gene is chosen meanwhile
    details.show_cell(replace(CELL, genes=(KRT19,)))
    assert "KRT19" in shown(details)
    assert details.note.text() == "mitosis"
    qtbot.keyClick(details.note, Qt.Key.Key_Return)
    assert told == [(CELL.id, "mitosis")]
    details.show_cell(OTHER)
    assert details.facts == OTHER
    assert details.note.text() == "seen"


def test_note_that_is_being_written_is_kept_when_the_cell_goes(details, told, qtbot) -> None:
    details.show_cell(CELL)
    qtbot.keyClicks(details.note, "mitosis")
    details.show_cell(None)
    assert told == [(CELL.id, "mitosis")]
    details.show_cell(replace(OTHER, note=""))
    assert details.note.text() == ""


def test_undone_note_is_shown(details, told) -> None:
    details.show_cell(OTHER)
    details.show_cell(replace(OTHER, note=""))
    assert details.note.text() == ""
    assert told == []


def test_what_is_below_does_not_jump_from_cell_to_cell(qtbot) -> None:
    box, details, below = QWidget(), CellDetails(), QLabel("below")
    layout = QVBoxLayout(box)
    for widget in (details, below):
        layout.addWidget(widget)
    layout.addStretch()
    qtbot.addWidget(box)
    box.resize(360, 700)
    box.show()

    def place_after(facts: CellFacts | None) -> int:
        details.show_cell(facts)
        qtbot.wait(50)
        return below.y()

    nothing, first = place_after(None), place_after(CELL)
    assert nothing < first
    assert [place_after(facts) for facts in (OTHER, None, OTHER, CELL)] == [first] * 4
    assert place_after(replace(CELL, genes=(ERBB2, KRT19))) > first
    assert place_after(CELL) == first


def test_a_type_is_told_and_unknown_training_cells_are_not_called_alike() -> None:
    typed = replace(CELL, cell_type="T cell (margin 0.040)", unlike_training=float("nan"))
    lines = dict(typed.lines())
    assert lines["type"] == "T cell (margin 0.040)"
    assert lines["training"].startswith("not known")
    assert "type" not in dict(CELL.lines())
