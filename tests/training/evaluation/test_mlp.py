"""The read-out with a hidden layer: what is fitted is what is evaluated."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_past.model.readout import MlpReadout
from napari_past.validation.metrics import pearson
from napari_past.validation.ridge import fit_ridge
from past_training.evaluation.mlp import (
    DECAYS,
    Bags,
    best_settings,
    fit_mlp,
    joined,
    row_values,
)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def crossed(rows: int, seed: int, noise: float = 0.0) -> Bags:
    """1 to 5 nuclei a row; a row's value is its share of nuclei in which two numbers agree in sign,
    which no mean of their vectors tells."""
    rng = np.random.default_rng(seed)
    row = np.repeat(np.arange(rows), rng.integers(1, 6, rows))
    vectors = rng.standard_normal((len(row), 6)).astype(np.float16)
    agrees = (vectors[:, 0] * vectors[:, 1] > 0).astype(float)
    share = np.bincount(row, agrees) / np.bincount(row)
    targets = np.column_stack([3 + 2 * share, 5 - share, np.full(rows, 0.5)])
    targets += noise * rng.standard_normal(targets.shape) * [1, 1, 0]
    return Bags(vectors, row.astype(np.int64), targets.astype(np.float32))


def some_readout(genes: int = 3) -> MlpReadout:
    rng = np.random.default_rng(7)
    shapes = ((4, 6), (4,), (genes, 4), (genes,))
    return MlpReadout(*(rng.standard_normal(shape).astype(np.float32) for shape in shapes))


def test_a_row_is_the_mean_over_its_nuclei():
    bags, readout = crossed(1300, 0), some_readout()
    each = readout.expression(bags.vectors_nD).astype(np.float64)
    expected = [each[bags.row_n == k].mean(0) for k in (0, 1, 511, 512, 1299)]
    np.testing.assert_allclose(row_values(readout, bags)[[0, 1, 511, 512, 1299]], expected, 1e-4)


def test_rows_of_several_sections():
    bags = crossed(50, 1)
    parts = [bags.of_rows(0, 20), bags.of_rows(20, 21), bags.of_rows(21, 50)]
    assert [len(part.targets_rG) for part in parts] == [20, 1, 29]
    whole = joined(parts)
    np.testing.assert_array_equal(whole.row_n, bags.row_n)
    np.testing.assert_array_equal(whole.vectors_nD, bags.vectors_nD)
    np.testing.assert_array_equal(whole.targets_rG, bags.targets_rG)


def test_it_begins_as_the_training_mean():
    bags = crossed(40, 2)
    readout = fit_mlp(bags, 0.1, 0)
    mean = np.tile(bags.targets_rG.mean(0), (40, 1))
    np.testing.assert_allclose(row_values(readout, bags), mean, rtol=1e-5)


def test_what_no_linear_read_out_finds():
    train, new = crossed(600, 3), crossed(300, 4)
    readout = fit_mlp(train, 0.01, 30)
    assert readout.hidden_units == 32
    values = row_values(readout, new)
    assert (pearson(values, new.targets_rG)[:2] > 0.7).all()
    # Also in the measurement's unit; a gene that never varies stays.
    error = ((values - new.targets_rG) ** 2).mean(0)[:2] / new.targets_rG.var(0)[:2]
    assert (error < 0.55).all()
    np.testing.assert_allclose(values[:, 2], 0.5, atol=1e-3)

    def means(bags: Bags) -> np.ndarray:
        sums = np.zeros((len(bags.targets_rG), 6))
        np.add.at(sums, bags.row_n, bags.vectors_nD)
        return sums / np.bincount(bags.row_n)[:, None]

    linear = fit_ridge(means(train), train.targets_rG, 0.1).expression(means(new))
    assert (pearson(linear, new.targets_rG)[:2] < 0.2).all()


def test_the_same_rows_give_the_same_read_out():
    a, b = (fit_mlp(crossed(60, 5), 0.1, 3).tensors for _ in range(2))
    assert all(np.array_equal(a[key], b[key]) for key in a)


def test_each_epoch_is_told_and_the_last_is_given():
    told: list[MlpReadout] = []
    last = fit_mlp(crossed(60, 5), 0.1, 3, on_epoch=told.append)
    assert len(told) == 3
    np.testing.assert_array_equal(told[-1].weight, last.weight)
    assert not np.array_equal(told[0].weight, last.weight)


@pytest.mark.parametrize("groups", [1, 2, 5])
def test_settings_are_those_that_do_best_on_what_is_left_out(groups):
    """Signs alone are soon learned by heart; what is left out tells when to stop."""
    clear = [crossed(240 // groups, seed) for seed in range(groups)]
    decay, epochs = best_settings(clear, most_epochs=8)
    assert decay in DECAYS
    assert epochs > 6
    noise = [crossed(60 // groups + 3, seed, noise=30) for seed in range(groups)]
    assert best_settings(noise, most_epochs=8)[1] <= 8
