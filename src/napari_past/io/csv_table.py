"""Tables as plain CSV that every program reads, with the provenance in ``<name>.csv.json``."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from anndata import AnnData

from napari_past.errors import BadTable
from napari_past.files import atomic_write, existing_file
from napari_past.io.cell_ids import position_ids
from napari_past.io.empty_texts import EMPTY_TEXTS, empty_texts, with_empty_texts
from napari_past.io.expression import OnRows, expression_blocks, no_step
from napari_past.io.file_columns import (
    FileColumn,
    columns_from_json,
    gene_file_names,
    gene_names_from_json,
    obs_file_columns,
    restored,
    to_json,
    uns_from_json,
    var_from_json,
)
from napari_past.io.outline_text import outline_texts, outlines_of_texts
from napari_past.io.outlines import CELL_OUTLINE, OUTLINE
from napari_past.io.provenance import (
    CELL_CLASS,
    CELL_TYPE,
    CLASS_PROBABILITY,
    KEY,
    TYPE_MARGIN,
    UNSCORED,
    JsonObject,
    as_mapping,
    check_schema,
)
from napari_past.io.settled import settled
from napari_past.stain import CLASS_NAMES

OWN_COLUMNS = (
    "id", "x_um", "y_um", "area_um2", "hematoxylin_od", UNSCORED, CELL_TYPE, TYPE_MARGIN,
    CELL_CLASS, CLASS_PROBABILITY, OUTLINE, CELL_OUTLINE,
)  # fmt: skip
"""Columns that are never genes."""
_PLACES = ("id", "x_um", "y_um")
_MOST_COLUMNS = 100_000
_DECIMAL_COMMA = re.compile(rb"-?\d+,\d+([eE][+-]?\d+)?")


def sidecar_of(path: Path) -> Path:
    """The file of a CSV file's provenance."""
    return path.with_name(f"{path.name}.json")


def write_csv(adata: AnnData, path: str | Path, on_rows: OnRows = no_step) -> None:
    """Write ``id,x_um,y_um``, the columns of ``obs``, one column per gene, and the outlines; no
    comment lines.

    Positions are (x, y) in µm of slide space. Numbers are written so that they read back as they
    were; missing ones are empty. An outline is a polygon as well-known text, in µm to 1 nm.
    Embeddings are left out. The provenance, with axes and the unit of every column, goes to
    ``<name>.csv.json``. The same table gives the same bytes.

    Raises
    ------
    CannotWrite
        The folder is missing or read-only, or the disk is full.
    """
    target, adata = Path(path), settled(adata)
    outlines = [key for key in (OUTLINE, CELL_OUTLINE) if key in adata.obsm]
    columns = obs_file_columns(adata, (*_PLACES, *outlines))
    genes = gene_file_names(adata, (*_PLACES, *outlines, *(c.name for c in columns)))
    with (
        atomic_write(target) as unfinished,
        unfinished.open("w", encoding="utf-8", newline="") as f,
    ):
        names = [*_PLACES, *(c.name for c in columns), *genes, *outlines]
        pd.DataFrame(columns=names).to_csv(f, index=False, lineterminator="\n")
        for rows, values in expression_blocks(adata, on_rows):
            part = _rows(adata, rows, values, columns, outlines)
            # A carriage return alone is not quoted, and would end the line.
            returns = any("\r" in text for c in part for text in part[c] if isinstance(text, str))
            quoting: Literal[0, 2] = csv.QUOTE_NONNUMERIC if returns else csv.QUOTE_MINIMAL
            part.to_csv(f, header=False, index=False, lineterminator="\n", quoting=quoting)
    with atomic_write(sidecar_of(target)) as unfinished:
        told = {**to_json(adata, columns, genes), EMPTY_TEXTS: empty_texts(adata, columns)}
        text = json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False)
        unfinished.write_text(text + "\n", encoding="utf-8", newline="\n")


def _rows(
    adata: AnnData,
    rows: slice,
    values: np.ndarray,
    columns: tuple[FileColumn, ...],
    outlines: list[str],
) -> pd.DataFrame:
    """A block of the file; its columns are numbered, since names may be the same."""
    places = np.asarray(adata.obsm["spatial"][rows], dtype=np.float64)[:, :2]
    index = adata.obs_names[rows]
    parts: list[pd.DataFrame | pd.Series] = [index.to_series(), pd.DataFrame(places, index=index)]
    parts += [adata.obs[c.key].iloc[rows] for c in columns]
    parts.append(pd.DataFrame(values, index=index))
    parts += [pd.Series(outline_texts(adata.obsm[key][rows]), index) for key in outlines]
    joint = pd.concat([part.reset_index(drop=True) for part in parts], axis=1)
    return joint.set_axis(range(joint.shape[1]), axis=1)


