"""Tissue in focus, as pixels at 0.5 µm/px, to paint artefacts on."""

from __future__ import annotations

import numpy as np
import pytest

from napari_past.sample import draw_phantom
from napari_past.sample.phantom import Phantom

MPP = 0.5


@pytest.fixture(scope="session")
def phantom() -> Phantom:
    """1024 x 768 µm with a place out of focus and a pen mark, both known."""
    return draw_phantom(2048, 1536, MPP, seed=20)


@pytest.fixture
def tissue(phantom: Phantom) -> np.ndarray:
    """600 x 500 µm from its middle, to paint on."""
    return phantom.rgb[300:1300, 500:1700].copy()
