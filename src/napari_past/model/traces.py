"""By which tissue that something was trained on is known again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from napari_past.model.card import Card


@dataclass(frozen=True)
class TrainingTraces:
    """What is left of the training tissue; empty where nobody knows."""

    images: tuple[str, ...] = ()
    """Content hashes."""
    thumbprints: tuple[str, ...] = ()
    """`napari_past.slide.thumbprint` of each: the same tissue in another file has a like one."""
    patients: tuple[str, ...] = ()
    """Digests of their names, as far as they were told."""

    @staticmethod
    def of(card: Card) -> TrainingTraces:
        """Those that a card keeps."""
        return TrainingTraces(
            card.training_fingerprints, card.training_thumbprints, card.training_patients
        )

    def __or__(self, other: TrainingTraces) -> TrainingTraces:
        """Of both, each once, in their order."""
        return TrainingTraces(
            _each(self.images, other.images),
            _each(self.thumbprints, other.thumbprints),
            _each(self.patients, other.patients),
        )

    def carded(self) -> dict[str, tuple[str, ...]]:
        """As fields of a card."""
        return {
            "training_fingerprints": self.images,
            "training_thumbprints": self.thumbprints,
            "training_patients": self.patients,
        }


NO_TRACES = TrainingTraces()


def _each(*parts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for part in parts for text in part))
