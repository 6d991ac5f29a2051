"""What labels can tell of a classifier: each part of the tissue is left out in turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from napari_past.errors import Cancelled
from napari_past.model.classifier.card import UNCHECKED, HeldOut
from napari_past.model.classifier.probe import fit_probe
from napari_past.types import FloatArray

BLOCK_UM = 200.0
"""Side of a block of tissue. Cells nearer to each other share their surroundings, and often what
was labelled at one stroke."""
LEAST_BLOCKS = 3
"""A class in fewer blocks cannot be both fitted and checked."""
LEAST_FOR_INTERVAL = 5
MOST_FOLDS = 10
_RESAMPLES = 500
_SEED = 20240229


def held_out_evidence(
    vectors: FloatArray,
    codes: npt.NDArray[np.integer],
    names: Sequence[str],
    *,
    slides: npt.NDArray[np.integer],
    by: str = "slides",
    places_um: npt.NDArray[np.floating] | None = None,
    weights: npt.NDArray[np.floating] | None = None,
    reference: FloatArray | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> HeldOut:
    """Macro-F1 of labelled cells that the classifier did not see, nor their slide.

    Slides are left out where each class is labelled on two or more; else blocks of tissue, where
    each class lies in three or more, which flatters it: another slide is more unlike. More than
    `MOST_FOLDS` of them are left out some at a time. A cell counts as much as it weighs in the fit
    before classes are balanced.

    Parameters
    ----------
    vectors, codes, names, weights, reference
        As `fit_classifier` has them.
    slides
        (m,) slide of each labelled cell, any numbers; or what is left out in its place.
    by
        How to call several of these.
    places_um
        (m, 2), (x, y) in µm on its slide; None where nobody knows.
    cancelled
        Asked before each fit.

    Raises
    ------
    PastError
        As `fit_classifier`.
    Cancelled
        `cancelled` said so.
    """
    codes = np.asarray(codes)
    groups, reason = np.unique(slides, return_inverse=True)[1], ""
    if _least(groups, codes, len(names))[1] < 2:
        by = f"blocks of {BLOCK_UM:g} µm"
        groups, reason = _blocks(groups, codes, names, places_um)
    n_groups = int(groups.max(initial=-1)) + 1
    if reason:
        return UNCHECKED.model_copy(update={"groups": n_groups, "reason": reason})
    given = np.ones(len(codes)) if weights is None else np.asarray(weights, np.float64)
    predicted = np.empty(len(codes), np.intp)
    fold = _folds(groups, n_groups)
    for number in range(int(fold.max()) + 1):
        if cancelled():
            raise Cancelled("cancelled while the classifier was checked; it is not validated.")
        out = fold == number
        predicted[out] = _predicted(vectors, codes, given, reference, out)
    tables = np.zeros((n_groups, len(names), len(names)))
    np.add.at(tables, (groups, codes, predicted), given)
    f1 = class_f1(tables.sum(axis=0))
    low, high = _interval(tables) if n_groups >= LEAST_FOR_INTERVAL else (None, None)
    return HeldOut(
        by=by,
        groups=n_groups,
        macro_f1=float(f1.mean()),
        low=low,
        high=high,
        f1={name: float(value) for name, value in zip(names, f1, strict=True)},
        reason="",
    )


def _least(
    groups: npt.NDArray[np.intp], codes: npt.NDArray[np.integer], classes: int
) -> tuple[int, int]:
    """The class that lies in the fewest groups, and in how many."""
    spread = [len(np.unique(groups[codes == code])) for code in range(classes)]
    return int(np.argmin(spread)), min(spread)


def _blocks(
    slides: npt.NDArray[np.intp],
    codes: npt.NDArray[np.integer],
    names: Sequence[str],
    places_um: npt.NDArray[np.floating] | None,
) -> tuple[npt.NDArray[np.intp], str]:
    """The block (m,) of each cell, from 0; and why they cannot be left out, else empty."""
    if places_um is None:
        return slides, "a class is labelled on one slide only, and the cells' places are not known"
    corners = np.column_stack([slides, np.floor(np.asarray(places_um) / BLOCK_UM)])
    blocks = np.unique(corners, axis=0, return_inverse=True)[1].reshape(-1)
    code, few = _least(blocks, codes, len(names))
    if few >= LEAST_BLOCKS:
        return blocks, ""
    lie = f"lie in {few} block{'' if few == 1 else 's'} of {BLOCK_UM:g} µm"
    return blocks, f"labels of {names[code]} {lie}; {LEAST_BLOCKS} are needed, or a second slide"


def _folds(groups: npt.NDArray[np.intp], n_groups: int) -> npt.NDArray[np.intp]:
    """The fold (m,) of each cell: a group each, or with many groups as even ones as can be."""
    size = np.bincount(groups, minlength=n_groups)
    cells = np.zeros(min(n_groups, MOST_FOLDS), np.intp)
    fold_of = np.empty(n_groups, np.intp)
    for group in np.argsort(-size, kind="stable"):
        fold_of[group] = cells.argmin()
        cells[fold_of[group]] += size[group]
    return fold_of[groups]


def _predicted(
    vectors: FloatArray,
    codes: npt.NDArray[np.integer],
    weights: npt.NDArray[np.float64],
    reference: FloatArray | None,
    out: npt.NDArray[np.bool_],
) -> npt.NDArray[np.intp]:
    """Class of the cells that are left out, by the others: never one that these do not have."""
    there, seen = np.unique(codes[~out], return_inverse=True)
    if len(there) == 1:
        return np.full(int(out.sum()), there[0], np.intp)
    probe = fit_probe(vectors[~out], seen, len(there), weights[~out], reference)
    return there[probe.probabilities(vectors[out]).argmax(axis=1)].astype(np.intp)


def class_f1(table: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """F1 of each class (…, c) from tables (…, c true, c predicted); NaN where neither occurs."""
    hit = np.diagonal(table, axis1=-2, axis2=-1)
    both = table.sum(axis=-1) + table.sum(axis=-2)
    return np.asarray(np.divide(2 * hit, both, out=np.full(hit.shape, np.nan), where=both > 0))


def _interval(tables: npt.NDArray[np.float64]) -> tuple[float, float]:
    """95 % interval of macro-F1, groups drawn with replacement; a class that is not drawn does not
    count."""
    draws = np.random.default_rng(_SEED).integers(len(tables), size=(_RESAMPLES, len(tables)))
    means = np.array([np.nanmean(class_f1(tables[drawn].sum(axis=0))) for drawn in draws])
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)
