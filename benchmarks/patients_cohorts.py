"""Simulated patients whose bags are windows of real embedded tissue and whose hazard is planted.

A slide of a patient is some square windows of one real slide, a patient has one or two slides, and
no window is in two patients, so that no cell is both fitted on and evaluated on. Windows are dealt
so that patients differ in the driver; the hazard hangs on what their own cells then have.
Times are Weibull, in whole months (so there are ties), censored independently.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from patients_drivers import Driver, mean_of_groups, squares, without
from patients_tissue import Tissue
from scipy.optimize import brentq

from past_training.slide_level.bags.array_bag import ArrayBag
from past_training.slide_level.bags.chained import Chained
from past_training.slide_level.survival.data import SurvivalData

WINDOW_UM, FEWEST_CELLS, WINDOWS = 100.0, 20, 4
"""Side of a window; the fewest cells of one; windows of a slide."""
TWO_SLIDES = 0.3
ORACLE_C, CENSORED = 0.75, 0.4
SHAPE, MEDIAN_MONTHS = 1.2, 36.0
STAGES = {"I": 0.0, "II": 0.4, "III": 0.8}
AGE_PER_SD = 0.35
WITHIN_PATIENT = 1.0
"""SD of the noise by which windows are dealt, beside patients who differ by 1."""
RARE_MEAN = 0.025
"""Mean share of the rare population in a bag (gamma distributed, shape 1)."""

Rng = np.random.Generator


@dataclass(frozen=True)
class Cohort:
    """p simulated patients and what is true of them."""

    data: SurvivalData
    log_hazard: npt.NDArray[np.float64]
    """(p,), all of it: what the oracle knows."""
    from_bags: npt.NDArray[np.float64]
    """(p,), the part that hangs on the bags; zero in a null cohort."""
    cells: tuple[npt.NDArray[np.int64], ...]
    """(p,) of (n,): which cells of the pool each bag holds, in the bag's order."""

    @property
    def bag_cells(self) -> int:
        """The median number of cells of a bag."""
        return int(np.median([len(index) for index in self.cells]))


def simulated(pool: Sequence[Tissue], driver: Driver | None, patients: int, seed: int) -> Cohort:
    """A cohort whose hazard hangs on a driver and on clinical covariates; None: on these alone."""
    rng = np.random.default_rng([seed, 7])
    slides, source = _dealt(pool, driver, patients, rng)
    if driver is not None and driver.name == "rare":
        slides = _with_rare(slides, driver, rng)
    cells = tuple(np.concatenate(parts) for parts in slides)
    covariates, clinical = _covariates(patients, rng)
    planted = np.zeros(patients)
    if driver is not None:
        value = _standardised(bag_driver(driver, cells))
        planted = strength(value, clinical, ORACLE_C) * value
    log_hazard = planted + clinical
    time, event = outcomes(log_hazard, rng)
    vectors = np.concatenate([tissue.vectors for tissue in pool])
    places = np.concatenate([tissue.places_um for tissue in pool])
    names = tuple(f"P{i:03d}" for i in range(patients))
    bags = tuple(
        Chained(
            name,
            [
                ArrayBag(f"{name}-{k + 1}", vectors[index], places[index])
                for k, index in enumerate(parts)
            ],
        )
        for name, parts in zip(names, slides, strict=True)
    )
    data = SurvivalData(
        patients=names,
        time=time,
        event=event,
        covariates=covariates.set_axis(list(names)),
        bags=bags,
        mean_vectors=np.stack([vectors[index].astype(np.float32).mean(0) for index in cells]),
        site=tuple(pool[i].name for i in source),
    )
    return Cohort(data, log_hazard, planted, cells)


def bag_driver(driver: Driver, cells: Sequence[npt.NDArray[np.int64]]) -> npt.NDArray[np.float64]:
    """(p,), each bag's driver: the mean level, without what composition tells of it."""
    means = np.array([driver.level[index].mean() for index in cells], np.float64)
    if driver.composition is None:
        return means
    composition = np.stack([driver.composition[index].mean(axis=0) for index in cells])
    return without(means, composition.astype(np.float64))


def strength(
    value: npt.NDArray[np.float64], clinical: npt.NDArray[np.float64], target: float
) -> float:
    """The log hazard for each unit of `value` (p,) with which the truth has this concordance.

    With proportional hazards the one of two patients with the larger log hazard has the event first
    with probability 1 / (1 + exp(-difference)), whatever the baseline; uncensored, that mean over
    pairs is the concordance. Where the clinical part alone has it already, 0.
    """

    def excess(beta: float) -> float:
        return expected_concordance(beta * value + clinical) - target

    return float(brentq(excess, 0.0, 20.0, xtol=1e-3)) if excess(0.0) < 0 else 0.0


def expected_concordance(log_hazard: npt.NDArray[np.float64]) -> float:
    """Of the true log hazard (p,) with uncensored times, over times yet to be drawn."""
    first, second = np.triu_indices(len(log_hazard), 1)
    difference = np.abs(log_hazard[first] - log_hazard[second])
    return float(np.mean(1 / (1 + np.exp(-difference))))


