"""The stages that are whole programs of their own: clicks, a known cohort, memory of large bags."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from bags import LIMIT_MB, measured
from clicks import BASELINE, NOT_UNTOUCHED, clicks
from patients_kept import Result
from patients_page import number

from napari_past.report import axes
from napari_past.report.document import Part
from napari_past.report.page import Table
from past_training.slide_level.survival.gbsg2 import KNOWN_C, evaluate_gbsg2
from past_training.slide_level.survival.protocol import Protocol


def clicked(data: Path, draws: int) -> Result:
    """Cell types by clicks on `crc_nuclei`."""
    found = clicks(data / "crc_nuclei", draws=draws)
    return {
        "model": found.model,
        "tiles": found.tiles,
        "nuclei": dict(found.nuclei),
        "draws": found.draws,
        "largest": float(np.mean(found.largest)),
        "rows": [
            [
                row.way,
                str(row.clicks or "all nuclei"),
                row.told(found.model),
                row.told(BASELINE),
                f"{(row.gain(found.model) > 0).mean():.0%}",
            ]
            for row in found.rows
        ],
    }


def memory(data: Path, cells: int) -> Result:
    """Peak memory of one large bag, each step in a process of its own."""
    rows = measured(cells=cells)
    return {"rows": [[r.pooling, r.step, r.bags, r.cells, r.peak_mb, r.seconds] for r in rows]}


def known_cohort(data: Path) -> Result:
    """The clinical arm on GBSG2, which lifelines brings."""
    found = evaluate_gbsg2(Protocol())
    arm = found.result.arms[0]
    assert arm.accuracy is not None
    assert arm.calibration is not None
    assert arm.groups is not None
    return {
        "terms": [
            [t.name, t.coefficient, t.deviation, t.known, t.known_deviation] for t in found.terms
        ],
        "largest": found.largest_difference,
        "concordance": found.concordance,
        "harrell": [arm.harrell.value, arm.harrell.low, arm.harrell.high],
        "uno": [arm.uno.value, arm.uno.low, arm.uno.high],
        "tau": found.result.tau,
        "times": list(found.result.times),
        "auc": list(arm.accuracy.auc),
        "integrated_brier": arm.accuracy.integrated_brier,
        "reference_brier": found.result.reference.integrated_brier
        if found.result.reference
        else None,
        "slope": arm.calibration.slope,
        "logrank": arm.groups.p_value,
    }


def clicked_parts(result: Result) -> list[Part]:
    """Macro-F1 against clicks."""
    counted = ", ".join(f"{n} {name}" for name, n in result["nuclei"].items())
    return [
        Table(
            "Cell types by clicks",
            (
                "Clicks", "per class", f"{result['model']}: macro-F1", f"{BASELINE}: macro-F1",
                f"draws in which {result['model']} is better",
            ),
            tuple(tuple(row) for row in result["rows"]),
            2,
            (
                f"Mean over {result['draws']} draws, in brackets the middle 95 % of them; "
                f"{result['tiles']} tiles of crc_nuclei ({counted}). Half of the tiles are "
                f"clicked in and all nuclei of the others are told; calling all what is most "
                f"frequent gives {number(result['largest'])}.",
                NOT_UNTOUCHED,
            ),
        )
    ]  # fmt: skip


def memory_parts(result: Result) -> list[Part]:
    """What a bag of a million cells takes."""
    rows = tuple(
        (pooling, step, f"{bags} x {cells:,}", f"{peak:,.0f}", f"{seconds:.0f}")
        for pooling, step, bags, cells, peak, seconds in result["rows"]
    )
    note = (
        f"The highest resident memory of a process with one thread; the limit is {LIMIT_MB:,} MB. "
        "The cells are drawn at random and lie in a store as the engine writes it; a step of "
        "fitting goes once over all patients' cells."
    )
    return [Table("Large bags", ("Pooling", "Step", "cells", "peak MB", "s"), rows, 2, (note,))]


def known_cohort_parts(result: Result) -> list[Part]:
    """Coefficients beside the known ones, and what the protocol says of held-out patients."""
    terms = tuple(
        (name, *(axes.number(value) for value in values)) for name, *values in result["terms"]
    )
    return [
        Table(
            "The clinical arm on GBSG2",
            ("Term", "coefficient", "standard error", "known", "its standard error"),
            terms,
            1,
            (
                f"Known: R's coxph on the same 686 patients. The largest difference is "
                f"{result['largest']:.1e} of a standard error; C of the fit on its own "
                f"patients {number(result['concordance'], 4)}, R's {number(KNOWN_C, 4)}.",
                f"Of held-out patients, 5 folds: Harrell's C {_interval(result['harrell'])}, "
                f"Uno's C to {result['tau']:g} days {_interval(result['uno'])}, AUC at "
                + ", ".join(
                    f"{t:.0f} days {number(v)}"
                    for t, v in zip(result["times"], result["auc"], strict=True)
                )
                + f", integrated Brier score {number(result['integrated_brier'], 3)} (one "
                f"curve for all: {number(result['reference_brier'], 3)}), slope of calibration "
                f"{number(result['slope'])}, log-rank at training cut-points p "
                f"{result['logrank']:.1e}.",
            ),
        )
    ]


def _interval(values: list[float]) -> str:
    value, low, high = (number(v, 3) for v in values)
    return f"{value} ({low} to {high})"
