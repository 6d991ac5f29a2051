"""Networks on small planted cohorts: they find what was planted, repeat, explain and keep."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_past.errors import BadModel, BadTable, Cancelled
from past_training.slide_level.bags.array_bag import ArrayBag
from past_training.slide_level.cohort.errors import BadCohort
from past_training.slide_level.fitting import (
    POOLINGS,
    AlignTarget,
    BulkTarget,
    ClassTarget,
    FitOptions,
    Origin,
    SlideNetwork,
    SurvivalTarget,
    feeds,
    fit,
    fit_network,
    read_network,
)
from past_training.slide_level.fitting.statistics import spread
from past_training.slide_level.fitting.targets import Target
from past_training.slide_level.networks import top_k

PATIENTS, DIM = 24, 5
OPTIONS = FitOptions(
    epochs=25, width=8, instances=40, lr=0.03, dropout=0.0, tokens=16, draws=3, clusters=4
)
MODEL = Origin("drawn", "a" * 64, fingerprints=("b" * 64,), slides=25)


class Planted:
    """Bags in which the share of one kind of cell tells everything."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.share = np.linspace(0.05, 0.6, PATIENTS)
        self.bags, self.driver = [], []
        for patient, share in enumerate(self.share):
            driver = rng.random(30 + patient) < share
            vectors = rng.normal(size=(len(driver), DIM)) + 4 * driver[:, None] * np.eye(DIM)[0]
            places = rng.uniform(0, 100, (len(driver), 2))
            self.bags.append(ArrayBag(str(patient), vectors, places))
            self.driver.append(driver)
        self.survival = SurvivalTarget(10 * np.exp(-5 * self.share), np.arange(PATIENTS) % 5 > 0)

    def target(self, task: str) -> Target:
        if task == "discrete":
            return replace(self.survival, loss="discrete", intervals=4)
        profile = np.outer(self.share, [3.0, -2.0, 1.0]).astype(np.float32) + 7
        profile[3] = np.nan
        high = tuple(str(share > 0.3) for share in self.share)
        return {
            "cox": self.survival,
            "class": ClassTarget({"high": high, "sex": (None, *("mf" * PATIENTS)[1:PATIENTS])}),
            "bulk": BulkTarget(profile, ("A", "B", "C")),
            "align": AlignTarget(profile, ("A", "B", "C"), profile[:, :2] * 2),
        }[task]


@pytest.fixture(scope="module")
def planted() -> Planted:
    return Planted()


@pytest.fixture(scope="module")
def fitted(planted: Planted) -> dict[str, SlideNetwork]:
    return {
        pooling: fit_network(
            planted.bags, planted.survival, replace(OPTIONS, pooling=pooling), origin=MODEL
        )
        for pooling in POOLINGS
    }


def test_patients_weigh_the_same_however_many_cells_they_have() -> None:
    few, many = np.array([[0.0, 2.0]], np.float16), np.full((9, 2), 4, np.float16)
    mean, deviation = spread([[few], [many[:5], many[5:]]])
    assert mean.tolist() == [2, 3]
    assert deviation.tolist() == [2, 1]


@pytest.mark.parametrize("pooling", POOLINGS)
def test_each_pooling_learns_what_was_planted(
    pooling: str, planted: Planted, fitted: dict[str, SlideNetwork]
) -> None:
    risk = fitted[pooling].risk(planted.bags)
    assert np.corrcoef(np.argsort(np.argsort(risk)), planted.share)[0, 1] > 0.85


@pytest.mark.parametrize("pooling", POOLINGS)
def test_explained(pooling: str, planted: Planted, fitted: dict[str, SlideNetwork]) -> None:
    network, bag = fitted[pooling], planted.bags[-1]
    parts = list(network.explain(bag))
    attention = np.concatenate([part.attention for part in parts])
    added = np.concatenate([part.contribution for part in parts])
    score = np.concatenate([part.score for part in parts])
    assert attention.sum() == pytest.approx(1, abs=1e-5)
    assert attention.min() >= 0
    # Of the patient with most of them, the planted cells raise the risk more than others do.
    of = {
        tuple(place): kind
        for place, kind in zip(
            bag.take(np.arange(bag.n)).places_um, planted.driver[-1], strict=True
        )
    }
    driver = np.array([of[tuple(place)] for part in parts for place in part.places_um])
    # Top-k adds by few cells: there what each would be alone tells it.
    told = score if pooling == "top-k" else added
    assert told[driver].mean() > told[~driver].mean()
    if network.additive:
        output = network.outputs([bag])[0, 0]
        assert added.sum() + network.base() == pytest.approx(output, abs=1e-4)
        alone = network.outputs([ArrayBag("one", bag.take(np.array([7])).vectors)])
        assert score[7] == pytest.approx(alone[0, 0], abs=1e-4)
    else:
        assert np.isnan(score).all()
        assert "first order" in network.explained_unit


