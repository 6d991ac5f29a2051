"""How often intervals of a cross-validated C hold 0.5 where nothing can be learnt.

    python benchmarks/interval_coverage.py --out docs/figures/interval-coverage.md

Cohorts are drawn: covariates, times and censoring know nothing of each other. For each cohort the
clinical arm is evaluated as `past-train slide evaluate` does; beside its interval (variance
doubled) stands the percentile bootstrap with the fitted models held fixed, which promises less.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from napari_past.files import atomic_write
from past_training.slide_level.survival.arms import arm_of
from past_training.slide_level.survival.data import SurvivalData
from past_training.slide_level.survival.evaluate import evaluate_survival
from past_training.slide_level.survival.interval import Estimate
from past_training.slide_level.survival.protocol import Protocol


@dataclass(frozen=True)
class Setting:
    """What cohorts are drawn like."""

    patients: int
    covariates: int
    folds: int
    repeats: int = 1
    follow_up: float = 1.0
    """Mean time to censoring, in mean times to an event."""


SETTINGS = (
    Setting(60, 2, 5),
    Setting(60, 2, 3, follow_up=0.5),
    Setting(160, 1, 5),
    Setting(160, 4, 5),
    Setting(160, 4, 5, repeats=4),
    Setting(160, 4, 10),
    Setting(160, 8, 5, follow_up=0.4),
    Setting(300, 4, 5),
)


def drawn(setting: Setting, seed: int) -> SurvivalData:
    """A cohort without any effect."""
    random = np.random.default_rng([seed, setting.patients, setting.covariates])
    n = setting.patients
    time, lost = random.exponential(1, n), random.exponential(setting.follow_up, n)
    values = random.normal(size=(n, setting.covariates))
    return SurvivalData(
        tuple(map(str, range(n))),
        np.minimum(time, lost),
        time <= lost,
        pd.DataFrame(values, columns=[f"x{i}" for i in range(setting.covariates)]),
    )


def estimates(setting: Setting, cohorts: int) -> Iterator[Estimate]:
    """Harrell's C of the clinical arm in each cohort."""
    protocol = Protocol(folds=setting.folds, repeats=setting.repeats, resamples=400)
    for seed in range(cohorts):
        data = drawn(setting, seed)
        yield evaluate_survival(data, [arm_of("clinical")], protocol, details=False).arms[0].harrell


def row(setting: Setting, cohorts: int) -> tuple[str, ...]:
    """One line of the table."""
    found = list(estimates(setting, cohorts))
    events = np.mean([drawn(setting, seed).events for seed in range(cohorts)])
    values = np.array([e.value for e in found])
    held = np.mean([e.low <= 0.5 <= e.high for e in found])
    fixed = np.mean([e.bootstrap[0] <= 0.5 <= e.bootstrap[1] for e in found])
    times = f" x {setting.repeats}" if setting.repeats > 1 else ""
    return (
        str(setting.patients),
        f"{events:.0f}",
        str(setting.covariates),
        f"{setting.folds}{times}",
        f"{values.mean():.3f}",
        f"{values.std():.3f}",
        f"{100 * held:.0f} %",
        f"{100 * fixed:.0f} %",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cohorts", type=int, default=200, metavar="N", help="of each setting")
    parser.add_argument("--out", type=Path, required=True, metavar="PAGE.md")
    options = parser.parse_args()
    columns = (
        "patients", "events", "covariates", "folds", "mean C", "SD of C", "interval holds 0.5",
        "models fixed, not doubled",
    )  # fmt: skip
    lines = [columns, ("---:",) * len(columns)]
    for setting in SETTINGS:
        lines.append(row(setting, options.cohorts))
        print(*lines[-1], flush=True)
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    note = (
        f"{options.cohorts} drawn cohorts a row, without any effect; 95 % is promised by the first "
        "of both intervals. Made by benchmarks/interval_coverage.py."
    )
    with atomic_write(options.out) as unfinished:
        unfinished.write_text(f"{table}\n\n{note}\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
