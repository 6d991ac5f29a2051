"""How a table lies in files that AnnData writes (HDF5, zarr): with axes, units and exact types."""

from __future__ import annotations

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

_COORDINATES, _UNITS, _TEXTS = "coordinates", "units", "texts"
_OF_FILE = (_COORDINATES, _UNITS, _TEXTS)
"""Of ``uns[KEY]``: what is of the file, not of the table."""


def outgoing(adata: AnnData) -> AnnData:
    """A second AnnData around the same arrays that is written the same way each time.

    Texts become categories, as AnnData would make most of them; their names are told, so that
    reading gives texts again. A slash in a column's name, which would make a group, becomes
    " per ".
    """
    obs, texts_of_obs = _categorised(adata.obs)
    var, texts_of_var = _categorised(adata.var)
    told = stamped(adata.uns.get(KEY))
    units = {str(c): unit for c in obs.columns if (unit := unit_of(str(c)))}
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
    if told is not None:
        adata.uns[KEY] = {k: v for k, v in as_mapping(told).items() if k not in _OF_FILE}
    return adata


def _categorised(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    columns, texts = {}, []
    for key in frame.columns:
        name = str(key).replace("/", " per ")
        columns[name] = frame[key]
        if frame[key].dtype == object or pd.api.types.is_string_dtype(frame[key].dtype):
            columns[name] = frame[key].where(frame[key].isna(), frame[key].astype(str))
            columns[name] = columns[name].astype("category")
            texts.append(name)
    return pd.DataFrame(columns, index=frame.index), texts
