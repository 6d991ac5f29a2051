"""Which nuclei contribute to which rows."""

from __future__ import annotations

import numpy as np
import pytest

from napari_past.cells import find_cells
from napari_past.sample import draw_phantom
from napari_past.slide import slide_of_array
from napari_past.spatial.errors import BadPairing
from napari_past.spatial.membership import nucleus_places_um
from past_training.dataset.nuclei import row_nuclei

ORDER = np.arange(6)


def of(section, slide=None):
    return row_nuclei(section, section.centers_um, ORDER, slide, "stain-log")


def test_a_nucleus_belongs_to_the_nearest_spot_that_holds_it(spots):
    section = spots(
        spot_diameter_um=40.0,  # 30 µm apart: they overlap
        nuclei_um=np.array([[41.0, 30.0], [25.0, 49.9], [25.0, 50.1], [5.0, 30.0], [4.9, 30.0]]),
    )
    # Rows are (25, 30), (55, 30), (85, 30), (25, 60) …: 41 is nearer to 55; the edge counts.
    centers, rows = of(section)(0, 6)
    assert dict(zip(map(tuple, centers.tolist()), rows.tolist(), strict=True)) == {
        (41.0, 30.0): 1,
        (25.0, 49.9): 3,
        (25.0, 50.1): 3,
        (5.0, 30.0): 0,
    }
    assert (np.diff(rows) >= 0).all()


def test_ranges_of_rows_give_their_own_nuclei(spots):
    section = spots()
    find = of(section)
    whole, parts = find(0, 6), [find(a, a + 2) for a in (0, 2, 4)]
    np.testing.assert_array_equal(whole[0], np.concatenate([p[0] for p in parts]))
    np.testing.assert_array_equal(whole[1], np.concatenate([p[1] for p in parts]))
    away = np.linalg.norm(whole[0] - section.centers_um[whole[1]], axis=1)
    assert len(whole[0]) > 6
    assert away.max() <= 10


def test_found_nuclei_are_those_of_a_run_over_the_slide(spots):
    phantom = draw_phantom(600, 520, 0.5, 4)
    slide = slide_of_array(phantom.rgb, 0.5)
    x_um, y_um = np.meshgrid([70.0, 150.0, 230.0], [80.0, 180.0])
    centers = np.stack([x_um.ravel(), y_um.ravel()], axis=1)
    section = spots(centers_um=centers, spot_diameter_um=60.0, nuclei_um=None)
    found, rows = of(section, slide)(0, 6)
    all_um = find_cells(slide).centers_um
    away = np.linalg.norm(all_um[:, None] - centers, axis=2)
    expected = all_um[(away <= 30).any(axis=1)]
    assert len(expected) > 20
    key = lambda a: a[np.lexsort(np.round(a, 5).T)]  # noqa: E731
    np.testing.assert_allclose(key(found), key(expected), atol=1e-5)
    assert (np.linalg.norm(found - centers[rows], axis=1) <= 30).all()
    apart = of(section, slide)(2, 4)
    np.testing.assert_allclose(apart[0], found[(rows >= 2) & (rows < 4)], atol=1e-5)


def test_a_cell_has_its_own_nucleus(cells):
    section = cells(rows=3)
    order = np.array([2, 0, 1])
    find = row_nuclei(section, section.centers_um[order], order, None, "stain-log")
    centers, rows = find(1, 3)
    np.testing.assert_array_equal(centers, section.centers_um[[0, 1]])
    assert rows.tolist() == [1, 2]


def test_nuclei_of_the_source_come_before_centres(cells):
    nuclei = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    np.testing.assert_array_equal(nucleus_places_um(cells(rows=3, nuclei_um=nuclei)), nuclei)
    with pytest.raises(BadPairing, match="3 cells but 2 nuclei"):
        nucleus_places_um(cells(rows=3, nuclei_um=nuclei[:2]))
