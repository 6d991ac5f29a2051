"""From cells to patients: everything that is shown of it without a clinical cohort, in one report.

    python benchmarks/patients.py DATA --out docs/patients-report.md [--quick] [--only STAGE]

DATA holds ``her2st``, ``slides`` and ``crc_nuclei``. The stages: ``gbsg2`` (the clinical arm on a
cohort whose Cox model is known), ``clicks`` (cell types), ``tissue`` (every cell of six real
slides, encoded), ``planted`` (simulated cohorts with a planted hazard), ``null`` (cohorts without
one), ``bulk`` (pseudo-bulk), ``memory`` (bags of a million cells). Results are kept in the cache
one by one, so that a run that was stopped goes on; ``--kept`` writes the page from what there is.
The hyper-parameters below were written before the cohorts below were evaluated: none of these had
a say in them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from clicks import DRAWS
from common import PACKAGES, cores_allowed, machine_line, told, versions_line
from patients_bulk import bulk
from patients_drivers import DRIVERS
from patients_kept import Result, Unit, limit_threads, results_of, sources
from patients_others import (
    clicked,
    clicked_parts,
    known_cohort,
    known_cohort_parts,
    memory,
    memory_parts,
)
from patients_page import bulk_parts, null_parts, planted_parts, tissue_parts
from patients_survival import INNER, null, planted, tissue_facts

from napari_past.report.document import Document, Part, Sentence, write_document
from past_training.slide_level.fitting import FitOptions

POOLINGS = ("mean", "attention", "top-k", "transformer", "linear-attention")
DISCRETE = NULL_POOLING = "attention"
PATIENTS, COHORTS, FITTING = 240, 2, {"epochs": 30, "instances": 128}
NULL_PATIENTS, NULL_COHORTS, NULL_FITTING = 120, 100, {"epochs": 30, "instances": 64}
BULK_EPOCHS, RESAMPLES, LARGE = 60, 500, 1_000_000
STAGES = ("tissue", "gbsg2", "clicks", "planted", "null", "bulk", "memory")
"""In the order in which they are computed."""
FIRST_SEED = 100
"""Of the planted cohorts: those of seed 0 were looked at while epochs and instances were cut down
to what the time allows."""
TITLE = "From cells to patients: what was measured"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="page, .md or .html")
    parser.add_argument("--only", choices=STAGES, action="append", help="these stages alone")
    parser.add_argument(
        "--quick", action="store_true", help="small cohorts and few of them: a look"
    )
    parser.add_argument("--fresh", action="store_true", help="read nothing that was kept")
    parser.add_argument("--kept", action="store_true", help="compute nothing, read what was kept")
    parser.add_argument("--processes", type=int, default=cores_allowed())
    options = parser.parse_args()
    limit_threads()
    wanted = options.only or STAGES
    units = [unit for unit in planned(options.quick) if unit.stage in wanted]
    data = options.data.resolve()
    found: dict[str, dict[str, Result]] = {}
    for stages, processes in _rounds(options.processes):
        some = [unit for unit in units if unit.stage in stages]
        found |= results_of(some, data, processes, options.fresh, options.kept)
    document = Document(TITLE, tuple(parts_of(found, units, options.quick)))
    for file in write_document(document, options.out):
        print(file)


def _rounds(processes: int) -> tuple[tuple[tuple[str, ...], int], ...]:
    """Stages that run together, and in how many processes: the tissue is encoded by one before
    others read it, and memory is measured alone."""
    return ((STAGES[:1], 1), (STAGES[1:-1], processes), (STAGES[-1:], 1))


def planned(quick: bool) -> list[Unit]:
    """What is computed: something of each early, so that a run that is stopped shows all."""
    patients, cohorts, null_cohorts = (60, 1, 4) if quick else (PATIENTS, COHORTS, NULL_COHORTS)
    fitting, null_fitting = (
        ({"epochs": 5, "instances": 32},) * 2 if quick else (FITTING, NULL_FITTING)
    )
    hidden = [
        Unit(
            "planted",
            f"{driver}-{seed}",
            planted,
            {
                "driver": driver,
                "seed": seed,
                "patients": patients,
                "poolings": list(POOLINGS),
                "discrete": DISCRETE,
                "fitting": _all_options(fitting),
                "resamples": RESAMPLES,
            },
        )
        for seed in range(FIRST_SEED, FIRST_SEED + cohorts)
        for driver in DRIVERS
    ]
    nothing = [
        Unit(
            "null",
            f"{seed:03d}",
            null,
            {
                "seed": 1000 + seed,
                "patients": 60 if quick else NULL_PATIENTS,
                "pooling": NULL_POOLING,
                "fitting": _all_options(null_fitting),
                "resamples": RESAMPLES,
            },
        )
        for seed in range(null_cohorts)
    ]
    epochs = 5 if quick else BULK_EPOCHS
    return [
        Unit("tissue", "pool", tissue_facts),
        Unit("gbsg2", "gbsg2", known_cohort),
        *hidden[: len(DRIVERS)],
        Unit("bulk", "her2st", bulk, {"poolings": list(POOLINGS), "epochs": epochs}),
        Unit("clicks", "crc", clicked, {"draws": 4 if quick else DRAWS}),
        *nothing,
        *hidden[len(DRIVERS) :],
        Unit("memory", "bags", memory, {"cells": 100_000 if quick else LARGE}),
    ]


def _all_options(chosen: Mapping[str, int]) -> dict[str, Any]:
    """Those by default, too: a default that changes is another unit."""
    options = asdict(FitOptions(**chosen))
    return {name: value for name, value in options.items() if name not in ("pooling", "seed")}


def parts_of(
    found: Mapping[str, Mapping[str, Result]], units: list[Unit], quick: bool
) -> list[Part]:
    """The page: stages in the order of the argument, and what is missing."""
    parts: list[Part] = [Sentence(_opening(quick))]
    one: dict[str, Callable[[Result], list[Part]]] = {
        "gbsg2": known_cohort_parts,
        "clicks": clicked_parts,
        "tissue": tissue_parts,
    }
    for stage, page in one.items():
        for result in found.get(stage, {}).values():
            parts += page(result)
    if found.get("planted"):
        parts.append(Sentence(_planted_words(quick)))
        cohorts = {
            driver: {k: v for k, v in found["planted"].items() if k.startswith(f"{driver}-")}
            for driver in DRIVERS
        }
        parts += planted_parts({driver: runs for driver, runs in cohorts.items() if runs})
    if found.get("null"):
        parts += null_parts(found["null"])
    for result in found.get("bulk", {}).values():
        parts += bulk_parts(result)
    for result in found.get("memory", {}).values():
        parts += memory_parts(result)
    parts.append(Sentence(_closing(found, units)))
    return parts


def _opening(quick: bool) -> str:
    look = "This is a quick look with few small cohorts; its figures mean little. " if quick else ""
    return (
        f"{look}Written by `python benchmarks/patients.py DATA --out docs/patients-report.md`. No "
        "clinical cohort was at hand: outcomes of the simulated cohorts are drawn by a program on "
        "real embedded tissue, so they show that the methods find what is there to be found and "
        "claim nothing where there is nothing. They do not show that morphology predicts survival "
        "of patients."
    )


def _planted_words(quick: bool) -> str:
    fitting = "few epochs" if quick else f"{FITTING['epochs']} epochs"
    return (
        "Simulated cohorts. A patient's bag holds the cells of four windows of 100 µm (eight with "
        "two slides) of one real slide, and no cell is in two patients. The log hazard is linear "
        "in the bag's driver and in age and stage, which are independent of the bag; its strength "
        "is set so that the truth has C 0.75 on uncensored times; Weibull times in whole months, "
        "40 % censored in expectation. Evaluated by five folds stratified by event; C per fold, "
        "averaged. An interval is for the C of the procedure at this training size among new "
        f"patients. Networks: {fitting}, {FITTING['instances']} cells of a bag drawn anew in each, "
        "all else as it is by default, fixed beforehand; mean-ridge chooses its penalty in "
        f"{INNER} inner folds, and scores that join the clinical covariates come out of as many. "
        "Epochs and cells of a bag were cut down to the time there is after a look at one fold of "
        "cohorts of another seed; none of the cohorts below had a say in any choice."
    )


def _closing(found: Mapping[str, Mapping[str, Result]], units: list[Unit]) -> str:
    missing = [f"{u.stage} {u.name}" for u in units if u.name not in found.get(u.stage, {})]
    told = f"Missing: {', '.join(missing)}; run it again. " if missing else ""
    results = [r for stage in found.values() for r in stage.values()]
    spent = sum(r["seconds"] for r in results) / 60
    states = sorted({r["sources"] for r in results})
    mixed = (
        ""
        if states == [sources()]
        else f"Some results were kept from other states of the programs ({', '.join(states)}; now "
        f"{sources()}): run with --fresh to renew them. "
    )
    return (
        f"{told}{mixed}Computed in {spent:.0f} minutes of processes with one thread each, some at "
        f"once. {machine_line()}; {versions_line(PACKAGES)}."
    )


if __name__ == "__main__":
    told(main)
