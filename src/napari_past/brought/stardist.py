"""What StarDist returns beside labels: ``details`` with a polygon for each cell, kept as ``.npz``.

``coord`` is (n, 2, rays), rows then columns, in pixels whose centres are integers; ``points`` are
the centres, ``prob`` how sure the model is, ``class_id`` a class where the model has some
(StarDist's ``predict_instances``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from napari_past.errors import BadTable


def is_stardist(arrays: dict[str, Any]) -> bool:
    """Whether the arrays of a ``.npz`` file are those of StarDist's details."""
    return "coord" in arrays


def star_polygons(
    arrays: dict[str, Any], source: str
) -> tuple[npt.NDArray[np.object_], dict[str, npt.NDArray]]:
    """Polygons (n,), vertices (x, y) in pixels, corner origin, and what is known of each.

    Raises
    ------
    BadTable
        Arrays of another shape.
    """
    coord = np.asarray(arrays["coord"])
    if coord.ndim != 3 or coord.shape[1] != 2 or coord.dtype.kind not in "iuf":
        raise BadTable(
            f"coord in {source} has the shape {' x '.join(map(str, coord.shape))} where n x 2 x "
            "rays was expected, as StarDist's details of a plane have it; save these."
        )
    if coord.shape[2] < 3:
        raise BadTable(f"coord in {source} has under three rays, which outline nothing.")
    xy = coord[:, ::-1].transpose(0, 2, 1).astype(np.float64) + 0.5
    columns: dict[str, npt.NDArray] = {}
    for name, column in (("prob", "probability"), ("class_id", "class_id")):
        values = np.asarray(arrays.get(name, ()))
        if values.shape == (len(coord),) and values.dtype.kind in "iuf":
            columns[column] = values.astype(np.float64)
    finite = np.isfinite(xy).all(axis=(1, 2))
    polygons = np.full(len(xy), None, dtype=object)
    polygons[finite] = shapely.polygons(xy[finite])
    return polygons, columns
