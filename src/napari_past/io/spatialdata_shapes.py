"""Shapes of a SpatialData folder: outlines and circles as GeoParquet, in µm."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
import zarr
from anndata import AnnData

from napari_past.io.geoparquet import (
    COMPRESSION,
    COMPRESSION_LEVEL,
    OUTLINE_COLUMN,
    bounds_of,
    geo_metadata,
    geometries,
    wkb,
)
from napari_past.io.outline_text import outline_shapes, outlines_of_blocks
from napari_past.io.provenance import plain

FILE = "shapes.parquet"
INDEX, CELL_ID = "instance_id", "cell_id"
"""Of a shape: the row of its cell in the table, since napari-spatialdata takes integers alone, and
the cell's own id."""
GLOBAL = "global"
UNIT = "micrometer"
_VERSION = "0.3"
_ROWS = 8192
_RADIUS_UM = 3.0
"""Of a cell whose area nobody told: about that of a nucleus."""


def space_axes(names: str, unit: str = UNIT) -> list[dict[str, str]]:
    """The axes of a coordinate system as OME-NGFF tells them: "xy", "cyx" …"""
    return [
        {"name": n, "type": "channel"} if n == "c" else {"name": n, "type": "space", "unit": unit}
        for n in names
    ]


def put_attributes(group: zarr.Group, told: Mapping[str, object]) -> None:
    """Give a group these attributes beside those that it has."""
    for name, value in told.items():
        group.attrs[name] = plain(value)


def write_polygons(
    shapes: zarr.Group, name: str, adata: AnnData, key: str, chosen: npt.NDArray[np.bool_]
) -> None:
    """Outlines of ``obsm[key]`` of the chosen cells, indexed by their rows in the table."""
    rows = np.flatnonzero(chosen)
    bounds = bounds_of(np.asarray(adata.obsm[key]), None)
    with _writer(shapes, name, bounds, "Polygon", {}) as writer:
        for part in _parts(rows):
            polygons = outline_shapes(np.asarray(adata.obsm[key][part]))
            writer.write_table(
                pa.Table.from_arrays([wkb(polygons), *_ids(adata, part)], schema=writer.schema)
            )


def write_circles(
    shapes: zarr.Group, name: str, adata: AnnData, chosen: npt.NDArray[np.bool_]
) -> None:
    """Centres of the chosen cells, with the radius of a circle of their area."""
    rows = np.flatnonzero(chosen)
    centers_um = np.asarray(adata.obsm["spatial"], dtype=np.float64)[:, :2]
    areas = np.full(adata.n_obs, np.nan)
    if "area_um2" in adata.obs:
        areas = adata.obs["area_um2"].to_numpy(dtype=np.float64, na_value=np.nan)
    radii = np.where(areas > 0, np.sqrt(np.maximum(areas, 0) / np.pi), _RADIUS_UM)
    bounds = bounds_of(None, centers_um[rows])
    with _writer(shapes, name, bounds, "Point", {"radius": pa.float64()}) as writer:
        for part in _parts(rows):
            points = np.asarray(shapely.points(centers_um[part]), dtype=object)
            arrays = [wkb(points), pa.array(radii[part]), *_ids(adata, part)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=writer.schema))


def _parts(rows: npt.NDArray[np.intp]) -> Iterator[npt.NDArray[np.intp]]:
    for start in range(0, max(len(rows), 1), _ROWS):
        yield rows[start : start + _ROWS]


def _ids(adata: AnnData, rows: npt.NDArray[np.intp]) -> tuple[pa.Array, pa.Array]:
    own = pa.array([str(name) for name in adata.obs_names[rows]], pa.string())
    return own, pa.array(rows.astype(np.int64))


def _writer(
    shapes: zarr.Group,
    name: str,
    bounds_um: tuple[float, float, float, float] | None,
    kind: str,
    further: dict[str, pa.DataType],
) -> pq.ParquetWriter:
    same = {"name": GLOBAL, "axes": space_axes("xy")}
    place = {
        "type": "identity",
        "input": {"name": "xy", "axes": space_axes("xy")},
        "output": same,
    }
    group = shapes.create_group(name)
    put_attributes(
        group,
        {
            "encoding-type": "ngff:shapes",
            "axes": ["x", "y"],
            "coordinateTransformations": [place],
            "spatialdata_attrs": {"version": _VERSION},
        },
    )
    # pandas finds the index by this key.
    frame = pd.DataFrame(
        {OUTLINE_COLUMN: [b""], **{key: [0.0] for key in further}, CELL_ID: [""]},
        index=pd.Index([0], name=INDEX),
    )
    pandas = (pa.Schema.from_pandas(frame).metadata or {})[b"pandas"]
    fields = [pa.field(OUTLINE_COLUMN, pa.binary()), *(pa.field(k, t) for k, t in further.items())]
    metadata = {b"pandas": pandas, b"geo": geo_metadata({OUTLINE_COLUMN: bounds_um}, [kind])}
    fields += [pa.field(CELL_ID, pa.string()), pa.field(INDEX, pa.int64())]
    schema = pa.schema(fields, metadata=metadata)
    file = Path(str(shapes.store_path.store.root)) / shapes.path / name / FILE  # type: ignore[attr-defined]
    return pq.ParquetWriter(
        file, schema, compression=COMPRESSION, compression_level=COMPRESSION_LEVEL
    )


def read_outlines(folder: Path, ids: list[str]) -> npt.NDArray[np.float32]:
    """(n, K, 2) of the cells with these ids, NaN where the folder has none of a cell."""
    if not (folder / FILE).is_file():
        return np.full((len(ids), 1, 2), np.nan, np.float32)
    table = pq.read_table(folder / FILE, columns=[CELL_ID, OUTLINE_COLUMN])
    place = {name: row for row, name in enumerate(table[CELL_ID].to_pylist())}
    found = outlines_of_blocks(geometries(table[OUTLINE_COLUMN]))
    rows = np.array([place.get(name, -1) for name in ids], dtype=np.int64)
    outlines = np.full((len(ids), found.shape[1], 2), np.nan, np.float32)
    outlines[rows >= 0] = found[rows[rows >= 0]]
    return outlines
