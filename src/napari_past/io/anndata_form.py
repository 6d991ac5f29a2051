"""How a table lies in files that AnnData writes (HDF5, zarr): with axes, units and exact types."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData

from napari_past.errors import BadTable
from napari_past.io.file_columns import unit_of
from napari_past.io.outlines import CELL_OUTLINE, OUTLINE
from napari_past.io.provenance import (
    KEY,
    Provenance,
    as_mapping,
    check_schema,
    coordinates,
    stamped,
)
from napari_past.io.settled import free_name

_COORDINATES, _UNITS, _TEXTS, _NAMES = "coordinates", "units", "texts", "column_names"
_OF_FILE = (_COORDINATES, _UNITS, _TEXTS, _NAMES)
"""Of ``uns[KEY]``: what is of the file, not of the table."""
_SLASH = "\N{DIVISION SLASH}"
"""In place of the one that HDF5 and zarr part groups by, in names of ``uns[KEY]``."""
_RESERVED = ("", ".", "..", "_index", "__categories")
"""No names of columns in HDF5, zarr or AnnData."""


def outgoing(adata: AnnData, *, plain_names: bool = False) -> AnnData:
    """A second AnnData around the same arrays that is written the same way each time.

    Texts become categories, as AnnData would make most of them; their names are told, so that
    reading gives texts again. A slash in a column's name, which would make a group, becomes
    " per "; the name is told, so that reading gives it back.

    Parameters
    ----------
    plain_names
        Names of columns keep letters, digits, dots and hyphens alone, and differ in more than
        capitals: SpatialData refuses a table with others.
    """
    obs, texts_of_obs = _categorised(adata.obs, plain_names)
    var, texts_of_var = _categorised(adata.var, plain_names)
    told = _renamed(stamped(adata.uns.get(KEY)), "/", _SLASH)
    units = {
        name: unit
        for name, key in zip(obs.columns, adata.obs.columns, strict=True)
        if (unit := unit_of(str(key)))
    }
    places = {k: "µm" for k in ("spatial", OUTLINE, CELL_OUTLINE) if k in adata.obsm}
    told[_COORDINATES] = dict(coordinates())
    told[_UNITS] = {
        "X": Provenance.of(told).expression_unit or "",
        "obs": units,
        "obsm": places,
    }
    told[_TEXTS] = {
        "obs": np.array(texts_of_obs, dtype=object),
        "var": np.array(texts_of_var, dtype=object),
    }
    told[_NAMES] = {
        part: np.array([str(name) for name in frame.columns], dtype=object)
        for part, frame, form in (("obs", adata.obs, obs), ("var", adata.var, var))
        if frame.columns.tolist() != form.columns.tolist()
    }
    return AnnData(X=adata.X, obs=obs, var=var, obsm=dict(adata.obsm), uns={**adata.uns, KEY: told})


def incoming(adata: AnnData, source: Path) -> AnnData:
    """The table that a file holds, as it was written.

    Raises
    ------
    BadTable
        It has no ``obsm["spatial"]`` (n, 2), or is written by a later version.
    """
    if "spatial" not in adata.obsm or np.ndim(adata.obsm["spatial"]) != 2:
        raise BadTable(
            f'{source.name} has no positions of cells: obsm["spatial"], (n, 2) (x, y) in µm, '
            "is needed."
        )
    told = adata.uns.get(KEY)
    check_schema(told, source)
    texts = as_mapping(as_mapping(told).get(_TEXTS))
    for part, frame in (("obs", adata.obs), ("var", adata.var)):
        for name in np.atleast_1d(np.asarray(texts.get(part, []), dtype=object)).tolist():
            if str(name) in frame:
                values = frame[str(name)].astype(object)
                frame[str(name)] = values.where(values.notna(), None)
    names = as_mapping(as_mapping(told).get(_NAMES))
    for part, frame in (("obs", adata.obs), ("var", adata.var)):
        own = [str(name) for name in np.atleast_1d(np.asarray(names.get(part, []), dtype=object))]
        if own:
            # What a file has beyond them stands behind them.
            frame.columns = pd.Index([*own, *frame.columns[len(own) :]][: frame.shape[1]])
    if told is not None:
        kept = {k: v for k, v in as_mapping(told).items() if k not in _OF_FILE}
        adata.uns[KEY] = _renamed(kept, _SLASH, "/")
    return adata


def _renamed(told: Mapping[str, object], old: str, new: str) -> dict[str, object]:
    """A nested mapping with the names in it changed."""
    return {
        str(name).replace(old, new): _renamed(item, old, new) if isinstance(item, Mapping) else item
        for name, item in told.items()
    }


def _column_names(frame: pd.DataFrame, plain_names: bool) -> list[str]:
    """What the columns are called in a file."""
    names = [str(key).replace("/", " per ") for key in frame.columns]
    used = set(_RESERVED)
    if not plain_names:
        return [free_name(name, used) for name in names]
    found = []
    for name in names:
        bare = "".join(c if c.isalnum() or c in "_-." else "_" for c in name)
        bare = bare if bare.strip("_") else "unnamed"
        bare = f"_{bare.lstrip('_')}" if bare.startswith("__") else bare
        folded = free_name(bare.lower(), used, "{}_{}")
        found.append(bare + folded[len(bare) :])
    return found


def _categorised(frame: pd.DataFrame, plain_names: bool) -> tuple[pd.DataFrame, list[str]]:
    columns, texts = {}, []
    for name, key in zip(_column_names(frame, plain_names), frame.columns, strict=True):
        columns[name] = frame[key]
        if frame[key].dtype == object or pd.api.types.is_string_dtype(frame[key].dtype):
            columns[name] = frame[key].where(frame[key].isna(), frame[key].astype(str))
            columns[name] = columns[name].astype("category")
            texts.append(name)
    return pd.DataFrame(columns, index=frame.index), texts
