"""The rule of the table: nobody sees what is held out, and all read the same rows."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from napari_past.errors import PastError, UnknownGene
from napari_past.model import Model, load_model
from napari_past.validation.metrics import pearson
from past_training.dataset.read import PairedDataset, SectionArrays
from past_training.dataset.schema import BadDataset
from past_training.dataset.splits import Fold, leave_out
from past_training.evaluation.colour import ColourStatistics
from past_training.evaluation.predictors import FittedMean, ModelFile, RidgeOn, TrainingMean
from past_training.evaluation.protocol import evaluate
from past_training.evaluation.result import Standing
from past_training.evaluation.rows import section_rows
from past_training.evaluation.summary import MEAN_R, summary


class HeldOutWasRead(Exception):
    """A spy's cry."""


@dataclass(frozen=True)
class SpyDataset(PairedDataset):
    """Cries when a section is read that is held out at the moment."""

    held: set[str] = field(default_factory=set, compare=False)

    def section(self, name: str) -> SectionArrays:
        if name in self.held:
            raise HeldOutWasRead(name)
        return super().section(name)


@dataclass
class Step:
    """Fitted before or after the others: notes what it was shown, and changes what is held."""

    held: set[str]
    now: set[str]
    name: str = "step"

    def fit(self, train, genes):
        assert not self.now & {part.record.name for part in train.rows}
        assert not self.now & {record.name for record in train.dataset.sections}
        self.held.clear()
        self.held.update(self.now)
        return FittedMean(tuple(genes), np.zeros(len(genes), np.float32))


def spied(dataset: PairedDataset, held: str) -> tuple[SpyDataset, Fold]:
    spy = SpyDataset(dataset.place, dataset.info, dataset.sections, held={held})
    names = [record.name for record in dataset.sections]
    train = spy.select(sections=[name for name in names if name != held])
    return spy, Fold(train, spy.select(sections=[held]), f"section {held}")


def test_nothing_that_is_held_out_is_read_before_all_are_fitted(dataset):
    """Genes are chosen and baselines fitted while the spy watches; the last step lets go."""
    spy, fold = spied(dataset, "S3")
    release = Step(spy.held, set())
    predictors = [RidgeOn(ColourStatistics()), TrainingMean(), release]
    found = evaluate(spy, predictors, [fold], rows_limit=8, shuffles=5)
    assert [s.name for s in found.sections] == ["S3"]


class Peeking:
    """Looks at the test on the side."""

    name = "peeking"

    def __init__(self, dataset: PairedDataset, held: str) -> None:
        self.dataset, self.held = dataset, held

    def fit(self, train, genes):
        values = section_rows(self.dataset, self.held).values(genes)
        return FittedMean(tuple(genes), values.mean(0))


def test_the_spy_notices_a_predictor_that_peeks(dataset):
    spy, fold = spied(dataset, "S3")
    with pytest.raises(HeldOutWasRead):
        evaluate(spy, [TrainingMean(), Peeking(spy, "S3")], [fold], rows_limit=8, shuffles=5)


class AskingForMore:
    """Asks its training set for the section that is held out."""

    name = "asking"

    def fit(self, train, genes):
        train.dataset.section("S3")
        raise AssertionError("it was given")


def test_a_training_set_does_not_hand_out_what_is_held(dataset):
    fold = next(fold for fold in leave_out(dataset) if fold.name == "section S3")
    with pytest.raises(BadDataset, match="no section 'S3'"):
        evaluate(dataset, [AskingForMore()], [fold], rows_limit=8, shuffles=5)


def test_genes_are_chosen_on_the_training_rows(dataset):
    """ONLY4 is the most variable gene of all, but seen in S4 alone."""
    found = evaluate(dataset, [TrainingMean()], leave_out(dataset), rows_limit=30, shuffles=5)
    assert found.by == "section"
    for fold in found.folds:
        assert 1000 <= len(fold.genes) <= 1007  # and the markers among the named genes
        assert {"ERBB2", "KRT5", "CD3E"} <= set(fold.genes)
        top = {fold.genes[i] for i in fold.subsets["top"]}
        assert len(fold.subsets["variable"]) == 250
        assert len(top) == 50
        assert ("ONLY4" in top) == (fold.held[0].name != "S4")
        assert fold.training == tuple(n for n in ("S1", "S2", "S3", "S4") if n != fold.held[0].name)


