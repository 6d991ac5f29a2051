"""What a reference bank gives for cells of patients and studies that it must not look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_past.errors import PastError
from napari_past.model.bank import Bank
from napari_past.model.labels import Labels
from napari_past.model.retrieval import (
    NEIGHBOURS,
    TEMPERATURE,
    Neighbours,
    effective_neighbours,
    expression,
    nearest,
    weights,
)
from napari_past.types import FloatArray
from napari_past.validation.metrics import Scores, explained, pearson
from past_training.evaluation.retrieval import (
    LARGEST_GALLERY,
    RECALLED,
    Retrieval,
    recall_at,
    retrieval,
)

OURS, MEAN, RANDOM = "neighbours", "bank mean", "random neighbours"
MOST_VARIABLE = 250
"""Genes that are compared, of larger banks."""
_GENES_AT_ONCE = 64


@dataclass(frozen=True, eq=False)
class Looked:
    """Cells that are looked up, with what was measured in them."""

    vectors: npt.NDArray[np.floating]
    """(q, d) of their pictures, or of the cells themselves."""
    measured: npt.NDArray[np.float32]
    """(q, G) log1p(counts per 10k)."""
    genes: tuple[str, ...]
    patients: Labels
    studies: Labels
    own: npt.NDArray[np.floating] | None = None
    """(q, d) of the measured cells, where `vectors` are of pictures: what each should find."""


@dataclass(frozen=True, eq=False)
class RetrievalCheck:
    """Figures of a bank; (G,) arrays are in the order of `genes`."""

    genes: tuple[str, ...]
    k: int
    temperature: float
    queries: int
    patients: int
    fewest_references: int
    """That were left for a patient."""
    whole_study: bool
    """Whether the queries' studies were left out, or their patients alone."""
    effective: npt.NDArray[np.float32]
    """(q,) effective neighbours, 1 to k."""
    distance: npt.NDArray[np.float32]
    """(q, k) cosine distances, ascending."""
    mixing: Mapping[str, float]
    """Of `OURS` and `RANDOM`: effective number of patients among a query's neighbours, by that of
    all references it could have found. Near 0: its neighbours are all of one patient."""
    variance_ratio: Scores
    """(G,) variance of the prediction over the cells by that of the measurement."""
    r: Mapping[str, Scores]
    """Predictor → (G,) Pearson r within a patient, mean over patients; 0 for a constant."""
    rmse: Mapping[str, Scores]
    """Predictor → (G,) root mean squared error over all queries."""
    profile: Retrieval
    """A cell's measured profile by its predicted one."""
    pair: Retrieval | None
    """A cell's own vector by its picture's; None where the queries are no pictures."""


def check_retrieval(
    bank: Bank,
    looked: Looked,
    k: int = NEIGHBOURS,
    temperature: float = TEMPERATURE,
    *,
    whole_study: bool = True,
    seed: int = 0,
) -> RetrievalCheck:
    """Look cells up in the rest of a bank, and hold what is found against their measurement.

    Raises
    ------
    PastError
        The bank has fewer than `k` cells of other patients and studies, or does not tell them.
    UnknownGene
        It did not measure a gene that the queries have.
    """
    n, genes = len(looked.vectors), looked.genes
    found = Neighbours(np.empty((n, k), np.int32), np.empty((n, k), np.float32))
    drawn = Neighbours(np.empty((n, k), np.int32), np.zeros((n, k), np.float32))
    mean = np.empty((n, len(genes)), np.float32)
    possible = np.empty(n)
    fewest = len(bank)
    rng = np.random.default_rng(seed)
    values = bank.values(genes)
    groups = _groups(looked)
    for patient, study, rows in groups:
        mask = bank.left_out(patient, study, whole_study=whole_study)
        here = nearest(bank, looked.vectors[rows], k, mask)
        found.index[rows], found.similarity[rows] = here.index, here.similarity
        left = np.flatnonzero(~mask)
        drawn.index[rows] = rng.choice(left, (len(rows), k))
        mean[rows] = (values.T @ (~mask).astype(np.float64)) / len(left)
        possible[rows] = _effective(np.bincount(bank.patients.codes[left] + 1)[None])
        fewest = min(fewest, len(left))
    predicted = {
        OURS: expression(bank, found, genes, temperature),
        MEAN: mean,
        RANDOM: expression(bank, drawn, genes, temperature),
    }
    measured = looked.measured
    parts = _by_patient(groups)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = predicted[OURS].var(axis=0, dtype=np.float64) / measured.var(
            axis=0, dtype=np.float64
        )
    return RetrievalCheck(
        genes=genes,
        k=k,
        temperature=temperature,
        queries=n,
        patients=len(parts),
        fewest_references=fewest,
        whole_study=whole_study,
        effective=effective_neighbours(weights(found, temperature)),
        distance=found.distance,
        mixing={
            OURS: _mixing(bank.patients, found, temperature, possible),
            RANDOM: _mixing(bank.patients, drawn, temperature, possible),
        },
        variance_ratio=np.where(np.isfinite(ratio), ratio, np.nan),
        r={name: _mean_r(p, measured, parts) for name, p in predicted.items()},
        rmse={
            name: np.sqrt(((p.astype(np.float64) - measured) ** 2).mean(axis=0))
            for name, p in predicted.items()
        },
        profile=retrieval(predicted[OURS], measured, seed),
        pair=None if looked.own is None else pair_retrieval(looked.vectors, looked.own, seed),
    )


