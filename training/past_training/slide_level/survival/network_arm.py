"""A network on bags of cells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from past_training.slide_level.bags.bag import Bag
from past_training.slide_level.fitting import (
    FitOptions,
    SlideNetwork,
    SurvivalTarget,
    fit_network,
)
from past_training.slide_level.survival.arm_names import Pooling
from past_training.slide_level.survival.cox import Baseline, RiskSets, baseline_of
from past_training.slide_level.survival.data import Indices, SurvivalData
from past_training.slide_level.survival.errors import BadEvaluation

F64 = npt.NDArray[np.float64]
Loss = Literal["cox", "discrete"]


@dataclass(frozen=True)
class NetworkArm:
    """Epochs and size are fixed beforehand: nothing is stopped by what is held out."""

    pooling: Pooling
    loss: Loss = "cox"
    options: FitOptions = field(default_factory=FitOptions)
    cancelled: Callable[[], bool] | None = None

    @property
    def name(self) -> str:
        """As ``network:attention:cox``."""
        return f"network:{self.pooling}:{self.loss}"

    def fit(self, data: SurvivalData, train: Indices, seed: int) -> FittedNetwork:
        """The seed draws first weights and instances."""
        if data.bags is None:
            raise BadEvaluation(
                f"{self.name} needs the cells of slides; give a folder of `past-train slide "
                "prepare`, or other --arms."
            )
        target = SurvivalTarget(data.time[train], data.event[train], loss=self.loss)
        network = fit_network(
            [data.bags[i] for i in train],
            target,
            replace(self.options, pooling=self.pooling, seed=seed),
            cancelled=self.cancelled,
        )
        fitted = FittedNetwork(network, data.bags)
        if self.loss == "discrete":
            return fitted
        sets = RiskSets(data.time[train], data.event[train])
        return replace(fitted, baseline=baseline_of(sets, fitted.risk(train)))


@dataclass(frozen=True, eq=False)
class FittedNetwork:
    """A network of one training fold and, of a Cox head, that fold's baseline."""

    network: SlideNetwork
    bags: tuple[Bag, ...]
    baseline: Baseline | None = None
    told: tuple[str, ...] = ()
    known: dict[int, float] = field(default_factory=dict)
    """Risks that were asked before: a bag may have a million cells."""

    def risk(self, index: Indices) -> F64:
        """(m,) the head's risk."""
        new = [int(i) for i in index if int(i) not in self.known]
        if new:
            values = self.network.risk([self.bags[i] for i in new])
            self.known.update(zip(new, values.tolist(), strict=True))
        return np.array([self.known[int(i)] for i in index], np.float64)

    def survival(self, index: Indices, times: F64) -> F64:
        """(m, t), by Breslow's baseline or by the hazards of the head's intervals."""
        if self.baseline is not None:
            return self.baseline.survival(self.risk(index), times)
        return self.network.survival([self.bags[i] for i in index], times)