def test_scores_are_of_the_held_out_rows(dataset):
    """Repeated by hand for one fold, one predictor and one gene."""
    folds = list(leave_out(dataset))
    found = evaluate(dataset, [RidgeOn(ColourStatistics()), TrainingMean()], folds, shuffles=5)
    fold = found.folds[1]
    assert fold.held[0].name == "S2"
    rows = section_rows(dataset, "S2")
    k = fold.genes.index("EPCAM")
    measured = rows.values(["EPCAM"])[:, 0]
    shown = fold.held[0].score("ridge on 40 colour statistics")
    mean = fold.held[0].score("training mean")
    assert shown.r[k] > 0.3  # epithelium has another colour than stroma
    assert mean.r[k] == 0
    training = np.concatenate(
        [section_rows(dataset, s).values(["EPCAM"]) for s in ("S1", "S3", "S4")]
    )
    expected = np.sqrt(((measured - training.mean()) ** 2).mean())
    assert mean.rmse[k] == pytest.approx(expected, rel=1e-4)
    assert shown.rmse[k] < mean.rmse[k]
    assert shown.row_r.shape == (len(rows),)
    assert mean.chance is None
    assert shown.chance is not None
    assert shown.chance.best_null_r > shown.chance.null_r
    assert shown.retrieval.gallery == len(rows)
    shown_map = next(m for m in fold.held[0].maps if m.gene == "EPCAM")
    np.testing.assert_array_equal(shown_map.measured, measured)
    r = pearson(shown_map.predicted[:, None], measured[:, None])[0]
    assert shown_map.r == pytest.approx(r)
    assert "training" in shown_map.chosen


def test_a_model_that_was_trained_on_a_section_is_told_so(dataset, tmp_path, write_tiny_model):
    seen = next(r.fingerprint for r in dataset.sections if r.name == "S2")
    path = write_tiny_model(tmp_path / "m.safetensors", training_fingerprints=(seen,))
    model = ModelFile([load_model(path, "cpu")])
    ridge = RidgeOn(ColourStatistics())
    found = evaluate(dataset, [model, ridge], leave_out(dataset), rows_limit=8, shuffles=5)
    standings = {s.name: s.score("tiny").standing for s in found.sections}
    assert standings == dict.fromkeys(("S1", "S3", "S4"), Standing.HELD_OUT) | {
        "S2": Standing.SAME_SECTION
    }
    assert set(summary(found, "tiny", MEAN_R).points) == {"S1", "S3", "S4"}
    assert set(summary(found, ridge.name, MEAN_R).points) == {"S1", "S2", "S3", "S4"}
    fold = found.folds[0]
    assert set(fold.genes) == {"ERBB2", "EPCAM", "CD3D", "CD3E", "CD3G", "KRT5"}
    variable = {fold.genes[i] for i in fold.subsets["variable"]}
    assert len(fold.lacking) == 250 - len(variable)
    assert not variable & set(fold.lacking)
    assert {m.predictor for m in found.sections[1].maps} == {ridge.name}


def test_another_section_of_the_patient_is_seen_too_where_patients_are_held_out(
    tmp_path, drawn, draw, write, write_tiny_model
):
    patients = ["A", "A", "B", "C"]
    sections = [replace(s, patient=p) for s, p in zip(drawn, patients, strict=True)]
    dataset = write(tmp_path / "p.past", sections)
    path = write_tiny_model(
        tmp_path / "m.safetensors", training_fingerprints=(dataset.sections[0].fingerprint,)
    )
    model = ModelFile([load_model(path, "cpu")])
    found = evaluate(dataset, [model], leave_out(dataset, "patient"), rows_limit=6, shuffles=5)
    assert found.by == "patient"
    assert [s.score("tiny").standing for s in found.sections] == [
        Standing.SAME_SECTION, Standing.SAME_PATIENT, Standing.HELD_OUT, Standing.HELD_OUT,
    ]  # fmt: skip
    by_section = evaluate(dataset, [model], leave_out(dataset, "section"), rows_limit=6, shuffles=5)
    assert by_section.by == "section"
    assert by_section.sections[1].score("tiny").standing is Standing.HELD_OUT


def test_asked_genes_are_reported_beside(dataset):
    fold = next(iter(leave_out(dataset)))
    found = evaluate(
        dataset, [TrainingMean()], [fold], ["N0007", "EPCAM"], rows_limit=8, shuffles=5
    )
    asked = found.folds[0].subsets["asked"]
    assert [found.folds[0].genes[i] for i in asked] == ["N0007", "EPCAM"]
    assert {"N0007", "EPCAM"} <= {m.gene for m in found.sections[0].maps}
    every = evaluate(dataset, [TrainingMean()], [fold], "all", rows_limit=8, shuffles=5)
    assert len(every.folds[0].genes) == len(dataset.genes)


def test_mistakes(dataset):
    fold = next(iter(leave_out(dataset)))
    with pytest.raises(UnknownGene, match="did not measure KRT7"):
        evaluate(dataset, [TrainingMean()], [fold], ["KRT7"])
    with pytest.raises(PastError, match="different names"):
        evaluate(dataset, [TrainingMean(), TrainingMean()], [fold])
    with pytest.raises(PastError, match="trained on and held out at once"):
        evaluate(dataset, [TrainingMean()], [Fold(dataset, fold.held, "odd")])


def test_a_model_of_other_genes(dataset, tiny_model_file):
    model = load_model(tiny_model_file, "cpu")
    genes = tuple(f"MOUSE{i}" for i in range(len(model.genes)))
    card = model.card.model_copy(update={"genes": genes})
    model = ModelFile([Model(card, model._tensors, "", "", "cpu")])
    with pytest.raises(PastError, match="none is predicted by every predictor"):
        evaluate(dataset, [model], leave_out(dataset), rows_limit=6)
