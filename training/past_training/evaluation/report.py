"""One report of an evaluation, as Markdown and as a page of HTML that needs nothing else."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import markdown  # type: ignore[import-untyped]

from napari_past.files import atomic_write
from napari_past.types import RESEARCH_USE
from napari_past.validation.intervals import LEAST_UNITS
from past_training.evaluation.figures import gene_histograms, gene_maps, section_points
from past_training.evaluation.output_files import report_files
from past_training.evaluation.result import Evaluation
from past_training.evaluation.tables import (
    advantage_table,
    chance_table,
    genes_table,
    known_table,
    main_table,
    markers_table,
    plain,
    points_table,
    retrieval_table,
    trained_on_table,
)
from past_training.evaluation.told import filled_note, known_note, same_section_note, worse_note

MOST_MAPS = 6
"""Sections whose maps are drawn: the first ones."""

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 68rem; margin: 2rem auto; padding: 0 1rem;
  color: #1b1b1b; background: #fff; }
table { border-collapse: collapse; margin: 1rem 0; display: block; overflow-x: auto; }
th, td { border-bottom: 1px solid #ccc; padding: .3rem .6rem; text-align: right; }
th:first-child, td:first-child { text-align: left; }
img { max-width: 100%; }
"""


def write_report(evaluation: Evaluation, out: Path) -> tuple[Path, Path]:
    """Write both files; returns them. The same evaluation gives the same bytes."""
    files = report_files(out)
    figures = _figures(evaluation)
    text = markdown_report(evaluation, figures)
    for file, content in zip(files, (text, html_report(text, _title(evaluation))), strict=True):
        with atomic_write(file) as unfinished:
            unfinished.write_text(content, encoding="utf-8")
    return files


def html_report(text: str, title: str) -> str:
    """The page of a Markdown report; pictures are inside of it."""
    body = markdown.markdown(text, extensions=["tables"])
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body>\n{body}\n</body>"
        f"</html>\n"
    )


def markdown_report(evaluation: Evaluation, figures: Mapping[str, bytes] | None = None) -> str:
    """The report in Markdown; the pictures follow at its end as data, so that it is one file."""
    figures = _figures(evaluation) if figures is None else figures
    lines = [f"# {plain(_title(evaluation))}", "", f"**{RESEARCH_USE}**", ""]
    if note := same_section_note(evaluation):
        lines += [f"**{note}**", ""]
    for section in (
        _measured(evaluation),
        _compared(evaluation),
        _by_section(evaluation),
        _trained_on(evaluation),
        _genes(evaluation),
        _maps(evaluation, figures),
        _chance(evaluation),
        _retrieval(evaluation),
        _markers(evaluation),
        _made_with(evaluation),
    ):
        lines += section
    lines += [f"[{name}]: data:image/png;base64,{_base64(png)}" for name, png in figures.items()]
    return "\n".join(lines) + "\n"


def _figures(evaluation: Evaluation) -> dict[str, bytes]:
    figures = {"points": section_points(evaluation), "histograms": gene_histograms(evaluation)}
    for k, section in enumerate(evaluation.sections[:MOST_MAPS], 1):
        figures[f"maps-{k}"] = gene_maps(section)
    return figures


def _base64(png: bytes) -> str:
    return base64.b64encode(png).decode("ascii")


def _title(evaluation: Evaluation) -> str:
    return f"{evaluation.predictors[0]} on {evaluation.dataset.name}"


def _measured(evaluation: Evaluation) -> list[str]:
    """Tissue, model and protocol, in sentences."""
    dataset, model = evaluation.dataset, evaluation.model
    lines = ["## What was measured, and how", ""]
    if model is not None:
        lines += [
            f"- Model: {plain(model.name)} version {plain(model.version)} "
            f"({_files(model.sha256)}). Trained on: {plain(model.training_data)}. It predicts "
            f"{plain(model.expression_unit)}. Licence: {plain(model.licence)}. "
            f"{plain(model.attribution)}",
        ]
    lines += [
        f"- Data: {plain(dataset.name)}: {plain(dataset.technology)}, {plain(dataset.tissue)}, "
        f"{_count(dataset.sections, 'section')} of {_count(dataset.patients, 'patient')}, "
        f"{dataset.resolution}, read at {dataset.mpp:g} µm/px. Values are log1p(counts per 10k).",
        f"- Protocol: {_protocol(evaluation)} Every predictor was fitted on the same training rows "
        f"and read the same held-out rows.",
        f"- Genes: of the 1000 best expressed in the training rows of each fold the 250 most "
        f"variable; “top” are the 50 most variable. {_gene_counts(evaluation)}",
        f"- Rows: {_rows(evaluation)}",
        "",
    ]
    return lines


