"""What is said of an evaluation in words: in the report and on the terminal alike."""

from __future__ import annotations

from dataclasses import replace

import pytest

from past_training.evaluation.report import markdown_report
from past_training.evaluation.result import Filled, Standing
from past_training.evaluation.told import (
    filled_note,
    known_note,
    result_lines,
    worse_note,
)

FOUR = {"P": [("S1", [0.1, 0.3]), ("S2", [0.3, 0.5]), ("S3", [0.0, 0.0]), ("S4", [0.2, 0.2])]}
BEFORE = "before: base, else the training mean"


def test_who_is_further_away_than_a_constant(hand_made):
    """RMSE is 1 - r by hand; r of a row is the same for all."""
    worse = hand_made(FOUR, others={"training mean": 0.2, "ridge": 0.3, "random": -0.1})
    told = worse_note(worse)
    assert told == (
        "Worse than the training mean, which never looks at the picture: ours in RMSE (0.800 "
        "against 0.600); random in RMSE (0.900 against 0.600)."
    )
    assert f"**{told}**" in markdown_report(worse, {})
    assert told in result_lines(worse)
    better = hand_made(FOUR, others={"training mean": -0.2})
    assert worse_note(better) == ""
    assert "Worse than" not in markdown_report(better, {})
    assert worse_note(hand_made(FOUR, others={"ridge": 0.2})) == ""


def test_r_of_a_row_counts_too(hand_made):
    found = hand_made({"P": [("S1", [0.1])]}, others={"training mean": 0.0})
    fold = found.folds[0]
    held = fold.held[0]
    ours = replace(held.scores[0], row_r=held.scores[0].row_r - 0.1)
    held = replace(held, scores=(ours, held.scores[1]))
    found = replace(found, folds=(replace(fold, held=(held,)),))
    assert "ours in r of a row (0.500 against 0.600)" in worse_note(found)


def test_only_what_is_held_out_for_both_is_held_against_the_mean(hand_made):
    """Where it saw the tissue it may well be better."""
    seen = {("ours", "S1"): Standing.SAME_SECTION, ("ours", "S2"): Standing.SAME_SECTION}
    found = hand_made(FOUR, others={"training mean": 0.1}, standing=seen)
    assert "ours in RMSE (0.900 against 0.800)" in worse_note(found)


@pytest.fixture
def partly(hand_made):
    """Before knew EPCAM, with an r less by 0.1, and not ERBB2."""
    found = hand_made(FOUR, others={BEFORE: -0.1, "training mean": -0.5})
    return replace(found, filled=Filled("base", BEFORE, frozenset({"EPCAM", "VIM"})))


def test_before_and_after_on_the_genes_that_both_know(partly):
    told = "On the genes that both know: mean r 0.050 before, 0.150 after (+0.100)."
    assert known_note(partly) == told
    assert told in result_lines(partly)
    text = markdown_report(partly, {})
    assert told in text
    rows = text.split("### On the genes that both know\n")[1].split("\n#")[0].splitlines()
    table = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows if "|" in row]
    assert table == [
        ["1 genes", "r", "ρ", "RMSE"],
        ["---"] * 4,
        ["ours", "0.150", "0.075", "0.850"],
        ["before: base", "0.050", "0.025", "0.950"],
        ["training mean", "-0.350", "-0.175", "1.350"],
    ]


def test_what_was_filled_in_is_told(partly):
    told = filled_note(partly)
    assert told.startswith(
        "base does not know 1 of the 2 genes: for these “before” is the training"
    )
    assert told.endswith("Of the genes in the table it knows 1.")
    assert told in markdown_report(partly, {})


def test_nothing_in_common(partly):
    found = replace(partly, filled=Filled("base", BEFORE, frozenset({"VIM"})))
    told = "No gene that both know was compared, so nothing says what fitting changed."
    assert known_note(found) == told
    assert told in markdown_report(found, {})
    assert "genes | r |" not in markdown_report(found, {})


def test_where_all_is_known_nothing_is_said_of_it(hand_made):
    found = hand_made(FOUR, others={"before: base": -0.1})
    assert filled_note(found) == known_note(found) == ""
    assert "both know" not in markdown_report(found, {})


def test_lines_of_the_terminal(hand_made):
    seen = {("ours", name): Standing.SAME_SECTION for name in ("S1", "S2", "S3", "S4")}
    found = hand_made(FOUR, others={"ridge": 0.1}, standing=seen)
    assert result_lines(found) == [
        "ours: trained on every section: not compared",
        "ridge: mean r 0.300, RMSE 0.700 on 4 of 4 sections",
        "Nothing could be compared: ours was trained on all of this tissue before.",
    ]
    assert result_lines(hand_made(FOUR)) == ["ours: mean r 0.200, RMSE 0.800 on 4 of 4 sections"]
    block = hand_made({"P": [("block 1 of S", [0.1])]}, by="block")
    assert result_lines(block)[0] == "ours: mean r 0.100, RMSE 0.900 on 1 of 1 blocks"
    assert result_lines(block)[1].startswith("Same section: ")
