"""One field of known cells, as others see it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pytest
import shapely
from scipy import ndimage

from napari_past.slide import Slide, slide_of_array

MPP = 0.5


@dataclass(frozen=True, eq=False)
class Known:
    """Cells that touch, in label order."""

    labels: np.ndarray
    """(Y, X) int32, labels 3, 6, 9 …"""
    ids: tuple[str, ...]
    centers_px: np.ndarray
    """(n, 2), (x, y), corner origin: means of the pixels' places."""

    @cached_property
    def polygons_px(self) -> list[shapely.Polygon]:
        """The cells as unions of their pixels, corner origin."""
        polygons = []
        for name in self.ids:
            y, x = np.nonzero(self.labels == int(name))
            polygons.append(shapely.union_all(shapely.box(x, y, x + 1, y + 1)))
        return polygons


@pytest.fixture(scope="session")
def known() -> Known:
    rng = np.random.default_rng(3)
    labels = np.zeros((161, 223), np.int32)
    yy, xx = np.mgrid[-9:10, -9:10]
    number = 0
    for y in range(14, 150, 17):
        for x in range(14, 212, 19):
            number += 3
            a, b = rng.uniform(6, 9.3, 2)
            field = labels[y - 9 : y + 10, x - 9 : x + 10]
            field[((yy / a) ** 2 + (xx / b) ** 2 < 1) & (field == 0)] = number
    found = np.unique(labels)[1:]
    yx = np.array(ndimage.center_of_mass(labels > 0, labels, found))
    return Known(labels, tuple(map(str, found.tolist())), yx[:, ::-1] + 0.5)


@pytest.fixture(scope="session")
def slide(known: Known) -> Slide:
    return slide_of_array(np.full((*known.labels.shape, 3), 230, np.uint8), MPP)
