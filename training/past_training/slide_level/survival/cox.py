"""Cox's model with a ridge penalty, fitted by Newton's method; ties after Efron.

lifelines has the same model (tests hold both against each other) but takes tens of times longer for
a fit of some hundred patients, and a nested evaluation needs hundreds of fits.

n patients, p covariates, m events.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
_STEPS = 50
_HALVINGS = 12
_TOLERANCE = 1e-9
"""Of the log partial likelihood per patient, between two steps."""
_LARGEST = 700.0
"""Of a log hazard: beyond, its exponential is infinite, and infinity times 0 no number."""


@dataclass(frozen=True, eq=False)
class CoxFit:
    """Coefficients and the baseline of the patients that they were fitted on."""

    beta: F64
    """(p,), log hazard per unit of each covariate."""
    deviation: F64
    """(p,) standard errors of the inverse information, the penalty's part included; infinite
    where the likelihood is flat."""
    converged: bool
    baseline: Baseline


@dataclass(frozen=True, eq=False)
class Baseline:
    """Breslow's cumulative hazard of a patient whose log hazard is 0 (Breslow, 1972)."""

    time: F64
    """Ascending, where events were seen."""
    cumulative: F64

    def survival(self, log_hazard: F64, times: F64) -> F64:
        """(k, t) probability of no event until each time; constant after the last event."""
        place = np.searchsorted(self.time, times, side="right")
        cumulative = np.concatenate(([0.0], self.cumulative))[place]
        with np.errstate(over="ignore"):
            hazard = np.exp(np.minimum(log_hazard, _LARGEST))
            return np.exp(-hazard[:, None] * cumulative[None])


class RiskSets:
    """Who is at risk at each event of n patients, in the order of time."""

    def __init__(self, time: F64, event: npt.NDArray[np.bool_]) -> None:
        self.order = np.argsort(time, kind="stable")
        self.time, self.event = time[self.order], event[self.order]
        n = len(time)
        self.first = np.searchsorted(self.time, self.time[self.event], side="left")
        """(m,) of each event: all from here on are at risk."""
        _, self.group, count = np.unique(self.first, return_inverse=True, return_counts=True)
        rank = np.arange(len(self.first)) - np.searchsorted(self.first, self.first, side="left")
        self.share = rank / count[self.group]
        """(m,) of the tied events' own weight that Efron takes off the sum at risk."""
        self.past = np.searchsorted(self.time[self.event], self.time, side="right")
        """(n,) how many events lie at or before each patient's time."""
        self.events_at = np.flatnonzero(self.event)
        self.n = n


def log_partial_likelihood(sets: RiskSets, log_hazard: F64) -> float:
    """Efron's (1977) approximation, of log hazards in the patients' own order."""
    eta = log_hazard[sets.order]
    top = eta.max(initial=0.0)
    weight = np.exp(eta - top)
    at_risk = np.cumsum(weight[::-1])[::-1][sets.first]
    tied = np.bincount(sets.group, weight[sets.events_at])[sets.group]
    # A sum that vanishes beside the highest hazard gives an infinity: `fit_cox` steps back from it.
    with np.errstate(divide="ignore"):
        inside = np.log(at_risk - sets.share * tied) + top
    return float(eta[sets.events_at].sum() - inside.sum())


def fit_cox(
    x: F64,
    time: F64,
    event: npt.NDArray[np.bool_],
    ridge: float = 0.0,
    start: F64 | None = None,
    sets: RiskSets | None = None,
) -> CoxFit:
    """The coefficients that maximise log partial likelihood / n - ridge / 2 · |beta|².

    Parameters
    ----------
    x
        (n, p), of any scale; what is penalised should be standardised before.
    time, event
        (n,).
    start
        (p,) coefficients to begin with.
    sets
        Of the same times and events, where many fits share them.
    """
    sets = RiskSets(time, event) if sets is None else sets
    n, p = x.shape
    xs = x[sets.order]
    beta = np.zeros(p) if start is None else start.copy()
    penalty = ridge * n

    def value(b: F64) -> float:
        return (log_partial_likelihood(sets, x @ b) - 0.5 * penalty * float(b @ b)) / n

    best, converged = value(beta), p == 0
    hessian = np.zeros((p, p))
    for _ in range(_STEPS if p else 0):
        gradient, information = _derivatives(sets, xs, xs @ beta)
        # Without a maximum coefficients grow until sums at risk vanish.
        if not (np.isfinite(gradient).all() and np.isfinite(information).all()):
            break
        gradient -= penalty * beta
        hessian = information + penalty * np.eye(p)
        step = np.linalg.lstsq(hessian, gradient, rcond=1e-12)[0]
        scale, gain = 1.0, -np.inf
        for _ in range(_HALVINGS):
            new = value(beta + scale * step)
            gain = new - best
            if np.isfinite(new) and gain >= -1e-13:
                break
            scale /= 2
        else:
            break
        beta, best = beta + scale * step, new
        if gain < _TOLERANCE:
            converged = True
            break
    return CoxFit(beta, _deviation(hessian), converged, baseline_of(sets, x @ beta))


def baseline_of(sets: RiskSets, log_hazard: F64) -> Baseline:
    """Of the patients with these log hazards, in their own order."""
    weight = np.exp(np.minimum(log_hazard[sets.order], _LARGEST))
    at_risk = np.cumsum(weight[::-1])[::-1][sets.first]
    return Baseline(sets.time[sets.events_at], np.cumsum(1.0 / at_risk))


def _derivatives(sets: RiskSets, xs: F64, eta: F64) -> tuple[F64, F64]:
    """Gradient (p,) and information (p, p), of patients in the order of time; not finite where a
    sum at risk vanishes beside the highest hazard."""
    weight = np.exp(eta - eta.max(initial=0.0))
    weighted = weight[:, None] * xs
    own = sets.events_at
    groups = int(sets.group.max()) + 1
    tied0 = np.bincount(sets.group, weight[own], groups)[sets.group]
    tied1 = np.zeros((groups, xs.shape[1]))
    np.add.at(tied1, sets.group, weighted[own])
    sum0 = np.cumsum(weight[::-1])[::-1][sets.first] - sets.share * tied0
    sum1 = np.cumsum(weighted[::-1], axis=0)[::-1][sets.first]
    sum1 = sum1 - sets.share[:, None] * tied1[sets.group]
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        mean = sum1 / sum0[:, None]
        # How often each patient's outer product counts: at each event that it was at risk of, less
        # the shares that Efron takes off the tied ones.
        counts = np.concatenate(([0.0], np.cumsum(1.0 / sum0)))[sets.past]
        counts[own] -= np.bincount(sets.group, sets.share / sum0, groups)[sets.group]
        gradient = xs[own].sum(axis=0) - mean.sum(axis=0)
        return gradient, (xs * (weight * counts)[:, None]).T @ xs - mean.T @ mean


def _deviation(information: F64) -> F64:
    values, vectors = np.linalg.eigh(information)
    flat = values <= 1e-10 * max(float(values.max(initial=0.0)), 1e-300)
    inverse = np.where(flat, np.inf, 1.0 / np.where(flat, 1.0, values))
    with np.errstate(invalid="ignore"):
        variance = np.nansum(np.where(vectors**2 < 1e-14, 0.0, vectors**2 * inverse), axis=1)
    return np.sqrt(variance)
