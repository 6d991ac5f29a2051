"""What pooled spots can teach about single cells: recovery, and where it must fail."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from torch.nn.functional import softplus

from past_training.objectives import identifiability, poisson_nll, pseudo_spots, row_rates

# Counts per 10k of two cell types; the third gene is alike in both.
TRUTH = np.array([[6000.0, 600.0, 3000.0, 400.0], [1000.0, 4000.0, 3000.0, 2000.0]])
MOLECULES = 300


def cells_in_tissue(share_of_first: np.ndarray, um: np.ndarray, rng: np.random.Generator):
    """Types and counts of cells at `um` whose chance to be of the first type is given."""
    kind = (rng.random(len(um)) >= share_of_first).astype(np.int64)
    counts = np.stack([rng.multinomial(MOLECULES, TRUTH[k] / 1e4) for k in kind])
    return kind, counts.astype(np.float32)


def learnt_rates(kind: np.ndarray, spot: np.ndarray, counts: np.ndarray, seed: int) -> np.ndarray:
    """Rate of each type, (2, 4), learnt from the spots' counts alone."""
    torch.manual_seed(seed)
    weight = (3 * torch.randn(2, 4)).requires_grad_()
    kinds, spots = torch.from_numpy(kind), torch.from_numpy(spot)
    table = torch.from_numpy(counts)
    optimizer = torch.optim.Adam([weight], lr=0.1)
    for _ in range(300):
        optimizer.zero_grad()
        rates = 1000 * softplus(weight)[kinds]
        loss = poisson_nll(row_rates(rates, spots, len(table)), table, table.sum(1))
        loss.backward()
        optimizer.step()
    return np.asarray(1000 * softplus(weight).detach())


def test_mixed_spots_teach_single_cells():
    """Spots of 10 to 40 cells, from one type to the other across the tissue: within 5 %."""
    rng = np.random.default_rng(0)
    um = rng.uniform(0, 1000, (6000, 2))
    kind, counts = cells_in_tissue(um[:, 0] / 1000, um, rng)
    spots = pseudo_spots(csr_array(counts), um, 55.0)
    inside = spots.spot_of_cell >= 0
    found = learnt_rates(kind[inside], spots.spot_of_cell[inside], spots.counts.toarray(), seed=1)
    np.testing.assert_allclose(found, TRUTH, rtol=0.05, atol=30)
    report = identifiability(found[kind[inside]], spots.spot_of_cell[inside])
    assert not report.unidentified_G[[0, 1, 3]].any()


def test_alike_spots_teach_only_their_mean():
    """Each spot holds five cells of each type: any rates with the right mean fit as well."""
    rng = np.random.default_rng(0)
    kind = np.tile([0, 1], 500)
    spot = np.repeat(np.arange(100), 10)
    counts = np.stack([rng.multinomial(MOLECULES, TRUTH[k] / 1e4) for k in kind])
    pooled = counts.reshape(100, 10, 4).sum(1).astype(np.float32)
    found = learnt_rates(kind, spot, pooled, seed=1)
    np.testing.assert_allclose(found.mean(0), TRUTH.mean(0), rtol=0.05)
    assert np.abs(found - TRUTH).max() > 1000
    report = identifiability(found[kind], spot)
    assert report.unidentified_G.all()
    assert "4 of 4 genes" in report.sentence
    assert "not identified" in report.sentence


def test_variances_by_hand():
    """Rows {0, 2} and {5}: means 1 and 5; within (1 + 1 + 0) / 3; between (2·16/9 + 64/9) / 3."""
    report = identifiability(np.array([[0.0], [2.0], [5.0]]), np.array([4, 4, 9]))
    assert report.within_G.tolist() == pytest.approx([2 / 3])
    assert report.between_G.tolist() == pytest.approx([96 / 27])
    assert report.nuclei_per_row == 1.5
    assert "16 %" in report.sentence


@pytest.mark.parametrize(
    ("rates", "row"),
    [
        pytest.param([[1.0], [3.0], [8.0]], [0, 1, 2], id="single cells"),
        pytest.param([[2.0], [2.0], [2.0]], [0, 0, 1], id="nothing is told apart"),
    ],
)
def test_what_claims_nothing_is_not_flagged(rates, row):
    report = identifiability(np.array(rates), np.array(row))
    assert not report.unidentified_G.any()
    assert "support it" in report.sentence
