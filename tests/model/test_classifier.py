"""A linear probe by a few labels: its arithmetic, what it suggests, what it knows of itself."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import numpy.testing as npt
import pytest

from napari_past.errors import BadModel, BadTable, Cancelled, ModelError, PastError
from napari_past.model.classifier import (
    About,
    CellClassifier,
    ClassifiedCells,
    LabelledSlide,
    act_weights,
    class_f1,
    fit_classifier,
    held_out_evidence,
    read_classifier,
    suggest,
    write_classifier,
)
from napari_past.model.classifier import probe as probe_module
from napari_past.model.classifier.probe import PRIOR_LOGIT, fit_probe

NAMES = ("tumour", "stroma", "immune")
DIM = 8


def drawn(n: int, classes: int = 3, apart: float = 2.0, seed: int = 0) -> tuple:
    """float16 vectors (n, d) around a centre for each class, and the classes; all occur."""
    centres = apart * np.random.default_rng(99).normal(size=(classes, DIM))
    rng = np.random.default_rng(seed)
    codes = np.concatenate([np.arange(classes), rng.integers(classes, size=n - classes)])
    return (centres[codes] + rng.normal(size=(n, DIM))).astype(np.float16), codes


def fitted(n: int = 60, **options: object) -> CellClassifier:
    vectors, codes = drawn(n)
    counts = {name: int((codes == i).sum()) for i, name in enumerate(NAMES)}
    slide = LabelledSlide(name="a.svs", fingerprint="ab" * 32, cells=counts)
    about = About("mine", "past-mini", "cd" * 32, (slide,), ("clicks", "regions"))
    return fit_classifier(vectors, codes, NAMES, about=about, **options)


# ---- the fit -------------------------------------------------------------------------------------


@pytest.mark.parametrize("classes", [2, 3])
def test_the_fit_is_where_the_written_posterior_is_highest(classes):
    """Independent of scikit-learn: at the optimum the gradient of the posterior vanishes."""
    vectors, codes = drawn(41, classes, apart=0.5)
    reference = drawn(500, classes, seed=5)[0]
    weights = np.random.default_rng(3).uniform(0.2, 1, len(codes))
    probe = fit_probe(vectors, codes, classes, weights, reference)
    wide = reference.astype(float)
    scale = wide.std(axis=0) * np.sqrt(DIM)
    x = (vectors.astype(float) - wide.mean(axis=0)) / scale
    w = probe.weight.astype(float) * scale
    totals = np.array([weights[codes == c].sum() for c in range(classes)])
    harmonic = classes / (1 / totals).sum()
    each = weights * harmonic / totals[codes]
    error = probe.probabilities(vectors) - np.eye(classes)[codes]
    gradient = (each[:, None] * error).T @ x + w / PRIOR_LOGIT**2
    npt.assert_allclose(gradient, 0, atol=2e-3)
    npt.assert_allclose((each[:, None] * error).sum(axis=0), 0, atol=2e-3)
    assert np.abs(w).max() > 1  # and not where nothing was fitted


def test_probabilities_are_the_same_for_halves_and_singles_and_sum_to_one():
    classifier = fitted()
    vectors = drawn(1000, seed=1)[0]
    halves = classifier.probabilities(vectors)
    npt.assert_allclose(halves.sum(axis=1), 1, atol=1e-5)
    npt.assert_allclose(halves, classifier.probabilities(vectors.astype(np.float32)), atol=1e-5)


def test_cells_unseen_get_their_class_and_the_margin_is_to_the_second_best():
    vectors, codes = drawn(400, seed=1)
    classifier = fitted()
    told = classifier.classified(vectors)
    assert (told.code == codes).mean() > 0.95
    ordered = np.sort(classifier.probabilities(vectors), axis=1)
    npt.assert_array_equal(told.probability, ordered[:, -1])
    npt.assert_allclose(told.margin, ordered[:, -1] - ordered[:, -2], atol=1e-7)


def test_a_region_weighs_as_ten_clicks_at_most():
    acts = np.array([-1, -1, *[7] * 40, *[9] * 4])
    npt.assert_allclose(act_weights(acts), [1, 1, *[0.25] * 40, *[1] * 4])


def test_a_painted_region_does_not_drown_the_clicks():
    """Tumour has two looks: 20 cells of one were clicked, and a region of 3000 of the other."""
    rng = np.random.default_rng(0)
    looks = 3 * np.eye(DIM)[:3]

    def cells(look: int, n: int) -> np.ndarray:
        return looks[look] + rng.normal(size=(n, DIM))

    vectors = np.concatenate([cells(0, 20), cells(1, 3000), cells(2, 20)])
    codes = np.repeat([0, 0, 1], [20, 3000, 20])
    acts = np.repeat([-1, 0, -1], [20, 3000, 20])
    alike, by_act = (fit_probe(vectors, codes, 2, w) for w in (None, act_weights(acts)))
    clicked, painted = cells(0, 500), cells(1, 500)

    def called_tumour(probe: probe_module.Probe, unseen: np.ndarray) -> float:
        return float((probe.probabilities(unseen)[:, 0] > 0.5).mean())

    assert called_tumour(alike, clicked) < 0.7
    assert called_tumour(by_act, clicked) > 0.9
    assert called_tumour(by_act, painted) > 0.9


def test_of_many_labelled_cells_the_sample_stands_for_all(monkeypatch):
    vectors, codes = drawn(3000, apart=0.4)
    whole = fit_probe(vectors, codes, 3)
    monkeypatch.setattr(probe_module, "MOST_OF_A_CLASS", 400)
    sampled = fit_probe(vectors, codes, 3)
    others = drawn(500, seed=2, apart=0.4)[0]
    away = np.abs(whole.probabilities(others) - sampled.probabilities(others))
    assert 0 < away.mean() < 0.05


BAD = {
    "one class": (lambda v, c: (v, np.zeros_like(c), 3, None), "1 class are labelled.*two classes"),
    "none of a class": (lambda v, c: (v, c % 2, 3, None), "1 of the 3 classes has no labelled"),
    "outside": (lambda v, c: (v, c - 1, 3, None), "outside of the 3 classes"),
    "not finite": (lambda v, c: (v * np.nan, c, 3, None), "not finite"),
    "lengths": (lambda v, c: (v, c[1:], 3, None), "one of each for every"),
    "weights": (lambda v, c: (v, c, 3, np.zeros(len(c))), "must be above 0"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_labels_that_nothing_can_be_fitted_to_are_told(case):
    make, told = BAD[case]
    with pytest.raises(PastError, match=told):
        fit_probe(*make(*drawn(12)))


# ---- what to label next --------------------------------------------------------------------------


def test_suggested_cells_are_uncertain_unlabelled_and_unlike_each_other():
    """Two tight groups of uncertain cells among certain ones: one of each is suggested."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(1200, DIM)).astype(np.float16)
    vectors[:20] = 3 + 0.01 * rng.normal(size=(20, DIM))
    vectors[20:40] = -3 + 0.01 * rng.normal(size=(20, DIM))
    probabilities = np.tile(np.float32([0.98, 0.01, 0.01]), (1200, 1))
    probabilities[:40] = [0.34, 0.33, 0.33]
    told = ClassifiedCells.of(NAMES, probabilities)
    labelled = np.arange(500, 520)
    first = suggest(vectors, told, labelled, 2)
    assert sorted((first // 20).tolist()) == [0, 1]
    again = suggest(vectors, told, np.concatenate([labelled, first]), 5)
    assert not set(again) & {*labelled.tolist(), *first.tolist()}
    assert len(set(again)) == 5
    npt.assert_array_equal(again, suggest(vectors, told, np.concatenate([first, labelled]), 5))


def test_no_more_is_suggested_than_there_is():
    vectors, _ = drawn(10)
    told = fitted().classified(vectors)
    assert sorted(suggest(vectors, told, np.arange(7), 5)) == [7, 8, 9]
    assert len(suggest(vectors, told, np.arange(10), 5)) == 0
    assert len(suggest(vectors, told, np.zeros(0, int), 3)) == 3


# ---- evidence ------------------------------------------------------------------------------------


def test_what_holds_on_one_slide_alone_is_found_out():
    """Which number tells the class differs between slides: perfect on any, useless on another."""
    rng = np.random.default_rng(0)
    codes, slides = np.arange(80) % 2, np.arange(80) // 40
    vectors = rng.normal(size=(80, DIM))
    vectors[np.arange(80), slides] += np.where(codes, 6, -6)
    vectors[np.arange(80), 1 - slides] += np.where(codes, -6, 6)
    places = rng.uniform(0, 2000, (80, 2))
    alone = held_out_evidence(
        vectors[:40], codes[:40], NAMES[:2], slides=slides[:40], places_um=places[:40]
    )
    across = held_out_evidence(vectors, codes, NAMES[:2], slides=slides, places_um=places)
    assert (alone.by, across.by, across.groups) == ("blocks of 200 µm", "slides", 2)
    assert alone.macro_f1 > 0.95
    assert across.macro_f1 < 0.05
    assert across.low is None  # two slides have no interval
    assert alone.low <= alone.macro_f1 <= alone.high
    assert alone.groups == len(np.unique(np.floor(places[:40] / 200), axis=0))


@pytest.mark.parametrize(
    ("places", "told"),
    [
        (None, "not validated (a class is labelled on one slide only, and the cells' places are"),
        (np.zeros((30, 2)), "not validated (labels of tumour lie in 1 block of 200 µm; 3 are"),
    ],
)
def test_without_tissue_to_leave_out_nothing_is_claimed(places, told):
    vectors, codes = drawn(30)
    found = held_out_evidence(vectors, codes, NAMES, slides=np.zeros(30), places_um=places)
    assert found.macro_f1 is None
    assert found.label.startswith(told)
    assert fitted().card.sentence == (
        "Fitted on 60 labelled cells (clicks, regions) of 1 slide; not validated."
    )
    assert f"; {told}" in fitted().with_evidence(found).card.sentence


def test_f1_by_hand():
    table = np.array([[3.0, 1, 0], [1, 1, 0], [0, 0, 0]])
    npt.assert_allclose(class_f1(table), [0.75, 0.5, np.nan])


def test_checking_can_be_cancelled():
    vectors, codes = drawn(30)
    with pytest.raises(Cancelled):
        held_out_evidence(vectors, codes, NAMES, slides=codes % 2 + codes, cancelled=lambda: True,
                          places_um=np.arange(60).reshape(30, 2) * 100)  # fmt: skip


# ---- the file ------------------------------------------------------------------------------------


def test_a_classifier_comes_back_to_the_bit(tmp_path):
    vectors, codes = drawn(60)
    evidence = held_out_evidence(vectors, codes, NAMES, slides=np.arange(60) % 3)
    classifier = fitted().with_evidence(evidence).named("ours")
    path = tmp_path / "ours.past-classes.json"
    write_classifier(classifier, path)
    back = read_classifier(path)
    assert back.card == classifier.card
    assert back.card.held_out.macro_f1 == evidence.macro_f1
    assert back.sha256 == classifier.sha256 == json.loads(path.read_text())["checksum"]
    npt.assert_array_equal(back.probe.weight, classifier.probe.weight)
    npt.assert_array_equal(back.probe.intercept, classifier.probe.intercept)
    before = path.read_bytes()
    write_classifier(back, path)
    assert path.read_bytes() == before


def changed(path: Path, change) -> None:
    fields = json.loads(path.read_text())
    change(fields)
    path.write_text(json.dumps(fields))


DAMAGED = {
    "cut off": (lambda p: p.write_bytes(p.read_bytes()[:-200]), "no classifier of cells"),
    "another file": (lambda p: p.write_text("[1]"), "has no checksum"),
    "edited": (lambda p: changed(p, lambda f: f["card"].update(name="x")), "was changed since"),
    "a weight": (lambda p: changed(p, lambda f: f["weight"][0].__setitem__(0, 9.0)), "was changed"),
    "a number missing": (lambda p: changed(p, lambda f: f["intercept"].pop()), "was changed since"),
    "a whole slide": (lambda p: os.truncate(p, 65 * 2**20), "far too large"),
    "no card": (lambda p: changed(p, lambda f: f.pop("card")), "'card' .Field required"),
    "not a number": (
        lambda p: changed(p, lambda f: f["weight"][0].__setitem__(0, float("nan"))),
        "no valid classifier",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_file_is_refused(case, tmp_path):
    path = tmp_path / "a.past-classes.json"
    write_classifier(fitted(), path)
    damage, told = DAMAGED[case]
    damage(path)
    with pytest.raises(BadModel, match=told) as caught:
        read_classifier(path)
    assert "make it with `napari-past classify fit`" in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(BadTable, match="There is no file"):
        read_classifier(tmp_path / "none.json")


def test_vectors_of_another_model_are_refused():
    classifier = fitted()
    classifier.require_model("past-mini", ["ef" * 32, "cd" * 32])  # before it was calibrated
    with pytest.raises(ModelError, match=r"fitted on vectors of past-mini .*these are of other"):
        classifier.require_model("other", ["ef" * 32])
    with pytest.raises(PastError, match="takes vectors of 8 numbers"):
        classifier.classified(np.zeros((3, 9), np.float16))
