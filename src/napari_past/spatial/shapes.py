"""Shapes of a SpatialData folder: what they are called and where their middles lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
import zarr

from napari_past.spatial.boundaries import as_ids
from napari_past.spatial.folder import reading
from napari_past.spatial.ngff import Matrix, systems
from napari_past.spatial.section import Points


@dataclass(frozen=True, eq=False)
class Shapes:
    """Circles or polygons of one element."""

    name: str
    ids: npt.NDArray[np.object_]
    """(n,) texts: the index of the element's table."""
    centers: Points
    """(n, 2) in the element's own coordinates: of circles the centre, else the centroid."""
    systems: dict[str, Matrix]
    """Coordinate system → matrix that leads there."""

    def rows_of(self, ids: npt.NDArray[np.object_]) -> npt.NDArray[np.int64]:
        """(r,) index of the shape of each id, −1 where it has none; the last of several."""
        place = {name: i for i, name in enumerate(self.ids.tolist())}
        return np.array([place.get(name, -1) for name in ids.tolist()], np.int64)


def read_shapes(folder: Path) -> Shapes:
    """The shapes of an element, as SpatialData 0.1 (ragged arrays) or later (GeoParquet) wrote it.

    Raises
    ------
    BadSource
        Nothing of the kind, or damaged.
    """
    with reading(folder, "shapes"):
        group = zarr.open_group(folder, mode="r")
        transformations: Any = group.attrs["coordinateTransformations"]
        table = folder / "shapes.parquet"
        names, geometry = _parquet(table) if table.exists() else _arrays(group)
        middle = shapely.centroid(geometry)
        centers = np.column_stack([shapely.get_x(middle), shapely.get_y(middle)])
        return Shapes(folder.name, as_ids(pd.Series(names)), centers, systems(transformations))


def _parquet(path: Path) -> tuple[pd.Index, npt.NDArray[np.object_]]:
    frame = pd.read_parquet(path)
    values = frame["geometry"].to_numpy(object)
    if len(values) and not isinstance(values[0], bytes):
        raise ValueError("geometries are not written as WKB")
    return frame.index, np.asarray(shapely.from_wkb(values), object)


def _arrays(group: zarr.Group) -> tuple[npt.NDArray, npt.NDArray[np.object_]]:
    def array(name: str) -> npt.NDArray:
        return np.asarray(group[name])

    attributes: Any = group.attrs["spatialdata_attrs"]
    kind = shapely.GeometryType(attributes["geos"]["type"])
    names = sorted(name for name in group.array_keys() if name.startswith("offset"))
    # The innermost are offset0, as shapely wants them first.
    offsets = tuple(array(name) for name in names)
    coords = array("coords").astype(np.float64)
    if kind == shapely.GeometryType.POINT:
        return array("Index"), shapely.points(coords)
    return array("Index"), np.asarray(shapely.from_ragged_array(kind, coords, offsets), object)
