"""The page of a validation: what was compared, how well, where; and its files beside it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_past.model.lab_evidence import write_lab_evidence
from napari_past.report.axes import number
from napari_past.report.document import (
    Document,
    Part,
    Plot,
    Plots,
    Sentence,
    Warnings,
    check_suffix,
    write_document,
)
from napari_past.report.page import Table
from napari_past.spatial.section import UNKNOWN_PATIENT, section_name
from napari_past.validation.evidence_of import lab_evidence
from napari_past.validation.figures import LEAST_OF_EITHER
from napari_past.validation.gene_table import by_r, write_gene_table
from napari_past.validation.mean_calibration import mean_calibration
from napari_past.validation.page_files import check_beside, validation_files
from napari_past.validation.plots import means_svg, sorted_r_svg
from napari_past.validation.result import (
    GroupResult,
    PredictorResult,
    RowMaps,
    Validation,
    mean_r,
)
from napari_past.validation.row_map import gene_maps
from napari_past.validation.sentences import seen_warnings
from napari_past.validation.tissue import in_measured_unit

MISSING = "–"
BEST, WORST = 30, 10
"""Genes that the page lists; the table beside it has all."""
MAPPED = 3
"""Best and worst genes, among those by which predictors are compared, that are drawn."""


def write_validation(validation: Validation, out: Path) -> tuple[Path, ...]:
    """Write the page, the table of genes and the validation file; returns the files.

    ``NAME.html``, or ``NAME.md`` with a picture for each plot; ``NAME.genes.csv``;
    ``NAME.validation.json``, which a badge can rest on. The same validation gives the same bytes.

    Raises
    ------
    CannotWrite
        Another suffix, or the folder is missing or read-only, or the disk is full; or a file
        beside it would be replaced that no validation wrote.
    """
    check_suffix(out)
    check_beside(out)
    page = write_document(validation_page(validation), out)
    genes, evidence = validation_files(out)
    write_gene_table(validation, genes)
    write_lab_evidence(lab_evidence(validation), evidence)
    return (*page, genes, evidence)


def validation_page(validation: Validation) -> Document:
    """The page before it is HTML or Markdown."""
    return Document(
        f"Validation of {validation.about}",
        (
            _summary(validation),
            *_warnings(validation),
            _tissue_table(validation),
            predictor_table(validation),
            Plots("r of each gene", (Plot("r", sorted_r_svg(validation)),)),
            _genes(validation),
            *_groups(validation),
            *_means(validation),
            *_maps(validation),
            _facts(validation),
        ),
    )


def predictor_table(validation: Validation) -> Table:
    """All predictors on the same rows and genes."""
    n = len(validation.variable)
    rows = tuple(_predictor_row(validation, result) for result in validation.results)
    return Table(
        f"Compared on the {n} most variable genes",
        (
            "",
            "mean r",
            "95 % interval",
            "first is ahead by",
            "mean ρ",
            "mean detection AUC",
            "median RMSE",
        ),
        rows,
        1,
        (
            "All predict the same rows. r and ρ (Pearson, Spearman) and the AUC are within a "
            "section, averaged over the sections of a patient and over patients; the genes were "
            "chosen by their measured values alone. RMSE is in log1p(counts per 10k), where a "
            "predictor's values are in that unit. * fitted on other rows of this very tissue.",
            _auc_note(validation),
            validation.held_out,
            validation.interval_note,
        ),
    )


def _auc_note(validation: Validation) -> str:
    known = np.isfinite(validation.main.figures.auc[validation.variable]).sum()
    return (
        f"The mean AUC is over {known} of these genes: those that some section has in "
        f"{LEAST_OF_EITHER} rows or more, and not in as many."
    )


def gene_rows(validation: Validation, genes: Sequence[int]) -> tuple[tuple[str, ...], ...]:
    """Cells of the table of genes: gene, r, interval, ρ, AUC, percentile, detected, baselines."""
    main = validation.main.figures
    return tuple(
        (
            validation.genes[gene],
            signed(main.r[gene]),
            _interval(main.low[gene], main.high[gene]),
            signed(main.rho[gene]),
            plain(main.auc[gene]),
            plain(validation.percentile[gene], 0),
            f"{validation.detected[gene]:.0%}",
            *(signed(other.figures.r[gene]) for other in validation.results[1:]),
        )
        for gene in genes
    )


def gene_columns(validation: Validation) -> tuple[str, ...]:
    """Heads of `gene_rows`."""
    others = (f"r of {other.name}" for other in validation.results[1:])
    percentile = "percentile among random genes"
    return ("gene", "r", "95 % interval", "ρ", "detection AUC", percentile, "seen in", *others)


def group_rows(validation: Validation) -> tuple[tuple[str, ...], ...]:
    """Cells of the table of groups: what, rows, genes, mean r, mean ρ."""
    return tuple(_group_row(validation, group) for group in validation.groups)


def signed(value: float, decimals: int = 2) -> str:
    """With a real minus, but none before a zero; a dash for NaN."""
    if math.isnan(value):
        return MISSING
    text = f"{value:.{decimals}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")


def plain(value: float, decimals: int = 2) -> str:
    """A dash for NaN."""
    return MISSING if math.isnan(value) else f"{value:.{decimals}f}"


def _summary(validation: Validation) -> Sentence:
    main = validation.main
    rows = sum(facts.rows for facts in validation.tissues)
    patients = {facts.patient for facts in validation.tissues}
    named = patients - {UNKNOWN_PATIENT}
    who = "of a patient who was not named"
    if named:
        who = f"of {len(patients)} patient{'s' if len(patients) > 1 else ''}"
    sections = len(validation.tissues)
    r = mean_r(main.figures, validation.variable)
    interval = _interval(main.mean_low, main.mean_high)
    told = f" (95 % interval {interval})" if interval != MISSING else ""
    return Sentence(
        f"Mean Pearson r {signed(r)}{told} between predicted and measured expression, over the "
        f"{len(validation.variable)} most variable of {len(validation.genes)} genes and {rows} "
        f"rows of {sections} section{'s' if sections > 1 else ''} {who}."
    )


def _warnings(validation: Validation) -> Iterator[Part]:
    """That tissue was trained on comes first."""
    trained = [
        sentence
        for sentence in seen_warnings(validation.about, validation.seen, validation.seen_patients)
        if sentence in validation.warnings
    ]
    others = [sentence for sentence in validation.warnings if sentence not in trained]
    if trained or others:
        yield Warnings((*trained, *others))


def _tissue_table(validation: Validation) -> Table:
    rows = tuple(
        (
            facts.name,
            "not named" if facts.patient == UNKNOWN_PATIENT else facts.patient,
            facts.technology,
            facts.resolution,
            f"{facts.slide} ({facts.fingerprint[:12]}…)",
            f"{facts.rows} of {facts.usable}",
            str(facts.measured),
            _trained_on(validation, facts.name),
        )
        for facts in validation.tissues
    )
    columns = (
        "section", "patient", "technology", "measured", "H&E (fingerprint)",
        "rows compared, of those usable", "measured rows", "trained on",
    )  # fmt: skip
    return Table("Tissue", columns, rows, 5)


def _trained_on(validation: Validation, section: str) -> str:
    if section in validation.seen:
        return "yes"
    return "no" if validation.traced else "not known"


def _predictor_row(validation: Validation, result: PredictorResult) -> tuple[str, ...]:
    genes, figures = validation.variable, result.figures
    star = " *" if result.fitted_here else ""
    seen = " (trained on this tissue)" if result.seen else ""
    return (
        f"{result.name}{star}{seen}",
        signed(mean_r(figures, genes)),
        _interval(result.mean_low, result.mean_high),
        _interval(result.ahead_low, result.ahead_high),
        signed(_mean(figures.rho[genes])),
        plain(_mean(figures.auc[genes])),
        plain(_median(figures.rmse[genes])),
    )


def _genes(validation: Validation) -> Table:
    order = by_r(validation)
    order = order[np.isfinite(validation.main.figures.r[order])]
    asked = [gene for gene in validation.asked.tolist() if gene not in order[:BEST]]
    worst = [g for g in order[BEST:][-WORST:].tolist() if g not in asked]
    chosen = [*order[:BEST].tolist(), *asked, *worst]
    rank = {gene: i for i, gene in enumerate(order.tolist())}
    chosen.sort(key=lambda gene: rank.get(gene, len(rank)))
    left = len(validation.genes) - len(chosen)
    asked_too = " those that were asked for," if asked else ""
    notes = [
        "Percentile: how many percent of 50 other genes of the nearest mean expression have "
        "predictions that go less well with this gene's measurement than its own; 50 is chance.",
    ]
    if left > 0:
        notes.append(
            f"The {min(BEST, len(order))} best,{asked_too} and the worst are shown; the table of "
            f"genes beside this page has the other {left} too, and how each does within groups."
        )
    rows = gene_rows(validation, chosen)
    return Table("Genes, by r", gene_columns(validation), rows, 1, tuple(notes))


def _groups(validation: Validation) -> Iterator[Part]:
    if validation.groups:
        yield Table(
            "Within regions, cell types, sections and patients",
            ("rows of", "", "rows", "genes", "mean r", "mean ρ"),
            group_rows(validation),
            2,
            (
                "Over the same genes, as far as they vary within the group and did not define it. "
                "A model that only tells tumour from stroma does well across a section, and not "
                "within them. Groups of fewer than 20 rows of a section are left out.",
            ),
        )


def _group_row(validation: Validation, group: GroupResult) -> tuple[str, ...]:
    r, rho = group.r[validation.variable], group.rho[validation.variable]
    known = int(np.isfinite(r).sum())
    means = (signed(_mean(r)), signed(_mean(rho)))
    return (group.kind, group.name, str(group.rows), str(known), *means)


def _means(validation: Validation) -> Iterator[Part]:
    figures = validation.main.figures
    if not np.isfinite(figures.predicted_mean).any():
        return
    found = mean_calibration(figures, validation.measured_mean)
    if found is None:
        note = (
            f"Values of {validation.about} are in another unit than the measurement, or in one "
            "that nobody told, so that only their order can be compared."
        )
    else:
        note = (
            f"Over {found.genes} genes: predicted − measured mean {number(found.bias)} (median); "
            f"r of the means {signed(found.r)}; slope of measured on predicted values "
            f"{signed(found.slope)} (median): below 1 differences between rows are predicted too "
            "large, above 1 too small."
        )
    yield Plots("Calibration of the mean", (Plot("means", means_svg(validation)),), (note,))


def _maps(validation: Validation) -> Iterator[Part]:
    if not validation.maps:
        return
    largest = max(validation.maps, key=lambda maps: len(maps.row_um))
    same_unit = in_measured_unit(validation.unit)
    r = validation.main.figures.r
    known = validation.variable[np.isfinite(r[validation.variable])]
    ordered = known[np.argsort(-r[known], kind="stable")]
    best, worst = ordered[:MAPPED], ordered[MAPPED:][-MAPPED:]
    shown: set[int] = set()
    for title, genes in (
        ("that were asked for", validation.asked),
        ("predicted best", best),
        ("predicted worst", worst),
    ):
        plots = tuple(_map_plots(validation, largest, genes, shown, same_unit))
        if plots:
            where = f" of {largest.tissue}" if len(validation.maps) > 1 else ""
            notes = () if title != "predicted best" else (_map_note(same_unit),)
            yield Plots(f"Maps{where}: genes {title}", plots, notes)


def _map_plots(
    validation: Validation,
    maps: RowMaps,
    genes: npt.NDArray[np.int64],
    shown: set[int],
    same_unit: bool,
) -> Iterator[Plot]:
    for gene in genes.tolist():
        column = maps.column(gene)
        if column is not None and gene not in shown:
            shown.add(gene)
            name = validation.genes[gene]
            picture = gene_maps(maps, column, name, validation.about, same_unit)
            yield Plot(f"map-{section_name(name)}", picture, alone=True)


def _map_note(same_unit: bool) -> str:
    how = (
        "Measured and predicted values have the same unit, palette and limits"
        if same_unit
        else "Units differ, so that measured and predicted values are each standardised; palette "
        "and limits are the same"
    )
    return (
        f"{how}. Residual: both standardised, predicted less measured: red where too much is "
        "predicted for its place, blue where too little. Genes are among the most variable ones."
    )


def _facts(validation: Validation) -> Table:
    versions = ", ".join(f"{name} {v}" for name, v in validation.versions.items())
    rows = (
        ("validated", validation.about),
        ("SHA-256 of its file", validation.model_sha256 or "none"),
        ("unit of its values", validation.unit or "not told"),
        ("measured values", "log1p(counts per 10k) of the genes measured"),
        ("genes", f"{len(validation.genes)}, measured in all sections and predicted by all"),
        ("versions", versions),
    )
    return Table("How it was made", ("", ""), rows, 2)


def _interval(low: float, high: float) -> str:
    return MISSING if math.isnan(low) else f"{signed(low)} to {signed(high)}"


def _mean(values: npt.NDArray[np.float64]) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else float("nan")


def _median(values: npt.NDArray[np.float64]) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else float("nan")
