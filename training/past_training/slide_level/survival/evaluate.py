"""Arms, each fitted on every training fold and measured on the patients held out of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_past.errors import Cancelled
from past_training.slide_level.survival.accuracy import brier_scores, dynamic_auc, integrated
from past_training.slide_level.survival.arm import Arm
from past_training.slide_level.survival.calibrated import calibration
from past_training.slide_level.survival.censoring import (
    StepCurve,
    censoring_curve,
    inverse_weights,
    survival_curve,
)
from past_training.slide_level.survival.concordance import (
    Pairs,
    concordance,
    harrell_pairs,
    resampled,
    uno_pairs,
)
from past_training.slide_level.survival.data import SurvivalData
from past_training.slide_level.survival.errors import BadEvaluation
from past_training.slide_level.survival.groups import grouped
from past_training.slide_level.survival.interval import Estimate, averaged, resample_counts
from past_training.slide_level.survival.protocol import (
    Protocol,
    Split,
    default_tau,
    default_times,
    splits,
)
from past_training.slide_level.survival.result import Accuracy, ArmResult, SurvivalResult

F64 = npt.NDArray[np.float64]
_GRID = 64
"""Steps of the integrated Brier score."""


@dataclass(frozen=True, eq=False)
class _Fold:
    """A split with all that does not depend on an arm."""

    split: Split
    time: F64
    event: npt.NDArray[np.bool_]
    counts: F64
    harrell: Pairs
    uno: Pairs
    censoring: StepCurve


@dataclass(frozen=True, eq=False)
class Held:
    """One arm's answer for the patients held out of one fold."""

    split: Split
    risk: F64
    """(m,)."""
    cut: float
    """The median risk of the training fold."""
    survival: F64
    """(m, g) on the grid of times."""


@dataclass(frozen=True, eq=False)
class _Indices:
    """One index of one arm, or the difference of two arms."""

    value: F64
    """(k,) of each fold."""
    resampled: F64
    """(k, b)."""

    def less(self, other: _Indices) -> _Indices:
        return _Indices(self.value - other.value, self.resampled - other.resampled)

    def averaged(self, repeat: npt.NDArray[np.intp], ratio: bool) -> Estimate:
        return averaged(self.value, self.resampled, repeat, ratio)


