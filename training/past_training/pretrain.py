"""From a recipe and data to a model file with its evidence."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_past.errors import PastError
from napari_past.genes import markers
from napari_past.io import check_writable
from napari_past.model import Card, Evidence, write_model_file
from napari_past.model.tower import DenseTower
from past_training.evaluate import best_expressed, most_variable
from past_training.evaluation.colour import colour_statistics
from past_training.evaluation.metrics import pearson
from past_training.fit import embed_cells, fit_readout, fit_tower, spot_embeddings
from past_training.recipe import Recipe
from past_training.report import RunReport, model_page
from past_training.spatial_transcriptomics import Section, log1p_cp10k, read_section
from past_training.spots import SpotSet, spot_set

log = logging.getLogger("past_training")

FloatArray = npt.NDArray[np.float32]

# Sets whose single-cell sense can be checked on nuclei of known type without paired data.
CELL_TYPE_GENES = (
    "EPCAM", "KRT8", "KRT18", "KRT19",
    "PTPRC", "CD74", "CD3E", "CXCR4",
    "COL1A1", "COL1A2", "COL3A1", "DCN",
)  # fmt: skip
MAX_TRAINED_GENES = 1000
EVALUATED_VARIABLE = (250, 50)
PRINCIPAL_COMPONENTS = 64
LEAVE_ONE_SECTION_OUT = (
    "trained on the other sections of the same patient, one section left out in turn"
)


@dataclass(frozen=True)
class SectionSpots:
    """A section's spots and their counts, row by row."""

    spots: SpotSet
    counts: pd.DataFrame
    background: tuple[float, float, float]
    fingerprint: str


@dataclass(frozen=True)
class Fold:
    """What was measured on one held-out section."""

    section: str
    genes: list[str]
    r: npt.NDArray[np.float64]
    """Pearson r of each gene."""
    penalty: float
    means: dict[str, float]
    """Mean r over gene subsets chosen on the training sections, ours and the baselines'."""


def load_sections(recipe: Recipe, data: Path) -> list[SectionSpots]:
    """Read the recipe's sections and cut their spots."""
    result = []
    encoder = recipe.encoder
    side = int(2 * (recipe.data.spot_diameter_um / 2 / encoder.mpp + encoder.halo_px))
    for name in recipe.data.sections:
        section = read_section(
            data / recipe.data.folder, name, recipe.data.patient, recipe.data.mpp
        )
        spots = spot_set(section, encoder.mpp, side, recipe.data.spot_diameter_um)
        log.info(
            "%s: %d spots, %d with nuclei, %d nuclei",
            name,
            len(section.spots_um),
            len(spots),
            len(spots.yx_px),
        )
        result.append(_kept(section, spots))
    return result


def _kept(section: Section, spots: SpotSet) -> SectionSpots:
    counts = section.counts.iloc[spots.rows]
    return SectionSpots(spots, counts, section.background, section.fingerprint)


def model_genes(sections: Sequence[SectionSpots], n: int) -> list[str]:
    """The read-out's genes: of those measured the n best expressed, the panel, the type sets."""
    counts = [s.counts for s in sections]
    measured = set().union(*(c.columns for c in counts))
    panel = [symbol for marker in markers() for symbol in marker.genes]
    wanted = [*best_expressed(counts, n), *panel, *CELL_TYPE_GENES]
    return list(dict.fromkeys(g for g in wanted if g in measured))


