"""Drawn counts follow the kinds of nuclei that they were drawn for."""

from __future__ import annotations

import numpy as np
import pytest

from napari_past.sample import draw_counts, draw_phantom
from napari_past.sample.measurement import KINDS, RATES


@pytest.fixture(scope="module")
def phantom():
    return draw_phantom(1400, 1000, 0.5, seed=2)


def test_the_same_again_and_in_place(phantom):
    first, second = draw_counts(phantom), draw_counts(phantom)
    assert (first.X != second.X).nnz == 0
    assert (draw_counts(phantom, seed=1).X != first.X).nnz > 0
    np.testing.assert_array_equal(first.obsm["spatial"], phantom.centers_um)
    assert first.obs["cell_type"].tolist() == phantom.kinds.tolist()


def test_means_are_the_rates(phantom):
    table = draw_counts(phantom)
    caught = np.exp(0.4**2 / 2)  # mean of a lognormal of that deviation
    for kind, name in enumerate(KINDS):
        cells = np.asarray(table.X.todense())[phantom.kinds == name]
        assert len(cells) > 50
        for gene, rates in RATES.items():
            if gene == "ERBB2":
                continue
            expected = rates[kind] * caught
            error = 5 * np.sqrt((expected + (0.45 * expected) ** 2) / len(cells))
            assert abs(cells[:, list(RATES).index(gene)].mean() - expected) < error


def test_erbb2_rises_across_the_epithelium(phantom):
    table = draw_counts(phantom)
    epithelial = phantom.kinds == "epithelial"
    x_um = phantom.centers_um[epithelial, 0]
    counts = np.asarray(table[epithelial, "ERBB2"].X.todense()).ravel()
    middle = np.median(x_um)
    assert counts[x_um > middle].mean() > 1.5 * counts[x_um <= middle].mean()
