"""Columns of a table of cells in a file that has only names, numbers and texts.

Parquet, CSV and GeoJSON tell in their metadata, as JSON, which column of the table each of theirs
holds, its type, its unit and its categories, so that reading gives the same table back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from anndata import AnnData

from napari_past.io.provenance import (
    KEY,
    UNSCORED,
    JsonObject,
    JsonValue,
    Provenance,
    as_mapping,
    coordinates,
    plain,
    stamped,
)
from napari_past.io.settled import free_name
from napari_past.quality import UNSCORED_KINDS
from napari_past.stain import CLASS_NAMES

_OWN = ("obs_columns", "columns", "coordinates", "genes", "mpp", "geometry", "empty_texts")
"""Of the JSON: what is of the file, not of the table."""
_UNNAMED = "unnamed"
_NULLABLE = ("boolean", "Int64", "Float64", "string", "str")
_DTYPES = {
    "object", "category", "bool", *_NULLABLE, "float16", "float32", "float64",
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
}  # fmt: skip
_UNITS = {
    "area_um2": "µm²",
    "hematoxylin_od": "optical density",
    "dab_od": "optical density",
    "unlike_training": "true or false",
    "ignored": "true or false",
    "cell_type_margin": "cosine",
    "cell_class": "class",
    "cell_class_probability": "probability",
}
_UNIT_OF_SUFFIX = (
    ("_class", "class, 0 to 3+"),
    ("_um2", "µm²"),
    ("µm^2", "µm²"),
    ("_mm2", "mm²"),
    ("_um", "µm"),
    ("µm", "µm"),
    ("_od", "optical density"),
)


@dataclass(frozen=True)
class FileColumn:
    """A column of a file that holds one of ``obs``."""

    name: str
    """In the file; no two columns of a file have one."""
    key: str
    """Of ``obs``."""
    dtype: str
    """As pandas names it: "float32", "category", "object" …"""
    unit: str
    """Empty where it has none, or nobody told."""
    categories: tuple[str | int | float | bool, ...] = ()
    ordered: bool = False

    @property
    def is_text(self) -> bool:
        """Whether its values are no numbers and no truths."""
        return not self.dtype.lower().startswith(("float", "int", "uint", "bool"))


def unit_of(column: str) -> str:
    """The unit of a column of ``obs``, as its name tells it; else empty."""
    if column in _UNITS:
        return _UNITS[column]
    return next((unit for suffix, unit in _UNIT_OF_SUFFIX if column.endswith(suffix)), "")


def gene_units(adata: AnnData) -> list[str]:
    """The unit of each gene; empty where the table does not tell."""
    if "unit" in adata.var:
        return [str(unit) for unit in adata.var["unit"]]
    return [Provenance.of(adata.uns.get(KEY)).expression_unit or ""] * adata.n_vars


def obs_file_columns(
    adata: AnnData, taken: Iterable[str], named: Callable[[str], str] = str
) -> tuple[FileColumn, ...]:
    """The columns of ``obs`` with names that are neither among the `taken` nor each other's."""
    used = set(taken)
    return tuple(
        FileColumn(
            name=free_name(named(str(key)) or _UNNAMED, used),
            key=str(key),
            dtype=str(adata.obs[key].dtype),
            unit=unit_of(str(key)),
            **_kinds(adata.obs[key]),
        )
        for key in adata.obs.columns
    )


def gene_file_names(
    adata: AnnData, taken: Iterable[str], named: Callable[[str], str] = str
) -> tuple[str, ...]:
    """A column's name for each gene, neither among the `taken` nor another's."""
    used = set(taken)
    return tuple(free_name(named(str(gene)) or _UNNAMED, used) for gene in adata.var_names)


def _kinds(column: pd.Series) -> dict:
    if not isinstance(column.dtype, pd.CategoricalDtype):
        return {}
    return {
        "categories": tuple(column.cat.categories.tolist()),
        "ordered": bool(column.cat.ordered),
    }


def to_json(
    adata: AnnData, columns: Sequence[FileColumn], gene_names: Sequence[str] | None = None
) -> JsonObject:
    """What a file says of itself: the table's provenance, its columns, units, axes and genes.

    Parameters
    ----------
    gene_names
        Of the file's columns, where they hold genes.
    """
    told = plain(stamped(adata.uns.get(KEY)))
    assert isinstance(told, dict)
    told["coordinates"] = coordinates()
    told["columns"] = {c.name: _told(c) for c in columns}
    genes: JsonObject = {
        "names": [str(name) for name in adata.var_names],
        "units": list(gene_units(adata)),
        "columns": {
            str(c): {
                "dtype": str(adata.var[c].dtype),
                "values": plain(adata.var[c].astype(object).tolist()),
            }
            for c in adata.var.columns
        },
    }
    if gene_names is not None:
        genes["file_names"] = list(gene_names)
    told["genes"] = genes
    return told


def _told(column: FileColumn) -> JsonObject:
    told: JsonObject = {"key": column.key, "dtype": column.dtype, "unit": column.unit}
    if column.dtype == "category":
        told |= {"categories": plain(column.categories), "ordered": column.ordered}
    return told


