"""A table whose names and texts every format can hold."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import pandas as pd
from anndata import AnnData

from napari_past.io.provenance import KEY

_ROWS = 65_536
_UNWRITABLE = re.compile("[\0\ud800-\udfff]")
_REPLACEMENT = "\ufffd"


def settled(adata: AnnData) -> AnnData:
    """`adata` itself, or one around the same arrays where a format could not hold all of it.

    A NUL and half a character (a lone surrogate) in a text become U+FFFD, Unicode's replacement
    character; dates, intervals and complex numbers become texts; of columns with one name, the
    later are numbered.
    """
    obs, var = _settled_frame(adata.obs), _settled_frame(adata.var)
    told = adata.uns.get(KEY)
    uns = _settled_value(told)
    if obs is adata.obs and var is adata.var and uns is told:
        return adata
    return AnnData(X=adata.X, obs=obs, var=var, obsm=dict(adata.obsm), uns={**adata.uns, KEY: uns})


def free_name(name: str, used: set[str], form: str = "{} ({})") -> str:
    """`name`, numbered in this form where it is among the `used` ones; it is added to them."""
    free, number = name, 2
    while free in used:
        free, number = form.format(name, number), number + 1
    used.add(free)
    return free


def _settled_frame(frame: pd.DataFrame) -> pd.DataFrame:
    used: set[str] = set()
    names = [free_name(_clean(str(name)), used) for name in frame.columns]
    columns = [frame.iloc[:, i] for i in range(len(names))]
    made = [_settled_column(column) for column in columns]
    index = frame.index
    if _is_unwritable(index):
        index = pd.Index([_clean(str(name)) for name in index], dtype=object)
    kept = index is frame.index and names == frame.columns.tolist()
    if kept and all(new is old for new, old in zip(made, columns, strict=True)):
        return frame
    arrays = {name: column.array for name, column in zip(names, made, strict=True)}
    return pd.DataFrame(arrays, index=index)


def _settled_column(column: pd.Series) -> pd.Series:
    kind = column.dtype
    if isinstance(kind, pd.CategoricalDtype):
        kinds = pd.Series(kind.categories)
        made = _settled_column(kinds)
        return column if made is kinds else column.cat.rename_categories(made.tolist())
    is_number = pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_complex_dtype(kind)
    if is_number or pd.api.types.is_bool_dtype(kind):
        return column
    if pd.api.types.is_object_dtype(kind) or pd.api.types.is_string_dtype(kind):
        if not _is_unwritable(column):
            return column
        cleaned = [_clean(v) if isinstance(v, str) else v for v in column]
        return pd.Series(cleaned, column.index, dtype=object)
    texts = [None if no else str(v) for v, no in zip(column, column.isna(), strict=True)]
    return pd.Series(texts, column.index, dtype=object)


def _settled_value(value: object) -> object:
    """A value of ``uns``; the same object where nothing in it is changed."""
    if isinstance(value, str):
        return _clean(value) if _UNWRITABLE.search(value) else value
    if isinstance(value, Mapping):
        made = {_settled_value(key): _settled_value(item) for key, item in value.items()}
        same = all(made.get(key) is item for key, item in value.items())
        return value if same else made
    if isinstance(value, list) or (isinstance(value, np.ndarray) and value.dtype == object):
        items = [_settled_value(item) for item in value]
        same = all(new is old for new, old in zip(items, value, strict=True))
        return value if same else items
    return value


def _is_unwritable(values: pd.Series | pd.Index) -> bool:
    """Whether one of the texts is; many at once, since there are millions."""
    for start in range(0, len(values), _ROWS):
        block = "".join(v for v in values[start : start + _ROWS] if isinstance(v, str))
        if "\0" in block or not (block.isascii() or _UNWRITABLE.search(block) is None):
            return True
    return False


def _clean(text: str) -> str:
    return _UNWRITABLE.sub(_REPLACEMENT, text)
