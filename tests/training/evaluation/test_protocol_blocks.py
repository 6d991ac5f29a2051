"""Blocks of one section: nobody sees a row that is held out, and near is not taken for known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.sparse import csr_array
from scipy.spatial import cKDTree

from napari_past.errors import PastError
from napari_past.model import load_model
from past_training.dataset.blocks import leave_block_out
from past_training.dataset.splits import Fold
from past_training.evaluation.colour import ColourStatistics
from past_training.evaluation.predictors import ModelFile, RidgeOn, TrainingMean
from past_training.evaluation.protocol import evaluate
from past_training.evaluation.result import Standing
from past_training.evaluation.rows import section_rows
from past_training.evaluation.summary import MEAN_R, summary

PITCH_UM, SIDES, SMOOTH = 10.0, (30, 26), 1.5
"""780 cells on 300 x 260 µm; what is measured is alike within some 20 µm, whatever is seen."""
BUFFER_UM = 60.0


@pytest.fixture(scope="module")
def smooth(draw, write, tmp_path_factory):
    """One section of cells whose genes are smooth fields, drawn without a look at the picture."""
    folder = tmp_path_factory.mktemp("smooth")
    x_um, y_um = np.meshgrid(*(PITCH_UM * (np.arange(n) + 0.5) for n in SIDES))
    centers_um = np.stack([x_um.ravel(), y_um.ravel()], axis=1) + 5
    section = draw(folder, "S9", 9)
    rng = np.random.default_rng(4)
    fields = gaussian_filter(
        rng.normal(size=(len(section.genes), *SIDES[::-1])), (0, SMOOTH, SMOOTH)
    )
    rates = 20 * np.exp(fields / fields.std()).reshape(len(fields), -1).T
    section = draw(
        folder, "S9", 9, centers_um=centers_um, nuclei_um=centers_um, spot_diameter_um=None,
        ids=tuple(f"c{k}" for k in range(len(centers_um))),
        counts=csr_array(rng.poisson(rates).astype(np.float32)),
    )  # fmt: skip
    return write(folder / "smooth.past", [section], patch_px=24)


@dataclass(frozen=True)
class Nearest:
    """The profile of the nearest row that was seen in training, wherever it lies."""

    genes: tuple[str, ...]
    row_um: np.ndarray
    values: np.ndarray
    training_fingerprints: frozenset[str] = frozenset()

    def predict(self, rows):
        return self.values[cKDTree(self.row_um).query(rows.row_um)[1]]


class Memory:
    """Remembers places and profiles."""

    name = "memory"

    def fit(self, train, genes):
        [values], [part] = train.values(genes), train.rows
        return Nearest(tuple(genes), part.row_um, values)


def interleaved(dataset):
    """Every second row held out: no row is on both sides, but each has neighbours on the other."""
    odd = np.arange(dataset.sections[0].rows) % 2 == 1
    sides = [dataset.with_rows({"S9": mask}) for mask in (odd, ~odd)]
    return [Fold(*sides, "odd rows"), Fold(*sides[::-1], "even rows")]


def test_what_only_remembers_places_is_caught(smooth):
    predictors = [Memory(), TrainingMean()]
    near = evaluate(smooth, predictors, interleaved(smooth), shuffles=5)
    apart = evaluate(smooth, predictors, leave_block_out(smooth, BUFFER_UM), shuffles=5)
    assert near.by == apart.by == "block"
    assert near.gap_um == pytest.approx(PITCH_UM)
    assert apart.gap_um == pytest.approx(BUFFER_UM)
    flattered, found = (summary(e, "memory", MEAN_R) for e in (near, apart))
    assert min(flattered.points.values()) > 0.5
    assert set(found.points) == {f"block {k} of S9" for k in (1, 2, 3, 4)}
    assert max(map(abs, found.points.values())) < 0.1
    assert flattered.interval is found.interval is None


class Watching:
    """Notes the rows and the counts that each fold shows in training."""

    name = "watching"

    def __init__(self):
        self.shown = []

    def fit(self, train, genes):
        [part] = train.rows
        self.shown.append((part.rows, train.values(genes)[0]))
        return TrainingMean().fit(train, genes)


def test_each_fold_shows_its_own_rows(smooth):
    """Views of one section are not mixed up between folds, nor between training and test."""
    watching = Watching()
    folds = list(leave_block_out(smooth, BUFFER_UM))
    found = evaluate(smooth, [watching], folds, shuffles=5)
    every = section_rows(smooth, "S9")
    assert len(every) == 780
    for fold, result, (rows, values) in zip(folds, found.folds, watching.shown, strict=True):
        train, held = fold.train.rows_kept("S9"), fold.held.rows_kept("S9")
        np.testing.assert_array_equal(rows, np.flatnonzero(train))
        np.testing.assert_array_equal(values, every.values(result.genes)[train])
        [section] = result.held
        assert section.name == result.name == fold.name
        assert (section.rows, section.usable, len(section.row_um)) == (195, 195, 195)
        np.testing.assert_array_equal(section.row_um, every.row_um[held])
        assert result.training_rows == train.sum()
        k = result.genes.index("EPCAM")
        error = every.values(["EPCAM"])[held] - every.values(["EPCAM"])[train].mean()
        assert section.scores[0].rmse[k] == pytest.approx(np.sqrt((error**2).mean()), rel=1e-4)
    assert len({result.training_rows for result in found.folds}) > 1


def test_a_model_of_this_section_is_told_so_in_every_block(tmp_path, alone, write_tiny_model):
    """One that was fitted on other blocks alone names no picture: it counts, as blocks do."""
    ridge = RidgeOn(ColourStatistics())
    standings = {}
    for seen in ((alone.sections[0].fingerprint,), ()):
        path = write_tiny_model(tmp_path / "m.safetensors", training_fingerprints=seen)
        folds = leave_block_out(alone, 64.0, blocks=3)
        model = ModelFile([load_model(path, "cpu")])
        found = evaluate(alone, [model, ridge], folds, shuffles=5)
        standings[seen] = {s.score("tiny").standing for s in found.sections}
        assert {s.score(ridge.name).standing for s in found.sections} == {Standing.HELD_OUT}
        assert len(summary(found, "tiny", MEAN_R).points) == (0 if seen else 3)
    assert list(standings.values()) == [{Standing.SAME_SECTION}, {Standing.HELD_OUT}]


def test_folds_that_share_a_row(smooth):
    rows = np.arange(780)
    sides = [smooth.with_rows({"S9": mask}) for mask in (rows < 400, rows >= 399)]
    fold = Fold(*sides, "odd")
    with pytest.raises(PastError, match="trained on and held out at once in the fold"):
        evaluate(smooth, [TrainingMean()], [fold])
