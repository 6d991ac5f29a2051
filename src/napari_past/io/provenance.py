"""What a file says about itself: slide, µm/px, model, evidence, and the research-use sentence.

In memory it is the nested dictionary ``uns["napari_past"]`` of plain values; text formats carry the
same as JSON, together with the columns of ``obs`` and ``var`` that they cannot hold otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData

from napari_past.errors import BadTable
from napari_past.quality import UNSCORED_KINDS
from napari_past.stain import CLASS_NAMES
from napari_past.stain.compartments import COMPARTMENTS, Compartment
from napari_past.types import RESEARCH_USE

KEY = "napari_past"
"""Of ``uns``, and of the foreign member of a GeoJSON file."""

MEASURED = "measured"
"""Of ``uns[KEY]``, in place of ``model``: how the stain of a real slide was measured."""

MISMATCH = "mismatch"
"""Of ``uns[KEY]``, only where there is one: that the slide looks like the other kind of stain."""

UNSCORED = "unscored"
"""Of ``obs``: why a cell is not scored, "" where it is; and of ``uns[KEY]``: source and areas."""

CELL_TYPE, TYPE_MARGIN = "cell_type", "cell_type_margin"
"""Of ``obs``: the nearest type of a reference bank, and how much nearer it is than the second."""

SCHEMA_VERSION = 1

JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]
JsonObject = dict[str, JsonValue]


@dataclass(frozen=True)
class Provenance:
    """The parts of ``uns["napari_past"]`` that this room reads; None where they are not told."""

    slide_mpp: float | None
    expression_unit: str | None
    cutoffs: Mapping[str, tuple[float | None, ...]]
    """By gene or marker, unchecked; None for what is no number."""
    cutoffs_source: Mapping[str, str]
    unscored_area_mm2: Mapping[str, float]
    """By kind; empty where no mask was made."""
    measured: bool = False
    """Whether the values were measured on a real stain."""
    compartment: Compartment | None = None
    """Of a real stain: what the cells were found for."""

    @staticmethod
    def of(told: object) -> Provenance:
        """Read from a nested mapping; anything that is not what it should be counts as untold."""
        top = _mapping(told)
        mpp = _number(_mapping(top.get("slide")).get("mpp"))
        unit = _mapping(top.get("model")).get("expression_unit")
        cutoffs = {
            str(name): tuple(_number(v) for v in limits)
            for name, limits in _mapping(top.get("cutoffs")).items()
            if isinstance(limits, (list, tuple, np.ndarray))
        }
        sources = {str(k): str(v) for k, v in _mapping(top.get("cutoffs_source")).items()}
        areas = _mapping(_mapping(top.get(UNSCORED)).get("area_mm2"))
        known = {str(k): a for k, v in areas.items() if (a := _number(v)) is not None}
        unit = unit if isinstance(unit, str) else None
        measured = _mapping(top.get(MEASURED))
        if measured:
            unit = measured.get("expression_unit")
            unit = unit if isinstance(unit, str) else None
        compartment = next((c for c in COMPARTMENTS if c == measured.get("compartment")), None)
        return Provenance(mpp, unit, cutoffs, sources, known, bool(measured), compartment)


def stamped(told: object) -> dict[str, object]:
    """A copy of ``uns["napari_past"]`` that has a schema version and the research-use sentence."""
    return {"schema_version": SCHEMA_VERSION, "research_use": RESEARCH_USE, **_mapping(told)}


def check_schema(told: object, source: Path) -> None:
    """Raise `BadTable` where a later version of this software wrote the file."""
    version = _number(_mapping(told).get("schema_version"))
    if version is not None and version > SCHEMA_VERSION:
        raise BadTable(
            f"{source.name} has schema version {version:g}, but this version of napari-past reads "
            f"up to {SCHEMA_VERSION}; update napari-past."
        )


def to_json(adata: AnnData) -> JsonObject:
    """The provenance of a table, and its columns of ``obs`` (names and types) and of ``var``."""
    told = plain(stamped(adata.uns.get(KEY)))
    assert isinstance(told, dict)
    told["obs_columns"] = {str(c): str(adata.obs[c].dtype) for c in adata.obs.columns}
    told["genes"] = {
        "names": [str(name) for name in adata.var_names],
        "columns": {
            str(c): {
                "dtype": str(adata.var[c].dtype),
                "values": plain(adata.var[c].astype(object).tolist()),
            }
            for c in adata.var.columns
        },
    }
    return told


def uns_from_json(told: Mapping[str, JsonValue]) -> dict[str, object]:
    """``uns["napari_past"]`` as `to_json` was given it."""
    return {k: v for k, v in told.items() if k not in ("obs_columns", "genes", "mpp")}


def obs_dtypes(told: Mapping[str, JsonValue]) -> dict[str, str]:
    """The columns of ``obs`` and the names of their types, in order."""
    return {str(name): str(kind) for name, kind in _mapping(told.get("obs_columns")).items()}


def var_from_json(told: Mapping[str, JsonValue]) -> pd.DataFrame:
    """The table of genes as `to_json` was given it; empty where none is told."""
    genes = _mapping(told.get("genes"))
    names = genes.get("names")
    index = pd.Index([str(n) for n in names] if isinstance(names, list) else [], dtype=object)
    columns: dict[str, pd.Series] = {}
    for name, column in _mapping(genes.get("columns")).items():
        kind, values = _mapping(column).get("dtype"), _mapping(column).get("values")
        if isinstance(values, list) and len(values) == len(index):
            columns[str(name)] = typed(pd.Series(values, index=index, dtype=object), str(kind))
    return pd.DataFrame(columns, index=index)


def typed(column: pd.Series, dtype: str) -> pd.Series:
    """`column` with the named type, or a wider one where values are missing."""
    missing = column.isna()
    if dtype == "bool":
        return column if missing.any() else column.map(_truth).astype(bool)
    if dtype.startswith(("float", "int", "uint")):
        numbers = pd.to_numeric(column, errors="coerce")
        widened = "float64" if missing.any() and not dtype.startswith("float") else dtype
        return numbers.astype(np.dtype(widened))
    if dtype == "category":
        name = str(column.name)
        if name.endswith("_class"):
            return pd.Series(
                pd.Categorical(column, categories=list(CLASS_NAMES), ordered=True),
                index=column.index,
                name=column.name,
            )
        if name == UNSCORED:
            return pd.Series(
                pd.Categorical(column.fillna(""), categories=["", *UNSCORED_KINDS]),
                index=column.index,
                name=column.name,
            )
        return column.astype("category")
    return column.where(~missing, None)


def plain(value: object) -> JsonValue:
    """`value` as JSON knows it: arrays become lists, and what is not finite becomes null."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (bool, int, str)):
        return value
    return None if value is None or value is pd.NA else str(value)


def _truth(value: object) -> bool:
    return value in (True, 1, "True", "true", "1")


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _number(value: object) -> float | None:
    # bool is an int to Python, but no number here.
    if isinstance(value, (int, float, np.number)) and not isinstance(value, bool):
        return float(value) if math.isfinite(float(value)) else None
    return None
