from __future__ import annotations

import pytest

from napari_past.sample import Phantom, draw_phantom

WIDTH_PX, HEIGHT_PX, MPP, SEED = 1310, 902, 0.5, 3


@pytest.fixture(scope="session")
def phantom() -> Phantom:
    """A non-square phantom of 655 x 451 µm."""
    return draw_phantom(WIDTH_PX, HEIGHT_PX, MPP, SEED)