def outcomes(
    log_hazard: npt.NDArray[np.float64], rng: Rng
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """(p,) months, whole, at least 1, and (p,) whether the event was seen.

    Times are Weibull and proportional in hazard; censoring is exponential, independent of all else,
    with the rate that censors `CENSORED` of these patients in expectation.
    """
    centred = log_hazard - log_hazard.mean()
    scale = MEDIAN_MONTHS / np.log(2) ** (1 / SHAPE)
    onset = scale * (rng.exponential(size=len(centred)) / np.exp(centred)) ** (1 / SHAPE)

    def excess(rate: float) -> float:
        return float(np.mean(1 - np.exp(-rate * onset))) - CENSORED

    left = rng.exponential(size=len(centred)) / brentq(excess, 1e-6, 10.0)
    return np.maximum(np.ceil(np.minimum(onset, left)), 1.0), onset <= left


def _covariates(patients: int, rng: Rng) -> tuple[pd.DataFrame, npt.NDArray[np.float64]]:
    """Age and stage, independent of the bags, some ages missing; and their log hazard (p,)."""
    age = np.round(rng.normal(60, 10, patients))
    stage = rng.choice(list(STAGES), patients, p=[0.4, 0.35, 0.25])
    effect = AGE_PER_SD * (age - 60) / 10 + np.array([STAGES[s] for s in stage])
    told = np.where(rng.random(patients) < 0.05, np.nan, age)
    return pd.DataFrame({"age": told, "stage": stage.astype(object)}), effect


def _dealt(
    pool: Sequence[Tissue], driver: Driver | None, patients: int, rng: Rng
) -> tuple[list[list[npt.NDArray[np.int64]]], npt.NDArray[np.int64]]:
    """Cells of each slide of each patient, and the tissue (p,) that they are of."""
    window = squares(pool, WINDOW_UM)
    order = np.argsort(window, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(window[order])) + 1)
    tissue_of_cell = np.repeat(np.arange(len(pool)), [len(t.vectors) for t in pool])
    rank = _window_driver(driver, window)
    usable = [w for w, cells in enumerate(members) if len(cells) >= FEWEST_CELLS]
    of_tissue = [
        [w for w in usable if tissue_of_cell[members[w][0]] == i] for i in range(len(pool))
    ]
    slides_of = 1 + (rng.random(patients) < TWO_SLIDES)
    source = _sources([len(windows) for windows in of_tissue], slides_of * WINDOWS, rng)
    dealt: list[list[npt.NDArray[np.int64]]] = [[] for _ in range(patients)]
    latent = rng.standard_normal(patients)
    for i, windows in enumerate(of_tissue):
        own = np.flatnonzero(source == i)
        seats = np.repeat(own, slides_of[own] * WINDOWS)
        drawn = rng.choice(windows, len(seats), replace=False)
        if rank is not None:
            wish = latent[seats] + rng.normal(0, WITHIN_PATIENT, len(seats))
            seats, drawn = seats[np.argsort(wish)], drawn[np.argsort(rank[drawn])]
        for patient in own:
            mine = rng.permutation(drawn[seats == patient])
            dealt[patient] = [
                np.sort(np.concatenate([members[w] for w in part]))
                for part in np.split(mine, slides_of[patient])
            ]
    return dealt, source


def _window_driver(
    driver: Driver | None, window: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64] | None:
    """What windows are dealt by; None: by chance."""
    if driver is None or driver.name == "rare":
        return None
    means = mean_of_groups(driver.level[:, None], window)[:, 0]
    if driver.composition is None:
        return means
    return without(means, mean_of_groups(driver.composition, window))


def _sources(
    windows: Sequence[int], needed: npt.NDArray[np.int64], rng: Rng
) -> npt.NDArray[np.int64]:
    """(p,), a tissue for each patient: by chance among those with enough windows left, in
    proportion to what is left."""
    left = np.array(windows, float)
    source = np.empty(len(needed), np.int64)
    for patient, count in enumerate(needed):
        chance = np.where(left >= count, left, 0)
        source[patient] = rng.choice(len(left), p=chance / chance.sum())
        left[source[patient]] -= count
    return source


def _with_rare(
    slides: list[list[npt.NDArray[np.int64]]], driver: Driver, rng: Rng
) -> list[list[npt.NDArray[np.int64]]]:
    """The rare population is taken out of every window and dealt anew: to each patient a share."""
    stock = rng.permutation(np.flatnonzero(driver.cells))
    dealt, used = [], 0
    for parts in slides:
        share = rng.gamma(1.0, RARE_MEAN)
        plain = [part[~driver.cells[part]] for part in parts]
        counts = rng.poisson(share * np.array([len(part) for part in plain]))
        filled = []
        for part, count in zip(plain, counts, strict=True):
            filled.append(np.sort(np.concatenate([part, stock[used : used + count]])))
            used += int(count)
        dealt.append(filled)
    if used > len(stock):
        raise ValueError(f"{used} cells of the rare population are needed; {len(stock)} exist.")
    return dealt


def _standardised(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return (values - values.mean()) / values.std()
