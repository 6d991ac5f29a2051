"""Tables as GeoParquet: a row for each cell, its outline as geometry, everything typed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from anndata import AnnData

from napari_past.errors import BadTable
from napari_past.files import atomic_write, existing_file
from napari_past.io.declared import check_size
from napari_past.io.expression import OnRows, expression_blocks, no_step
from napari_past.io.file_columns import (
    FileColumn,
    columns_from_json,
    gene_file_names,
    gene_names_from_json,
    gene_units,
    obs_file_columns,
    restored,
    to_json,
    uns_from_json,
    var_from_json,
)
from napari_past.io.geojson_names import texts
from napari_past.io.geoparquet import (
    CELL_COLUMN,
    COMPRESSION,
    COMPRESSION_LEVEL,
    OUTLINE_COLUMN,
    bounds_of,
    geo_metadata,
    geometries,
    shapes_or_points,
    wkb,
)
from napari_past.io.outline_text import outline_shapes, outlines_of_blocks
from napari_past.io.outlines import CELL_OUTLINE, OUTLINE
from napari_past.io.provenance import KEY, JsonObject, check_schema
from napari_past.io.settled import settled

_PLACES = ("id", OUTLINE_COLUMN, "x_um", "y_um")
_VALUE_BYTES, _FEW_ROWS = 8, 1_000_000
_NO_VECTORS = ("spatial", OUTLINE, CELL_OUTLINE)
_ARROW = {
    "string": pa.string(), "str": pa.string(), "object": pa.string(), "boolean": pa.bool_(),
    "Int64": pa.int64(), "Float64": pa.float64(),
}  # fmt: skip


def write_parquet(adata: AnnData, path: str | Path, on_rows: OnRows = no_step) -> None:
    """Write the cells as GeoParquet 1.1, in groups of rows, so that memory does not grow with them.

    Columns are ``id``, ``geometry`` (the outline as a polygon in µm, (x, y); a point where there is
    none), ``x_um``, ``y_um``, ``cell_geometry`` where whole cells are known beside nuclei, those of
    ``obs``, one for each gene (float32), and each embedding as a list of fixed length in its own
    precision. The key ``geo`` says that coordinates are planar; the key ``napari_past`` is JSON
    with provenance, axes and the unit of every column, which the columns' own metadata repeat. The
    same table gives the same bytes.

    Raises
    ------
    CannotWrite
        The folder is missing or read-only, or the disk is full.
    """
    adata = settled(adata)
    schema, columns, vectors = _schema(adata)
    with (
        atomic_write(path) as unfinished,
        pq.ParquetWriter(
            unfinished, schema, compression=COMPRESSION, compression_level=COMPRESSION_LEVEL
        ) as writer,
    ):
        for rows, values in expression_blocks(adata, on_rows):
            arrays = _arrays(adata, rows, values, columns, vectors)
            typed = [a.cast(field.type) for a, field in zip(arrays, schema, strict=True)]
            writer.write_table(pa.Table.from_arrays(typed, schema=schema))


def _schema(adata: AnnData) -> tuple[pa.Schema, tuple[FileColumn, ...], list[str]]:
    vectors = [k for k in adata.obsm if k not in _NO_VECTORS and np.ndim(adata.obsm[k]) == 2]
    cell = [CELL_COLUMN] if CELL_OUTLINE in adata.obsm else []
    columns = obs_file_columns(adata, (*_PLACES, *cell, *vectors))
    genes = gene_file_names(adata, (*_PLACES, *cell, *vectors, *(c.name for c in columns)))
    fields = [
        pa.field("id", pa.string(), nullable=False),
        _field(OUTLINE_COLUMN, pa.binary(), "µm"),
        _field("x_um", pa.float64(), "µm"),
        _field("y_um", pa.float64(), "µm"),
        *(_field(name, pa.binary(), "µm") for name in cell),
        *(_field(c.name, _type(adata.obs[c.key], c), c.unit) for c in columns),
        *(
            _field(name, pa.float32(), unit)
            for name, unit in zip(genes, gene_units(adata), strict=True)
        ),
        *(pa.field(k, _vector_type(np.asarray(adata.obsm[k][:0]))) for k in vectors),
    ]
    told = {**to_json(adata, columns, genes), "geometry": "outlines in µm, (x, y)"}
    bounds = {OUTLINE_COLUMN: bounds_of(adata.obsm.get(OUTLINE), _centers(adata))}
    if cell:
        bounds[CELL_COLUMN] = bounds_of(adata.obsm[CELL_OUTLINE], None)
    metadata = {
        b"geo": geo_metadata(bounds, ["Point", "Polygon"]),
        KEY.encode(): json.dumps(told, ensure_ascii=False, allow_nan=False).encode(),
    }
    return pa.schema(fields, metadata=metadata), columns, vectors


def _field(name: str, kind: pa.DataType, unit: str) -> pa.Field:
    return pa.field(name, kind, metadata={"unit": unit} if unit else None)


def _type(column: pd.Series, told: FileColumn) -> pa.DataType:
    if told.dtype == "category":
        codes = pa.int8() if len(told.categories) < 128 else pa.int32()
        values = pa.array(told.categories or [""]).type
        return pa.dictionary(codes, values, ordered=told.ordered)
    if told.dtype in _ARROW:
        return _ARROW[told.dtype]
    return pa.from_numpy_dtype(column.dtype)


def _vector_type(rows: npt.NDArray) -> pa.DataType:
    return pa.list_(pa.from_numpy_dtype(rows.dtype), rows.shape[1])


def _centers(adata: AnnData, rows: slice = slice(None)) -> npt.NDArray[np.float64]:
    return np.asarray(adata.obsm["spatial"][rows], dtype=np.float64)[:, :2]


def _arrays(
    adata: AnnData,
    rows: slice,
    values: npt.NDArray[np.float32],
    columns: tuple[FileColumn, ...],
    vectors: list[str],
) -> list[pa.Array]:
    centers_um = _centers(adata, rows)
    outlines_um = adata.obsm[OUTLINE][rows] if OUTLINE in adata.obsm else None
    arrays = [
        pa.array([str(name) for name in adata.obs_names[rows]], pa.string()),
        wkb(shapes_or_points(outlines_um, centers_um)),
        pa.array(centers_um[:, 0]),
        pa.array(centers_um[:, 1]),
    ]
    if CELL_OUTLINE in adata.obsm:
        arrays.append(wkb(outline_shapes(adata.obsm[CELL_OUTLINE][rows])))
    arrays += [_column(adata.obs[c.key].iloc[rows], c) for c in columns]
    arrays += [pa.array(column) for column in np.ascontiguousarray(values.T)]
    for key in vectors:
        block = np.ascontiguousarray(adata.obsm[key][rows])
        arrays.append(
            pa.FixedSizeListArray.from_arrays(pa.array(block.reshape(-1)), block.shape[1])
        )
    return arrays


def _column(values: pd.Series, told: FileColumn) -> pa.Array:
    if told.dtype == "category":
        codes = values.cat.codes.to_numpy().astype(np.int32)
        size = pa.int8() if len(told.categories) < 128 else pa.int32()
        indices = pa.array(codes, mask=codes < 0).cast(size)
        kinds = pa.array(told.categories or [""])
        return pa.DictionaryArray.from_arrays(indices, kinds, ordered=told.ordered)
    if told.is_text:
        return pa.array(texts(values), pa.string())
    # NaN stays NaN: null is another thing to other readers.
    return pa.array(values) if told.dtype in _ARROW else pa.array(values.to_numpy())


def read_parquet(path: str | Path) -> AnnData:
    """The table of a ``.parquet`` file: one of ours as it was written, or a table of anybody with
    ``x_um`` and ``y_um``, or with geometries, in µm.

    Raises
    ------
    BadTable
        No such file, no Parquet, no positions, two rows with one id, or of a later version.
    """
    source = existing_file(path)
    try:
        with pq.ParquetFile(source) as file:
            told = parquet_provenance(source, file)
            table = file.read()
            return _table(table, told, source)
    except BadTable:
        raise
    except Exception as exc:  # a damaged file fails in Arrow in many ways
        raise BadTable(
            f"{source.name} cannot be read as a Parquet table of cells ({exc}); write it again."
        ) from exc


def parquet_provenance(source: Path, file: pq.ParquetFile) -> JsonObject:
    """What a file of ours says of itself; empty of others.

    Raises
    ------
    BadTable
        Written by a later version, or it declares far more values than it holds.
    """
    groups = (file.metadata.row_group(i) for i in range(file.num_row_groups))
    values = sum(g.column(i).num_values for g in groups for i in range(g.num_columns))
    stored = source.stat().st_size
    check_size(_VALUE_BYTES * values, stored, source)
    rows = file.metadata.num_rows
    if rows > max(_FEW_ROWS, stored):  # places of cells that differ take some bytes each
        raise BadTable(
            f"{source.name} declares {rows} cells but holds {stored / 1e6:.1f} MB; it is damaged, "
            "write it again."
        )
    text = (file.schema_arrow.metadata or {}).get(KEY.encode())
    told = json.loads(text) if text else {}
    found: JsonObject = told if isinstance(told, dict) else {}
    check_schema(found, source)
    return found


def _table(table: pa.Table, told: JsonObject, source: Path) -> AnnData:
    names = set(table.column_names)
    centers_um = _read_centers(table, source)
    given = table["id"].to_pylist() if "id" in names else range(table.num_rows)
    ids = [str(name) for name in given]
    if len(set(ids)) < len(ids):
        raise BadTable(f"{source.name} has two rows with one id; give every cell its own.")
    obsm: dict[str, npt.NDArray] = {"spatial": centers_um}
    for key, name in ((OUTLINE, OUTLINE_COLUMN), (CELL_OUTLINE, CELL_COLUMN)):
        if name in names:
            obsm[key] = outlines_of_blocks(geometries(table[name]))
    for field in table.schema:
        if pa.types.is_fixed_size_list(field.type):
            block = table[field.name].combine_chunks()
            obsm[field.name] = block.flatten().to_numpy().reshape(len(ids), field.type.list_size)
    columns, genes = columns_from_json(told), gene_names_from_json(told)
    if not told:
        columns, genes = _foreign(table, {*_PLACES, *obsm, CELL_COLUMN})
    obs = pd.DataFrame(
        {c.key: restored(table[c.name].to_pandas().to_numpy(), c, ids) for c in columns}, index=ids
    )
    expression = np.empty((len(ids), len(genes)), np.float32)
    for i, name in enumerate(genes):
        expression[:, i] = table[name].to_numpy()
    var = var_from_json(told) if told else pd.DataFrame(index=pd.Index(genes, dtype=object))
    uns = {KEY: uns_from_json(told)} if told else {}
    return AnnData(X=expression, obs=obs, var=var, obsm=obsm, uns=uns)


def _read_centers(table: pa.Table, source: Path) -> npt.NDArray[np.float64]:
    if {"x_um", "y_um"} <= set(table.column_names):
        places = [table[name].to_numpy().astype(np.float64) for name in ("x_um", "y_um")]
        centers_um = np.stack(places, axis=1)
    elif OUTLINE_COLUMN in table.column_names:
        found = [shapely.centroid(shapes) for shapes in geometries(table[OUTLINE_COLUMN])]
        middle = np.concatenate(found) if found else np.zeros(0, dtype=object)
        centers_um = np.stack([shapely.get_x(middle), shapely.get_y(middle)], axis=1)
    else:
        raise BadTable(
            f"{source.name} has no positions of cells; it needs x_um and y_um in µm, or geometries."
        )
    if not np.isfinite(centers_um).all():
        row = int(np.flatnonzero(~np.isfinite(centers_um).all(axis=1))[0])
        raise BadTable(f"Row {row} of {source.name} has no position; fill it in or delete it.")
    return centers_um


def _foreign(table: pa.Table, own: set[str]) -> tuple[tuple[FileColumn, ...], tuple[str, ...]]:
    """Columns and genes of somebody else's file: what is float32 or float64 counts as a gene."""
    columns, genes = [], []
    for field in table.schema:
        if field.name in own or field.name.startswith("__index"):
            continue
        if pa.types.is_floating(field.type):
            genes.append(field.name)
        elif pa.types.is_integer(field.type) or pa.types.is_boolean(field.type):
            kind = str(field.type.to_pandas_dtype().__name__)
            columns.append(FileColumn(field.name, field.name, kind.replace("bool_", "bool"), ""))
        elif pa.types.is_string(field.type) or pa.types.is_dictionary(field.type):
            columns.append(FileColumn(field.name, field.name, "object", ""))
    return tuple(columns), tuple(genes)
