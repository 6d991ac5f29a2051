"""How patients are held out: by patient always, and what is fixed before anything is fitted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from past_training.slide_level.survival.censoring import censoring_curve
from past_training.slide_level.survival.data import Indices, SurvivalData
from past_training.slide_level.survival.errors import BadEvaluation

By = Literal["folds", "sites", "column"]
LEAST_FOLLOWED = 0.1
"""Up to the default tau, more than this share of every training fold is not yet censored: beyond,
single patients would weigh more than 100 pairs."""


@dataclass(frozen=True)
class Protocol:
    """What is held out, and where it is measured."""

    folds: int = 5
    repeats: int = 1
    """Of the folds, drawn anew each time; the same patients, so they narrow no interval much."""
    inner: int = 3
    """Folds inside each training fold, where penalties are chosen and scores are joined."""
    by: By = "folds"
    tau: float | None = None
    """Uno's C counts events before it; None: see `default_tau`."""
    times: tuple[float, ...] | None = None
    """Of AUC, Brier score and calibration; None: quartiles of event times before tau."""
    seed: int = 0
    resamples: int = 1000

    def __post_init__(self) -> None:
        if self.folds < 2 or self.inner < 2:
            raise BadEvaluation(
                "Cross-validation needs at least two folds; give --folds 2 or more."
            )
        if self.repeats < 1 or self.resamples < 100:
            raise BadEvaluation("Give at least one repeat and 100 resamples.")


class Split(NamedTuple):
    """One fold: who is fitted on and who is held out."""

    name: str
    repeat: int
    train: Indices
    test: Indices


def splits(data: SurvivalData, protocol: Protocol) -> tuple[Split, ...]:
    """All folds; no patient is on both sides of one.

    Raises
    ------
    BadEvaluation
        Fewer events than folds, a column that is missing, one site, or a training side without
        an event.
    """
    made = tuple(_splits(data, protocol))
    for split in made:
        if not data.event[split.train].any():
            raise BadEvaluation(
                f"Without {split.name} no patient has an event, so nothing can be fitted; use "
                "fewer folds."
            )
    return made


def inner_splits(
    data: SurvivalData, train: Indices, folds: int, seed: int
) -> tuple[tuple[Indices, Indices], ...]:
    """(fitted on, left out) of a training fold, stratified by event; at most one fold an event."""
    event = data.event[train]
    held = stratified(event, min(folds, max(2, int(event.sum()))), seed)
    return tuple((train[held != k], train[held == k]) for k in range(int(held.max()) + 1))


def stratified(event: npt.NDArray[np.bool_], folds: int, seed: int) -> npt.NDArray[np.intp]:
    """(n,) a fold of each patient: events, and patients without, are spread evenly."""
    random = np.random.default_rng(seed)
    fold = np.empty(len(event), np.intp)
    begun = 0
    for group in (np.flatnonzero(event), np.flatnonzero(~event)):
        # The second group goes on where the first ended, so that folds differ by one at most.
        fold[random.permutation(group)] = (begun + np.arange(len(group))) % folds
        begun += len(group)
    return fold


def default_tau(data: SurvivalData, made: tuple[Split, ...]) -> float:
    """The largest event time at which every training fold still follows over a tenth uncensored,
    and which lies within every fold's follow-up. It looks at times alone, never at a prediction.
    """
    limit = np.inf
    for split in made:
        curve = censoring_curve(data.time[split.train], data.event[split.train])
        enough = curve.time[np.concatenate(([1.0], curve.value))[:-1] > LEAST_FOLLOWED]
        limit = min(limit, float(enough.max()))
    events = data.time[data.event]
    within = events[events <= limit]
    return float(within.max()) if len(within) else float(events.min())


def default_times(data: SurvivalData, tau: float) -> tuple[float, ...]:
    """Quartiles of all patients' event times up to tau."""
    events = data.time[data.event & (data.time <= tau)]
    return tuple(float(v) for v in np.unique(np.quantile(events, (0.25, 0.5, 0.75))))


def _splits(data: SurvivalData, protocol: Protocol) -> Iterator[Split]:
    everyone = np.arange(len(data))
    if protocol.by == "folds":
        if data.events < 2 * protocol.folds or len(data) < 3 * protocol.folds:
            raise BadEvaluation(
                f"{len(data)} patients with {data.events} events do not fill {protocol.folds} "
                "folds (two events and three patients each); use fewer folds or more patients."
            )
        for repeat in range(protocol.repeats):
            fold = stratified(data.event, protocol.folds, protocol.seed + repeat)
            for k in range(protocol.folds):
                name = f"fold {k + 1}" + (f" of {repeat + 1}" if protocol.repeats > 1 else "")
                yield Split(name, repeat, everyone[fold != k], everyone[fold == k])
        return
    column, words = (
        (data.site, "sites (--site)") if protocol.by == "sites" else (data.fold, "folds (--fold)")
    )
    if column is None:
        raise BadEvaluation(
            f"The cohort tells no {words}; name the column, or leave that option out."
        )
    names = np.array(column)
    if len(np.unique(names)) < 2:
        raise BadEvaluation(
            f"All patients have one value in the column of {words}; two are needed."
        )
    if protocol.repeats > 1:
        raise BadEvaluation("Sites and given folds are what they are; leave --repeats out.")
    for name in sorted(set(column)):
        yield Split(str(name), 0, everyone[names != name], everyone[names == name])
