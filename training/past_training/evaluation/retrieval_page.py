"""The check of a reference bank as a page of Markdown."""

from __future__ import annotations

import numpy as np

from napari_past.model.bank import Bank
from napari_past.types import RESEARCH_USE, FloatArray
from past_training.evaluation.retrieval import Retrieval
from past_training.evaluation.retrieval_check import MEAN, OURS, RANDOM, RetrievalCheck
from past_training.evaluation.tables import number, plain, table


def retrieval_page(bank: Bank, check: RetrievalCheck) -> str:
    """Figures of a bank, baselines and chance beside them."""
    left_out = "patient and its study" if check.whole_study else "patient"
    similar = [
        ["effective neighbours (1 / Σ weight²)", _spread(check.effective, 1)],
        ["cosine distance of the nearest", _spread(check.distance[:, 0])],
        ["cosine distance, mean of the neighbours", _spread(check.distance.mean(axis=1))],
        ["variance of the prediction by that of the measurement", _spread(check.variance_ratio)],
        ["batch mixing (1: patients as among all references)", number(check.mixing[OURS])],
        ["batch mixing of random neighbours", number(check.mixing[RANDOM])],
    ]
    predicted = [
        [name, number(float(np.nanmedian(check.r[name]))), number(float(check.rmse[name].mean()))]
        for name in (OURS, MEAN, RANDOM)
    ]
    lines = [
        f"# Reference bank {plain(bank.name)}",
        "",
        f"{len(bank):,} cells, {len(bank.genes):,} genes, vectors of "
        f"{plain(bank.made_by.name)} ({bank.made_by.sha256[:12]}). {check.queries:,} cells of "
        f"{check.patients} patients were looked up without their own {left_out}, which left at "
        f"least {check.fewest_references:,} references; k = {check.k}, temperature "
        f"{check.temperature:g}.",
        "",
        *table(["", "median (quartiles)"], similar),
        "",
        f"Of {len(check.genes)} genes: Pearson r within a patient (median over genes; a constant "
        f"counts as 0) and RMSE in log1p(counts per 10k).",
        "",
        *table(["prediction", "r", "RMSE"], predicted),
        "",
        *_recall("A cell's measured profile by its predicted one", check.profile),
    ]
    if check.pair is not None:
        lines += _recall("A cell's own vector by that of its picture", check.pair)
    return "\n".join([*lines, RESEARCH_USE, ""])


def _recall(what: str, found: Retrieval) -> list[str]:
    rows = [
        [f"recall@{k}", number(value), number(found.chance(k))] for k, value in found.recall.items()
    ]
    return [
        f"{what}, among {found.gallery:,} cells:",
        "",
        *table(["", "found", "chance"], rows),
        "",
    ]


def _spread(values: FloatArray, digits: int = 3) -> str:
    known = values[np.isfinite(values)]
    if not len(known):
        return number(float("nan"))
    low, middle, high = (number(float(v), digits) for v in np.quantile(known, [0.25, 0.5, 0.75]))
    return f"{middle} ({low} – {high})"
