"""The report of an evaluation of survival."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from napari_past.report.axes import number
from napari_past.report.document import (
    Document,
    Plot,
    Plots,
    Sentence,
    Warnings,
    write_document,
)
from napari_past.report.page import Table
from past_training.slide_level.survival.arm_names import in_words
from past_training.slide_level.survival.curves import (
    at_risk_times,
    calibration_svg,
    forest_svg,
    survival_svg,
)
from past_training.slide_level.survival.data import SurvivalData
from past_training.slide_level.survival.hazards import LIMIT, ProportionalHazards
from past_training.slide_level.survival.interval import Estimate
from past_training.slide_level.survival.minded import protocol_sentences, warnings_of
from past_training.slide_level.survival.result import ArmResult, SurvivalResult

MISSING = "–"
Part = Sentence | Warnings | Table | Plots


def write_page(
    data: SurvivalData,
    result: SurvivalResult,
    hazards: ProportionalHazards | None,
    path: Path,
) -> tuple[Path, ...]:
    """Write it and return its files: one ``.html``, or an ``.md`` with its plots beside.

    Raises
    ------
    CannotWrite
        Another suffix, or the folder is missing or read-only, or the disk is full.
    """
    document = Document(f"Survival: {data.name}", survival_parts(data, result, hazards))
    return write_document(document, path)


def survival_parts(
    data: SurvivalData, result: SurvivalResult, hazards: ProportionalHazards | None
) -> tuple[Part, ...]:
    """Everything below the title."""
    warnings = warnings_of(data, result, hazards)
    protocol = [Sentence(text) for text in protocol_sentences(data, result)]
    tables = [arm_table(result), fold_table(data, result), _bootstrap_table(result)]
    detailed = [arm for arm in result.arms if arm.accuracy is not None]
    if detailed:
        tables.insert(1, accuracy_table(data, result))
    forest = Plots("C of each arm", (Plot("forest", forest_svg(result.arms), alone=True),), _DOTS)
    parts: list[Part] = [protocol[0]]
    parts += [Warnings(warnings)] if warnings else []
    parts += [tables[0], forest, *protocol[1:], *tables[1:]]
    if detailed:
        parts += [_groups(data, detailed), _at_risk(data, detailed), _calibration(data, detailed)]
    if hazards is not None and hazards.terms:
        parts.append(_hazards(hazards))
    return tuple(parts)


_DOTS = ("Squares: average over folds with its interval; grey dots: single folds; dashed: chance.",)


def arm_table(result: SurvivalResult) -> Table:
    """C of each arm, and what it gains over the first."""
    first = result.arms[0].name
    rows = tuple(
        (
            arm.name,
            estimate_text(arm.harrell),
            estimate_text(arm.uno),
            MISSING if arm.gain is None else estimate_text(arm.gain, signed=True),
            MISSING if arm.uno_gain is None else estimate_text(arm.uno_gain, signed=True),
        )
        for arm in result.arms
    )
    columns = ("arm", "Harrell's C", "Uno's C", f"gain over {first}", "gain, Uno's C")
    told = [f"{arm.name}: {words}" for arm in result.arms if (words := in_words(arm.name))]
    notes = (
        f"A gain is the difference of C from {first} in the same folds, averaged over them.",
        *((f"{'; '.join(told)}.",) if told else ()),
    )
    return Table("Arms", columns, rows, 1, notes)


def accuracy_table(data: SurvivalData, result: SurvivalResult) -> Table:
    """AUC at times, Brier scores, calibration, log-rank test."""
    unit = data.time_unit
    columns = (
        "arm",
        *(f"AUC at {number(t)} {unit}".strip() for t in result.times),
        "integrated Brier",
        "calibration slope",
        "predicted / seen events",
        "log-rank p",
    )
    rows = []
    for arm in result.arms:
        if arm.accuracy is None or arm.calibration is None or arm.groups is None:
            continue
        seen = arm.calibration
        rows.append(
            (
                arm.name,
                *(_plain(v) for v in arm.accuracy.auc),
                _plain(arm.accuracy.integrated_brier),
                _plain(seen.slope),
                f"{_plain(seen.expected)} / {_plain(seen.seen)}",
                _p(arm.groups.p_value),
            )
        )
    if result.reference is not None:
        chance = (MISSING,) * len(result.times)
        brier = _plain(result.reference.integrated_brier)
        rows.append(("no covariates", *chance, brier, MISSING, MISSING, MISSING))
    at = number(result.arms[0].calibration.time) if result.arms[0].calibration else MISSING
    notes = (
        "AUC: cumulative cases, dynamic controls, weighted for censoring. Integrated Brier score: "
        "mean squared error from 0 to tau, weighted for censoring, lower is better; no "
        "covariates: the training fold's Kaplan–Meier curve for everybody. All are averages over "
        "folds.",
        f"Calibration at {at} {unit}".strip() + ": slope 1 is right, below 1 predictions are too "
        "extreme, below 0 they point the wrong way. Log-rank: held-out patients above and below "
        "the median risk of their training fold, stratified by fold; the variance is doubled "
        "because groups depend on the outcomes of other folds, so p is approximate. It asks "
        "whether the groups differ, not which of them lives longer: the curves show that.",
    )
    return Table("Accuracy of predicted survival", columns, tuple(rows), 1, notes)


def fold_table(data: SurvivalData, result: SurvivalResult) -> Table:
    """Patients, events and Harrell's C of each fold."""
    columns = ("held out", "patients", "events", *(arm.name for arm in result.arms))
    rows = tuple(
        (
            split.name,
            str(len(split.test)),
            str(int(data.event[split.test].sum())),
            *(_plain(arm.harrell.per_fold[k]) for arm in result.arms),
        )
        for k, split in enumerate(result.splits)
    )
    notes = (f"Harrell's C; {MISSING}: no two patients can be compared.",)
    return Table("Folds", columns, rows, 1, notes)


