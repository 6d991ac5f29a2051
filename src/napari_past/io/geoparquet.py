"""Geometries in Parquet, as GeoParquet 1.1 has them: any GIS and geopandas open it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import shapely

from napari_past.io.expression import ROWS
from napari_past.io.outline_text import outline_shapes

VERSION = "1.1.0"
OUTLINE_COLUMN, CELL_COLUMN = "geometry", "cell_geometry"
COMPRESSION, COMPRESSION_LEVEL = "zstd", 3


def geo_metadata(
    bounds_um: Mapping[str, tuple[float, float, float, float] | None], kinds: Sequence[str]
) -> bytes:
    """The file's key ``geo``: planar coordinates without a place on earth.

    Parameters
    ----------
    bounds_um
        Of each geometry column, the primary one first; None where it holds nothing.
    kinds
        Types of the primary one's geometries.
    """
    columns = {}
    for number, (name, bounds) in enumerate(bounds_um.items()):
        column: dict[str, object] = {
            "encoding": "WKB",
            "geometry_types": sorted(kinds) if number == 0 else ["Polygon"],
            "crs": None,
            "edges": "planar",
        }
        if bounds is not None:
            column["bbox"] = list(bounds)
        columns[name] = column
    told = {"version": VERSION, "primary_column": next(iter(columns)), "columns": columns}
    return json.dumps(told).encode()


def shapes_or_points(
    outlines_um: npt.NDArray[np.floating] | None, centers_um: npt.NDArray[np.float64]
) -> npt.NDArray[np.object_]:
    """The outline of each cell as a polygon, a point where it has none."""
    points = shapely.points(centers_um)
    if outlines_um is None:
        return np.asarray(points, dtype=object)
    shapes = outline_shapes(outlines_um)
    return np.where(shapely.is_missing(shapes), points, shapes)


def wkb(shapes: npt.NDArray[np.object_]) -> pa.Array:
    """Geometries as a column of binaries; null for None."""
    return pa.array(shapely.to_wkb(shapes, byte_order=1), type=pa.binary())


def geometries(column: pa.ChunkedArray) -> Iterator[npt.NDArray[np.object_]]:
    """What `wkb` wrote, in blocks."""
    for start in range(0, len(column), ROWS):
        yield shapely.from_wkb(column.slice(start, ROWS).to_numpy())


def bounds_of(
    outlines_um: npt.NDArray[np.floating] | None, centers_um: npt.NDArray[np.float64] | None
) -> tuple[float, float, float, float] | None:
    """(x0, y0, x1, y1) of all vertices and points, block by block; None where there is none."""
    low, high = np.full(2, np.inf), np.full(2, -np.inf)
    for block in (*_blocks(outlines_um), *_blocks(centers_um)):
        known = block.reshape(-1, 2)
        known = known[np.isfinite(known).all(axis=1)]
        if len(known):
            low, high = np.minimum(low, known.min(axis=0)), np.maximum(high, known.max(axis=0))
    if not np.isfinite(low).all():
        return None
    x0, y0, x1, y1 = (float(v) for v in (*low, *high))
    return x0, y0, x1, y1


def _blocks(array: npt.NDArray[np.floating] | None) -> Iterator[npt.NDArray[np.float64]]:
    rows = 0 if array is None else len(array)
    for start in range(0, rows, 65_536):
        assert array is not None
        yield np.asarray(array[start : start + 65_536], dtype=np.float64)
