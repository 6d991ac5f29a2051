"""What is worked out beside the GUI thread: the probe, the class of each cell, the evidence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_past.engine.vector_rows import VectorRows
from napari_past.errors import Cancelled, PastError
from napari_past.model.classifier import (
    About,
    CellClassifier,
    ClassifiedCells,
    HeldOut,
    LabelledBy,
    LabelledSlide,
    act_weights,
    fit_classifier,
    held_out_evidence,
)
from napari_past.plugin.classing.labelled_cells import LabelledCells
from napari_past.plugin.niceness import give_way

REFERENCE_CELLS = 4000
"""An even sample of the slide tells how the vectors' numbers vary."""


@dataclass(frozen=True, eq=False)
class Labelled:
    """Labelled cells of one slide with their vectors, and what is told of them."""

    cells: LabelledCells
    names: tuple[str, ...]
    """All classes, also those that no cell has."""
    centers_um: npt.NDArray[np.float64]
    """(m, 2), of the labelled cells."""
    vectors: VectorRows
    """Of all cells of the table."""
    slide_name: str
    fingerprint: str
    model: str
    model_sha256: str

    @property
    def used(self) -> npt.NDArray[np.intp]:
        """The classes that some cell has, ascending."""
        return np.unique(self.cells.code)


@dataclass(frozen=True, eq=False)
class Outcome:
    """The classes of a table's cells from `start` on."""

    classifier: CellClassifier
    labelled: Labelled | None
    """What it was fitted on; None for a classifier that came from a file."""
    start: int
    code: npt.NDArray[np.int32]
    """(m,) places among the classifier's names."""
    probability: npt.NDArray[np.float32]
    """(m,)"""
    margin: npt.NDArray[np.float32]
    """(m,)"""


@dataclass(frozen=True, eq=False)
class _Fit:
    vectors: npt.NDArray[np.floating]
    codes: npt.NDArray[np.int32]
    names: tuple[str, ...]
    weights: npt.NDArray[np.float64]
    reference: npt.NDArray[np.floating]


def get_ready() -> None:
    """What the first fit loads, some seconds, is loaded; call it in any thread."""
    import sklearn.linear_model  # noqa: F401


def fitted(labelled: Labelled, stopped: Callable[[], bool]) -> Outcome | str | None:
    """A probe of the labelled cells and the class of every cell; None where it was stopped, a
    sentence where nothing can be fitted."""
    give_way()
    try:
        fit, cells = _fit(labelled), labelled.cells
        told = {name: int((fit.codes == k).sum()) for k, name in enumerate(fit.names)}
        kinds: tuple[tuple[LabelledBy, bool], ...] = (
            ("clicks", bool((cells.act < 0).any())),
            ("regions", bool((cells.act >= 0).any())),
        )
        about = About(
            name=" · ".join(fit.names),
            model=labelled.model,
            model_sha256=labelled.model_sha256,
            slides=(
                LabelledSlide(
                    name=labelled.slide_name, fingerprint=labelled.fingerprint, cells=told
                ),
            ),
            labelled_by=tuple(kind for kind, there in kinds if there),
        )
        classifier = fit_classifier(
            fit.vectors, fit.codes, fit.names,
            about=about, weights=fit.weights, reference=fit.reference,
        )  # fmt: skip
    except PastError as exc:
        return str(exc)
    return applied(classifier, labelled.vectors, 0, stopped, labelled)


def applied(
    classifier: CellClassifier,
    vectors: VectorRows,
    start: int,
    stopped: Callable[[], bool],
    labelled: Labelled | None = None,
) -> Outcome | str | None:
    """The class of the cells from `start` on; None where it was stopped."""
    give_way()
    found: list[ClassifiedCells] = []
    try:
        for piece in vectors.pieces(start):
            if stopped():
                return None
            found.append(classifier.classified(piece))
    except PastError as exc:
        return str(exc)
    nothing = np.zeros(0, np.float32)
    return Outcome(
        classifier,
        labelled,
        start,
        np.concatenate([np.zeros(0, np.int32), *(part.code for part in found)]),
        np.concatenate([nothing, *(part.probability for part in found)]),
        np.concatenate([nothing, *(part.margin for part in found)]),
    )


def checked(labelled: Labelled, stopped: Callable[[], bool]) -> tuple[Labelled, HeldOut] | None:
    """What the labels themselves tell of the probe; None where it was stopped."""
    give_way()
    try:
        fit = _fit(labelled)
        found = held_out_evidence(
            fit.vectors, fit.codes, fit.names,
            slides=np.zeros(len(fit.codes), np.int64), places_um=labelled.centers_um,
            weights=fit.weights, reference=fit.reference, cancelled=stopped,
        )  # fmt: skip
    except Cancelled:
        return None
    return labelled, found


def _fit(labelled: Labelled) -> _Fit:
    used, vectors = labelled.used, labelled.vectors
    sample = np.linspace(0, len(vectors) - 1, min(len(vectors), REFERENCE_CELLS)).astype(np.intp)
    return _Fit(
        vectors.take(labelled.cells.index),
        np.searchsorted(used, labelled.cells.code).astype(np.int32),
        tuple(labelled.names[k] for k in used),
        act_weights(labelled.cells.act),
        vectors.take(sample),
    )
