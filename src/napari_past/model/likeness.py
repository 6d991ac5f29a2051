"""How far cells, and slides as a whole, lie from the cells that a model was trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_past.types import FloatArray

LEAST_SLIDE_CELLS = 300
"""With fewer cells their mean tells where they lie in the tissue rather than what slide it is."""
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
