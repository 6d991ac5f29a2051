"""One held-out section: every predictor's prediction of the same rows, held against what was
measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from napari_past.validation.intervals import LEAST_BLOCKS, permutation_null, spatial_blocks
from napari_past.validation.metrics import (
    Scores,
    detection_auc,
    explained,
    pearson,
    pearson_per_row,
    rmse,
    spearman,
)
from past_training.dataset.schema import SectionRecord
from past_training.dataset.splits import By
from past_training.evaluation.gene_choice import TOP_VARIABLE, GeneChoice
from past_training.evaluation.predictors import Fitted
from past_training.evaluation.result import (
    Chance,
    GeneMap,
    HeldSection,
    SectionScore,
    Standing,
)
from past_training.evaluation.retrieval import retrieval
from past_training.evaluation.rows import SectionRows, TrainingSet

MAPPED = 2
"""So many best and so many worst genes are drawn."""
MAPPED_ASKED = 4
_GENES_AT_ONCE = 1000
_SEED = 20240229


class Standings:
    """What predictors have seen of sections, by the images they were trained on."""

    def __init__(self, records: Sequence[SectionRecord], by: By) -> None:
        self._records, self._by = records, by

    def of(self, fitted: Fitted, record: SectionRecord) -> Standing:
        seen = fitted.training_fingerprints
        if record.fingerprint in seen:
            return Standing.SAME_SECTION
        same = (r.fingerprint for r in self._records if r.patient == record.patient)
        if self._by == "patient" and not seen.isdisjoint(same):
            return Standing.SAME_PATIENT
        return Standing.HELD_OUT


def scored_section(
    name: str,
    rows: SectionRows,
    train: TrainingSet,
    compared: GeneChoice,
    fitted: Sequence[tuple[str, Fitted]],
    standings: Standings,
    shuffles: int,
) -> HeldSection:
    """Every predictor's scores on one section, and the maps to show of it.

    Parameters
    ----------
    name
        Of the section, or of the block of it.
    rows
        Of the section that are held out.
    train
        What the predictors were fitted on; the genes to map are chosen on it.
    compared
        Genes that every predictor has.
    fitted
        Name and fitted predictor, in the table's order.
    shuffles
        Of the permutation null.
    """
    measured = rows.values(compared.genes)
    absent = np.array([gene not in rows.measured_genes for gene in compared.genes])
    blocks = spatial_blocks(rows.row_um)
    predictions, scores = {}, []
    for predictor, one in fitted:
        predicted = _of_genes(one, compared.genes, one.predict(rows))
        predictions[predictor] = predicted
        variable = compared.variable
        r, rho, error, auc = _per_gene(predicted, measured, absent)
        scores.append(
            SectionScore(
                predictor,
                standings.of(one, rows.record),
                r=r,
                rho=rho,
                rmse=error,
                auc=auc,
                row_r=pearson_per_row(predicted[:, ~absent], measured[:, ~absent]),
                retrieval=retrieval(predicted[:, variable], measured[:, variable]),
                chance=_chance(predicted[:, variable], measured[:, variable], blocks, shuffles),
            )
        )
    record = rows.record
    return HeldSection(
        name,
        record.patient,
        rows.seen,
        rows.usable,
        rows.row_um,
        record.spot_diameter_um,
        tuple(scores),
        tuple(_maps(measured, predictions, train, compared, dict(fitted), scores)),
    )


def _per_gene(
    predicted: npt.NDArray[np.float32],
    measured: npt.NDArray[np.float32],
    absent: npt.NDArray[np.bool_],
) -> tuple[Scores, Scores, Scores, Scores]:
    """r, rho, RMSE and AUC of detection of each gene; in blocks, for whole transcriptomes."""
    parts = []
    for start in range(0, measured.shape[1], _GENES_AT_ONCE):
        p, m = (v[:, start : start + _GENES_AT_ONCE] for v in (predicted, measured))
        parts.append(
            np.stack(
                [
                    explained(pearson(p, m), m),
                    explained(spearman(p, m), m),
                    rmse(p, m),
                    detection_auc(p, m > 0),
                ]
            )
        )
    r, rho, error, auc = np.where(absent, np.nan, np.concatenate(parts, axis=1))
    return r, rho, error, auc


def _chance(
    predicted: npt.NDArray[np.float32],
    measured: npt.NDArray[np.float32],
    blocks: npt.NDArray[np.int64],
    shuffles: int,
) -> Chance | None:
    r = pearson(predicted, measured)
    finite = np.isfinite(r)
    if not finite.any() or len(np.unique(blocks)) < LEAST_BLOCKS:
        return None
    null = permutation_null(predicted[:, finite], measured[:, finite], blocks, shuffles, _SEED)
    best = min(TOP_VARIABLE, int(finite.sum()))
    means = null.mean(axis=1)
    return Chance(
        shuffles,
        float(r[finite].mean()),
        float(means.mean()),
        float(np.quantile(means, 0.95)),
        best,
        float(np.sort(r[finite])[-best:].mean()),
        float(np.sort(null, axis=1)[:, -best:].mean()),
    )


def _maps(
    measured: npt.NDArray[np.float32],
    predictions: dict[str, npt.NDArray[np.float32]],
    train: TrainingSet,
    compared: GeneChoice,
    fitted: dict[str, Fitted],
    scores: Sequence[SectionScore],
) -> Iterator[GeneMap]:
    """Maps by the first predictor for which the section is held out and that is no constant."""
    varying = [s for s in scores if np.ptp(predictions[s.predictor], axis=0).any()] or scores
    shown = next((s for s in varying if s.standing is Standing.HELD_OUT), varying[0])
    ranked = _ranked_in_training(fitted[shown.predictor], train, compared)
    chosen = dict.fromkeys(compared.asked[:MAPPED_ASKED].tolist(), "asked for")
    for genes, how in ((ranked[:MAPPED], "best"), (ranked[-MAPPED:], "worst")):
        for gene in genes.tolist():
            chosen.setdefault(gene, f"among the {how} on the training rows")
    predicted = predictions[shown.predictor]
    for gene, why in chosen.items():
        yield GeneMap(
            compared.genes[gene],
            why,
            shown.predictor,
            shown.standing,
            float(shown.r[gene]),
            measured[:, gene],
            predicted[:, gene],
        )


def _ranked_in_training(
    fitted: Fitted, train: TrainingSet, compared: GeneChoice
) -> npt.NDArray[np.int64]:
    """The variable genes by their mean r over the training sections, best first."""
    variable = [compared.genes[i] for i in compared.variable]
    r = []
    for part in train.rows:
        predicted = _of_genes(fitted, variable, fitted.predict(part))
        measured = part.values(variable)
        r.append(np.nan_to_num(explained(pearson(predicted, measured), measured)))
    return compared.variable[np.argsort(-np.mean(r, axis=0), kind="stable")]


def _of_genes(
    fitted: Fitted, genes: Sequence[str], predicted: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """The columns of these genes."""
    place = {gene: i for i, gene in enumerate(fitted.genes)}
    return predicted[:, [place[g] for g in genes]]
