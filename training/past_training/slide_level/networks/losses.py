"""What heads are fitted to: hazards, classes, expression, and which vectors belong together.

Shapes: B patients, K intervals of time, G genes.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, logsigmoid

from past_training.objectives.contrastive import clip_loss


def cox_loss(log_hazard_B: Tensor, time_B: Tensor, event_B: Tensor) -> Tensor:
    """Negative log partial likelihood per event, ties by Efron's rule; 0 where there is no event.

    Cox 1972; Efron 1977 (J Am Stat Assoc 72:557): of d events at one time, the r-th has the sum of
    hazards of all at risk less r / d of that of the d. The patients given are the risk sets: a
    batch that is not the whole cohort has smaller ones.

    Parameters
    ----------
    time_B, event_B
        Floating, and bool: whether the event was seen at that time.
    """
    if not event_B.any():
        return log_hazard_B.sum() * 0.0
    order = torch.argsort(time_B, descending=True, stable=True)
    time, event = time_B[order], event_B[order]
    # At its highest a hazard is 1, so that no sum overflows.
    log_hazard = (log_hazard_B - log_hazard_B.detach().max())[order]
    hazard = torch.exp(log_hazard)
    # Ties are one group: its risk set ends with its last member, in descending time.
    _, group = torch.unique_consecutive(time, return_inverse=True)
    groups = int(group[-1]) + 1
    at_risk = hazard.new_zeros(groups).scatter_add(0, group, hazard).cumsum(0)
    tied = hazard.new_zeros(groups).scatter_add(0, group, hazard * event)
    deaths = hazard.new_zeros(groups).scatter_add(0, group, event.to(hazard))
    of_event = group[event]
    # The r of each event: how many of its group came before it.
    first = deaths.cumsum(0) - deaths
    rank = torch.arange(len(of_event)).to(hazard) - first[of_event]
    left = at_risk[of_event] - rank / deaths[of_event] * tied[of_event]
    return (torch.log(left.clamp_min(torch.finfo(left.dtype).tiny)) - log_hazard[event]).mean()


def discrete_loss(logits_BK: Tensor, survived_BK: Tensor, died_BK: Tensor) -> Tensor:
    """Negative log likelihood of survival in intervals, per patient.

    Gensheimer & Narasimhan 2019 ("A scalable discrete-time survival model for neural networks",
    PeerJ 7:e6257): the hazard of an interval is the probability of the event in it for who has
    reached it; a patient counts with ``log(1 - hazard)`` for each interval survived and
    ``log hazard`` for that of the event.

    Parameters
    ----------
    survived_BK, died_BK
        Floating 0 or 1, as `Intervals.coded` gives them.
    """
    likelihood = survived_BK * logsigmoid(-logits_BK) + died_BK * logsigmoid(logits_BK)
    return -likelihood.sum(1).mean()


def class_loss(logits: Tensor, codes_B: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy of one task over the patients whose class is known; 0 where none is.

    Parameters
    ----------
    logits, codes_B, weights
        (B, classes); int64, -1 where the class is missing; (classes,), of each class.
    """
    known = codes_B >= 0
    if not known.any():
        return logits.sum() * 0.0
    return cross_entropy(logits[known], codes_B[known], weights)


def bulk_loss(predicted_BG: Tensor, measured_BG: Tensor) -> Tensor:
    """Mean squared error over the values that were measured; 0 where none was.

    Parameters
    ----------
    measured_BG
        In units of each gene's deviation; NaN where it is missing.
    """
    known = torch.isfinite(measured_BG)
    if not known.any():
        return predicted_BG.sum() * 0.0
    return ((predicted_BG - torch.where(known, measured_BG, predicted_BG)) ** 2).sum() / known.sum()


def contrast_loss(slide_BS: Tensor, other_BS: Tensor, present_B: Tensor, tau: Tensor) -> Tensor:
    """Which slide belongs to which profile or report: symmetric cross-entropy over the patients
    that have both; 0 where fewer than two have.

    Parameters
    ----------
    slide_BS, other_BS
        Vectors in the joint space, of any length.
    present_B
        bool, whether the patient has the other modality.
    tau
        Temperature.
    """
    if int(present_B.sum()) < 2:
        return slide_BS.sum() * 0.0
    return clip_loss(slide_BS[present_B], other_BS[present_B], tau)
