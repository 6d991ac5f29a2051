"""The arithmetic of a linear probe: labelled vectors in, weights of a softmax out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_past.errors import PastError
from napari_past.model.halves import product
from napari_past.types import FloatArray

PRIOR_LOGIT = 4.0
"""Deviation that a typical cell's log-odds have before anything is labelled: 4 lets a probability
lie between 2 % and 98 %. Fixed beforehand, and tuned on nothing."""
REGION_CLICKS = 10.0
"""So many clicks at most a painted region weighs, however many cells lie in it."""
MOST_OF_A_CLASS = 4000
"""Of more labelled cells of one class, the heaviest and an even sample are fitted."""
_LEAST_SCALE = 1e-3
"""A number of the vectors that varies less, in parts of the one that varies most, counts as so."""
_ITERATIONS = 500
_ROWS_AT_ONCE = 16_384


@dataclass(frozen=True, eq=False)
class Probe:
    """Multinomial logistic regression on vectors as they are stored."""

    weight: npt.NDArray[np.float32]
    """(c, d)."""
    intercept: npt.NDArray[np.float32]
    """(c,)."""

    def probabilities(self, vectors: FloatArray) -> npt.NDArray[np.float32]:
        """Of each class, float32 (n, c), rows of sum 1; `vectors` (n, d) of any precision."""
        result = np.empty((len(vectors), len(self.weight)), np.float32)
        columns = np.ascontiguousarray(self.weight.T)
        for start in range(0, len(vectors), _ROWS_AT_ONCE):
            block = slice(start, start + _ROWS_AT_ONCE)
            logits = product(vectors[block], columns) + self.intercept
            logits -= logits.max(axis=1, keepdims=True)
            np.exp(logits, out=logits)
            result[block] = logits / logits.sum(axis=1, keepdims=True)
        return result


def fit_probe(
    vectors: FloatArray,
    codes: npt.NDArray[np.integer],
    classes: int,
    weights: npt.NDArray[np.floating] | None = None,
    reference: FloatArray | None = None,
) -> Probe:
    """The probe of highest posterior probability; the same labels give the same one.

    Vectors are standardised and divided by the root of their length, so that the strength of the
    ridge means the same for any d: the prior of a typical cell's logit has deviation `PRIOR_LOGIT`.
    Classes weigh the same. Each counts as the harmonic mean of the classes' labels, which is how
    many in each would tell the classes apart as exactly: a hundred labels of one class do not make
    up for a single one of another.

    Parameters
    ----------
    vectors
        (m, d) of labelled cells.
    codes
        (m,) class of each, 0 to `classes` - 1; each occurs.
    weights
        (m,) above 0, as `act_weights` gives them; None for 1.
    reference
        (k, d) of cells without a label, as a sample of the slide, which tell how the vectors'
        numbers vary better than a few labelled ones; None for the labelled ones.

    Raises
    ------
    PastError
        See `check_labels`.
    """
    from sklearn.linear_model import LogisticRegression

    given = np.ones(len(codes)) if weights is None else np.asarray(weights, np.float64)
    check_labels(vectors, codes, classes, given)
    kept, given = _kept(codes, classes, given)
    codes = np.asarray(codes)[kept]
    wide = np.asarray(vectors[kept], np.float64)
    balanced = _balanced(codes, classes, given)
    mean, scale = (
        _spread(wide, balanced) if reference is None or len(reference) < 2 else _spread(reference)
    )
    scale *= np.sqrt(wide.shape[1])
    # With two classes scikit-learn fits the difference of both logits, whose variance is double.
    strength = PRIOR_LOGIT**2 * (2 if classes == 2 else 1)
    fitted = LogisticRegression(C=strength, max_iter=_ITERATIONS, tol=1e-5)
    fitted.fit((wide - mean) / scale, codes, sample_weight=balanced)
    weight, intercept = fitted.coef_, fitted.intercept_
    if classes == 2:
        weight = np.concatenate([-weight, weight]) / 2
        intercept = np.concatenate([-intercept, intercept]) / 2
    weight = weight / scale
    return Probe(weight.astype(np.float32), (intercept - weight @ mean).astype(np.float32))


def act_weights(acts: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
    """What each labelled cell weighs, (m,): a click 1, the cells of one painted region together as
    many clicks as they are cells, but at most `REGION_CLICKS`.

    Neighbours in a region look alike and were labelled at one stroke: thousands of them must not
    drown cells that were looked at one by one.

    Parameters
    ----------
    acts
        (m,): which painted region labelled the cell; below 0 for a click.
    """
    acts = np.asarray(acts)
    result = np.ones(len(acts))
    painted = acts >= 0
    _, region, size = np.unique(acts[painted], return_inverse=True, return_counts=True)
    result[painted] = np.minimum(1.0, REGION_CLICKS / size)[region]
    return result


def check_labels(
    vectors: FloatArray,
    codes: npt.NDArray[np.integer],
    classes: int,
    weights: npt.NDArray[np.floating],
) -> None:
    """Raise `PastError` where nothing can be fitted to these labels; `fit_probe` has the shapes."""
    if vectors.ndim != 2 or not (len(vectors) == len(codes) == len(weights)):
        raise PastError(
            f"Vectors of shape {vectors.shape} came with {len(codes)} labels and {len(weights)} "
            "weights; give one of each for every labelled cell."
        )
    if len(codes) and (np.min(codes) < 0 or np.max(codes) >= classes):
        raise PastError(
            f"A label lies outside of the {classes} classes; leave out cells without a label."
        )
    there = np.unique(codes)
    if len(there) < 2:
        raise PastError(
            f"Cells of {len(there)} class{'' if len(there) == 1 else 'es'} are labelled, but at "
            "least two classes are needed; label cells of another class."
        )
    if len(there) < classes:
        missing = classes - len(there)
        raise PastError(
            f"{missing} of the {classes} classes {'has' if missing == 1 else 'have'} no labelled "
            "cell; label at least one cell of each, or leave the class out."
        )
    if not np.isfinite(np.asarray(vectors, np.float32)).all():
        raise PastError(
            "Vectors of labelled cells are not finite; the table is damaged: make it again with "
            "`napari-past run`."
        )
    if not (np.isfinite(weights).all() and (weights > 0).all()):
        raise PastError("Weights of labelled cells must be above 0; leave out the others.")


def _kept(
    codes: npt.NDArray[np.integer], classes: int, weights: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """Rows to fit, ascending, and their weights: those that were sampled stand for the others."""
    if np.bincount(codes, minlength=classes).max() <= MOST_OF_A_CLASS:
        return np.arange(len(codes)), weights
    weights = weights.copy()
    rows = []
    for code in range(classes):
        of_class = np.flatnonzero(codes == code)
        if len(of_class) > MOST_OF_A_CLASS:
            by_weight = of_class[np.argsort(-weights[of_class], kind="stable")]
            half = MOST_OF_A_CLASS // 2
            others = by_weight[half:]
            sample = others[np.linspace(0, len(others) - 1, half).astype(np.intp)]
            weights[sample] *= weights[others].sum() / weights[sample].sum()
            of_class = np.concatenate([by_weight[:half], sample])
        rows.append(of_class)
    kept = np.sort(np.concatenate(rows))
    return kept, weights[kept]


def _balanced(
    codes: npt.NDArray[np.integer], classes: int, weights: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Weights (m,) by which each class weighs the harmonic mean of the classes' weights."""
    of_class = np.bincount(codes, weights, minlength=classes)
    each = classes / (1.0 / of_class).sum()
    return np.asarray(weights * (each / of_class)[codes])


def _spread(
    vectors: FloatArray, weights: npt.NDArray[np.float64] | None = None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Weighted mean and deviation of each number of the vectors, (d,) each."""
    wide = np.asarray(vectors, np.float64)
    mean = np.average(wide, axis=0, weights=weights)
    deviation = np.sqrt(np.average((wide - mean) ** 2, axis=0, weights=weights))
    least = _LEAST_SCALE * float(deviation.max(initial=0.0))
    return mean, np.maximum(deviation, least) if least > 0 else np.ones_like(deviation)