def _protocol(evaluation: Evaluation) -> str:
    held_out = "was held out in turn" if len(evaluation.folds) > 1 else "was held out"
    if evaluation.by == "patient":
        return f"one patient {held_out}, with all of the patient's sections."
    if evaluation.by == "block":
        return (
            f"one block of the section {held_out}; the other blocks were trained on, without the "
            f"rows in the buffer."
        )
    return (
        f"one section {held_out}; the patient's other sections were trained on, so nothing here "
        f"tells of another patient."
    )


def _gene_counts(evaluation: Evaluation) -> str:
    sizes = sorted({len(fold.subsets["variable"]) for fold in evaluation.folds})
    text = f"Compared were those that all predictors have: {_span(sizes)}."
    lacking = sorted({gene for fold in evaluation.folds for gene in fold.lacking})
    if lacking:
        some = ", ".join(plain(gene) for gene in lacking[:8])
        more = f" and {len(lacking) - 8} more" if len(lacking) > 8 else ""
        text += f" Chosen, but not predicted by all: {some}{more}."
    return " ".join(filter(None, (text, plain(filled_note(evaluation)))))


def _rows(evaluation: Evaluation) -> str:
    parts = []
    for section in evaluation.sections:
        text = f"{plain(section.name)} {len(section.row_um)}"
        if len(section.row_um) < section.usable:
            text += f" drawn of {section.usable}"
        if section.usable < section.rows:
            text += f" ({section.rows - section.usable} without a nucleus or a count left out)"
        parts.append(text)
    return "; ".join(parts) + "."


def _compared(evaluation: Evaluation) -> list[str]:
    units = {"patient": "patients", "section": "sections", "block": "blocks"}[evaluation.by]
    caption = (
        f"Means over the genes, then over the {units}. "
        "r: Pearson; ρ: Spearman; RMSE in log1p(counts per 10k); AUC seen: does the predicted "
        "value tell rows in which the gene was seen from those in which it was not; r of a row: "
        "over the genes of a row, where the training mean alone scores high. A constant "
        "prediction has r 0."
    )
    if any(len(fold.subsets["asked"]) for fold in evaluation.folds):
        caption += " r, asked: over the genes that were asked for (--genes)."
    return [
        "## The table",
        "",
        " ".join(filter(None, (same_section_note(evaluation), caption))),
        "",
        *main_table(evaluation),
        "",
        *_told(worse_note(evaluation)),
        _interval_sentence(evaluation),
        "",
        *_known(evaluation),
        *[f"- {plain(m.name)} is missing: {plain(m.reason)}" for m in evaluation.unavailable],
        "",
    ]


def _told(sentence: str) -> list[str]:
    return [f"**{plain(sentence)}**", ""] if sentence else []


def _known(evaluation: Evaluation) -> list[str]:
    """Before and after where they can be compared."""
    if evaluation.filled is None:
        return []
    rows = known_table(evaluation, evaluation.filled)
    return ["### On the genes that both know", "", *rows, "", plain(known_note(evaluation)), ""]


def _interval_sentence(evaluation: Evaluation) -> str:
    patients = {section.patient for section in evaluation.sections}
    sections = len(evaluation.sections)
    if evaluation.by == "block":
        return (
            f"{_count(sections, 'block').capitalize()} of the same section: the points are shown "
            f"and no interval, since blocks of one section are alike."
        )
    units = len(patients) if evaluation.by == "patient" else sections
    unit = "patient" if evaluation.by == "patient" else "section"
    whose = "" if evaluation.by == "patient" else f" of {_count(len(patients), 'patient')}"
    if units < LEAST_UNITS:
        return (
            f"{_count(units, unit).capitalize()}{whose}: the points are shown and no interval, "
            f"which would need {LEAST_UNITS}."
        )
    return (
        f"In brackets: 95 % interval of the mean by a bootstrap over {_count(units, unit)}{whose}."
    )


