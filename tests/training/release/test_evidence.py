"""From scores to a card's evidence, with values that are given."""

from __future__ import annotations

import math

import numpy as np
import pytest

from past_training.dataset.splits import By
from past_training.evaluation.result import (
    DatasetFacts,
    Evaluation,
    FoldResult,
    HeldSection,
    SectionScore,
    Standing,
)
from past_training.evaluation.retrieval import Retrieval
from past_training.release.evidence import evidence_of
from past_training.release.making import UNMEASURED

GENES = ("EPCAM", "VIM")


def fold(
    name: str, patient: str, r: tuple[float, float], standing: Standing = Standing.HELD_OUT
) -> FoldResult:
    values = np.array(r)
    score = SectionScore(
        "ours", standing, values, values, values, values, values, Retrieval(20, {1: 0.1}), None
    )
    held = HeldSection(name, patient, 4, 3, np.zeros((3, 2)), None, (score,), ())
    return FoldResult(name, ("other",), 30, GENES, (), {"variable": np.arange(2)}, (held,))


def evaluation(by: By, *folds: FoldResult, gap_um: float | None = None) -> Evaluation:
    facts = DatasetFacts("made", "ST", "human breast", "100 µm spots", 0.5, len(folds), 1)
    return Evaluation(facts, None, by, ("ours",), folds, gap_um=gap_um)


def test_each_gene_on_each_section():
    found = evaluation("patient", fold("A1", "A", (0.12345, math.nan)), fold("B1", "B", (-0.5, 0)))
    measured = evidence_of(found, "ours", (*GENES, "OTHER"))
    assert measured.sections == ("A1", "B1")
    assert measured.r == {"EPCAM": (0.123, -0.5), "VIM": (None, 0.0), "OTHER": (None, None)}
    assert (measured.patients, measured.unseen_patients, measured.blocks) == (2, 2, False)


def test_sections_of_one_patient_are_of_nobody_unseen():
    found = evaluation("section", fold("A1", "A", (0.1, 0.2)), fold("A2", "A", (0.3, 0.4)))
    measured = evidence_of(found, "ours", GENES)
    assert (measured.patients, measured.unseen_patients, measured.blocks) == (1, 0, False)
    assert measured.protocol == (
        "trained on the other sections of the same patients, one section left out in turn"
    )


@pytest.mark.parametrize(
    ("gap_um", "told"),
    [
        (87.9, "with a gap of 87 µm between them"),
        (0.4, "without a gap between them"),
        (None, "without a gap between them"),
    ],
)
def test_blocks_and_the_gap_between_them(gap_um, told):
    blocks = [fold(f"block {k} of A1", "A", (0.1, 0.2)) for k in (1, 2)]
    measured = evidence_of(evaluation("block", *blocks, gap_um=gap_um), "ours", GENES)
    assert measured.protocol == (
        f"trained on the other parts of the same section, one part left out in turn, {told}"
    )
    assert (measured.patients, measured.unseen_patients, measured.blocks) == (1, 0, True)


def test_what_was_trained_on_is_no_evidence():
    """By the model before it came here."""
    seen = fold("A1", "A", (0.9, 0.9), Standing.SAME_SECTION)
    new = fold("B1", "B", (0.1, 0.2))
    assert evidence_of(evaluation("patient", seen, new), "ours", GENES).sections == ("B1",)
    assert evidence_of(evaluation("patient", seen), "ours", GENES) == UNMEASURED
