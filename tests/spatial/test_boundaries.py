"""Centres of outlined nuclei."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import shapely

from napari_past.spatial.boundaries import with_nucleus_centers
from napari_past.spatial.errors import BadSource


@pytest.fixture
def outlines(tmp_path):
    """Cell a: two nuclei; b: none; c: an L; d: not in the matrix; e: a point."""
    polygons = [
        ("a", 1, [(0, 0), (2, 0), (2, 2), (0, 2)]),
        ("a", 2, [(10, 10), (14, 10), (14, 13), (10, 13)]),
        ("c", 3, [(0, 0), (6, 0), (6, 1), (1, 1), (1, 4), (0, 4)]),
        ("d", 4, [(0, 0), (1, 0), (1, 1)]),
        ("e", 5, [(3, 3), (3, 3), (3, 3)]),
    ]
    lines = [
        (cell, x + 9e5, y + 4e4, label)
        for cell, label, points in polygons
        for x, y in [*points, points[0]]
    ]
    path = tmp_path / "nucleus_boundaries.parquet"
    columns = ["cell_id", "vertex_x", "vertex_y", "label_id"]
    pd.DataFrame(lines, columns=columns).to_parquet(path)
    return path


def test_centroids(outlines):
    centers_um = np.full((4, 2), 5.0)
    row_of = {"c": 0, "a": 1, "b": 2, "e": 3}
    found = with_nucleus_centers(outlines, row_of, centers_um)
    shape = shapely.Polygon([(0, 0), (6, 0), (6, 1), (1, 1), (1, 4), (0, 4)]).centroid
    np.testing.assert_allclose(found[0] - (9e5, 4e4), [shape.x, shape.y], atol=1e-6)
    np.testing.assert_allclose(found[1] - (9e5, 4e4), [12.0, 11.5], atol=1e-6)  # the larger one
    np.testing.assert_array_equal(found[2:], centers_um[2:])
    assert (centers_um == 5.0).all()


def test_without_labels_and_without_lines(outlines):
    table = pd.read_parquet(outlines).drop(columns="label_id")
    table[table["cell_id"] == "c"].to_parquet(outlines)
    found = with_nucleus_centers(outlines, {"c": 0}, np.zeros((1, 2)))
    shape = shapely.Polygon([(0, 0), (6, 0), (6, 1), (1, 1), (1, 4), (0, 4)]).centroid
    np.testing.assert_allclose(found[0] - (9e5, 4e4), [shape.x, shape.y], atol=1e-6)
    table.iloc[:0].to_parquet(outlines)
    np.testing.assert_array_equal(
        with_nucleus_centers(outlines, {"c": 0}, np.zeros((1, 2))), np.zeros((1, 2))
    )


def test_other_columns(outlines):
    pd.read_parquet(outlines).rename(columns={"vertex_x": "x"}).to_parquet(outlines)
    with pytest.raises(BadSource, match="cannot be read as outlines of nuclei"):
        with_nucleus_centers(outlines, {"c": 0}, np.zeros((1, 2)))