def evaluate_survival(
    data: SurvivalData,
    arms: Sequence[Arm],
    protocol: Protocol | None = None,
    details: bool = True,
    on_fold: Callable[[str, int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> SurvivalResult:
    """Every arm in the same folds; the first is what gains are measured against.

    Parameters
    ----------
    details
        Without them C-indices, gains and their intervals alone.
    on_fold
        Told the arm, how many of all fits are done, and how many there are.

    Raises
    ------
    BadEvaluation
        Too few events, an arm without what it needs, or a column that is missing.
    Cancelled
        Asked to stop, between two fits.
    """
    protocol = protocol or Protocol()
    if not arms or len({arm.name for arm in arms}) < len(arms):
        raise BadEvaluation("Name at least one arm, and each once (--arms A,B).")
    made = splits(data, protocol)
    tau = default_tau(data, made) if protocol.tau is None else _asked_tau(data, protocol.tau)
    times = np.array(protocol.times or default_times(data, tau))
    _check_times(data, made, tau, times)
    counts = resample_counts(data.event, protocol.resamples, protocol.seed)
    folds = tuple(_fold(data, split, counts, tau) for split in made)
    if not any(fold.harrell.any for fold in folds):
        raise BadEvaluation(
            "No fold holds two patients of whom one has an event before the other's time, so no C "
            "can be computed; use fewer folds."
        )
    grid = np.unique(np.concatenate((np.linspace(0.0, tau, _GRID + 1), times)))
    rows: list[ArmResult] = []
    first: tuple[_Indices, _Indices] | None = None
    repeat = np.array([split.repeat for split in made])
    for number, arm in enumerate(arms):
        held, told = [], Counter[str]()
        for k, fold in enumerate(folds):
            if cancelled is not None and cancelled():
                raise Cancelled("The evaluation was stopped; nothing was written.")
            train, test = fold.split.train, fold.split.test
            fitted = arm.fit(data, train, protocol.seed + 1 + k)
            risk = fitted.risk(test)
            if not np.isfinite(risk).all():
                raise BadEvaluation(
                    f"The arm {arm.name} gave a risk that is no number in {fold.split.name}; leave "
                    "it out (--arms)."
                )
            cut = float(np.median(fitted.risk(train))) if details else 0.0
            curves = fitted.survival(test, grid) if details else np.zeros((len(test), 0))
            held.append(Held(fold.split, risk, cut, curves))
            told.update(set(fitted.told))
            if on_fold is not None:
                on_fold(arm.name, number * len(folds) + k + 1, len(arms) * len(folds))
        own = (_indices(folds, held, "harrell"), _indices(folds, held, "uno"))
        gains = (None, None) if first is None else (own[0].less(first[0]), own[1].less(first[1]))
        rows.append(
            ArmResult(
                arm.name,
                own[0].averaged(repeat, True),
                own[1].averaged(repeat, True),
                None if gains[0] is None else gains[0].averaged(repeat, False),
                None if gains[1] is None else gains[1].averaged(repeat, False),
                _accuracy(folds, held, grid, times) if details else None,
                calibration(data, held, grid, times) if details else None,
                grouped(data, held) if details else None,
                tuple(f"{text} ({n} of {len(folds)} folds.)" for text, n in told.items()),
            )
        )
        first = own if first is None else first
    reference = _reference(data, folds, grid, times) if details else None
    return SurvivalResult(
        protocol, made, tau, tuple(float(t) for t in times), tuple(rows), reference, data.notes
    )


def _fold(data: SurvivalData, split: Split, counts: F64, tau: float) -> _Fold:
    time, event = data.time[split.test], data.event[split.test]
    censoring = censoring_curve(data.time[split.train], data.event[split.train])
    weight = inverse_weights(censoring, time, event)
    return _Fold(
        split,
        time,
        event,
        counts[:, split.test],
        harrell_pairs(time, event),
        uno_pairs(time, event, weight, tau),
        censoring,
    )


def _indices(folds: Sequence[_Fold], held: Sequence[Held], kind: str) -> _Indices:
    pairs: list[Pairs] = [getattr(fold, kind) for fold in folds]
    each = list(zip(pairs, folds, held, strict=True))
    return _Indices(
        np.array([concordance(p, h.risk) for p, _, h in each]),
        np.array([resampled(p, h.risk, f.counts) for p, f, h in each]),
    )


def _accuracy(folds: Sequence[_Fold], held: Sequence[Held], grid: F64, times: F64) -> Accuracy:
    aucs, briers, means = [], [], []
    at = np.searchsorted(grid, times)
    for fold, answer in zip(folds, held, strict=True):
        aucs.append(dynamic_auc(answer.risk, fold.time, fold.event, fold.censoring, times))
        scores = brier_scores(answer.survival, fold.time, fold.event, fold.censoring, grid)
        briers.append(scores[at])
        means.append(integrated(scores, grid))
    defined = np.isfinite(np.array(aucs))
    count = defined.sum(axis=0)
    total = np.where(defined, aucs, 0.0).sum(axis=0)
    auc = np.divide(total, count, out=np.full(len(times), np.nan), where=count > 0)
    return Accuracy(
        tuple(float(v) for v in auc),
        tuple(int(c) for c in count),
        tuple(float(v) for v in np.mean(briers, axis=0)),
        float(np.mean(means)),
    )


def _reference(data: SurvivalData, folds: Sequence[_Fold], grid: F64, times: F64) -> Accuracy:
    """Of one curve for everybody."""
    held = []
    for fold in folds:
        train, m = fold.split.train, len(fold.split.test)
        curve = survival_curve(data.time[train], data.event[train]).at(grid)
        held.append(Held(fold.split, np.zeros(m), 0.0, np.tile(curve, (m, 1))))
    return _accuracy(folds, held, grid, times)


def _asked_tau(data: SurvivalData, tau: float) -> float:
    first = float(data.time[data.event].min())
    if not tau > first:
        raise BadEvaluation(
            f"--tau {tau:g} does not lie after the first event, at {first:g}, so Uno's C has "
            "nothing to count; give a later time."
        )
    return tau


def _check_times(data: SurvivalData, made: Sequence[Split], tau: float, times: F64) -> None:
    last = min(float(data.time[split.train].max()) for split in made)
    for value, option in ((tau, "--tau"), *((float(t), "--times") for t in times)):
        if not 0 < value <= last:
            raise BadEvaluation(
                f"{option} {value:g} lies outside what every training fold follows (above 0, up to "
                f"{last:g}); give a time inside."
            )
    if (times > tau).any():
        raise BadEvaluation(
            f"Times of AUC and Brier score go up to tau, {tau:g}; give smaller --times or a larger "
            "--tau."
        )