def read_csv(path: str | Path) -> AnnData:
    """The table of a CSV file that has at least the columns ``x_um`` and ``y_um``.

    With the sidecar of `write_csv` the table is as it was written, embeddings left out; without it
    every numeric column that is none of ours counts as a gene. Rows without ``id`` get one from
    their position.

    Raises
    ------
    BadTable
        No such file, no CSV, a column missing, a position missing, or two rows with one id.
    """
    source = existing_file(path)
    told = csv_provenance(source)
    columns, genes = columns_from_json(told), gene_names_from_json(told)
    named = {*_PLACES, *(c.name for c in columns), *genes}
    header = csv_header(source)
    ours = bool(told) and named <= set(header) <= named | {OUTLINE, CELL_OUTLINE}
    frame = _told_frame(source, columns, genes) if ours else csv_frame(source)
    centers_um = csv_centers_um(frame, source)
    ids = frame["id"].astype(str).tolist() if "id" in frame else position_ids(centers_um)
    if len(set(ids)) < len(ids):
        raise BadTable(f"{source.name} has two rows with one id; give every cell its own.")
    obsm = {"spatial": centers_um} | {
        key: outlines_of_texts(frame[key], source)
        for key in (OUTLINE, CELL_OUTLINE)
        if key in frame
    }
    if ours:
        empty = as_mapping(told.get(EMPTY_TEXTS))
        texts = {c.name: with_empty_texts(frame[c.name], c, empty) for c in columns}
        obs = pd.DataFrame(
            {c.key: restored(texts[c.name].to_numpy(), c, ids) for c in columns}, index=ids
        )
        var = var_from_json(told)
    else:
        frame = frame.drop(columns=["id", "x_um", "y_um", *obsm], errors="ignore")
        genes = tuple(str(c) for c in frame if _is_gene(frame[c]))
        var = pd.DataFrame(index=pd.Index(genes, dtype=object))
        obs = pd.DataFrame(
            {c: _foreign(frame[c], ids) for c in frame if c not in set(genes)}, index=ids
        )
    return AnnData(
        X=numbers(frame[list(genes)], source).astype(np.float32),
        obs=obs,
        var=var,
        obsm=obsm,
        uns={KEY: uns_from_json(told)} if told else {},
    )


def _told_frame(
    source: Path, columns: tuple[FileColumn, ...], genes: tuple[str, ...]
) -> pd.DataFrame:
    """A file of ours: texts stay what they are, "nan" and "NA" too, and empty numbers are NaN."""
    numeric = ["x_um", "y_um", *genes, *(c.name for c in columns if not c.is_text)]
    return csv_frame(
        source,
        texts=["id", OUTLINE, CELL_OUTLINE, *(c.name for c in columns if c.is_text)],
        missing={name: [""] for name in numeric},
    )


def csv_header(source: Path) -> list[str]:
    """The names of a CSV file's columns."""
    return [str(name) for name in csv_frame(source, rows=0).columns]


def csv_frame(
    source: Path,
    columns: list[str] | None = None,
    rows: int | None = None,
    texts: Sequence[str] = ("id",),
    missing: Mapping[str, Sequence[str]] | None = None,
) -> pd.DataFrame:
    """All or the named columns of a CSV file; numbers are read exactly, `texts` as text.

    Parameters
    ----------
    missing
        What stands for a missing value in each column; without it, what pandas takes for one.
    """
    try:
        separator, decimal = _dialect(source)
        return pd.read_csv(
            source,
            sep=separator,
            decimal=decimal,
            usecols=columns,
            nrows=rows,
            dtype=dict.fromkeys(texts, str),
            na_values=missing,
            keep_default_na=missing is None,
            encoding="utf-8-sig",
            float_precision="round_trip",
            low_memory=False,
        )
    except (ValueError, OSError) as exc:  # ValueErrors: pandas' own, and undecodable text
        raise BadTable(
            f"{source.name} cannot be read as a CSV table ({exc}); give a comma-separated UTF-8 "
            "file with a header line."
        ) from exc


def _dialect(source: Path) -> tuple[str, str]:
    """What separates columns, and whole numbers from decimals: spreadsheets write semicolons where
    a comma stands in numbers."""
    with source.open("rb") as file:
        header, row = file.readline(_MOST_COLUMNS * 64), file.readline(1 << 20)
    separator = max(b",", b";", key=header.count)
    if header.count(separator) > _MOST_COLUMNS:
        raise ValueError(f"it has more than {_MOST_COLUMNS} columns")
    numbers = (_DECIMAL_COMMA.fullmatch(field.strip()) for field in row.split(b";"))
    commas = separator == b";" and any(numbers)
    return separator.decode(), "," if commas else "."


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


def _foreign(column: pd.Series, ids: list[str]) -> pd.Series:
    of_marker = str(column.name).endswith("_class") and column.name != CELL_CLASS
    kind = "category" if of_marker else str(column.dtype)
    categories = tuple(CLASS_NAMES) if kind == "category" else ()
    told = FileColumn(str(column.name), str(column.name), kind, "", categories, bool(categories))
    return restored(column.to_numpy(), told, ids)