def _by_section(evaluation: Evaluation) -> list[str]:
    unit = evaluation.unit
    lines = [f"## {unit.capitalize()} by {unit}", "", "Mean r over the variable genes.", ""]
    lines += [*points_table(evaluation), "", f"![Mean r on each held-out {unit}][points]", ""]
    better = advantage_table(evaluation)
    if better:
        first = plain(evaluation.predictors[0])
        lines += [f"By how much {first} is better:", "", *better, ""]
    return lines


def _trained_on(evaluation: Evaluation) -> list[str]:
    rows = trained_on_table(evaluation)
    if not rows:
        return []
    return [
        "## On tissue that was trained on",
        "",
        "Mean r over the variable genes where a model's own training images include the section "
        "(by their content). This says nothing about new tissue and is left out of every "
        "comparison above.",
        "",
        *rows,
        "",
    ]


def _genes(evaluation: Evaluation) -> list[str]:
    lines = ["## Genes", "", "![Pearson r of each gene][histograms]", ""]
    rows = genes_table(evaluation)
    if rows:
        first = plain(evaluation.predictors[0])
        asked = any(len(fold.subsets["asked"]) for fold in evaluation.folds)
        what = f"Genes of the marker panel{' and those asked for' if asked else ''}, by {first}"
        lines += [
            f"{what} (AUC seen: does the value tell rows in which the gene was seen from others):",
            "",
            *rows,
            "",
        ]
    return lines


def _maps(evaluation: Evaluation, figures: Mapping[str, bytes]) -> list[str]:
    lines = [
        "## Maps",
        "",
        "Measured above predicted, in the same limits. Best and worst genes were chosen on the "
        "training rows, not by how they look here.",
        "",
    ]
    for k, section in enumerate(evaluation.sections, 1):
        if f"maps-{k}" in figures:
            shown = section.maps[0]
            why = "; ".join(f"{plain(m.gene)} {m.chosen}" for m in section.maps)
            text = f"{plain(section.name)} by {plain(shown.predictor)}: {why}."
            what = plain(section.name)
            what = what if evaluation.unit == "block" else f"section {what}"
            lines += [text, "", f"![Maps of {what}][maps-{k}]", ""]
    left_out = len(evaluation.sections) - MOST_MAPS
    if left_out > 0:
        lines += [f"{_count(left_out, evaluation.unit)} more are not drawn.", ""]
    return lines


def _chance(evaluation: Evaluation) -> list[str]:
    rows = chance_table(evaluation)
    if not rows:
        return []
    return [
        "## Against chance",
        "",
        "Predictions were laid on other parts of the same section, block by block, since "
        "neighbours are alike. Genes that happen to be best on the held-out rows are no figure of "
        "merit: shuffled predictions have such genes, too.",
        "",
        *rows,
        "",
    ]


def _retrieval(evaluation: Evaluation) -> list[str]:
    sizes = ", ".join(
        f"{plain(s.name)} {s.scores[0].retrieval.gallery}" for s in evaluation.sections
    )
    return [
        "## Retrieval",
        "",
        f"Is a row's measured profile among the k most similar to its predicted one, of all "
        f"profiles in the gallery? Profiles in the gallery: {sizes}.",
        "",
        *retrieval_table(evaluation),
        "",
    ]


def _markers(evaluation: Evaluation) -> list[str]:
    if evaluation.markers is None:
        return []
    check = evaluation.markers
    return [
        "## Single cells, without paired data",
        "",
        f"{plain(check.model)} at the annotated nuclei of {_count(check.tiles, 'tile')}: does the "
        f"mean predicted value of a type's marker genes tell its nuclei from the others? Beside "
        f"it a classifier on nuclear shape and colour that never saw the tile, and random genes "
        f"of the same expression. 0.5 is chance.",
        "",
        *markers_table(check),
        "",
    ]


def _made_with(evaluation: Evaluation) -> list[str]:
    versions = evaluation.versions or {}
    text = ", ".join(f"{name} {version}" for name, version in versions.items())
    return ["## Made with", "", f"{text}.", "", f"{RESEARCH_USE}", ""]


def _files(digests: Sequence[str]) -> str:
    return "SHA-256 " + ", ".join(f"{digest[:16]}…" for digest in digests)


def _count(n: int, what: str) -> str:
    return f"one {what}" if n == 1 else f"{n} {what}s"


def _span(sizes: Sequence[int]) -> str:
    return str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