@pytest.mark.parametrize("pooling", POOLINGS)
def test_saved_and_read_it_is_the_same(
    pooling: str, planted: Planted, fitted: dict[str, SlideNetwork], tmp_path: Path
) -> None:
    network = fitted[pooling]
    again = read_network(network.save(tmp_path / "n.past-network.safetensors"))
    assert again.card == network.card
    assert again.sha256 == network.sha256
    np.testing.assert_array_equal(again.outputs(planted.bags), network.outputs(planted.bags))
    assert again.card.fitted_on == "fitted on 24 patients (25 slides), 19 events"
    assert again.card.evidence.startswith("none: fitted on all rows")
    assert "research use" in again.card.research_use


def test_the_same_seed_gives_the_same_network(
    planted: Planted, fitted: dict[str, SlideNetwork]
) -> None:
    options = replace(OPTIONS, pooling="top-k")
    torch.manual_seed(99)
    state = torch.get_rng_state()
    again = fit_network(planted.bags, planted.survival, options, origin=MODEL)
    assert again.sha256 == fitted["top-k"].sha256
    assert torch.equal(torch.get_rng_state(), state)
    other = fit_network(planted.bags, planted.survival, replace(options, seed=1), origin=MODEL)
    assert other.sha256 != again.sha256


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_streamed_fit_is_the_one_in_memory(
    pooling: str, planted: Planted, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = slice(0, 8)
    bags = planted.bags[some]
    target = SurvivalTarget(planted.survival.time[some], planted.survival.event[some])
    options = replace(OPTIONS, pooling=pooling, instances=None, epochs=2)
    # Else the one k of a step would be drawn for each bag anew.
    monkeypatch.setattr(top_k, "SHARES", (0.1,))
    whole = fit_network(bags, target, options)
    monkeypatch.setattr(fit, "PADDED_BYTES", 0)
    monkeypatch.setattr(feeds, "STREAMED", 13)
    streamed = fit_network(bags, target, options)
    found, expected = streamed.outputs(bags), whole.outputs(bags)
    # Only ratios of hazards are learned; what all patients share is left to rounding.
    np.testing.assert_allclose(found - found.mean(), expected - expected.mean(), atol=1e-3)


def test_discrete_curves_fall_and_follow_the_share(planted: Planted) -> None:
    network = fit_network(planted.bags, planted.target("discrete"), OPTIONS)
    curves = network.survival(planted.bags, np.array([0.0, 0.6, 1.5, 4, 7]))
    assert (curves[:, 0] == 1).all()
    assert (np.diff(curves, axis=1) <= 0).all()
    assert curves[-1, 2] < curves[0, 2]
    risk = network.risk(planted.bags)
    assert np.corrcoef(risk, planted.share)[0, 1] > 0.8
    with pytest.raises(BadCohort, match="gives no probabilities of classes"):
        network.probabilities(planted.bags)


def test_classes_of_several_tasks_some_missing(planted: Planted) -> None:
    network = fit_network(planted.bags, planted.target("class"), OPTIONS)
    found = network.probabilities(planted.bags)
    assert network.output_names == ("high: False", "high: True", "sex: f", "sex: m")
    for values in found.values():
        np.testing.assert_allclose(values.sum(1), 1, atol=1e-6)
    right = (found["high"][:, 1] > 0.5) == (planted.share > 0.3)
    assert right.mean() > 0.85


def test_bulk_representation_transfers(planted: Planted) -> None:
    bulk = fit_network(planted.bags, planted.target("bulk"), OPTIONS, origin=MODEL)
    genes = bulk.outputs(planted.bags)
    assert np.corrcoef(genes[:, 0], planted.share)[0, 1] > 0.85
    assert genes.mean(0) == pytest.approx(7 + planted.share.mean() * np.array([3, -2, 1]), abs=0.2)
    frozen = fit_network(
        planted.bags, planted.survival, replace(OPTIONS, freeze=True), start=bulk, origin=MODEL
    )
    np.testing.assert_allclose(
        frozen.representation(planted.bags), bulk.representation(planted.bags), atol=0.3
    )
    assert frozen.card.started_from == bulk.sha256
    assert frozen.card.frozen
    for name, values in bulk.module.pooling.state_dict().items():
        torch.testing.assert_close(frozen.module.pooling.state_dict()[name], values)
    later = replace(MODEL, fingerprints=("d" * 64,), slides=1)
    known = fit_network(planted.bags, planted.survival, OPTIONS, start=bulk, origin=later).card
    # 25 slides, one fingerprint: the other 24 may have been any.
    assert [known.saw(letter * 64) for letter in "dbe"] == [True, True, None]
    whole = known.model_copy(update={"earlier_slides": 1})
    assert [whole.saw(slide) for slide in ("b" * 64, "e" * 64, "")] == [True, False, None]
    other = replace(MODEL, model="other", model_sha256="c" * 64)
    with pytest.raises(BadCohort, match=r"vectors of drawn .* but these are of other"):
        fit_network(planted.bags, planted.survival, OPTIONS, start=bulk, origin=other)


def test_aligned_slides_lie_near_their_profiles(planted: Planted, tmp_path: Path) -> None:
    target = planted.target("align")
    assert isinstance(target, AlignTarget)
    network = fit_network(planted.bags, target, replace(OPTIONS, epochs=60))
    network = read_network(network.save(tmp_path / "aligned"))
    slides = network.outputs(planted.bags)
    assert target.rna is not None
    assert target.text is not None
    there = np.isfinite(target.rna).all(1)
    for modality, values in (("rna", target.rna), ("text", target.text)):
        alike = slides[there] @ network.aligned(modality, values[there]).T
        rank = (alike > np.diag(alike)[:, None]).sum(1)
        assert np.median(rank) < there.sum() / 4
    with pytest.raises(BadCohort, match="aligned with rna of 3 numbers, not 2"):
        network.aligned("rna", values)


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(lambda b: b[:-3], id="cut short"),
        pytest.param(lambda b: b[:-8] + bytes(8), id="weights changed"),
        pytest.param(lambda b: b.replace(b"24", b"99", 1), id="card changed"),
        pytest.param(lambda b: b"", id="empty"),
        pytest.param(lambda b: b"\xff" * 40, id="no safetensors"),
    ],
)
def test_damaged_files_are_refused(
    harm: object, fitted: dict[str, SlideNetwork], tmp_path: Path
) -> None:
    path = fitted["mean"].save(tmp_path / "n.safetensors")
    content = path.read_bytes()
    path.write_bytes(harm(content))  # type: ignore[operator]
    assert path.read_bytes() != content
    with pytest.raises(BadModel, match="fit it again"):
        read_network(path)


def test_mistakes_are_told(planted: Planted, tmp_path: Path) -> None:
    with pytest.raises(BadTable, match="no file"):
        read_network(tmp_path / "none")
    nobody = np.zeros(PATIENTS, np.bool_)
    with pytest.raises(BadCohort, match="had the event"):
        SurvivalTarget(planted.survival.time, nobody)
    empty = [ArrayBag("left", np.zeros((0, DIM))), *planted.bags[1:]]
    with pytest.raises(BadCohort, match="left has no cells"):
        fit_network(empty, planted.survival, OPTIONS)
    network = fit_network(planted.bags, planted.survival, replace(OPTIONS, epochs=1))
    with pytest.raises(BadCohort, match="left has no cells"):
        network.risk(empty)
    with pytest.raises(Cancelled):
        fit_network(planted.bags, planted.survival, OPTIONS, cancelled=lambda: True)
    with pytest.raises(ValueError, match="pooling must be one of"):
        FitOptions(pooling="best")  # type: ignore[arg-type]
    told: list[int] = []
    fit_network(
        planted.bags,
        planted.survival,
        replace(OPTIONS, epochs=2),
        on_epoch=lambda epoch, loss: told.append(epoch),
    )
    assert told == [1, 2]
