"""Bulk heads on pseudo-bulk: blocks of her2st sections, one section held out in turn. Plumbing.

All sections are of one patient, neighbours in the tissue, and past-mini was trained on their spots:
nothing here says how well bulk expression of a patient is predicted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from patients_kept import Result
from patients_tissue import HER2ST_MPP, SECTIONS, read_tissue

from napari_past.spatial.st import read_st
from napari_past.validation.metrics import pearson
from napari_past.validation.ridge import best_penalty, fit_ridge
from past_training.slide_level.bags.array_bag import ArrayBag
from past_training.slide_level.fitting import BulkTarget, FitOptions, fit_network

BLOCK_UM, FEWEST_SPOTS, FEWEST_CELLS = 600.0, 4, 50
MOST_EXPRESSED, GENES = 1000, 250
PER = 1e4

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Blocks:
    """The b blocks of one section."""

    bags: tuple[ArrayBag, ...]
    counts: npt.NDArray[np.float64]
    """(b, g), sums over the spots of each block."""
    genes: tuple[str, ...]

    @property
    def means(self) -> FloatArray:
        """(b, d), the mean vector of each bag."""
        return np.stack(
            [next(bag.chunks(bag.n)).vectors.astype(np.float32).mean(0) for bag in self.bags]
        )


def blocks_of(data: Path, section: str) -> Blocks:
    """Squares of a section with enough spots and cells."""
    measured = read_st(data / "her2st", section, mpp=HER2ST_MPP)
    tissue = read_tissue(data, f"her2st/{section}.jpg")
    spot_block = np.floor(measured.centers_um / BLOCK_UM).astype(int)
    cell_block = np.floor(tissue.places_um / BLOCK_UM).astype(int)
    bags, sums = [], []
    for block in np.unique(spot_block, axis=0):
        spots = (spot_block == block).all(axis=1)
        cells = (cell_block == block).all(axis=1)
        if spots.sum() >= FEWEST_SPOTS and cells.sum() >= FEWEST_CELLS:
            name = f"{section} {block[0]}-{block[1]}"
            bags.append(ArrayBag(name, tissue.vectors[cells], tissue.places_um[cells]))
            sums.append(np.asarray(measured.counts[spots].sum(axis=0), np.float64).ravel())
    return Blocks(tuple(bags), np.stack(sums), measured.genes)


def bulk(data: Path, poolings: Sequence[str], epochs: int) -> Result:
    """Mean r over genes and squared error against the training mean, for each held-out section."""
    sections = {section: blocks_of(data, section) for section in SECTIONS}
    shared = sorted(set.intersection(*(set(s.genes) for s in sections.values())))
    levels = {name: _log_share(blocks, shared) for name, blocks in sections.items()}
    means = {name: blocks.means for name, blocks in sections.items()}
    rows: dict[str, list[dict[str, float]]] = {}
    for held in SECTIONS:
        rest = [name for name in SECTIONS if name != held]
        chosen = _variable(np.concatenate([levels[name] for name in rest]))
        trained = [levels[name][:, chosen] for name in rest]
        target, truth = np.concatenate(trained), levels[held][:, chosen]
        mean = target.mean(axis=0)
        told = {"training mean": np.broadcast_to(mean, truth.shape)}
        vectors = [means[name] for name in rest]
        ridge = fit_ridge(np.concatenate(vectors), target, best_penalty(vectors, trained))
        told["mean-ridge"] = ridge.expression(means[held])
        bags = [bag for name in rest for bag in sections[name].bags]
        for pooling in poolings:
            options = FitOptions(pooling=pooling, epochs=epochs)
            network = fit_network(
                bags, BulkTarget(target, tuple(shared[i] for i in chosen)), options
            )
            told[f"network:{pooling}"] = network.outputs(sections[held].bags)
        for arm, predicted in told.items():
            error = ((predicted - truth) ** 2).sum() / ((mean - truth) ** 2).sum()
            r = pearson(np.asarray(predicted, np.float32), truth)
            score = {"r": float(np.nanmean(r)) if np.isfinite(r).any() else None}
            rows.setdefault(arm, []).append(score | {"error": float(error)})
    return {
        "rows": rows,
        "sections": list(SECTIONS),
        "blocks": [len(sections[name].bags) for name in SECTIONS],
        "cells": int(np.median([bag.n for s in sections.values() for bag in s.bags])),
        "genes": GENES,
    }


def _log_share(blocks: Blocks, genes: Sequence[str]) -> FloatArray:
    """(b, g) log1p(counts per 10,000) of the summed counts."""
    place = {gene: i for i, gene in enumerate(blocks.genes)}
    share = blocks.counts[:, [place[g] for g in genes]] / blocks.counts.sum(axis=1, keepdims=True)
    return np.log1p(PER * share).astype(np.float32)


def _variable(levels: FloatArray) -> npt.NDArray[np.int64]:
    """The most variable of the best expressed genes, on training blocks alone."""
    expressed = np.argsort(-levels.mean(axis=0), kind="stable")[:MOST_EXPRESSED]
    return expressed[np.argsort(-levels[:, expressed].std(axis=0), kind="stable")[:GENES]]
