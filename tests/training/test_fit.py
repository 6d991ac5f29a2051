"""Arithmetic of the fit: means of spots, the ridge read-out, pictures that turn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from past_training.augment import oriented, restained
from past_training.fit import fit_readout, spot_means


def test_spot_means_by_hand():
    values = torch.tensor([[1.0, 2.0], [3.0, 4.0], [10.0, 20.0]])
    means = spot_means(values, torch.tensor([0, 0, 2]), 4)
    assert means.tolist() == [[2, 3], [0, 0], [10, 20], [0, 0]]


@pytest.mark.parametrize("penalty", [0.0, 0.1, 10.0])
def test_readout_is_ridge_on_standardised_features(penalty):
    """An augmented least-squares problem, solved by another routine, gives the same predictions."""
    rng = np.random.default_rng(0)
    scales = np.array([1, 10, 0.1, 5], np.float32)
    x = (rng.normal(size=(60, 4)) * scales + 3).astype(np.float32)
    y = (x @ rng.normal(size=(4, 3)) + rng.normal(size=(60, 3))).astype(np.float32)
    weight, bias = fit_readout(x, y, penalty)
    assert (weight.shape, bias.shape) == ((3, 4), (3,))
    assert weight.dtype == bias.dtype == np.float32
    z = (x - x.mean(0)) / x.std(0)
    stacked = np.vstack([z, np.sqrt(penalty * len(x)) * np.eye(4)])
    target = np.vstack([y - y.mean(0), np.zeros((4, 3))])
    solution = np.linalg.lstsq(stacked, target, rcond=None)[0]
    np.testing.assert_allclose(x @ weight.T + bias, z @ solution + y.mean(0), atol=2e-3)


def test_mean_of_predictions_is_prediction_of_the_mean():
    """What lets a read-out that was fitted to spots be applied to single cells."""
    rng = np.random.default_rng(1)
    x, y = (rng.normal(size=(30, n)).astype(np.float32) for n in (4, 2))
    weight, bias = fit_readout(x, y, 1.0)
    cells = rng.normal(size=(7, 4)).astype(np.float32)
    np.testing.assert_allclose(
        (cells @ weight.T + bias).mean(0), cells.mean(0) @ weight.T + bias, atol=1e-5
    )


def test_orientation_takes_the_cells_along():
    """Each marked pixel is found where its position says, in all eight orientations."""
    side, seen = 9, set()
    where = torch.tensor([[0.0, 1.0, 5.0], [1.0, 3.0, 0.0], [1.0, 8.0, 8.0]])
    image = torch.zeros(2, 3, side, side)
    for value, (b, y, x) in enumerate(where.long().tolist(), start=1):
        image[b, :, y, x] = value
    for seed in range(60):
        generator = torch.Generator().manual_seed(seed)
        turned, moved = oriented(image, where, generator)
        assert turned.shape == image.shape
        for value, (b, y, x) in enumerate(moved.long().tolist(), start=1):
            assert turned[b, :, y, x].tolist() == [value] * 3
        seen.add(tuple(moved[0].tolist()))
    assert len(seen) == 8


def test_restaining_keeps_pixels_in_range_and_without_strength_changes_nothing():
    source = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (3, 3, 16, 16), generator=source).float()
    same = restained(image, 0.0, torch.Generator().manual_seed(1))
    torch.testing.assert_close(same, image, atol=1e-2, rtol=0)
    changed = restained(image, 0.2, torch.Generator().manual_seed(1))
    assert changed.min() >= 0
    assert changed.max() <= 255
    difference = (changed - image).abs().mean(dim=(1, 2, 3))
    assert difference.min() > 1
    assert difference.unique().numel() == 3
