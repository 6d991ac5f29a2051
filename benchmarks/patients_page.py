"""The report on slide-level models: what each stage found, as tables and plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from patients_kept import Result

from napari_past.report.axes import DATA, Axes
from napari_past.report.document import Part, Plot, Plots
from napari_past.report.page import Table

Results = Mapping[str, Result]
MISSING = "–"
_MISSED = "#d55e00"


def number(value: float | None, digits: int = 2, signed: bool = False) -> str:
    """With a real minus; a dash where there is none."""
    if value is None or not np.isfinite(value):
        return MISSING
    return f"{value:{'+' if signed else ''}.{digits}f}".replace("-", "−")


def tissue_parts(tissue: Result) -> list[Part]:
    """What bags are made of."""
    rows = tuple((name, f"{count:,}") for name, count in tissue["cells"].items())
    total = sum(tissue["cells"].values())
    return [
        Table(
            "The tissue",
            ("Slide", "Cells"),
            (*rows, ("together", f"{total:,}")),
            1,
            (
                "All cells that the default detector finds in six real slides, encoded by "
                "past-mini through the public engine. Four slides are neighbouring sections of one "
                "breast cancer, so these tissues are few; only outcomes are simulated.",
                *(f"{name}: {words}." for name, words in tissue["drivers"].items()),
            ),
        )
    ]


def planted_parts(cohorts: Mapping[str, Results]) -> list[Part]:
    """One table for each driver, of all its cohorts."""
    parts: list[Part] = []
    for driver, results in cohorts.items():
        runs = list(results.values())
        first, alone = runs[0], len(runs) == 1
        rows = [_arm_row(name, runs) for name in first["arms"]]
        probe = _mean([run["found"]["probe"]["auc"] for run in runs if run["found"]["probe"]])
        parts.append(
            Table(
                f"Planted hazard: {driver}",
                (
                    "Arm", "C (Harrell)", "95 % interval" if alone else "lowest–highest",
                    "C (Uno)", "of the oracle's", "gain over clinical",
                    "95 % interval" if alone else "interval above 0", "AUC attention",
                    "outcomes shuffled", "AUC contribution",
                ),
                tuple(rows),
                1,
                (
                    f"{'One cohort' if alone else f'{len(runs)} cohorts'} of "
                    f"{first['patients']} patients "
                    f"({_mean([r['events'] for r in runs]):.0f} events, "
                    f"{_mean([r['two_slides'] for r in runs]):.0f} with two slides, about "
                    f"{first['bag_cells']} cells a patient)"
                    f"{'' if alone else '; means over cohorts'}. \"of the "
                    "oracle's\": C above 0.5, by that of the oracle that knows the bag's part of "
                    "the hazard.",
                    f"AUC: how well driver cells stand out in the bags of held-out patients; 0.5 "
                    f"is chance. A logistic regression that is told the driver cells of the "
                    f"training patients reaches {number(probe)}. \"outcomes shuffled\": of the "
                    "attention of a network fitted to the outcomes of other patients; attention "
                    "finds a driver only as far as it is above that, not merely above 0.5.",
                ),
            )
        )  # fmt: skip
    return parts


def _arm_row(name: str, runs: Sequence[Result]) -> tuple[str, ...]:
    arms = [run["arms"][name] for run in runs]
    c = [arm["harrell"]["value"] for arm in arms]
    reached = [
        (arm["harrell"]["value"] - 0.5)
        / (run["arms"]["oracle of the bags"]["harrell"]["value"] - 0.5)
        for arm, run in zip(arms, runs, strict=True)
    ]
    alone = not name.startswith(("clinical", "oracle"))
    gains = [arm["gain"] for arm in arms if arm["gain"] is not None]
    gained = name.startswith("clinical+") and bool(gains)
    above = sum(gain["low"] > 0 for gain in gains)
    found = (
        [run["found"].get(_pooling(name)) or {} for run in runs] if name.endswith(":cox") else []
    )
    looked = bool(found) and alone
    return (
        name,
        number(_mean(c), 3),
        _span(arms[0]["harrell"]) if len(runs) == 1 else f"{number(min(c), 3)}–{number(max(c), 3)}",
        number(_mean([arm["uno"]["value"] for arm in arms]), 3),
        f"{_mean(reached):.0%}".replace("-", "−") if alone else MISSING,
        number(_mean([gain["value"] for gain in gains]), 3, True) if gained else MISSING,
        (_span(gains[0], True) if len(runs) == 1 else f"{above} of {len(gains)}")
        if gained
        else MISSING,
        *(
            _auc(found, kind) if looked else MISSING
            for kind in ("attention", "shuffled", "contribution")
        ),
    )


def _span(estimate: Mapping[str, float], signed: bool = False) -> str:
    return f"{number(estimate['low'], 3, signed)} to {number(estimate['high'], 3, signed)}"


def _pooling(arm: str) -> str:
    return arm.split(":")[1]


def _auc(found: Sequence[Result], kind: str) -> str:
    defined = [run[kind]["auc"] for run in found if run.get(kind)]
    return number(_mean(defined)) if defined else MISSING


def null_parts(results: Results) -> list[Part]:
    """Cohorts in which no bag tells anything."""
    runs = list(results.values())
    first = runs[0]
    rows = []
    for name in first["arms"]:
        arms = [run["arms"][name] for run in runs]
        c = np.array([arm["harrell"]["value"] for arm in arms])
        covered = [arm["harrell"]["low"] <= 0.5 <= arm["harrell"]["high"] for arm in arms]
        gains = [arm["gain"] for arm in arms if arm["gain"] is not None]
        logrank = [arm["logrank"] < 0.05 for arm in arms if arm["logrank"] is not None]
        knows = name.startswith(("clinical", "oracle"))
        rows.append(
            (
                name,
                number(c.mean(), 3),
                number(c.std(ddof=1) / np.sqrt(len(c)), 3),
                number(c.std(ddof=1), 3),
                MISSING if knows else _share(covered),
                MISSING if knows else _share(logrank),
                number(_mean([g["value"] for g in gains]), 3, True) if gains else MISSING,
                _share([g["low"] > 0 for g in gains]),
            )
        )
    return [
        Table(
            "Null cohorts",
            (
                "Arm", "mean C", "its standard error", "SD over cohorts", "95 % intervals with 0.5",
                "log-rank p < 0.05", "mean gain over clinical", "interval of the gain above 0",
            ),
            tuple(rows),
            1,
            (
                f"{len(runs)} cohorts of {first['patients']} patients whose hazard hangs on age "
                "and stage alone, so that no bag tells of it: C of the bags' arms should be 0.5, "
                "at least 95 % of their intervals should hold it, 5 % of log-rank tests (high "
                "against low risk, cut at the median of each training fold; stratified by fold, "
                "chi-square halved since folds share patients) should fall below 0.05, and at most "
                "2.5 % of intervals of a gain should lie above 0.",
            ),
        ),
        Plots("", tuple(_null_plot(name, runs) for name in first["arms"] if _shown(name))),
    ]  # fmt: skip


def _shown(name: str) -> bool:
    return not name.startswith(("clinical", "oracle"))


def _null_plot(name: str, runs: Sequence[Result]) -> Plot:
    """Every cohort's interval, those without 0.5 in another colour."""
    told = sorted((run["arms"][name]["harrell"] for run in runs), key=lambda c: c["value"])
    ends = [c[k] for c in told for k in ("low", "high")]
    axes = Axes([0, len(told)], [*ends, 0.3, 0.7], ("cohort, in the order of C", f"C, {name}"))
    axes.level(0.5, "chance", "5 4")
    for i, c in enumerate(told, 1):
        colour = DATA if c["low"] <= 0.5 <= c["high"] else _MISSED
        axes.line((axes.x(i), axes.y(c["low"])), (axes.x(i), axes.y(c["high"])), colour)
        axes.point(
            i, c["value"], f"{c['value']:.3f} ({c['low']:.3f} to {c['high']:.3f})", colour, 2
        )
    return Plot(f"null-{name.replace(':', '-')}", axes.svg(f"Intervals of {name} in null cohorts"))