def pretrain(
    recipe: Recipe, data: Path, out: Path, evidence: bool, on_step: Callable[[str], None]
) -> Card:
    """Train, measure by leaving one section out, and write the model file and its report.

    Parameters
    ----------
    data
        Folder that holds the recipe's data folder.
    out
        The model file; beside it go the run's figures (.report.json) and a page about it (.md).
    evidence
        Whether to train the held-out folds; without them the card says that r was not measured.
    on_step
        Told what is being done.
    """
    needed = 3 if evidence else 2
    if len(recipe.data.sections) < needed:
        raise PastError(
            f"The recipe names {len(recipe.data.sections)} sections, but {needed} are needed to "
            f"choose a penalty on sections left out; add some (or use --no-evidence with two)."
        )
    outputs = (out, out.with_suffix(".report.json"), out.with_suffix(".md"))
    for path in outputs:
        check_writable(path)  # before hours of training, not after
    sections = load_sections(recipe, data)
    genes = model_genes(sections, recipe.data.best_expressed)
    folds: list[Fold] = []
    if evidence:
        for held in range(len(sections)):
            on_step(f"fold {held + 1}/{len(sections)}: without {sections[held].spots.section}")
            folds.append(_fold(recipe, sections, held, genes))
            log.info("%s: %s", folds[-1].section, folds[-1].means)
    on_step(f"final model on {len(sections)} sections")
    tower = _tower(recipe, sections)
    cells = [embed_cells(tower, s.spots, recipe.encoder) for s in sections]
    penalty = _penalty(recipe, sections, cells, genes)
    weight, bias = _readout(sections, cells, genes, penalty)
    card, tensors = _assemble(recipe, sections, genes, folds, np.concatenate(cells), weight, bias)
    state = {f"tower.{k}": v.detach().numpy() for k, v in tower.state_dict().items()}
    write_model_file(out, card, {**state, **tensors})
    report = RunReport(
        sections=tuple(f.section for f in folds),
        mean_r={name: [f.means[name] for f in folds] for name in (folds[0].means if folds else ())},
        penalties=tuple(f.penalty for f in folds),
        final_penalty=penalty,
        cells=sum(len(c) for c in cells),
        spots=sum(len(s.spots) for s in sections),
    )
    outputs[1].write_text(json.dumps(report.as_json(), indent=1) + "\n")
    outputs[2].write_text(model_page(card, report), encoding="utf-8")
    return card


def _tower(recipe: Recipe, sections: Sequence[SectionSpots]) -> DenseTower:
    trained = best_expressed([s.counts for s in sections], MAX_TRAINED_GENES)
    targets = [log1p_cp10k(s.counts, trained) for s in sections]
    return fit_tower([s.spots for s in sections], targets, recipe.encoder, recipe.fit)


def _readout(
    sections: Sequence[SectionSpots], cells: Sequence[FloatArray], genes: list[str], penalty: float
) -> tuple[FloatArray, FloatArray]:
    x = np.concatenate([spot_embeddings(c, s.spots) for c, s in zip(cells, sections, strict=True)])
    y = np.concatenate([log1p_cp10k(s.counts, genes) for s in sections])
    return fit_readout(x, y, penalty)


def _penalty(
    recipe: Recipe, sections: Sequence[SectionSpots], cells: Sequence[FloatArray], genes: list[str]
) -> float:
    """The penalty with the best mean r when each training section is left out of the read-out."""
    x = [spot_embeddings(c, s.spots) for c, s in zip(cells, sections, strict=True)]
    y = [log1p_cp10k(s.counts, genes) for s in sections]
    return _best_penalty(recipe.fit.ridge_penalties, x, y)


def _best_penalty(
    penalties: Sequence[float], x: Sequence[FloatArray], y: Sequence[FloatArray]
) -> float:
    scores = []
    for penalty in penalties:
        r = []
        for held in range(len(x)):
            rest = [i for i in range(len(x)) if i != held]
            w, b = fit_readout(
                np.concatenate([x[i] for i in rest]), np.concatenate([y[i] for i in rest]), penalty
            )
            r.append(np.nanmean(pearson(x[held] @ w.T + b, y[held])))
        scores.append(float(np.mean(r)))
    return penalties[int(np.argmax(scores))]


