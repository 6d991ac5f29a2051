"""From an evaluation to what a card says of its genes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from past_training.dataset.splits import By
from past_training.evaluation.result import Evaluation, Standing
from past_training.release.making import UNMEASURED, Measured

_PROTOCOLS: dict[By, str] = {
    "patient": "trained on the other patients, one patient left out in turn",
    "section": "trained on the other sections of the same patients, one section left out in turn",
    "block": "trained on the other parts of the same section, one part left out in turn",
}


def evidence_of(evaluation: Evaluation, name: str, genes: Sequence[str]) -> Measured:
    """Pearson r of each gene on each section that was held out for a predictor.

    Parameters
    ----------
    name
        Of the predictor.
    genes
        Of the card; a gene that was not compared has no r.
    """
    r: dict[str, list[float | None]] = {gene: [] for gene in genes}
    sections, patients = [], set()
    for fold in evaluation.folds:
        place = {gene: i for i, gene in enumerate(fold.genes)}
        for held in fold.held:
            score = held.score(name)
            if score.standing is not Standing.HELD_OUT:
                continue
            sections.append(held.name)
            patients.add(held.patient)
            for gene, values in r.items():
                value = float(score.r[place[gene]]) if gene in place else math.nan
                values.append(None if math.isnan(value) else round(value, 3))
    if not sections:
        return UNMEASURED
    return Measured(
        _protocol(evaluation),
        patients=len(patients),
        unseen_patients=len(patients) if evaluation.by == "patient" else 0,
        sections=tuple(sections),
        r={gene: tuple(values) for gene, values in r.items()},
        blocks=evaluation.by == "block",
    )


def _protocol(evaluation: Evaluation) -> str:
    told = _PROTOCOLS[evaluation.by]
    if evaluation.by != "block":
        return told
    gap_um = math.floor(evaluation.gap_um or 0)
    return f"{told}, {f'with a gap of {gap_um} µm' if gap_um else 'without a gap'} between them"
