"""The rule of the table: all predictors are fitted on the same training rows and read the same rows
that are held out; genes are chosen on the training rows.

For each fold
1. genes are chosen on its training rows (`genes`),
2. every predictor is fitted on them, and shown nothing else (`TrainingSet`),
3. every predictor predicts the same rows of the held-out sections,
4. the genes that all of them have are compared.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from typing import get_args

from napari_past import __version__
from napari_past.errors import PastError
from napari_past.spatial.section import NO_TECHNOLOGY
from past_training.dataset.read import PairedDataset
from past_training.dataset.schema import resolution_of
from past_training.dataset.splits import By, Fold
from past_training.evaluation.defaults import ROWS_LIMIT
from past_training.evaluation.gene_choice import AskedGenes, GeneChoice, chosen_genes
from past_training.evaluation.predictors import Fitted, Predictor
from past_training.evaluation.result import DatasetFacts, Evaluation, FoldResult
from past_training.evaluation.rows import SectionRows, TrainingSet, section_rows
from past_training.evaluation.scoring import Standings, scored_section

SHUFFLES = 200
_PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "timm")


def evaluate(
    dataset: PairedDataset,
    predictors: Sequence[Predictor],
    splits: Iterable[Fold],
    genes: AskedGenes = None,
    *,
    also: Sequence[str] = (),
    rows_limit: int = ROWS_LIMIT,
    shuffles: int = SHUFFLES,
    on_step: Callable[[str], None] = lambda text: None,
) -> Evaluation:
    """Fit and measure all predictors on all folds.

    Parameters
    ----------
    predictors
        The first is the one that it is about; baselines follow.
    splits
        As `past_training.dataset.splits.leave_out` gives them, or
        `past_training.dataset.blocks.leave_block_out`.
    genes
        Beside the 1000 best expressed of the training rows (250 most variable of which the table
        is about): symbols to report, ``"all"``, or None.
    also
        Genes that are measured, too, without being reported one by one.
    rows_limit
        Most rows of a section that are looked at.
    shuffles
        Of the permutation null.
    on_step
        Told what is being done.

    Raises
    ------
    UnknownGene
        A gene that was asked for is not in the dataset.
    PastError
        A row is trained on and held out at once, a predictor cannot read the dataset, or no gene is
        common to all predictors.
    """
    names = [p.name for p in predictors]
    if len(set(names)) != len(names) or not names:
        raise PastError(f"Predictors need different names, but got {', '.join(names) or 'none'}.")
    folds = list(splits)
    # Also checks that no row is on both sides.
    gaps = [gap for fold in folds if (gap := fold.gap_um()) is not None]
    by: By = max((fold.by for fold in folds), key=get_args(By).index, default="patient")
    kept: dict[tuple[str, bytes | None], SectionRows] = {}

    def rows_of(part: PairedDataset) -> tuple[SectionRows, ...]:
        found = []
        for record in part.sections:
            # Two folds may show different rows of one section.
            mask = part.rows_kept(record.name)
            key = record.name, None if mask is None else mask.tobytes()
            if key not in kept:
                kept[key] = section_rows(part, record.name, rows_limit)
            found.append(kept[key])
        return tuple(found)

    results = []
    for number, fold in enumerate(folds, 1):
        on_step(f"fold {number}/{len(folds)}: {fold.name} held out")
        train = TrainingSet(fold.train, rows_of(fold.train))
        chosen = chosen_genes(train, genes, also)
        fitted = []
        for predictor in predictors:
            on_step(f"  {predictor.name}")
            fitted.append((predictor.name, predictor.fit(train, chosen.genes)))
        compared = _compared(chosen, [one for _, one in fitted])
        standings = Standings(dataset.info.sections, by)
        held = tuple(
            scored_section(
                _held_name(fold, rows), rows, train, compared, fitted, standings, shuffles
            )
            for rows in rows_of(fold.held)
        )
        results.append(
            FoldResult(
                fold.name,
                tuple(record.name for record in fold.train.sections),
                sum(len(part) for part in train.rows),
                compared.genes,
                chosen.lacking(compared),
                compared.subsets,
                held,
            )
        )
    return Evaluation(
        _facts(dataset), None, by, tuple(names), tuple(results), versions=_versions(),
        gap_um=min(gaps, default=None),
    )  # fmt: skip


def _compared(chosen: GeneChoice, fitted: Sequence[Fitted]) -> GeneChoice:
    compared = chosen.within(set.intersection(*(set(one.genes) for one in fitted)))
    if not len(compared.variable):
        raise PastError(
            f"Of the {len(chosen.variable)} most variable genes of the training rows none is "
            f"predicted by every predictor; compare models of this dataset's genes."
        )
    return compared


def _held_name(fold: Fold, rows: SectionRows) -> str:
    """What the report calls a section that is held out: blocks of one section differ in name."""
    section = rows.record.name
    if section not in fold.shared:
        return section
    return fold.name if len(fold.held.sections) == 1 else f"{section}, {fold.name}"


def _facts(dataset: PairedDataset) -> DatasetFacts:
    records = dataset.sections
    return DatasetFacts(
        dataset.name,
        _each(r.technology for r in records if r.technology != NO_TECHNOLOGY)
        or "technology not stated",
        _each(f"{r.species} {r.tissue}".strip() for r in records) or "tissue not stated",
        resolution_of(records),
        dataset.mpp,
        len(records),
        len(dataset.patients),
    )


def _each(texts: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(text for text in texts if text))


def _versions() -> dict[str, str]:
    return {
        "napari-past": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in _PACKAGES},
    }
