"""How QuPath names what a table of cells holds."""

from __future__ import annotations

import pandas as pd
from anndata import AnnData

from napari_past.io.file_columns import FileColumn, gene_file_names, obs_file_columns
from napari_past.io.provenance import (
    CELL_CLASS,
    CELL_TYPE,
    CLASS_PROBABILITY,
    KEY,
    Provenance,
)
from napari_past.stain import CLASS_NAMES

CENTROID = ("Centroid X µm", "Centroid Y µm")
ORIGINAL_ID = "Original id"
"""Of a cell's metadata: the id it was brought with, where that is no UUID, as QuPath needs one."""
CLASSIFICATION = "classification"
"""Of ``obs``: the class that brought cells came with."""
_NAMES = {
    "area_um2": "Nucleus: Area µm^2",
    "hematoxylin_od": "Nucleus: Hematoxylin OD mean",
    CELL_TYPE: "Cell type",
    CELL_CLASS: "Cell class",
    CLASS_PROBABILITY: "Cell class: probability",
}


def measurement(column: str) -> str:
    """The name of a column of ``obs``."""
    if column.endswith("_class") and column not in _NAMES:
        return f"{column.removesuffix('_class')} class"
    return _NAMES.get(column, column)


def gene_measurement(gene: str, unit: str | None) -> str:
    """The name of a gene's value."""
    return f"{gene} (predicted)" if unit is None else f"{gene} (predicted, {unit})"


def is_class(column: FileColumn) -> bool:
    """Whether it holds the four classes of a marker; a number, 0 to 3, is then measured."""
    of_marker = column.key.endswith("_class") and column.key != CELL_CLASS
    return of_marker and column.categories == tuple(CLASS_NAMES)


def names_of(adata: AnnData) -> tuple[tuple[FileColumn, ...], tuple[str, ...]]:
    """The columns of ``obs`` and the names of the genes' measurements."""
    unit = Provenance.of(adata.uns.get(KEY)).expression_unit
    taken = (*CENTROID, ORIGINAL_ID)
    genes = gene_file_names(adata, taken, lambda gene: gene_measurement(gene, unit))
    return obs_file_columns(adata, (*taken, *genes), measurement), genes


def first_class(columns: tuple[FileColumn, ...]) -> FileColumn | None:
    """The column that gives cells their classification: of a marker, else of the user's
    classifier, else that they came with, else the cell type."""
    named = {c.key: c for c in columns if c.is_text}
    marker = next((c for c in columns if is_class(c)), None)
    others = (CELL_CLASS, CLASSIFICATION, CELL_TYPE)
    return marker or next((named[key] for key in others if key in named), None)


def texts(column: pd.Series) -> list[str | None]:
    """The values of a column as texts; None where one is missing."""
    return [None if missing else str(v) for v, missing in zip(column, column.isna(), strict=True)]
