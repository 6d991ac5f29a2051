"""A classifier of cells: a linear probe with its card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_past.errors import ModelError, PastError
from napari_past.files import json_sha256
from napari_past.model.classifier.card import (
    UNCHECKED,
    ClassifierCard,
    HeldOut,
    LabelledBy,
    LabelledSlide,
)
from napari_past.model.classifier.probe import PRIOR_LOGIT, Probe, fit_probe
from napari_past.types import FloatArray


@dataclass(frozen=True)
class About:
    """What the card of a classifier tells beside what is fitted."""

    name: str
    model: str
    """Name of the model whose vectors are labelled."""
    model_sha256: str
    slides: tuple[LabelledSlide, ...]
    labelled_by: tuple[LabelledBy, ...]


@dataclass(frozen=True, eq=False)
class ClassifiedCells:
    """The class of each cell, and how sure it is."""

    names: tuple[str, ...]
    code: npt.NDArray[np.int32]
    """(n,) places among `names`: the most probable class."""
    probability: npt.NDArray[np.float32]
    """(n,) of that class."""
    margin: npt.NDArray[np.float32]
    """(n,) that probability less the second best; near 0 a cell lies between two classes."""

    @staticmethod
    def of(names: tuple[str, ...], probabilities: npt.NDArray[np.float32]) -> ClassifiedCells:
        """From the probability of each class, (n, c)."""
        best = np.partition(probabilities, -2, axis=1)[:, -2:]
        return ClassifiedCells(
            names,
            probabilities.argmax(axis=1).astype(np.int32),
            best[:, 1].copy(),
            best[:, 1] - best[:, 0],
        )


@dataclass(frozen=True, eq=False)
class CellClassifier:
    """Classes of cells from the vectors of one model."""

    card: ClassifierCard
    probe: Probe

    @property
    def names(self) -> tuple[str, ...]:
        """The classes."""
        return self.card.classes

    @cached_property
    def sha256(self) -> str:
        """64 hex digits of card and weights, as its file has them."""
        return json_sha256(self.fields)

    @property
    def fields(self) -> dict[str, Any]:
        """Card and weights as JSON has them."""
        return {
            "card": self.card.model_dump(mode="json"),
            # A float32 is its own nearest float64, so reading gives the same bits.
            "weight": self.probe.weight.astype(np.float64).tolist(),
            "intercept": self.probe.intercept.astype(np.float64).tolist(),
        }

    @property
    def told(self) -> dict[str, object]:
        """What a table of classified cells tells of it, in values that every format holds."""
        card = self.card
        return {
            "name": card.name,
            "sha256": self.sha256,
            "classes": list(card.classes),
            "model": card.model,
            "model_sha256": card.model_sha256,
            "labelled": card.labelled,
            "labelled_by": list(card.labelled_by),
            "slides": [slide.name for slide in card.slides],
            "fitted_on": card.fitted_on,
            "evidence": card.held_out.label,
            "research_use": card.research_use,
        }

    def probabilities(self, vectors: FloatArray) -> npt.NDArray[np.float32]:
        """Of each class, float32 (n, c), rows of sum 1.

        Parameters
        ----------
        vectors
            (n, d) as the result store has them, the tower's output; float16 is fastest.

        Raises
        ------
        PastError
            Vectors of another size.
        """
        size = self.card.embed_dim
        if vectors.ndim != 2 or vectors.shape[1] != size:
            raise PastError(
                f"The classifier {self.card.name} takes vectors of {size} numbers, but got "
                f"{vectors.shape}; encode the cells with {self.card.model}."
            )
        return self.probe.probabilities(vectors)

    def classified(self, vectors: FloatArray) -> ClassifiedCells:
        """The most probable class of each cell, with its probability and margin.

        Raises
        ------
        PastError
            As `probabilities`.
        """
        return ClassifiedCells.of(self.names, self.probabilities(vectors))

    def require_model(self, name: str, known_sha256: Sequence[str]) -> None:
        """Refuse vectors of another model, whose numbers mean something else.

        Parameters
        ----------
        name
            Of the model that made the vectors.
        known_sha256
            Of its file, and of the same model's before it was calibrated: `Model.known_sha256`.

        Raises
        ------
        ModelError
        """
        card = self.card
        if card.model_sha256 in known_sha256:
            return
        theirs = known_sha256[0][:12] if known_sha256 else "unknown"
        raise ModelError(
            f"The classifier {card.name} was fitted on vectors of {card.model} (SHA-256 "
            f"{card.model_sha256[:12]}…), but these are of {name} (SHA-256 {theirs}…); label cells "
            f"again with this model, or analyse the slide with {card.model}."
        )

    def with_evidence(self, held_out: HeldOut) -> CellClassifier:
        """The same with what `held_out_evidence` found on its card."""
        return replace(self, card=self.card.model_copy(update={"held_out": held_out}))

    def named(self, name: str) -> CellClassifier:
        """The same under another name."""
        return replace(self, card=self.card.model_copy(update={"name": name}))


def fit_classifier(
    vectors: FloatArray,
    codes: npt.NDArray[np.integer],
    names: Sequence[str],
    *,
    about: About,
    weights: npt.NDArray[np.floating] | None = None,
    reference: FloatArray | None = None,
) -> CellClassifier:
    """A classifier of cells from labelled ones, "not validated" until `with_evidence`.

    Parameters
    ----------
    vectors
        (m, d) of labelled cells, as stored.
    codes
        (m,) places among `names`; each name occurs.
    names
        The classes.
    about
        What its card tells.
    weights, reference
        As `fit_probe` has them.

    Raises
    ------
    PastError
        One class only, a class without a cell, vectors that are not finite.
    """
    probe = fit_probe(vectors, codes, len(names), weights, reference)
    card = ClassifierCard(
        name=about.name,
        classes=tuple(names),
        model=about.model,
        model_sha256=about.model_sha256,
        embed_dim=vectors.shape[1],
        labelled_by=about.labelled_by,
        slides=about.slides,
        prior_logit=PRIOR_LOGIT,
        held_out=UNCHECKED,
        versions={name: version(name) for name in ("napari-past", "scikit-learn")},
    )
    return CellClassifier(card, probe)
