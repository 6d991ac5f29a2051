"""Self-supervision on H&E alone: two views of the same nuclei must agree."""

from __future__ import annotations

from torch import Tensor

INVARIANCE, VARIANCE, COVARIANCE = 25.0, 25.0, 1.0
"""Weights of the three terms, as published."""


def variance_invariance_covariance_loss(a_ND: Tensor, b_ND: Tensor) -> Tensor:
    """VICReg of two views, a scalar: Bardes et al. 2022 (arXiv 2105.04906).

    The views agree (mean squared difference), every dimension keeps a standard deviation of at
    least 1 over the batch (the mean of both views' hinges, as the authors compute it), and
    different dimensions do not covary (the sum of both views).

    Parameters
    ----------
    a_ND, b_ND
        Embeddings of the same N nuclei under two augmentations. One nucleus alone has no
        deviation: then only the agreement counts.
    """
    agree = (a_ND - b_ND).square().mean()
    if len(a_ND) < 2:
        return INVARIANCE * agree
    spread = (_lacking_deviation(a_ND) + _lacking_deviation(b_ND)) / 2
    together = _covariance(a_ND) + _covariance(b_ND)
    return INVARIANCE * agree + VARIANCE * spread + COVARIANCE * together


def _lacking_deviation(x_ND: Tensor) -> Tensor:
    deviation_D = (x_ND.var(dim=0) + 1e-4).sqrt()
    return (1 - deviation_D).clamp(min=0).mean()


def _covariance(x_ND: Tensor) -> Tensor:
    n, d = x_ND.shape
    centred_ND = x_ND - x_ND.mean(0)
    covariance_DD = centred_ND.T @ centred_ND / (n - 1)
    return (covariance_DD.square().sum() - covariance_DD.diagonal().square().sum()) / d