def _fold(recipe: Recipe, sections: Sequence[SectionSpots], held: int, genes: list[str]) -> Fold:
    """Everything is chosen on the training sections; the held-out one is only predicted."""
    training = [s for i, s in enumerate(sections) if i != held]
    test = sections[held]
    tower = _tower(recipe, training)
    cells = [embed_cells(tower, s.spots, recipe.encoder) for s in training]
    test_x = spot_embeddings(embed_cells(tower, test.spots, recipe.encoder), test.spots)
    penalty = _penalty(recipe, training, cells, genes)
    w, b = _readout(training, cells, genes, penalty)
    r = pearson(test_x @ w.T + b, log1p_cp10k(test.counts, genes))

    counts = [s.counts for s in training]
    candidates = best_expressed(counts, MAX_TRAINED_GENES)
    side = int(224 * recipe.data.mpp / recipe.encoder.mpp)
    colours = [colour_statistics(s.spots.crops, side, s.background) for s in training]
    test_colours = colour_statistics(test.spots.crops, side, test.background)
    means: dict[str, float] = {}
    for n in EVALUATED_VARIABLE:
        subset = most_variable(counts, candidates, n)
        y = [log1p_cp10k(s.counts, subset) for s in training]
        test_y = log1p_cp10k(test.counts, subset)
        w, b = _readout(training, cells, subset, penalty)
        means[f"{recipe.card.name}, {n} variable"] = _mean_r(test_x @ w.T + b, test_y)
        best = _best_penalty(recipe.fit.ridge_penalties, colours, y)
        w, b = fit_readout(np.concatenate(colours), np.concatenate(y), best)
        means[f"ridge on colour, {n} variable"] = _mean_r(test_colours @ w.T + b, test_y)
    return Fold(test.spots.section, genes, r, penalty, means)


def _mean_r(predicted: FloatArray, measured: FloatArray) -> float:
    return round(float(np.nanmean(pearson(predicted, measured))), 4)


def _assemble(
    recipe: Recipe,
    sections: Sequence[SectionSpots],
    genes: list[str],
    folds: Sequence[Fold],
    cells_ND: FloatArray,
    weight: FloatArray,
    bias: FloatArray,
) -> tuple[Card, dict[str, FloatArray]]:
    """Card and the tensors beside the tower's."""
    mean = cells_ND.mean(0)
    _, scale, axes = np.linalg.svd(cells_ND - mean, full_matrices=False)
    k = min(PRINCIPAL_COMPONENTS, len(scale))
    whitening = (axes[:k] / (scale[:k, None] / np.sqrt(len(cells_ND)))).T.astype(np.float32)
    distance = (((cells_ND - mean) @ whitening) ** 2).sum(1)
    detected = np.concatenate(
        [s.counts.reindex(columns=genes, fill_value=0).to_numpy() > 0 for s in sections]
    ).mean(0)
    predicted = cells_ND @ weight.T + bias
    quantiles = np.quantile(predicted, recipe.card.cutoff_quantiles, axis=0)
    names = recipe.card
    percent = " / ".join(f"{100 * q:g}" for q in names.cutoff_quantiles)
    spot_um = recipe.data.spot_diameter_um
    card = Card(
        schema_version=1,
        name=names.name,
        version=names.version,
        summary=names.summary,
        licence=names.licence,
        attribution=names.attribution,
        species=names.species,
        organ=names.organ,
        preparation=names.preparation,
        scanner=names.scanner,
        training_data=names.training_data,
        training_fingerprints=tuple(s.fingerprint for s in sections),
        recipe=names.name,
        expression_unit=f"log1p(counts per 10k), fitted to {spot_um:g} µm spots",
        genes=tuple(genes),
        encoder=recipe.encoder,
        evidence=Evidence(
            protocol=LEAVE_ONE_SECTION_OUT if folds else "not measured",
            patients=1 if folds else 0,
            unseen_patients=0,
            sections=tuple(f.section for f in folds),
            resolution=names.resolution,
            r={
                gene: tuple(None if np.isnan(f.r[i]) else round(float(f.r[i]), 3) for f in folds)
                for i, gene in enumerate(genes)
            },
            detected={g: round(float(d), 4) for g, d in zip(genes, detected, strict=True)},
        ),
        min_detected=names.min_detected,
        cutoffs={
            gene: (float(a), float(b), float(c))
            for gene, (a, b, c) in zip(genes, np.round(quantiles.T, 4), strict=True)
            if a < b < c
        },
        cutoffs_source=(
            f"{names.name} card: {percent} % quantiles of its training cells, not set on any stain"
        ),
        unlike_training_limit=float(np.quantile(distance, names.unlike_training_quantile)),
    )
    tensors = {
        "readout.weight": weight,
        "readout.bias": bias,
        "statistics.mean": mean.astype(np.float32),
        "statistics.whitening": whitening,
    }
    return card, tensors
