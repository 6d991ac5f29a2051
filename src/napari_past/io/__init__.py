"""Tables and regions in and out: AnnData, SpatialData, GeoParquet, CSV and QuPath GeoJSON.

In memory a table of cells is an `anndata.AnnData`: ``X`` (n, g) float32 expression,
``obsm["spatial"]`` (n, 2) (x, y) in µm of slide space, ``obsm["outline_um"]`` (n, K, 2) polygons
padded with NaN, ``uns["napari_past"]`` the provenance.
"""

from napari_past.files import atomic_write, check_writable
from napari_past.io.csv_table import read_csv, write_csv
from napari_past.io.formats import (
    check_cells_writable,
    read_cells,
    writable_suffixes,
    write_cells,
)
from napari_past.io.geojson_cells import write_geojson
from napari_past.io.geojson_reading import read_geojson
from napari_past.io.geojson_regions import read_regions, write_regions
from napari_past.io.h5ad import read_h5ad, write_h5ad
from napari_past.io.marker_table import MarkerTable, read_marker_table
from napari_past.io.outlines import found_cells
from napari_past.io.parquet_table import read_parquet, write_parquet
from napari_past.io.score_csv import write_score_csv
from napari_past.io.spatialdata_zarr import read_zarr, write_zarr
from napari_past.io.table_parts import TableParts, read_table_parts
from napari_past.io.unscored import read_unscored

__all__ = [
    "MarkerTable",
    "TableParts",
    "atomic_write",
    "check_cells_writable",
    "check_writable",
    "found_cells",
    "read_cells",
    "read_csv",
    "read_geojson",
    "read_h5ad",
    "read_marker_table",
    "read_parquet",
    "read_regions",
    "read_table_parts",
    "read_unscored",
    "read_zarr",
    "writable_suffixes",
    "write_cells",
    "write_csv",
    "write_geojson",
    "write_h5ad",
    "write_parquet",
    "write_regions",
    "write_score_csv",
    "write_zarr",
]
