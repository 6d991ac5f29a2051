"""The read-out of the baselines."""

from __future__ import annotations

import numpy as np
import pytest

from napari_past.validation.ridge import best_penalty, fit_ridge, grouped


@pytest.mark.parametrize("penalty", [0.1, 10.0])
def test_ridge_on_standardised_features(penalty):
    """An augmented least-squares problem, solved by another routine, gives the same predictions."""
    rng = np.random.default_rng(0)
    scales = np.array([1, 10, 0.1, 5], np.float32)
    x = (rng.normal(size=(60, 4)) * scales + 3).astype(np.float32)
    y = (x @ rng.normal(size=(4, 3)) + rng.normal(size=(60, 3))).astype(np.float32)
    readout = fit_ridge(x, y, penalty)
    assert (readout.weight.shape, readout.bias.shape) == ((3, 4), (3,))
    z = (x - x.mean(0)) / x.std(0)
    stacked = np.vstack([z, np.sqrt(penalty * len(x)) * np.eye(4)])
    target = np.vstack([y - y.mean(0), np.zeros((4, 3))])
    solution = np.linalg.lstsq(stacked, target, rcond=None)[0]
    np.testing.assert_allclose(readout.expression(x), z @ solution + y.mean(0), atol=2e-3)


def test_a_feature_that_never_varies_is_ignored():
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.normal(size=30), np.full(30, 7.0)]).astype(np.float32)
    readout = fit_ridge(x, x[:, :1], 1e-6)
    np.testing.assert_allclose(readout.expression(x), x[:, :1], atol=1e-3)


def noisy(rng: np.random.Generator, signal: float) -> tuple[np.ndarray, np.ndarray]:
    x = rng.normal(size=(40, 75)).astype(np.float32)  # nearly as many as rows: noise is fitted
    y = signal * x[:, :5] + rng.normal(size=(40, 5)).astype(np.float32)
    return x, y.astype(np.float32)


def test_noise_is_penalised_and_signal_is_not():
    rng = np.random.default_rng(0)
    clear = [noisy(rng, 20.0) for _ in range(3)]
    faint = [noisy(rng, 0.7) for _ in range(3)]
    low, high = ((best_penalty(*zip(*part, strict=True))) for part in (clear, faint))
    assert low <= 0.1
    assert high >= 1


def test_a_single_section_is_cut():
    x, y = noisy(np.random.default_rng(0), 20.0)
    assert best_penalty([x], [y]) <= 0.3


def test_groups():
    parts = [np.full((2, 1), k, np.float32) for k in range(4)]
    by_patient = grouped(["A", "B", "A", "B"], parts)
    assert [part.ravel().tolist() for part in by_patient] == [[0, 0, 2, 2], [1, 1, 3, 3]]
    assert len(grouped(["A"] * 4, parts)) == 4
    many = grouped([str(k) for k in range(20)], [parts[0]] * 20)
    assert [len(part) for part in many] == [8, 8, 6, 6, 6, 6]
