"""How far cells, and slides as a whole, lie from the cells that a model was trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_past.model.card import Card
from napari_past.model.tensors import Tensors
from napari_past.types import FloatArray

LEAST_SLIDE_CELLS = 300
"""With fewer cells their mean tells where they lie in the tissue rather than what slide it is."""
WARN_SHARE = 0.2
"""With a larger share of a slide's cells flagged, it is warned of as a whole."""
_ROWS_AT_ONCE = 16_384


@dataclass(frozen=True, eq=False)
class Likeness:
    """Where the training cells lie: their mean, and the directions in which they differ.

    Distances are squared Mahalanobis distances in the leading principal components of the training
    embeddings (Lee et al. 2018, NeurIPS 31).
    """

    mean: npt.NDArray[np.float32]
    """(d,)."""
    whitening: npt.NDArray[np.float32]
    """(d, k): cells less `mean`, times this, have variance 1 in k directions."""

    def of_cells(self, embeddings: FloatArray) -> npt.NDArray[np.float32]:
        """Squared distance of each cell, float32 (n,)."""
        result = np.empty(len(embeddings), np.float32)
        # In blocks: as float32 a slide's vectors would take twice the memory they have.
        for start in range(0, len(embeddings), _ROWS_AT_ONCE):
            block = slice(start, start + _ROWS_AT_ONCE)
            white = (np.asarray(embeddings[block], np.float32) - self.mean) @ self.whitening
            result[block] = (white**2).sum(axis=1)
        return result

    def of_mean(self, mean: npt.NDArray[np.floating], n: int) -> float:
        """Squared distance of the mean (d,) of n cells, less what sampling alone gives.

        Another stain, scanner or organ moves all cells a little, which single cells do not show.
        """
        white = (mean - self.mean) @ self.whitening
        return max(float((white**2).sum()) - self.whitening.shape[1] / n, 0.0)


@dataclass(frozen=True, eq=False)
class TrainingTissue:
    """The training cells, and how far from them others count as unlike them."""

    like: Likeness | None
    """None where nothing is known of them."""
    limit: float | None
    """Squared distance that flags a cell; as `like`."""
    slide_limit: float | None
    """Squared distance of a slide's cells as a whole that flags the slide; None where nobody can
    say."""

    def of_cells(self, embeddings: FloatArray) -> npt.NDArray[np.float32]:
        """Distance of each cell (n, d) in parts of the limit, float32 (n,); NaN without one."""
        if self.like is None or self.limit is None:
            return np.full(len(embeddings), np.nan, np.float32)
        return self.like.of_cells(embeddings) / np.float32(self.limit)

    def of_slide(self, embeddings: FloatArray) -> float:
        """Distance of a slide's cells (n, d) as a whole, as `of_mean`."""
        if len(embeddings) == 0:
            return float("nan")
        mean = np.asarray(embeddings).mean(axis=0, dtype=np.float64)
        return self.of_mean(mean, len(embeddings))

    def of_mean(self, mean: npt.NDArray[np.floating], n: int) -> float:
        """Distance of the mean (d,) of a slide's n cells in parts of the limit; NaN without one, or
        with fewer than `LEAST_SLIDE_CELLS` cells."""
        if self.like is None or self.slide_limit is None or n < LEAST_SLIDE_CELLS:
            return float("nan")
        return self.like.of_mean(mean, n) / self.slide_limit


def training_tissue(card: Card, tensors: Tensors) -> TrainingTissue:
    """What a model's file says of its training cells."""
    like = None
    if card.unlike_training_limit is not None:
        mean, whitening = (
            np.asarray(tensors[f"statistics.{name}"], np.float32) for name in ("mean", "whitening")
        )
        like = Likeness(mean, whitening)
    return TrainingTissue(like, card.unlike_training_limit, card.slide_unlike_limit)


def unlike_sentence(card: Card, distance: float) -> str:
    """What to tell of a slide's distance in parts of the limit; empty where it is not flagged."""
    if not distance > 1:
        return ""
    return (
        f"This slide as a whole looks unlike the tissue that {card.name} was trained on "
        f"({card.species} {card.organ}, {card.preparation}): {distance:.1f} times the limit; "
        "every value on it is extrapolated."
    )
