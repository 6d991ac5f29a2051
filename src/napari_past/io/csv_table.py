"""Tables as plain CSV that every program reads, with the provenance in ``<name>.csv.json``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData

from napari_past.errors import BadTable
from napari_past.files import atomic_write, existing_file
from napari_past.io.cell_ids import position_ids
from napari_past.io.expression import expression_blocks
from napari_past.io.provenance import (
    CELL_TYPE,
    KEY,
    TYPE_MARGIN,
    UNSCORED,
    JsonObject,
    check_schema,
    obs_dtypes,
    to_json,
    typed,
    uns_from_json,
    var_from_json,
)

OWN_COLUMNS = (
    "id", "x_um", "y_um", "area_um2", "hematoxylin_od", UNSCORED, CELL_TYPE, TYPE_MARGIN
)  # fmt: skip
"""Columns that are never genes."""


def sidecar_of(path: Path) -> Path:
    """The file of a CSV file's provenance."""
    return path.with_name(f"{path.name}.json")


def write_csv(adata: AnnData, path: str | Path) -> None:
    """Write ``id,x_um,y_um``, the columns of ``obs`` and one column per gene; no comment lines.

    Positions are (x, y) in µm of slide space. Numbers are written so that they read back as they
    were; missing ones are empty. Embeddings and outlines are left out. The provenance goes to
    ``<name>.csv.json``. The same table gives the same bytes.

    Raises
    ------
    CannotWrite
        The folder is missing or read-only, or the disk is full.
    """
    target = Path(path)
    places = pd.DataFrame(
        np.asarray(adata.obsm["spatial"], dtype=np.float64)[:, :2],
        index=adata.obs_names,
        columns=["x_um", "y_um"],
    )
    head = pd.concat([places, adata.obs], axis=1)
    with (
        atomic_write(target) as unfinished,
        unfinished.open("w", encoding="utf-8", newline="") as f,
    ):
        names = [*head.columns, *adata.var_names]
        pd.DataFrame(columns=names).to_csv(f, index_label="id", lineterminator="\n")
        for rows, values in expression_blocks(adata):
            part = pd.DataFrame(values, index=adata.obs_names[rows], columns=adata.var_names)
            pd.concat([head.iloc[rows], part], axis=1).to_csv(f, header=False, lineterminator="\n")
    with atomic_write(sidecar_of(target)) as unfinished:
        text = json.dumps(to_json(adata), indent=1, ensure_ascii=False, allow_nan=False)
        unfinished.write_text(text + "\n", encoding="utf-8", newline="\n")


def read_csv(path: str | Path) -> AnnData:
    """The table of a CSV file that has at least the columns ``x_um`` and ``y_um``.

    With the sidecar of `write_csv` the columns have their types and the genes their reliability;
    without it every numeric column that is none of ours counts as a gene. Rows without ``id`` get
    one from their position.

    Raises
    ------
    BadTable
        No such file, no CSV, a column missing, a position missing, or two rows with one id.
    """
    source = existing_file(path)
    frame = csv_frame(source)
    centers_um = csv_centers_um(frame, source)
    told = csv_provenance(source)
    ids = frame["id"].astype(str).tolist() if "id" in frame else position_ids(centers_um)
    if len(set(ids)) < len(ids):
        raise BadTable(f"{source.name} has two rows with one id; give every cell its own.")
    frame = frame.drop(columns=["id", "x_um", "y_um"], errors="ignore").set_axis(ids, axis=0)
    var, kinds = var_from_json(told), obs_dtypes(told)
    if set(kinds) | set(var.index) != set(frame.columns):
        genes = [c for c in frame if _is_gene(frame[c])]
        var = pd.DataFrame(index=pd.Index(genes, dtype=object))
        kinds = {str(c): _kind(frame[c]) for c in frame if c not in set(genes)}
    obs = pd.DataFrame({c: typed(frame[c], kind) for c, kind in kinds.items()}, index=ids)
    return AnnData(
        X=numbers(frame[list(var.index)], source).astype(np.float32),
        obs=obs,
        var=var,
        obsm={"spatial": centers_um},
        uns={KEY: uns_from_json(told)} if told else {},
    )


def csv_header(source: Path) -> list[str]:
    """The names of a CSV file's columns."""
    return [str(name) for name in csv_frame(source, rows=0).columns]


def csv_frame(
    source: Path, columns: list[str] | None = None, rows: int | None = None
) -> pd.DataFrame:
    """All or the named columns of a CSV file; numbers are read exactly, ids as text."""
    try:
        return pd.read_csv(
            source,
            usecols=columns,
            nrows=rows,
            dtype={"id": str},
            encoding="utf-8-sig",
            float_precision="round_trip",
            low_memory=False,
        )
    except (ValueError, OSError) as exc:  # ValueErrors: pandas' own, and undecodable text
        raise BadTable(
            f"{source.name} cannot be read as a CSV table ({exc}); give a comma-separated UTF-8 "
            "file with a header line."
        ) from exc


def csv_centers_um(frame: pd.DataFrame, source: Path) -> np.ndarray:
    """(n, 2) float64, (x, y) in µm, from the columns ``x_um`` and ``y_um``."""
    for column in ("x_um", "y_um"):
        if column not in frame:
            raise BadTable(
                f"{source.name} has no column {column}; it needs x_um and y_um, the cells' "
                "positions in µm."
            )
    centers_um = numbers(frame[["x_um", "y_um"]], source)
    if not np.isfinite(centers_um).all():
        line = int(np.flatnonzero(~np.isfinite(centers_um).all(axis=1))[0]) + 2
        raise BadTable(
            f"Line {line} of {source.name} has no position; fill x_um and y_um or delete it."
        )
    return centers_um


def numbers(columns: pd.DataFrame, source: Path) -> np.ndarray:
    """The columns as an array (n, columns) of float64; empty cells are NaN."""
    try:
        return columns.to_numpy(np.float64, na_value=np.nan)
    except (ValueError, TypeError) as exc:
        raise BadTable(
            f"{source.name} has text in {', '.join(map(str, columns.columns))} where numbers were "
            f"expected ({exc}); correct it."
        ) from exc


def csv_provenance(source: Path) -> JsonObject:
    """What the sidecar of a CSV file says; empty where there is none of ours."""
    sidecar = sidecar_of(source)
    try:
        told = json.loads(sidecar.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(told, dict) or "schema_version" not in told:
        return {}
    check_schema(told, sidecar)
    return told


def _is_gene(column: pd.Series) -> bool:
    own = column.name in OWN_COLUMNS or str(column.name).endswith("_class")
    return not own and column.dtype != bool and pd.api.types.is_numeric_dtype(column)


def _kind(column: pd.Series) -> str:
    return "category" if str(column.name).endswith("_class") else str(column.dtype)
