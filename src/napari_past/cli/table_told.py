"""What a table of cells tells beside its values: their names, and how it was made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from anndata.io import read_elem

from napari_past.errors import BadTable
from napari_past.hdf5 import open_hdf5
from napari_past.io import read_cells
from napari_past.io.csv_table import csv_header, csv_provenance
from napari_past.io.provenance import KEY


def table_columns(path: Path) -> list[str]:
    """Names of the values in a table.

    Raises
    ------
    BadTable
    """
    if path.suffix.lower() == ".csv":
        return csv_header(path)
    if path.suffix.lower() != ".h5ad":
        return [str(name) for name in read_cells(path).var_names]
    try:
        with open_hdf5(path) as file:
            return [str(name) for name in read_elem(file["var"]).index]
    except BadTable:
        raise
    except Exception as exc:  # a damaged file fails in h5py or anndata in many ways
        raise BadTable(f"{path.name} is damaged ({exc}); write it again.") from exc


def table_told(path: Path) -> Mapping[str, object]:
    """``uns["napari_past"]`` of a table that `read_marker_table` has read; empty without it."""
    if path.suffix.lower() == ".csv":
        return csv_provenance(path)
    if path.suffix.lower() != ".h5ad":
        return as_mapping(read_cells(path).uns.get(KEY))
    with open_hdf5(path) as file:
        return as_mapping(read_elem(file[f"uns/{KEY}"])) if f"uns/{KEY}" in file else {}


def as_mapping(value: object) -> Mapping[str, object]:
    """The mapping that a value is; empty where it is none."""
    return value if isinstance(value, Mapping) else {}
