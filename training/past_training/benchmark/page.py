"""The report of a run: figures, what each of them is, and what it was computed from."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from napari_past.files import atomic_write
from napari_past.types import RESEARCH_USE
from past_training.benchmark.recipe import HestRecipe
from past_training.benchmark.result import FITTED, OWN, HestRun, Row, TaskScores

SEEN = "†"


def protocol_of(recipe: HestRecipe) -> str:
    """What every number is, in one paragraph that is the same in every report of the recipe."""
    data, probe = recipe.data, recipe.probe
    return (
        f"HEST-Benchmark (Jaume et al. 2024, arXiv 2406.16192): patches of {data.patch_px} px at "
        f"{data.mpp:g} µm/px ({data.patch_px * data.mpp:g} µm), the benchmark's own folds and "
        f"genes ({data.genes}), expression as log1p of the counts. The vectors of the patches are "
        f"standardised and reduced to {probe.components} principal components on the training "
        f"patches; ridge without intercept, alpha = {probe.penalty:g} / (components x genes). "
        f"Pearson r of each gene over all held-out patches of a fold together; mean over the "
        f"genes; then mean ± standard deviation over the folds. Average: mean over the tasks."
    )


def genes_file(out: Path) -> Path:
    """Where the figures of single genes go."""
    return out.with_suffix(".genes.csv")


def write_run(run: HestRun, recipe: HestRecipe, out: Path) -> tuple[Path, Path]:
    """Write the page and, beside it, r of each gene in each fold (NAME.genes.csv).

    Nothing in them changes from run to run but what was computed.

    Raises
    ------
    CannotWrite
    """
    genes = genes_file(out)
    with atomic_write(genes) as path, path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["task", "tower", "how", "fold", "held_out", "gene", "r"])
        writer.writerows(_gene_lines(run))
    with atomic_write(out) as path:
        path.write_text("\n".join(page_lines(run, recipe)) + "\n", encoding="utf-8")
    return out, genes


def page_lines(run: HestRun, recipe: HestRecipe) -> list[str]:
    """The page as lines of Markdown."""
    lines = ["# HEST-Benchmark", "", RESEARCH_USE, "", protocol_of(recipe), ""]
    lines += ["## Mean Pearson r", "", *_table(run), ""]
    for warning in warnings_of(run, recipe):
        lines += [f"**{warning}**", ""]
    lines += _same_genes(run)
    lines += _on_training(run)
    lines += ["## What the rows are", ""]
    for name, about in run.about.items():
        lines.append(f"- `{name}`: {about.what} Trained on: {about.trained_on.rstrip('.')}.")
    if any(row.how == OWN for row in run.rows):
        lines.append(
            f"- *{OWN}*: the mean over a patch's cells of what the model file predicts, for the "
            f"genes that it has; nothing is fitted here."
        )
    lines.append("")
    if run.unavailable:
        lines += ["## Not measured", "", *(f"- `{n}`: {why}" for n, why in run.unavailable), ""]
    return lines + _data(run) + _circumstances(run, recipe)


def warnings_of(run: HestRun, recipe: HestRecipe) -> Iterator[str]:
    """What must be told wherever the figures are."""
    for (tower, task), samples in run.seen.items():
        yield (
            f"{SEEN} {tower} was trained on {len(samples)} of the samples of {task} "
            f"({', '.join(samples)}), pictures and expression: its figures there are no evidence "
            f"of how it does on other tissue, whatever is fitted on top."
        )
    fewer = {
        (row.tower, task): found.components
        for row in run.rows
        for task, found in row.scores.items()
        if row.how == FITTED and found.components < recipe.probe.components
    }
    for (tower, task), components in fewer.items():
        yield (
            f"{tower} on {task} has {components} components where the protocol has "
            f"{recipe.probe.components}, for its vectors or the training patches are no more: its "
            f"figures do not compare with published ones."
        )
    lacking = [task for task in recipe.data.tasks if task not in {t.name for t in run.tasks}]
    if lacking:
        yield (
            f"Of the recipe's {len(recipe.data.tasks)} tasks {len(lacking)} were not run "
            f"({', '.join(lacking)}): the average is not the benchmark's."
        )
    constant = sum(found.without_r for row in run.rows for found in row.scores.values())
    if constant:
        yield (
            f"{constant} genes of single folds are constant where they were measured: they have no "
            f"r and are left out of the means."
        )


def _table(run: HestRun) -> list[str]:
    tasks = [task.name for task in run.tasks]
    lines = _header(["tower", "how", *tasks, f"average of {_count(len(tasks), 'task')}"])
    for row in run.rows:
        cells = [_cell(run, row, task) for task in tasks]
        # Over other genes or fewer tasks it would not compare with the figures beside it.
        whole = [
            row.scores[task].mean
            for task in tasks
            if task in row.scores and not _share(run, task, row.scores[task])
        ]
        average = f"{sum(whole) / len(whole):.4f}" if len(whole) == len(tasks) else "–"
        lines.append(_line([row.tower, row.how, *cells, average]))
    return lines


def _cell(run: HestRun, row: Row, task: str) -> str:
    found = row.scores.get(task)
    if found is None:
        return "–"
    mark = f" {SEEN}" if (row.tower, task) in run.seen else ""
    return f"{_figure(found)}{_share(run, task, found)}{mark}"


def _figure(found: TaskScores) -> str:
    return f"{found.mean:.4f} ± {found.deviation:.4f}"


def _share(run: HestRun, task: str, found: TaskScores) -> str:
    """How many of the task's genes it is about, where not all."""
    genes = next(one.genes for one in run.tasks if one.name == task)
    return "" if len(found.genes) == genes else f" ({len(found.genes)} of {genes} genes)"


