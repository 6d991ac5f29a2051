from __future__ import annotations

import numpy as np
import pytest
import shapely

from napari_past.plugin.histogram_cells import (
    IN_REGIONS,
    IN_VIEW,
    ON_SLIDE,
    histogram_cells,
)
from napari_past.stain import count_cells
from napari_past.types import IGNORE, INCLUDE, TUMOUR, Region

CENTERS = np.stack([np.arange(10) + 0.5, np.full(10, 0.5)], axis=1)
"""Cell k lies in [k, k + 1)."""


def region(name: str, x0: float, x1: float, role: str = TUMOUR) -> Region:
    return Region(name, role, shapely.box(x0, 0, x1, 1))


REGIONS = (region("A", 0, 4), region("B", 2, 6, INCLUDE), region("fold", 3, 4, IGNORE))
MASKED = np.arange(10) == 5


@pytest.mark.parametrize(
    ("asked", "view", "cells", "where", "why"),
    [
        (IN_VIEW, [2, 3, 4, 5, 6], [2, 4, 6], IN_VIEW, ""),
        (IN_REGIONS, [], [0, 1, 2, 4], IN_REGIONS, ""),
        (ON_SLIDE, [], [0, 1, 2, 4, 6, 7, 8, 9], ON_SLIDE, ""),
        (IN_VIEW, [3, 5], [0, 1, 2, 4, 6, 7, 8, 9], ON_SLIDE, "none in view"),
    ],
)
def test_cells_that_count(asked: str, view: list, cells: list, where: str, why: str) -> None:
    counted = count_cells(CENTERS, REGIONS, unscored=MASKED, also_slide=True)
    found = histogram_cells(asked, counted, np.array(view, np.intp))
    assert found.index.tolist() == cells
    assert (found.where, found.why) == (where, why)


def test_without_regions_it_is_the_slide() -> None:
    counted = count_cells(CENTERS, also_slide=True)
    found = histogram_cells(IN_REGIONS, counted, np.zeros(0, np.intp))
    assert len(found.index) == 10
    assert (found.where, found.why) == (ON_SLIDE, "no region is drawn")


def test_cells_that_came_since_are_not_counted_yet() -> None:
    counted = count_cells(CENTERS, also_slide=True)
    found = histogram_cells(IN_VIEW, counted, np.array([8, 9, 10, 11]))
    assert found.index.tolist() == [8, 9]
