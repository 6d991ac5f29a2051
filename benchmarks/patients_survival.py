"""What is done with one simulated cohort: every arm evaluated, and the planted cells looked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from patients_cohorts import Cohort, simulated
from patients_drivers import Driver, DriverName, all_drivers
from patients_kept import Result
from patients_tissue import SLIDES, Tissue, read_tissue
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from napari_past.validation.metrics import detection_auc
from past_training.slide_level.bags.bag import Bag
from past_training.slide_level.fitting import FitOptions, SlideNetwork
from past_training.slide_level.survival.arm import Arm, FittedCox
from past_training.slide_level.survival.arms import arm_of
from past_training.slide_level.survival.clinical_arm import ClinicalArm
from past_training.slide_level.survival.cox import RiskSets, baseline_of
from past_training.slide_level.survival.data import Indices, SurvivalData
from past_training.slide_level.survival.evaluate import evaluate_survival
from past_training.slide_level.survival.fusion_arm import FusionArm
from past_training.slide_level.survival.interval import Estimate
from past_training.slide_level.survival.protocol import Protocol, splits
from past_training.slide_level.survival.result import ArmResult
from past_training.slide_level.survival.ridge_arm import RidgeArm

F64 = npt.NDArray[np.float64]
INNER = 2
"""Folds inside a training fold, where scores are made that join the clinical covariates."""
_PROBED = 20_000
"""Cells, at most, that the probe is fitted on."""


@dataclass(frozen=True, eq=False)
class OracleArm:
    """Knows the planted log hazard (p,) and fits nothing."""

    name: str
    log_hazard: F64

    def fit(self, data: SurvivalData, train: Indices, seed: int) -> FittedCox:
        sets = RiskSets(data.time[train], data.event[train])
        return FittedCox(self.log_hazard, baseline_of(sets, self.log_hazard[train]))


@lru_cache(maxsize=1)
def pool_of(data: Path) -> tuple[Tissue, ...]:
    """Read once in each process."""
    return tuple(read_tissue(data, slide) for slide in SLIDES)


@lru_cache(maxsize=1)
def drivers_of(data: Path) -> dict[DriverName, Driver]:
    """The same for every cohort."""
    return all_drivers(pool_of(data))


def tissue_facts(data: Path) -> Result:
    """Encodes what is not in the store yet; how many cells there are, and what the drivers are."""
    pool, drivers = pool_of(data), drivers_of(data)
    return {
        "cells": {tissue.name: len(tissue.vectors) for tissue in pool},
        "drivers": {name: driver.words for name, driver in drivers.items()},
        "driver_cells": {name: float(driver.cells.mean()) for name, driver in drivers.items()},
    }


def planted(
    data: Path, driver: DriverName, seed: int, patients: int, poolings: Sequence[str],
    discrete: str, fitting: dict[str, Any], resamples: int,
) -> Result:  # fmt: skip
    """One cohort with a planted hazard: every pooling, alone and with the clinical covariates."""
    chosen = drivers_of(data)[driver]
    cohort = simulated(pool_of(data), chosen, patients, seed)
    protocol = Protocol(inner=INNER, seed=seed, resamples=resamples)
    options = FitOptions(**fitting)
    networks = {pooling: _Remembered(_network(pooling, "cox", options)) for pooling in poolings}
    singles: list[Arm] = [RidgeArm("mean", INNER), *networks.values()]
    arms = [
        ClinicalArm(),
        *singles,
        _network(discrete, "discrete", options),
        *(FusionArm((arm,), INNER) for arm in singles),
        OracleArm("oracle of the bags", cohort.from_bags),
        OracleArm("oracle", cohort.log_hazard),
    ]
    return (
        _cohort_facts(cohort)
        | {"arms": _evaluated(cohort, arms, protocol)}
        | {"found": _found(data, cohort, chosen, networks, protocol)}
    )


def null(
    data: Path, seed: int, patients: int, pooling: str, fitting: dict[str, Any], resamples: int
) -> Result:
    """One cohort whose hazard hangs on age and stage alone: nothing of a bag tells of it."""
    cohort = simulated(pool_of(data), None, patients, seed)
    protocol = Protocol(inner=INNER, seed=seed, resamples=resamples)
    network = _Remembered(_network(pooling, "cox", FitOptions(**fitting)))
    singles: list[Arm] = [RidgeArm("mean", INNER), network]
    arms = [
        ClinicalArm(),
        *singles,
        *(FusionArm((arm,), INNER) for arm in singles),
        OracleArm("oracle", cohort.log_hazard),
    ]
    return _cohort_facts(cohort) | {"arms": _evaluated(cohort, arms, protocol)}


def _network(pooling: str, loss: str, options: FitOptions) -> Arm:
    return arm_of(f"network:{pooling}:{loss}", INNER, options)


class _Remembered:
    """An arm that is fitted once on the same patients with the same seed: alone, joined with the
    clinical covariates, and when its attention is looked at."""

    def __init__(self, arm: Arm) -> None:
        self._arm = arm
        self._fitted: dict[tuple[bytes, bytes, int], Any] = {}

    @property
    def name(self) -> str:
        return self._arm.name

    def fit(self, data: SurvivalData, train: Indices, seed: int) -> Any:
        key = (data.time.tobytes(), train.tobytes(), seed)
        if key not in self._fitted:
            self._fitted[key] = self._arm.fit(data, train, seed)
        return self._fitted[key]


def _cohort_facts(cohort: Cohort) -> Result:
    data = cohort.data
    return {
        "patients": len(data),
        "events": data.events,
        "bag_cells": cohort.bag_cells,
        "sites": len(set(data.site or ())),
        "two_slides": sum(len(bag.slides) > 1 for bag in data.bags or ()),
    }


def _evaluated(cohort: Cohort, arms: Sequence[Arm], protocol: Protocol) -> Result:
    result = evaluate_survival(cohort.data, arms, protocol)
    return {arm.name: _arm_facts(arm) for arm in result.arms}


def _arm_facts(arm: ArmResult) -> Result:
    groups, gain = arm.groups, arm.gain
    return {
        "harrell": _estimate(arm.harrell),
        "uno": _estimate(arm.uno),
        "gain": None if gain is None else _estimate(gain),
        "logrank": None if groups is None or np.isnan(groups.p_value) else groups.p_value,
    }


def _estimate(estimate: Estimate) -> Result:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}


def _found(
    folder: Path,
    cohort: Cohort,
    driver: Driver,
    networks: Mapping[str, _Remembered],
    protocol: Protocol,
) -> Result:
    """AUC for driver cells inside the bags of the first fold's held-out patients, their mean.

    The networks are those of the evaluation, fitted on that fold's training patients. "probe" is a
    logistic regression on the cells of the same patients that is told which ones drive: what the
    vectors can tell at all. "shuffled" is the attention of a network fitted to the same bags with
    the outcomes of other patients: what draws the eye whatever the hazard.
    """
    split = splits(cohort.data, protocol)[0]
    bags = cohort.data.bags
    assert bags is not None
    asked = [i for i in split.test if 0 < driver.cells[cohort.cells[i]].sum() < bags[i].n]
    truth = [driver.cells[cohort.cells[i]] for i in asked]
    told: Result = {"probe": _mean_auc(_probe(folder, cohort, driver, split.train, asked), truth)}
    shuffled = np.random.default_rng(protocol.seed).permutation(len(cohort.data))
    other = replace(cohort.data, time=cohort.data.time[shuffled], event=cohort.data.event[shuffled])
    for pooling, arm in networks.items():
        fitted, control = (
            arm.fit(data, split.train, protocol.seed + 1) for data in (cohort.data, other)
        )
        found = [_explained(fitted.network, bags[i]) for i in asked]
        drawn = [_explained(control.network, bags[i])["attention"] for i in asked]
        told[pooling] = {
            "attention": _mean_auc([cells["attention"] for cells in found], truth),
            "contribution": _mean_auc([cells["contribution"] for cells in found], truth),
            "shuffled": _mean_auc(drawn, truth),
        }
    return told


def _explained(network: SlideNetwork, bag: Bag) -> dict[str, F64]:
    """(n,) of all cells of a bag in its order; NaN for those that the network did not draw."""
    whole = bag.take(np.arange(bag.n))
    row = {
        key: i
        for i, key in enumerate(zip(whole.slide.tolist(), *whole.places_um.T.tolist(), strict=True))
    }
    found = {kind: np.full(bag.n, np.nan) for kind in ("attention", "contribution")}
    for part in network.explain(bag):
        rows = [
            row[key] for key in zip(part.slide.tolist(), *part.places_um.T.tolist(), strict=True)
        ]
        found["attention"][rows] = part.attention
        found["contribution"][rows] = part.contribution
    return found


def _probe(
    data: Path, cohort: Cohort, driver: Driver, train: Indices, asked: Sequence[int]
) -> list[F64]:
    vectors = np.concatenate([tissue.vectors for tissue in pool_of(data)])
    rows = np.concatenate([cohort.cells[i] for i in train])
    rows = np.random.default_rng(0).permutation(rows)[:_PROBED]
    scaler = StandardScaler().fit(vectors[rows].astype(np.float32))
    model = LogisticRegression(class_weight="balanced", C=0.1, max_iter=300)
    model.fit(scaler.transform(vectors[rows].astype(np.float32)), driver.cells[rows])
    return [
        model.decision_function(scaler.transform(vectors[cohort.cells[i]].astype(np.float32)))
        for i in asked
    ]


def _mean_auc(values: Sequence[F64], truth: Sequence[npt.NDArray[np.bool_]]) -> Result | None:
    """Mean over bags with its standard error; None where fewer than two have a defined one."""
    found = []
    for score, cells in zip(values, truth, strict=True):
        known = np.isfinite(score)
        found.append(float(detection_auc(score[known, None], cells[known, None])[0]))
    defined = np.array([auc for auc in found if np.isfinite(auc)])
    if len(defined) < 2:
        return None
    error = defined.std(ddof=1) / np.sqrt(len(defined))
    return {"auc": float(defined.mean()), "error": float(error), "bags": len(defined)}