def _same_genes(run: HestRun) -> list[str]:
    """All rows on the genes that a read-out of its own has, where those are not all."""
    lines: list[str] = []
    for own in (row for row in run.rows if row.how == OWN):
        partial = [task for task, found in own.scores.items() if _share(run, task, found)]
        if not partial:
            continue
        lines += [f"## On the genes that {own.tower} predicts itself", ""]
        lines += _header(["tower", "how", *(f"{t} ({len(own.scores[t].genes)})" for t in partial)])
        for row in (own, *(row for row in run.rows if row.how == FITTED)):
            cells = []
            for task in partial:
                mark = f" {SEEN}" if (row.tower, task) in run.seen else ""
                cells.append(_figure(row.scores[task].among(own.scores[task].genes)) + mark)
            lines.append(_line([row.tower, row.how, *cells]))
        lines.append("")
    return lines


def _on_training(run: HestRun) -> list[str]:
    """How well the patches that were fitted are predicted, which tells what was learnt by heart."""
    tasks = [task.name for task in run.tasks]
    lines = ["## On the patches that were fitted", "", *_header(["tower", *tasks])]
    for row in run.rows:
        if row.how == FITTED:
            lines.append(_line([row.tower, *(f"{row.scores[t].training_r:.4f}" for t in tasks)]))
    return [
        *lines, "", "Mean r by the same rule, but on the training patches: what lies far above the "
        "first table was learnt by heart.", "",
    ]  # fmt: skip


def _data(run: HestRun) -> list[str]:
    lines = ["## Data", ""]
    lines += _header(
        ["task", "samples", "patches", "genes", "seen in", "folds", "SHA-256 of its files"]
    )
    for task in run.tasks:
        folds = "; ".join(f"{', '.join(held)}: {n} → {t}" for n, t, held in task.folds)
        counts = [str(n) for n in (len(task.samples), task.patches, task.genes)]
        lines.append(_line([task.name, *counts, f"{100 * task.seen:.0f} %", folds, task.sha256]))
    explained = (
        "Seen in: share of the patches that have any molecule of a gene, median over the genes. "
        "Folds: samples held out: patches trained on → held out."
    )
    return [*lines, "", explained, ""]


def _circumstances(run: HestRun, recipe: HestRecipe) -> list[str]:
    versions = ", ".join(f"{name} {number}" for name, number in run.versions.items())
    threads = _count(run.threads, "thread")
    lines = [
        "## Circumstances", "", f"{versions}. Computed on {run.device}, {threads}; seed of PCA and "
        f"ridge: {recipe.probe.seed}.",
    ]  # fmt: skip
    again = "gives the same bytes again on the same machine and versions"
    if run.device == "cpu" and run.threads == 1:
        lines.append(f"A run like this one {again}.")
    else:
        lines.append(f"A run on the CPU with OMP_NUM_THREADS=1 {again}; this one need not.")
    return lines


def _gene_lines(run: HestRun) -> Iterator[list[str]]:
    for row in run.rows:
        for task in run.tasks:
            found = row.scores.get(task.name)
            if found is None:
                continue
            for number, (_, _, held) in enumerate(task.folds):
                for gene, r in zip(found.genes, found.r[number], strict=True):
                    yield [
                        task.name, row.tower, row.how, str(number), " ".join(held), gene,
                        f"{r:.17g}",
                    ]  # fmt: skip


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


def _header(names: Sequence[str]) -> list[str]:
    return [_line(names), "|" + " --- |" * len(names)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
