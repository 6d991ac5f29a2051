"""A validation as lines of tables: what stands in them, what it means, how it is sorted."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_past.validation.colour_ridge import ColourRidge
from napari_past.validation.page import MISSING, group_rows, plain, predictor_table, signed
from napari_past.validation.result import GeneFigures, Validation, mean_r

FITTED_HERE = "fitted on this tissue"
RANDOM = "random genes, expressed as much"

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class GeneColumn:
    """One column of the table of genes."""

    header: str
    tip: str
    key: Numbers
    """(G,) by which lines are sorted; NaN comes last."""
    text: Callable[[int], str]
    """Of the gene at a place."""


@dataclass(frozen=True)
class Line:
    """One line of a small table: a name, and numbers as text."""

    cells: tuple[str, ...]
    tip: str
    is_main: bool = False


PREDICTOR_HEADS: tuple[tuple[str, str], ...] = (
    ("Predictor", "What was held against the measurement, on the same rows and genes."),
    ("mean r", "Mean Pearson r over the most variable measured genes."),
    ("95 % interval", "Of the mean r; what it covers stands below."),
    ("is behind by", "95 % interval of how much higher the mean r of the validated one is."),
    ("mean ρ", "Mean Spearman rank correlation over the same genes."),
    ("AUC", "Was the gene seen in a row? 0.5 is chance, 1 always right; mean over the genes."),
    ("RMSE", "Root mean squared error in log1p(counts per 10k); median over the genes."),
    (
        "slope",
        "Of measured on predicted values, median over the genes: 1 is calibrated; below 1 "
        "differences between rows are predicted too large, above 1 too small.",
    ),
)
GROUP_HEADS: tuple[tuple[str, str], ...] = (
    ("Within", "Rows of one region, cell type, section or patient alone."),
    ("rows", "Compared rows in it; fewer than 20 say nothing."),
    ("genes", "Of the variable genes those whose r could be worked out within it."),
    ("mean r", "Mean Pearson r over these genes, within this group alone."),
    ("mean ρ", "Mean Spearman rank correlation, likewise."),
)
GROUPS_TOLD = (
    "What only tells tumour from stroma does well across a section, and not within them. Genes "
    "that define a group are left out of it."
)


def headline(validation: Validation) -> str:
    """What was found, in a sentence."""
    main, facts = validation.main, validation.tissues
    where = " and ".join(f"{f.name} ({f.rows:,} rows, {f.resolution})" for f in facts)
    r = signed(mean_r(main.figures, validation.variable))
    told = _between(main.mean_low, main.mean_high)
    if told != MISSING:
        r += f" (95 % interval {told})"
    return (
        f"{validation.about} on {where}: mean r {r} over the {len(validation.variable)} most "
        f"variable of {len(validation.genes):,} genes."
    )


def doubt(validation: Validation) -> str:
    """Why the figures are no validation; empty where they are one."""
    if not validation.seen:
        return ""
    return f"{validation.about} was trained on this tissue, so this is no validation of it."


def predictor_lines(validation: Validation) -> tuple[Line, ...]:
    """What it is about, then what it is compared with, as pages have it; and chance."""
    variable = validation.variable
    lines = []
    for result, row in zip(validation.results, predictor_table(validation).rows, strict=True):
        name, tip = result.name, ""
        if result.fitted_here:
            name = f"{name}\n{FITTED_HERE}"
            tip = (
                f"{result.name} was {FITTED_HERE}, on rows beside those it is judged on; a model "
                "that comes from elsewhere was not."
            )
        slope = signed(_median(result.figures.slope, variable))
        lines.append(Line((name, *row[1:], slope), tip, result is validation.main))
    chance = signed(_mean(validation.random_r, variable))
    if chance != MISSING:
        tip = (
            f"What {validation.about} predicts for other genes of the nearest mean expression, "
            "held against each measured gene: its own prediction should beat that."
        )
        lines.append(Line((RANDOM, chance, *(MISSING,) * (len(PREDICTOR_HEADS) - 2)), tip))
    return tuple(lines)


def group_lines(validation: Validation) -> tuple[Line, ...]:
    """The validated predictor within regions, cell types, sections and patients."""
    return tuple(
        Line((f"{kind}: {name}", *rest), f"{validation.about} within {kind} {name} alone.")
        for kind, name, *rest in group_rows(validation)
    )


def gene_columns(validation: Validation) -> tuple[GeneColumn, ...]:
    """One line for each gene; the order of `Validation.genes`."""
    figures = validation.main.figures
    place = np.argsort(np.argsort(np.array(validation.genes, object)))
    columns = [
        GeneColumn(
            "Gene",
            "Double-click shows it in the viewer.",
            place.astype(np.float64),
            lambda i: validation.genes[i],
        ),
        GeneColumn(
            "r",
            f"Pearson r of {validation.about} with what was measured.",
            figures.r,
            lambda i: signed(figures.r[i]),
        ),
        GeneColumn(
            "95 % int.", validation.interval_note, figures.low, lambda i: _interval(figures, i)
        ),
        GeneColumn(
            "ρ", "Spearman's rank correlation.", figures.rho, lambda i: signed(figures.rho[i])
        ),
        GeneColumn(
            "Beats\nrandom %",
            "Percent of other genes, expressed as much, whose prediction fits this gene worse than "
            "its own; 50 is chance.",
            validation.percentile,
            lambda i: plain(validation.percentile[i], 0),
        ),
    ]
    ridge = next((o for o in validation.results[1:] if o.name == ColourRidge.name), None)
    if ridge is not None:
        of_ridge = ridge.figures
        columns.append(
            GeneColumn(
                "Colour\nridge r",
                f"Of {ridge.name}, {FITTED_HERE}: what colours alone tell.",
                of_ridge.r,
                lambda i: signed(of_ridge.r[i]),
            )
        )
    columns += [
        GeneColumn(
            "Mean\nmeasured",
            "Mean of log1p(counts per 10k) over the compared rows.",
            validation.measured_mean,
            lambda i: signed(validation.measured_mean[i]),
        ),
        GeneColumn(
            "Seen in",
            "Share of the compared rows in which the gene was seen.",
            validation.detected,
            lambda i: f"{100 * validation.detected[i]:.0f} %",
        ),
    ]
    return tuple(columns)


def sorted_genes(key: Numbers, descending: bool) -> npt.NDArray[np.int64]:
    """Places in the order of a column; NaN come last whichever the direction."""
    known = np.flatnonzero(np.isfinite(key))
    values = -key[known] if descending else key[known]
    order = known[np.argsort(values, kind="stable")]
    return np.concatenate([order, np.flatnonzero(~np.isfinite(key))]).astype(np.int64)


def notes(validation: Validation) -> tuple[str, ...]:
    """What figures cover, a sentence each; warnings are not among them."""
    return (
        f"Predictors are compared by the {len(validation.variable)} most variable measured genes, "
        "chosen on measured values alone.",
        validation.held_out,
        validation.interval_note,
    )


def _interval(figures: GeneFigures, gene: int) -> str:
    return _between(figures.low[gene], figures.high[gene])


def _between(low: float, high: float) -> str:
    return MISSING if math.isnan(low) else f"{signed(low)} to {signed(high)}"


def _mean(values: Numbers, genes: npt.NDArray[np.int64]) -> float:
    """Over those genes that have one; NaN without any."""
    of = values[genes]
    known = of[np.isfinite(of)]
    return float(known.mean()) if len(known) else math.nan


def _median(values: Numbers, genes: npt.NDArray[np.int64]) -> float:
    of = values[genes]
    known = of[np.isfinite(of)]
    return float(np.median(known)) if len(known) else math.nan
