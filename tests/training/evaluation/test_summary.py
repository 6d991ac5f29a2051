"""Figures of the table from scores made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from past_training.evaluation.result import Standing
from past_training.evaluation.summary import (
    MEAN_R,
    MEASURES,
    advantage,
    gene_means,
    recall,
    summary,
)

FOUR = {"P": [("S1", [0.1, 0.3]), ("S2", [0.3, 0.5]), ("S3", [0.0, 0.0]), ("S4", [0.2, np.nan])]}


def test_mean_over_genes_then_sections(hand_made):
    found = summary(hand_made(FOUR), "ours", MEAN_R)
    assert found.points == pytest.approx({"S1": 0.2, "S2": 0.4, "S3": 0.0, "S4": 0.2})
    assert found.mean == pytest.approx(0.2)
    assert found.interval is None
    assert found.of == 4


def test_other_measures(hand_made):
    evaluation = hand_made({"P": [("S1", [0.1, 0.3, 0.8])]})
    expected = {
        "median_r": 0.3, "top_r": 0.1, "mean_rho": 0.2, "median_rho": 0.15, "top_rho": 0.05,
        "rmse": 0.6, "auc": 0.7, "row_r": 0.6,
    }  # fmt: skip
    values = {name: summary(evaluation, "ours", MEASURES[name]).mean for name in expected}
    assert values == pytest.approx(expected)
    assert summary(evaluation, "ours", recall(10)).mean == 0.6
    assert np.isnan(summary(evaluation, "ours", recall(50)).mean)


def test_patients_count_once_where_they_are_held_out(hand_made):
    two = {"A": [("S1", [0.0]), ("S2", [0.0]), ("S3", [0.0])], "B": [("S4", [0.8])]}
    assert summary(hand_made(two, by="patient"), "ours", MEAN_R).mean == pytest.approx(0.4)
    assert summary(hand_made(two, by="section"), "ours", MEAN_R).mean == pytest.approx(0.2)


def test_interval_over_five_patients(hand_made):
    five = {name: [(f"S{name}", [k / 10])] for k, name in enumerate("ABCDE")}
    found = summary(hand_made(five, by="patient"), "ours", MEAN_R)
    assert found.interval is not None
    assert found.interval.units == 5
    assert 0 < found.interval.low < 0.2 < found.interval.high < 0.4


def test_no_interval_over_blocks_of_one_section(hand_made):
    """However many there are, they are one section of one patient."""
    nine = {"P": [(f"block {k} of S", [k / 10]) for k in range(9)]}
    assert summary(hand_made(nine), "ours", MEAN_R).interval is not None
    evaluation = hand_made(nine, by="block", others={"ridge": -0.1})
    found = summary(evaluation, "ours", MEAN_R)
    assert found.interval is None
    assert advantage(evaluation, "ridge").interval is None
    assert found.mean == pytest.approx(0.4)
    assert len(found.points) == found.of == 9


def test_what_was_trained_on_does_not_count(hand_made):
    seen = {("ours", "S2"): Standing.SAME_SECTION, ("ours", "S3"): Standing.SAME_PATIENT}
    evaluation = hand_made(FOUR, others={"ridge": -0.1}, standing=seen)
    found = summary(evaluation, "ours", MEAN_R)
    assert set(found.points) == {"S1", "S4"}
    assert found.mean == pytest.approx(0.2)
    assert found.of == 4
    assert len(summary(evaluation, "ridge", MEAN_R).points) == 4
    better = advantage(evaluation, "ridge")
    assert better.points == pytest.approx({"S1": 0.1, "S4": 0.1})
    assert gene_means(evaluation, "ours") == {
        "EPCAM": pytest.approx([0.1, 0.2]), "ERBB2": pytest.approx([0.3])
    }  # fmt: skip


def test_nothing_held_out(hand_made):
    seen = {("ours", f"S{k}"): Standing.SAME_SECTION for k in (1, 2, 3, 4)}
    found = summary(hand_made(FOUR, standing=seen), "ours", MEAN_R)
    assert not found.points
    assert np.isnan(found.mean)
