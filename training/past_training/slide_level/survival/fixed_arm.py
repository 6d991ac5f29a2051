"""A network that was fitted elsewhere, asked about these patients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from past_training.slide_level.bags.prepared import Prepared
from past_training.slide_level.fitting import SlideNetwork
from past_training.slide_level.survival.cox import RiskSets, baseline_of
from past_training.slide_level.survival.data import Indices, SurvivalData
from past_training.slide_level.survival.network_arm import FittedNetwork

_HEADS = ("cox", "discrete")


@dataclass(frozen=True)
class FixedArm:
    """Nothing of the network is fitted here; a Cox head has the training fold's baseline."""

    name: str
    fitted: FittedNetwork

    def fit(self, data: SurvivalData, train: Indices, seed: int) -> FittedNetwork:
        """The seed has no say."""
        if self.fitted.network.card.head == "discrete":
            return self.fitted
        sets = RiskSets(data.time[train], data.event[train])
        baseline = baseline_of(sets, self.fitted.risk(np.asarray(train)))
        found = self.fitted
        return FittedNetwork(found.network, found.bags, baseline, found.told, found.known)


def fixed_arm(network: SlideNetwork, prepared: Prepared, file: str) -> FixedArm | str:
    """The arm, or the sentence that says why these patients cannot measure the network."""
    if network.card.head not in _HEADS:
        return f"{file} was not fitted to survival and is no arm here."
    saw = [network.card.saw(slide.fingerprint) for slide in prepared.slides]
    if any(saw):
        return (
            f"{file}, or a network that it started from, was fitted on {saw.count(True)} of these "
            f"{len(saw)} slides and is not measured here: what a network says of its own patients "
            "is no evidence."
        )
    told: tuple[str, ...] = ()
    if None in saw:
        told = (f"Whether {file} was fitted on some of these slides is not known.",)
    return FixedArm(f"model:{file}", FittedNetwork(network, prepared.bags, told=told))
