"""Losses between predicted rates and counted molecules.

A cell's **rate** of a gene is what it would show in counts per 10k: never negative. A row's rate
is the mean over its nuclei, taken before any logarithm, because molecules add up and logarithms do
not: so a spot teaches its single cells, and a row that is one cell is a special case. What a row is
expected to count is its rate times its library size, the offset.

Shapes: N nuclei, R rows, G genes.
"""

from __future__ import annotations

import torch
from torch import Tensor

PER = 1e4
"""Rates are counts per this many molecules."""
# Keeps the logarithm finite where a rate has become 0.
_LEAST = 1e-8
_LEAST_DEVIATION = 1e-3


def row_rates(rates_NG: Tensor, row_of_nucleus: Tensor, n_rows: int) -> Tensor:
    """Mean rate over the nuclei of each row, (n_rows, G); 0 for a row without nuclei.

    Parameters
    ----------
    rates_NG
        Rate of each nucleus, at least 0.
    row_of_nucleus
        int64 (N,), the row that each nucleus contributes to, below `n_rows`.
    """
    # Sums of many nuclei in half precision would stop growing.
    wide = torch.promote_types(rates_NG.dtype, torch.float32)
    sums_RG = rates_NG.new_zeros(n_rows, rates_NG.shape[1], dtype=wide)
    sums_RG = sums_RG.index_add(0, row_of_nucleus, rates_NG.to(wide))
    nuclei_R = torch.bincount(row_of_nucleus, minlength=n_rows).clamp(min=1)
    return sums_RG / nuclei_R[:, None]


def expected_counts(rates_RG: Tensor, total_R: Tensor) -> Tensor:
    """Counts that rows with these rates and library sizes should show, (R, G)."""
    return (rates_RG * (total_R / PER)[:, None]).clamp(min=_LEAST)


def poisson_nll(
    rates_RG: Tensor, counts_RG: Tensor, total_R: Tensor, measured_RG: Tensor | None = None
) -> Tensor:
    """Mean negative log-likelihood of the counts as Poisson draws, a scalar.

    Parameters
    ----------
    rates_RG
        Rate of each row in counts per 10k, at least 0.
    counts_RG
        Raw counts.
    total_R
        Library size of each row, over all genes that its section measured.
    measured_RG
        bool, which genes were measured in each row; the others are left out. None: all.
    """
    mean_RG = expected_counts(rates_RG, total_R)
    nll_RG = mean_RG - counts_RG * mean_RG.log() + torch.lgamma(counts_RG + 1)
    return _mean(nll_RG, measured_RG)


def negative_binomial_nll(
    rates_RG: Tensor,
    counts_RG: Tensor,
    total_R: Tensor,
    log_dispersion_G: Tensor,
    measured_RG: Tensor | None = None,
) -> Tensor:
    """Mean negative log-likelihood under a negative binomial, a scalar.

    Mean μ and inverse dispersion θ = exp(`log_dispersion_G`) of each gene give the variance
    μ + μ² / θ (the form of Lopez et al. 2018, Nat Methods 15:1053). The other parameters are those
    of `poisson_nll`, which this becomes as θ grows.
    """
    mean_RG = expected_counts(rates_RG, total_R)
    theta_G = log_dispersion_G.exp()
    # log1p keeps the digits that θ + μ would lose when θ is large.
    nll_RG = (
        torch.lgamma(theta_G)
        + torch.lgamma(counts_RG + 1)
        - torch.lgamma(counts_RG + theta_G)
        + theta_G * torch.log1p(mean_RG / theta_G)
        + counts_RG * (torch.log(theta_G + mean_RG) - mean_RG.log())
    )
    return _mean(nll_RG, measured_RG)


def log1p_mse(
    rates_RG: Tensor,
    counts_RG: Tensor,
    total_R: Tensor,
    deviation_G: Tensor,
    measured_RG: Tensor | None = None,
) -> Tensor:
    """Mean squared difference of log1p(counts per 10k), each gene in its own deviations, a scalar.

    So genes count alike, whatever their expression; in the likelihoods above the few that are
    expressed most lead.

    Parameters
    ----------
    deviation_G
        Standard deviation of each gene's log1p(counts per 10k) over the training rows. The other
        parameters are those of `poisson_nll`.
    """
    per_10k_RG = counts_RG * (PER / total_R.clamp(min=1))[:, None]
    difference_RG = torch.log1p(rates_RG) - torch.log1p(per_10k_RG)
    return _mean((difference_RG / deviation_G.clamp(min=_LEAST_DEVIATION)).square(), measured_RG)


def _mean(loss_RG: Tensor, measured_RG: Tensor | None) -> Tensor:
    if measured_RG is None:
        return loss_RG.mean()
    return loss_RG.masked_fill(~measured_RG, 0).sum() / measured_RG.sum().clamp(min=1)