def pair_retrieval(vectors: FloatArray, own: FloatArray, seed: int = 0) -> Retrieval:
    """Recall of each cell's own vector by that of its picture, among those of all cells.

    Parameters
    ----------
    vectors, own
        (q, d), of length 1, of the same cells.
    """
    rows = np.arange(len(vectors))
    if len(rows) > LARGEST_GALLERY:
        rng = np.random.default_rng(seed)
        rows = np.sort(rng.choice(len(rows), LARGEST_GALLERY, replace=False))
    similarity = vectors[rows].astype(np.float32) @ own[rows].astype(np.float32).T
    ks = [k for k in RECALLED if k < len(rows)]
    return Retrieval(len(rows), {k: recall_at(similarity, k) for k in ks})


def looked_in(bank: Bank, genes: Sequence[str], most: int = 2000, seed: int = 0) -> Looked:
    """Cells of the bank itself, drawn evenly, to be looked up in the rest of it."""
    rows = np.arange(len(bank))
    if len(rows) > most:
        rows = np.sort(np.random.default_rng(seed).choice(len(rows), most, replace=False))
    columns = [bank.values([gene]).toarray()[rows, 0] for gene in genes]
    return Looked(
        bank.vectors[rows],
        np.stack(columns, axis=1),
        tuple(genes),
        Labels(bank.patients.names, bank.patients.codes[rows]),
        Labels(bank.studies.names, bank.studies.codes[rows]),
    )


def variable_genes(bank: Bank, most: int = MOST_VARIABLE) -> tuple[str, ...]:
    """The genes that vary most over the bank, most variable first."""
    deviation = []
    for start in range(0, len(bank.genes), _GENES_AT_ONCE):
        values = bank.values(bank.genes[start : start + _GENES_AT_ONCE]).astype(np.float64)
        mean = values.sum(axis=0) / len(bank)
        deviation.append(values.power(2).sum(axis=0) / len(bank) - mean**2)
    order = np.argsort(-np.concatenate(deviation), kind="stable")[:most]
    return tuple(bank.genes[i] for i in order)


def check_bank(bank: Bank, k: int = NEIGHBOURS, seed: int = 0) -> RetrievalCheck:
    """Cells of each patient of a bank looked up in those of the other patients (and studies).

    Studies are left out where the bank tells at least two, else patients alone.

    Raises
    ------
    PastError
        The bank has a single patient, or does not tell them.
    """
    if len(bank.patients.names) < 2:
        raise PastError(
            f"The bank {bank.name} does not tell at least two patients apart, so no cell can be "
            f"looked up in those of others; build it with --patient-key."
        )
    whole = len(bank.studies.names) > 1 and not bank.studies.untold
    looked = looked_in(bank, variable_genes(bank), seed=seed)
    masks = (bank.left_out(name, whole_study=whole) for name in bank.patients.names)
    fewest = min(int((~mask).sum()) for mask in masks)
    return check_retrieval(bank, looked, max(1, min(k, fewest)), whole_study=whole, seed=seed)


def _groups(looked: Looked) -> list[tuple[str, str, npt.NDArray[np.int64]]]:
    """Patient, study and rows of the queries that leave the same cells out."""
    codes = np.stack([looked.patients.codes, looked.studies.codes])
    pairs, group = np.unique(codes, axis=1, return_inverse=True)
    rows = [np.flatnonzero(group.ravel() == i) for i in range(pairs.shape[1])]
    return [(looked.patients[int(r[0])], looked.studies[int(r[0])], r) for r in rows]


def _by_patient(
    groups: Sequence[tuple[str, str, npt.NDArray[np.int64]]],
) -> list[npt.NDArray[np.int64]]:
    patients: dict[str, list[npt.NDArray[np.int64]]] = {}
    for patient, _, rows in groups:
        patients.setdefault(patient, []).append(rows)
    return [np.concatenate(rows) for rows in patients.values()]


def _mean_r(
    predicted: FloatArray, measured: FloatArray, parts: Sequence[npt.NDArray[np.int64]]
) -> Scores:
    found = np.stack([explained(pearson(predicted[p], measured[p]), measured[p]) for p in parts])
    known = np.isfinite(found)
    with np.errstate(invalid="ignore"):
        return np.where(known, found, 0).sum(axis=0) / known.sum(axis=0)


def _mixing(
    patients: Labels, neighbours: Neighbours, temperature: float, possible: FloatArray
) -> float:
    share = np.zeros((len(neighbours), len(patients.names) + 1))
    query = np.arange(len(neighbours))[:, None]
    np.add.at(
        share, (query, patients.codes[neighbours.index] + 1), weights(neighbours, temperature)
    )
    return float((_effective(share) / possible).mean())


def _effective(amount: npt.NDArray[np.floating] | npt.NDArray[np.integer]) -> FloatArray:
    """How many equal parts are as even as these, of each row: 1 / Σ share²."""
    share = amount / amount.sum(axis=1, keepdims=True)
    return np.asarray(1 / (share**2).sum(axis=1))
