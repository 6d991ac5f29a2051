"""Networks as arms of an evaluation."""

from __future__ import annotations

import numpy as np
import pytest

from past_training.slide_level.bags.array_bag import ArrayBag
from past_training.slide_level.fitting import FitOptions
from past_training.slide_level.networks.poolings import POOLINGS as OF_NETWORKS
from past_training.slide_level.survival.arm_names import POOLINGS
from past_training.slide_level.survival.arms import arm_of
from past_training.slide_level.survival.data import SurvivalData
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
