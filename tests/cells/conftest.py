"""A drawn slide whose nuclei are known, and how found nuclei are matched with known ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from napari_past.cells import find_cells
from napari_past.sample import Phantom, draw_phantom
from napari_past.types import FoundCells


@pytest.fixture(scope="session")
def phantom() -> Phantom:
    """600 x 450 µm at 0.5 µm/px: tiles of 256 µm cut through it both ways."""
    return draw_phantom(1200, 900, 0.5, seed=2)


@pytest.fixture(scope="session")
def phantom_cells(phantom: Phantom) -> FoundCells:
    return find_cells(phantom.rgb, phantom.mpp)


@pytest.fixture(scope="session")
def matched() -> Callable[[np.ndarray, np.ndarray, float], int]:
    """``matched(found, known, radius)``: pairs, one to one, at most `radius` apart."""

    def count(found: np.ndarray, known: np.ndarray, radius: float) -> int:
        if len(found) == 0 or len(known) == 0:
            return 0
        distance = cdist(found, known)
        rows, columns = linear_sum_assignment(np.where(distance <= radius, distance, 1e6))
        return int((distance[rows, columns] <= radius).sum())

    return count
