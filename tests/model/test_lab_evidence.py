"""A lab's own validation: a file that cannot be changed unseen, and the badge that rests on it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from napari_past.errors import BadTable
from napari_past.model import load_model
from napari_past.model.lab_evidence import (
    GeneEvidence,
    LabEvidence,
    ValidatedSection,
    adopt,
    adopted,
    read_lab_evidence,
    withdraw,
    write_lab_evidence,
)
from napari_past.model.patient import patient_digest
from napari_past.model.reliability import Reliability


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("NAPARI_PAST_DATA_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def model(tiny_model_file):
    return load_model(tiny_model_file, "cpu")


def gene(r: float | None, low: float | None = None, high: float | None = None) -> GeneEvidence:
    return GeneEvidence(
        r=r, low=low, high=high, rho=r, auc=0.75, within={"cell type epithelial": 0.1},
        percentile=90.0, detected=0.5, baselines={"ridge on colour": 0.2},
    )  # fmt: skip


def evidence(sha256: str, patients: tuple[str, ...] = ("P", "Q"), **changes) -> LabEvidence:
    sections = tuple(
        ValidatedSection(
            name=f"S{i}", patient=patient_digest(p) if p else "", technology="ST",
            resolution="100 µm spots", fingerprint="ab" * 32, rows=100,
        )
        for i, p in enumerate(patients)
    )  # fmt: skip
    fields = {
        "model": "tiny",
        "model_sha256": sha256,
        "predicted_unit": "log1p(counts per 10k)",
        "sections": sections,
        "seen": (),
        "traced": True,
        "seen_patients": 0,
        "protocol": ("One patient left out in turn.", "No interval: two patients."),
        "interval_over": None,
        "mean_r": 0.351,
        "mean_low": -0.05,
        "mean_high": 0.45,
        "mean_over": 50,
        "mean_baselines": {"ridge on colour": 0.215, "training mean": None},
        "genes": {"ERBB2": gene(0.42, 0.3, 0.5), "EPCAM": gene(None), "KRT5": gene(-0.1)},
        "warnings": (),
        "versions": {"napari-past": "0"},
    }
    return LabEvidence(**(fields | changes))


def test_back_from_its_file(tmp_path):
    one = evidence("0" * 64)
    for name in ("a.json", "b.json"):
        write_lab_evidence(one, tmp_path / name)
    assert read_lab_evidence(tmp_path / "a.json") == one
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_of_all_genes_in_many_groups_it_is_large_and_is_read(tmp_path):
    """Each gene has a line for each region, cell type and section."""
    path = tmp_path / "a.json"
    write_lab_evidence(evidence("0" * 64), path)
    with path.open("a", encoding="utf-8") as file:
        file.write(" " * 70 * 2**20)
    assert read_lab_evidence(path) == evidence("0" * 64)


def test_a_changed_number_is_found(tmp_path):
    path = tmp_path / "v.json"
    write_lab_evidence(evidence("0" * 64), path)
    path.write_text(path.read_text("utf-8").replace("0.42", "0.92"), "utf-8")
    with pytest.raises(BadTable, match=r"v.json was changed since it was written.*validate"):
        read_lab_evidence(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no json", "no validation file"),
        ("[]", "has no checksum"),
        ('{"checksum": "0", "model": "x"}', "no valid validation file at"),
    ],
)
def test_something_else_is_refused(tmp_path, text, message):
    path = tmp_path / "v.json"
    path.write_text(text, "utf-8")
    with pytest.raises(BadTable, match=message):
        read_lab_evidence(path)
    with pytest.raises(BadTable, match="There is no file"):
        read_lab_evidence(tmp_path / "none.json")


def test_the_badge_turns_and_turns_back(model):
    own = model.reliability("ERBB2")
    assert own.label.startswith("same patient")
    path = adopt(evidence(model.sha256), model.known_sha256, model.name)
    assert path.name == f"{model.sha256}.json"
    found = model.reliability("ERBB2")
    assert found.label == "your lab: 2 patients · 100 µm spots · r 0.42 (0.30 to 0.50)"
    assert (found.r, found.grey, found.learnable) == (0.42, False, True)
    assert model.reliability("EPCAM").label.endswith("r not defined, it does not vary")
    assert model.reliability("KRT5").label == (
        "not learnable · seen in 1.2 % of training spots · "
        "your lab: 2 patients · 100 µm spots · r −0.10"
    )
    untold = model.reliability("CD3D")
    assert untold.label.startswith("your lab: CD3D not measured · model's own: same patient")
    assert withdraw(model.known_sha256)
    assert model.reliability("ERBB2") == own
    assert not withdraw(model.known_sha256)


@pytest.mark.parametrize(
    ("changes", "whose"),
    [
        ({"patients": ("", "")}, "your lab: patient not told · 100 µm spots"),
        ({"patients": ("P",)}, "your lab: 1 patient · 100 µm spots"),
        ({"seen": ("S0",)}, "your lab: tissue it was trained on · 100 µm spots"),
        ({"seen_patients": 1}, "your lab: a patient it was trained on · 100 µm spots"),
        ({"traced": False}, "your lab: 2 patients · 100 µm spots"),
    ],
    ids=["nobody", "one", "training tissue", "training patient", "training not known"],
)
def test_only_named_patients_whom_the_model_does_not_know_promise_anything(model, changes, whose):
    one = evidence(model.sha256, **changes)
    assert one.whose == whose
    assert one.promises == (whose == "your lab: 1 patient · 100 µm spots")
    adopt(one, model.known_sha256, model.name)
    assert model.reliability("ERBB2").grey is not one.promises


def test_of_another_model_it_is_refused(model):
    with pytest.raises(BadTable, match=r"validation is of tiny .*000000.* validate this model too"):
        adopt(evidence("0" * 64), model.known_sha256, model.name)
    assert adopted(model.known_sha256) is None


def test_a_read_out_that_was_fitted_for_the_validation_is_not_the_model(model):
    ridge = evidence(model.sha256, model="ridge on tiny")
    with pytest.raises(BadTable, match=r"of ridge on tiny, but this is tiny; validate"):
        adopt(ridge, model.known_sha256, model.name)


def test_what_may_be_chance_promises_nothing(model):
    genes = {"ERBB2": gene(0.1, -0.02, 0.3)}
    adopt(evidence(model.sha256, genes=genes), model.known_sha256, model.name)
    found = model.reliability("ERBB2")
    assert found.grey
    assert found.label.endswith("r 0.10 (−0.02 to 0.30)")


def test_a_gene_that_was_measured_under_its_newer_symbol(model):
    own = Reliability("HN1", True, True, 0.1, "own")
    one = evidence(model.sha256, genes={"JPT1": gene(0.5)})
    assert one.reliability(own).r == 0.5


def test_of_the_model_before_it_was_calibrated_it_counts(model):
    before = "1" * 64
    own = evidence(model.sha256, warnings=("earlier",))
    adopt(own, (model.sha256, before), model.name)
    adopt(evidence(before), (model.sha256, before), model.name)
    found = adopted((model.sha256, before))
    assert found is not None
    assert found.warnings == ()


def test_a_damaged_file_is_told_beside_the_cards_evidence(model):
    path = adopt(evidence(model.sha256), model.known_sha256, model.name)
    path.write_text(json.dumps({"checksum": "0"}), "utf-8")
    label = model.reliability("ERBB2").label
    assert label.startswith("same patient")
    assert "no valid validation file" in label


def test_models_evidence(command, tiny_model_file, tmp_path):
    sha256 = load_model(tiny_model_file, "cpu").sha256
    done = command("models", "evidence", tiny_model_file)
    assert done.code == 0
    assert "own evidence   tiny 1 · same patient" in done.out
    write_lab_evidence(evidence(sha256), tmp_path / "v.json")
    done = command("models", "evidence", tiny_model_file, "--use", tmp_path / "v.json")
    assert done.code == 0
    assert "your lab: 2 patients · 100 µm spots" in done.out
    assert "S0 (100 rows), S1 (100 rows)" in done.out
    assert (
        "mean r 0.35 (−0.05 to 0.45) over the 50 most variable of 3 genes; ridge on colour 0.21; "
        "training mean not defined"
    ) in done.out
    assert "your lab" in command("models", "card", tiny_model_file).out
    again = command("models", "evidence", tiny_model_file, "--use", tmp_path / "v.json")
    assert "now in place of that on S0 (100 rows), S1 (100 rows), kept as" in again.out
    done = command("models", "evidence", tiny_model_file, "--own")
    assert done.code == 0
    assert "its own evidence again" in done.out
    wrong = command("models", "evidence", tiny_model_file, "--use", tmp_path / "none.json")
    assert wrong.code == 2
    assert wrong.err.count("\n") == 1
