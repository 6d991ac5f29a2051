"""How good predicted probabilities are at times: AUC, Brier score, weighted for censoring.

torchsurv has these (in float32; both agree to 2e-7, compared once, with scikit-survival too), but
importing its metrics takes 19 s of CPU, so the papers' formulas stand here.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from past_training.slide_level.survival.censoring import StepCurve, inverse_weights
from past_training.slide_level.survival.concordance import order_of

F64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]


def dynamic_auc(risk: F64, time: F64, event: Bool, censoring: StepCurve, times: F64) -> F64:
    """(t,) chance that who has had the event by t has a higher risk than who has not.

    Cumulative cases, dynamic controls (Uno et al., JASA 102, 2007; Hung and Chiang, 2010); events
    weigh by the inverse of the training fold's censoring survival. NaN without cases or controls.
    """
    weight = inverse_weights(censoring, time, event)
    order = order_of(risk)
    cases = (event & (time <= times[:, None])) * weight
    controls = (time > times[:, None]).astype(np.float64)
    concordant = np.einsum("ti,ij,tj->t", cases, order, controls, optimize=True)
    total = cases.sum(axis=1) * controls.sum(axis=1)
    return np.divide(concordant, total, out=np.full(len(times), np.nan), where=total > 0)


def brier_scores(survival: F64, time: F64, event: Bool, censoring: StepCurve, times: F64) -> F64:
    """(t,) mean squared error of predicted survival (m, t) (Graf et al., 1999).

    Who is censored before t counts through the weights of those who are not.
    """
    weight = inverse_weights(censoring, time, event)
    died = ((time[:, None] <= times[None]) & event[:, None]) * weight[:, None]
    share = censoring.at(times)
    alive = np.divide(
        (time[:, None] > times[None]).astype(np.float64),
        share[None],
        out=np.zeros(survival.shape),
        where=share[None] > 0,
    )
    return (died * survival**2 + alive * (1.0 - survival) ** 2).mean(axis=0)


def integrated(scores: F64, times: F64) -> float:
    """Mean over time by the trapezoidal rule."""
    return float(np.trapezoid(scores, times) / (times[-1] - times[0]))