def estimate_text(found: Estimate, signed: bool = False) -> str:
    """As "0.61 (0.54 to 0.68)"."""
    if not math.isfinite(found.value):
        return MISSING
    sign: Callable[[float], str] = _signed if signed else _plain
    return f"{sign(found.value)} ({sign(found.low)} to {sign(found.high)})"


def _bootstrap_table(result: SurvivalResult) -> Table:
    rows = tuple(
        (
            arm.name,
            _between(arm.harrell.bootstrap),
            _between(arm.uno.bootstrap),
            MISSING if arm.gain is None else _between(arm.gain.bootstrap, signed=True),
        )
        for arm in result.arms
    )
    columns = ("arm", "Harrell's C", "Uno's C", f"gain over {result.arms[0].name}")
    notes = (
        f"2.5 to 97.5 % points of {result.protocol.resamples} resamples of patients, stratified by "
        "event and the same for all arms; too narrow for what a new fit would do.",
    )
    return Table("Bootstrap with the fitted models held fixed", columns, rows, 1, notes)


def _groups(data: SurvivalData, arms: list[ArmResult]) -> Plots:
    plots = tuple(
        Plot(f"survival-{_file(arm.name)}", survival_svg(data, arm.groups.high, arm.name))
        for arm in arms
        if arm.groups is not None
    )
    notes = (
        "Held-out patients by the median risk of their training fold; ticks: censored. Numbers at "
        "risk are below.",
    )
    return Plots("Survival of two groups (Kaplan–Meier)", plots, notes)


def _at_risk(data: SurvivalData, arms: list[ArmResult]) -> Table:
    times = at_risk_times(data)
    rows = []
    for arm in arms:
        if arm.groups is None:
            continue
        for name, group in (("low", ~arm.groups.high), ("high", arm.groups.high)):
            counts = [str(int((data.time[group] >= t).sum())) for t in times]
            rows.append((arm.name, f"{name} risk", *counts))
    columns = ("arm", "group", *(f"{number(float(t))} {data.time_unit}".strip() for t in times))
    return Table("Numbers at risk", columns, tuple(rows), 2)


def _calibration(data: SurvivalData, arms: list[ArmResult]) -> Plots:
    plots = tuple(
        Plot(
            f"calibration-{_file(arm.name)}",
            calibration_svg(arm.calibration, data.time_unit, arm.name),
        )
        for arm in arms
        if arm.calibration is not None
    )
    notes = (
        "Quarters of held-out patients by predicted survival, which means the same in every fold; "
        "dashed: equal.",
    )
    return Plots("Calibration", plots, notes)


def _hazards(found: ProportionalHazards) -> Table:
    rows = tuple(
        (term, _p(p), f"{count} of {found.tested}")
        for term, p, count in zip(found.terms, found.p_values, found.folds, strict=True)
    )
    columns = ("covariate", "p, all patients", f"training folds below {LIMIT:g}")
    notes = (
        "Grambsch and Therneau's test on ranks of time (lifelines); it describes the cohort and "
        "changes no model. Training folds share most patients, so their counts are no replication.",
    )
    return Table("Proportional hazards of the clinical model", columns, rows, 1, notes)


def _between(points: tuple[float, float], signed: bool = False) -> str:
    if not math.isfinite(points[0]):
        return MISSING
    sign = _signed if signed else _plain
    return f"{sign(points[0])} to {sign(points[1])}"


def _plain(value: float) -> str:
    return f"{value:.3f}".replace("-", "−") if np.isfinite(value) else MISSING


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def _p(value: float) -> str:
    if not math.isfinite(value):
        return MISSING
    return "< 0.0001" if value < 0.0001 else f"{value:.4f}"


def _file(name: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in name)
