"""Which genes are compared, and which stand for all."""

from __future__ import annotations

import numpy as np
import pytest

from napari_past.errors import PastError
from napari_past.validation.compared_rows import ComparedRows, finite_mean
from napari_past.validation.gene_choice import compared_genes, measured_levels
from napari_past.validation.mean_calibration import calibration_slope, mean_calibration
from napari_past.validation.result import GeneFigures


def test_genes_are_common_to_sections_and_predictors(at, told):
    places = np.random.default_rng(0).uniform(0, 900, (5, 2))
    first = at(places, np.ones((5, 4)), ["A", "B", "C", "D"])
    second = at(places, np.ones((5, 3)), ["D", "C", "B"], name="S2")
    predictors = [told({}, ("D", "B", "A")), told({}, ("B", "C", "D"))]
    assert compared_genes([first, second], predictors) == ("B", "D")
    with pytest.raises(PastError, match=r"None of the 2 measured genes.*predicted by told"):
        compared_genes([first, second], [*predictors, told({}, ("A", "C"))])
    other = at(places, np.ones((5, 1)), ["X"], name="S3")
    with pytest.raises(PastError, match="No gene was measured in all"):
        compared_genes([first, other], predictors)


def test_variable_genes_vary_within_sections_and_are_seen(at):
    """RARE varies most, but is seen in 2 %; SHIFT differs between sections, not within them."""
    rng = np.random.default_rng(1)
    genes = ("RARE", "SHIFT", "CALM", "WILD", "REST")
    tissues = []
    for k in range(2):
        counts = np.column_stack(
            [
                np.where(np.arange(100) < 2, 5000, 0),
                np.full(100, [5, 500][k]),
                rng.poisson(60, 100),
                rng.poisson(60, 100) * rng.integers(0, 2, 100),
                np.full(100, 2000),
            ]
        )
        tissues.append(at(rng.uniform(0, 900, (100, 2)), counts, genes, name=f"S{k}"))
    rows = ComparedRows(tuple(tissues), (np.arange(100), np.arange(100)))
    levels = measured_levels(rows, genes)
    everything = np.concatenate([t.measured(genes) for t in tissues])
    np.testing.assert_allclose(levels.mean, everything.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(levels.detected, (everything > 0).mean(axis=0))
    within = np.sqrt(np.mean([t.measured(genes).var(axis=0) for t in tissues], axis=0))
    np.testing.assert_allclose(levels.deviation, within, atol=1e-4)
    chosen = [genes[i] for i in levels.variable()]
    assert chosen[0] == "WILD"
    assert "RARE" not in chosen
    assert everything[:, 1].std() > everything[:, 2].std() > 0  # SHIFT would win if pooled
    assert chosen.index("CALM") < chosen.index("REST")


def test_calibration_of_the_mean():
    rng = np.random.default_rng(2)
    measured = rng.normal(2, 1, (200, 3))
    predicted = np.column_stack([measured[:, 0] / 2, measured[:, 1] * 4 + 1, np.ones(200)])
    slope = calibration_slope(predicted, measured)
    np.testing.assert_allclose(slope[:2], [2, 0.25], rtol=1e-6)
    assert np.isnan(slope[2])
    nothing = np.zeros(3)
    figures = GeneFigures(
        nothing, nothing, nothing, nothing, nothing, np.ones(3), predicted.mean(axis=0), slope
    )
    mean = measured.mean(axis=0)
    found = mean_calibration(figures, mean)
    assert found is not None
    assert found.genes == 3
    assert found.bias == pytest.approx(np.median(predicted.mean(axis=0) - mean))
    assert found.slope == pytest.approx(1.125)
    assert found.r == pytest.approx(np.corrcoef(predicted.mean(axis=0), mean)[0, 1])
    elsewhere = GeneFigures(*[nothing] * 5, np.full(3, np.nan), mean, np.full(3, np.nan))
    assert mean_calibration(elsewhere, mean) is None


def test_means_leave_out_what_is_missing():
    values = np.array([[1.0, np.nan], [3.0, np.nan]])
    found = finite_mean(values)
    assert found[0] == 2
    assert np.isnan(found[1])
