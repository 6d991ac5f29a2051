"""Networks as arms of an evaluation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from past_training.slide_level.bags.array_bag import ArrayBag
from past_training.slide_level.bags.prepared import ModelIdentity, Prepared, PreparedSlide
from past_training.slide_level.cohort.cohort import Cohort
from past_training.slide_level.fitting import (
    FitOptions,
    Origin,
    SlideNetwork,
    SurvivalTarget,
    fit_network,
)
from past_training.slide_level.networks.poolings import POOLINGS as OF_NETWORKS
from past_training.slide_level.survival.arm_names import POOLINGS
from past_training.slide_level.survival.arms import arm_of
from past_training.slide_level.survival.cox import RiskSets, baseline_of
from past_training.slide_level.survival.data import SurvivalData, of_prepared
from past_training.slide_level.survival.fixed_arm import FixedArm, fixed_arm
from past_training.slide_level.survival.protocol import Protocol, splits


class Unseen(ArrayBag):
    """Cells that nobody may look at yet."""

    def take(self, index):
        raise AssertionError("a held-out bag was read while a network was fitted")

    def chunks(self, size=65536):
        raise AssertionError("a held-out bag was read while a network was fitted")


def test_names_are_those_of_the_networks():
    assert POOLINGS == OF_NETWORKS


@pytest.mark.parametrize("loss", ["cox", "discrete"])
def test_a_network_is_fitted_on_training_bags_and_gives_risks_and_curves(loss):
    random = np.random.default_rng(0)
    vectors = random.normal(size=(24, 6, 4)).astype(np.float16)
    data = SurvivalData(
        tuple(map(str, range(24))),
        random.exponential(1, 24),
        random.random(24) < 0.7,
        bags=tuple(ArrayBag(str(i), v) for i, v in enumerate(vectors)),
    )
    train, test = splits(data, Protocol(folds=2))[0][2:]
    assert data.bags is not None
    bags = list(data.bags)
    for i in test:
        bags[i] = Unseen(str(i), vectors[i])
    hidden = SurvivalData(data.patients, data.time, data.event, bags=tuple(bags))
    options = FitOptions(epochs=2, instances=4, width=3)
    fitted = arm_of(f"network:mean:{loss}", options=options).fit(hidden, train, 0)
    curves = fitted.survival(train, np.array([0.1, 0.5, 1.0]))
    assert ((curves >= 0) & (curves <= 1)).all()
    assert (np.diff(curves, axis=1) <= 1e-9).all()
    again = arm_of(f"network:mean:{loss}", options=options).fit(data, train, 0)
    assert again.risk(train) == pytest.approx(fitted.risk(train))
    assert np.isfinite(again.risk(test)).all()
    assert len(np.unique(again.risk(test))) > 1


def test_a_network_from_elsewhere_is_measured_where_it_has_seen_no_slide():
    random = np.random.default_rng(0)
    bags = tuple(ArrayBag(str(i), random.normal(size=(6, 4))) for i in range(24))
    time, event = random.exponential(1, 24), random.random(24) < 0.7
    slides = tuple(
        PreparedSlide(
            str(i), "", str(i), f"{i:064x}", (9.0, 9.0), 0.5, 6, 6, unreadable_tiles=0,
            left_out={}, digest="",
        )
        for i in range(24)
    )  # fmt: skip
    names = tuple(map(str, range(24)))
    prepared = Prepared(
        Path(), Cohort("c", names, time=time, event=event), ModelIdentity("m", "1" * 64, 4),
        "cells", None, slides, bags, pd.DataFrame(index=names), np.zeros((24, 4), np.float32),
    )  # fmt: skip
    own = replace(prepared, slides=slides[:3])
    network = fit_network(
        bags[:3], SurvivalTarget(time[:3], np.ones(3, bool)), FitOptions(epochs=1, width=3),
        origin=Origin.of(own),
    )  # fmt: skip
    refused = fixed_arm(network, prepared, "n")
    assert isinstance(refused, str)
    assert "fitted on 3 of these 24 slides" in refused
    # Half of the slides it was fitted on are not known.
    unsure = SlideNetwork(network.card.model_copy(update={"slides": 6}), network.module)
    others = replace(prepared, slides=slides[3:])
    for one, told in ((network, ()), (unsure, ("Whether n was fitted on some of",))):
        arm = fixed_arm(one, others, "n")
        assert isinstance(arm, FixedArm)
        data = of_prepared(prepared)
        fitted = arm.fit(data, np.arange(12), 0)
        assert fitted.risk(np.array([20, 3])) == pytest.approx(network.risk([bags[20], bags[3]]))
        sets = RiskSets(time[:12], event[:12])
        assert fitted.baseline is not None
        expected = baseline_of(sets, network.risk(bags[:12])).cumulative
        assert fitted.baseline.cumulative == pytest.approx(expected)
        assert [text[: len(told[0])] for text in fitted.told] == list(told)
