"""What a model's card must know to tell cells and slides that look unlike its training tissue."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from napari_past.model.likeness import LEAST_SLIDE_CELLS, Likeness
from napari_past.validation.ridge import LEFT_OUT

PRINCIPAL_COMPONENTS = 64
SLIDE_MARGIN = 4 / 3
"""A slide is flagged this much beyond the training tissue's own most distant part. The tower has
seen that tissue, and a part of a section is further away than a section, so that neither errs on
the same side."""

Cells = npt.NDArray[np.float32]


def likeness(cells_ND: Cells) -> Likeness:
    """Mean and whitening of training cells."""
    mean_D = cells_ND.mean(0, dtype=np.float64).astype(np.float32)
    _, scale_K, axes_KD = np.linalg.svd(cells_ND - mean_D, full_matrices=False)
    # Directions in which the cells do not differ would be infinitely far away.
    k = min(PRINCIPAL_COMPONENTS, int((scale_K > 1e-4 * scale_K[0]).sum()))
    spread_K = scale_K[:k] / np.sqrt(len(cells_ND))
    return Likeness(mean_D, (axes_KD[:k] / spread_K[:, None]).T.astype(np.float32))


def slide_limit(groups: Sequence[Cells]) -> float | None:
    """From which squared distance on a slide's mean is told to be unlike the training tissue.

    Each group is left out of the statistics in turn and cut into neighbouring cells; the part that
    then lies farthest, and a margin, are the limit: no other tissue has a say in it.

    Parameters
    ----------
    groups
        (n, d) cells of each patient, or section, in the order of the tissue. One alone is cut into
        four.

    Returns
    -------
    float or None
        None where no group has the cells for a verdict.
    """
    if len(groups) == 1:
        groups = np.array_split(groups[0], LEFT_OUT)
    farthest = [
        distance
        for held, cells_ND in enumerate(groups)
        for distance in parts_left_out(cells_ND, [g for i, g in enumerate(groups) if i != held])
    ]
    return SLIDE_MARGIN * max(farthest) if farthest and max(farthest) > 0 else None


def parts_left_out(cells_ND: Cells, others: Sequence[Cells]) -> list[float]:
    """Squared distances from `others` of the parts, of `LEAST_SLIDE_CELLS` or more, of a group."""
    n = len(cells_ND) // LEAST_SLIDE_CELLS
    if n == 0:
        return []
    rest = likeness(np.concatenate(others))
    return [rest.of_mean(part.mean(0), len(part)) for part in np.array_split(cells_ND, n)]
