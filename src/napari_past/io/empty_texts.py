"""Texts that are empty, beside those that are missing: CSV and GeoJSON write nothing for both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from anndata import AnnData

from napari_past.io.file_columns import FileColumn
from napari_past.io.provenance import JsonObject

EMPTY_TEXTS = "empty_texts"
"""Of a file's JSON."""


def empty_texts(adata: AnnData, columns: Sequence[FileColumn]) -> JsonObject:
    """Rows of each column whose text is empty. True for all of a column that misses none."""
    told: JsonObject = {}
    for column in columns:
        if column.is_text:
            values = adata.obs[column.key]
            empty = (values.astype(object) == "").to_numpy(dtype=bool, na_value=False)
            if empty.any():
                rows = [int(row) for row in np.flatnonzero(empty)]
                told[column.name] = list(rows) if values.isna().any() else True
    return told


def with_empty_texts(
    values: pd.Series, column: FileColumn, told: Mapping[str, object]
) -> pd.Series:
    """A column of a file, where "" and None both stand for nothing, with its empty texts as "" and
    its missing ones as None.

    Parameters
    ----------
    told
        What `empty_texts` gave.
    """
    if not column.is_text:
        return values
    rows = told.get(column.name, [])
    texts = values.astype(object)
    bare = (texts.isna() | (texts == "")).to_numpy(dtype=bool)
    empty = np.full(len(bare), rows is True)
    kept = [r for r in rows if isinstance(r, int)] if isinstance(rows, list) else []
    empty[[r for r in kept if 0 <= r < len(empty)]] = True
    return texts.where(~bare, None).where(~(bare & empty), "")
