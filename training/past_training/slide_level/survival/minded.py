"""What puts an evaluation in doubt, and what it did, in sentences."""

from __future__ import annotations

from past_training.slide_level.survival.covariates import fit_encoding
from past_training.slide_level.survival.data import SurvivalData
from past_training.slide_level.survival.hazards import ProportionalHazards
from past_training.slide_level.survival.protocol import LEAST_FOLLOWED, Protocol
from past_training.slide_level.survival.result import SurvivalResult

EVENTS_PER_COVARIATE = 10
"""Peduzzi et al., Journal of Clinical Epidemiology 48 (1995)."""
LEAST_EVENTS = 10
"""Of a held-out fold: with fewer its C moves by several hundredths with a single patient."""


def warnings_of(
    data: SurvivalData, result: SurvivalResult, hazards: ProportionalHazards | None
) -> tuple[str, ...]:
    """A sentence each."""
    told = list(result.notes)
    smallest = min(int(data.event[split.train].sum()) for split in result.splits)
    if data.covariates is not None:
        terms = len(fit_encoding(data.covariates).names)
        if terms and smallest / terms < EVENTS_PER_COVARIATE:
            told.append(
                f"{smallest} events of the smallest training fold for {terms} clinical "
                f"coefficients are {smallest / terms:.1f} each, fewer than {EVENTS_PER_COVARIATE}: "
                "the clinical model is unsteady, and a gain over it is easily had."
            )
    few = [s.name for s in result.splits if data.event[s.test].sum() < LEAST_EVENTS]
    if few:
        told.append(
            f"{len(few)} of {len(result.splits)} held-out folds have fewer than {LEAST_EVENTS} "
            f"events ({', '.join(few[:4])}{', …' if len(few) > 4 else ''}): intervals, which rest "
            "on many patients, may be too narrow."
        )
    undefined = result.arms[0].harrell.undefined
    if undefined:
        told.append(
            f"In {undefined} of {len(result.splits)} folds no two patients can be compared; C is "
            "undefined there and these folds are left out of its average, not counted as 0.5."
        )
    if hazards is not None and hazards.violated:
        told.append(
            f"Hazards are not proportional for {', '.join(hazards.violated)} (Grambsch and "
            "Therneau's test on all patients, Holm-corrected): one coefficient for all times "
            "averages effects that change, of the clinical arm and of all that rest on it."
        )
    if hazards is not None and not hazards.terms:
        told.append("Proportional hazards could not be tested: the clinical model has no maximum.")
    told += [f"{arm.name}: {sentence}" for arm in result.arms for sentence in arm.told]
    return tuple(dict.fromkeys(told))


def protocol_sentences(data: SurvivalData, result: SurvivalResult) -> tuple[str, ...]:
    """What was done, in the order in which it was."""
    protocol, unit = result.protocol, data.time_unit
    followed = f"{data.time.max():g} {unit}".strip()
    return (
        f"{data.name}: {len(data)} patients, {data.events} events, "
        f"{len(data) - data.events} censored, followed up to {followed}."
        f"{' ' if data.source else ''}{data.source}",
        _held_out(protocol, result),
        "Imputation (median, most frequent level), scaling, dummies, principal components, "
        "penalties and cut-points come from training folds alone; penalties, and scores that are "
        f"joined to covariates, from {protocol.inner} folds inside them. Settings of networks are "
        "fixed beforehand. Every patient is in one fold with all slides.",
        "C is computed in each held-out fold and averaged over folds; Cox scores of different "
        "folds are never pooled. Harrell's C counts all comparable pairs; Uno's weighs them by the "
        "inverse of the training fold's censoring survival and counts events before tau = "
        f"{_time(result.tau, unit)}"
        + (
            ", the last event time at which every training fold still follows more than "
            f"{LEAST_FOLLOWED:.0%} of its patients uncensored."
            if protocol.tau is None
            else ", as asked."
        ),
        "Intervals (95 %) are meant for the C of each procedure, fitted on a training fold's "
        "number of patients, among new patients like these: the spread over resamples of patients "
        "with the models held fixed, its variance doubled because each pair of patients counts "
        "both ways, once with either one as the one that was fitted on. They are too "
        "wide rather than too narrow where much is learnt. The percentile bootstrap in a table of "
        "its own holds the models fixed and doubles nothing: it "
        "covers the C of these very models.",
    )


def _held_out(protocol: Protocol, result: SurvivalResult) -> str:
    k = len(result.splits)
    if protocol.by == "sites":
        return f"Each of {k} sites was held out whole, once."
    if protocol.by == "column":
        return f"{k} folds were given with the table; each was held out once."
    again = f", drawn {protocol.repeats} times" if protocol.repeats > 1 else ""
    return (
        f"{protocol.folds} folds of patients, stratified by event{again} (seed {protocol.seed}); "
        "each was held out once."
    )


def _time(value: float, unit: str) -> str:
    return f"{value:g} {unit}".strip()
