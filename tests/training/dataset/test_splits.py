"""Whole patients are held out, else whole sections."""

from __future__ import annotations

import pytest

from past_training.dataset.schema import BadDataset
from past_training.dataset.splits import held_out_by, leave_out


@pytest.fixture(scope="module")
def dataset(write_to, cells, tmp_path_factory):
    patients = {"A1": "A", "A2": "A", "B1": "B", "C1": "C"}
    sections = [cells(n, 8, i, patient=p) for i, (n, p) in enumerate(patients.items())]
    return write_to(tmp_path_factory.mktemp("three") / "patients.past", *sections)


def names(dataset):
    return [record.name for record in dataset.sections]


def test_no_cell_of_a_held_out_patient_is_trained_on(dataset):
    assert held_out_by(dataset) == "patient"
    folds = list(leave_out(dataset))
    assert [fold.name for fold in folds] == ["patient A", "patient B", "patient C"]
    assert {fold.by for fold in folds} == {"patient"}
    for train, held, _ in folds:
        assert not set(train.patients) & set(held.patients)
        assert sorted(names(train) + names(held)) == ["A1", "A2", "B1", "C1"]
    assert [names(fold.held) for fold in folds] == [["A1", "A2"], ["B1"], ["C1"]]


def test_sections_of_one_patient(dataset):
    one = dataset.select(patients=["A"])
    assert held_out_by(one) == "section"
    assert [(f.name, names(f.train), names(f.held)) for f in leave_out(one)] == [
        ("section A1", ["A2"], ["A1"]),
        ("section A2", ["A1"], ["A2"]),
    ]


def test_sections_where_they_are_asked_for(dataset):
    assert [fold.name for fold in leave_out(dataset, by="section")] == [
        "section A1", "section A2", "section B1", "section C1",
    ]  # fmt: skip


def test_a_single_section_cannot_be_held_out(dataset):
    with pytest.raises(BadDataset, match="single section"):
        next(leave_out(dataset.select(sections=["A1"])))