def bulk_parts(result: Result) -> list[Part]:
    """Pseudo-bulk, said as what it is."""
    rows = []
    for arm, scores in result["rows"].items():
        r = [score["r"] for score in scores]
        told = MISSING if None in r else number(_mean(r))
        each = MISSING if None in r else " ".join(number(v) for v in r)
        rows.append((arm, told, each, number(_mean([score["error"] for score in scores]))))
    blocks = ", ".join(
        f"{name} {count}" for name, count in zip(result["sections"], result["blocks"], strict=True)
    )
    return [
        Table(
            "Bulk heads: plumbing",
            ("Arm", "mean r", "by held-out section", "squared error / training mean's"),
            tuple(rows),
            1,
            (
                f"Squares of 600 µm of her2st as pseudo-bulk: the summed counts of their spots as "
                f"log1p(counts per 10k), {result['genes']} genes chosen on training blocks; "
                f"blocks: {blocks}, about {result['cells']} cells each; one section held out in "
                "turn.",
                "This shows that the parts fit together and nothing of bulk expression in "
                "patients: the sections are neighbours in one tumour of one patient, and past-mini "
                "was itself trained on their spots.",
            ),
        )
    ]


def _share(values: Sequence[bool]) -> str:
    return f"{np.mean(values):.0%}" if len(values) else MISSING


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