def uns_from_json(told: Mapping[str, JsonValue]) -> dict[str, object]:
    """``uns["napari_past"]`` as `to_json` was given it."""
    return {k: v for k, v in told.items() if k not in _OWN}


def columns_from_json(
    told: Mapping[str, JsonValue], named: Callable[[str], str] = str
) -> tuple[FileColumn, ...]:
    """The columns that a file says it has; of a file of an early version, named as then."""
    if "columns" not in told:
        early = as_mapping(told.get("obs_columns"))
        return tuple(
            FileColumn(
                named(str(key)), str(key), _known_dtype(kind), "", *_early_categories(str(key))
            )
            for key, kind in early.items()
        )
    found = []
    for name, item in as_mapping(told["columns"]).items():
        one = as_mapping(item)
        kinds = one.get("categories")
        found.append(
            FileColumn(
                name=str(name),
                key=str(one.get("key", name)),
                dtype=_known_dtype(one.get("dtype")),
                unit=str(one.get("unit", "")),
                categories=tuple(
                    dict.fromkeys(k for k in kinds if isinstance(k, (str, int, float)))
                )
                if isinstance(kinds, list)
                else (),
                ordered=one.get("ordered") is True,
            )
        )
    return tuple(found)


def _known_dtype(told: object) -> str:
    """A type's name as it is told, where it is one that tables have; else that of texts."""
    return told if isinstance(told, str) and told in _DTYPES else "object"


def _early_categories(key: str) -> tuple[tuple[str, ...], bool]:
    if key.endswith("_class"):
        return tuple(CLASS_NAMES), True
    return (("", *UNSCORED_KINDS) if key == UNSCORED else ()), False


def gene_names_from_json(told: Mapping[str, JsonValue]) -> tuple[str, ...]:
    """The names of a file's columns of genes, in the order of ``var``; those of the genes where the
    file tells no others."""
    genes = as_mapping(told.get("genes"))
    names, given = genes.get("names"), genes.get("file_names")
    if not isinstance(names, list):
        return ()
    fits = isinstance(given, list) and len(given) == len(names)
    return tuple(str(n) for n in (given if fits and isinstance(given, list) else names))


def var_from_json(told: Mapping[str, JsonValue]) -> pd.DataFrame:
    """The table of genes as `to_json` was given it; empty where none is told."""
    genes = as_mapping(told.get("genes"))
    names = genes.get("names")
    index = pd.Index([str(n) for n in names] if isinstance(names, list) else [], dtype=object)
    columns: dict[str, pd.Series] = {}
    for name, column in as_mapping(genes.get("columns")).items():
        kind, values = as_mapping(column).get("dtype"), as_mapping(column).get("values")
        if isinstance(values, list) and len(values) == len(index):
            told_column = FileColumn(str(name), str(name), _known_dtype(kind), "")
            columns[str(name)] = restored(values, told_column, index)
    return pd.DataFrame(columns, index=index)


def restored(
    values: Sequence[object] | npt.NDArray, column: FileColumn, index: Sequence[str] | pd.Index
) -> pd.Series:
    """The column of ``obs`` that a file's values hold; missing ones are None or NaN.

    Numbers that are missing where the type has no such value widen it to float64.
    """
    given = np.asarray(values, dtype=object if column.is_text else None)
    raw = pd.Series(given, index=pd.Index(index, dtype=object))
    missing = raw.isna()
    kind = column.dtype
    if kind == "bool":
        truths = raw.map(_truth).astype(object)
        return truths.where(~missing, None) if missing.any() else truths.astype(bool)
    if kind in _NULLABLE:
        if kind == "boolean":
            raw = raw.map(_truth).astype(object).where(~missing, None)
        return raw.astype(kind)  # type: ignore[call-overload]
    if not column.is_text:
        numbers = pd.to_numeric(raw, errors="coerce")
        widened = "float64" if numbers.isna().any() and not kind.startswith("float") else kind
        with np.errstate(invalid="ignore", over="ignore"):
            return numbers.astype(np.dtype(widened))
    if kind == "category" and column.categories:
        place: dict[object, int] = {str(c): code for code, c in enumerate(column.categories)}
        # Numbers beside missing ones come as floats: 1.0 is the category 1.
        place |= {c: code for code, c in enumerate(column.categories)}
        codes = raw.map(lambda v: place.get(v, place.get(str(v), -1))).where(~missing, -1)
        kinds = pd.Index(column.categories, dtype=object if _texts(column.categories) else None)
        made = pd.Categorical.from_codes(codes.to_numpy(np.int64), kinds, ordered=column.ordered)
        return pd.Series(made, index=raw.index)
    if kind == "category":
        return raw.where(~missing, None).astype("category")
    return raw.where(~missing, None)


def _texts(categories: Iterable[object]) -> bool:
    return any(isinstance(c, str) for c in categories)


def _truth(value: object) -> bool:
    return value in (True, 1, "True", "true", "1", "1.0")
