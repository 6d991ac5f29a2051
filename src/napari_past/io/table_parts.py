"""What an AnnData file has to choose from, read without its contents."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py

from napari_past.errors import BadTable
from napari_past.files import existing_file


@dataclass(frozen=True)
class TableParts:
    """Names in an ``.h5ad`` file, in its order."""

    columns: tuple[str, ...]
    """Of ``obs``, its index left out."""
    layers: tuple[str, ...]
    cells: int


def read_table_parts(path: str | Path) -> TableParts:
    """The columns of ``obs`` and the layers of a table.

    Raises
    ------
    BadTable
        No such file, or no AnnData file.
    """
    source = existing_file(path)
    try:
        with h5py.File(source, "r") as file:
            obs = file["obs"]
            names = obs.attrs["column-order"]
            index = obs[obs.attrs["_index"]]
            layers = tuple(str(name) for name in file.get("layers", {}))
            return TableParts(tuple(str(name) for name in names), layers, len(index))
    except (OSError, KeyError, AttributeError, TypeError) as exc:
        raise BadTable(
            f"{source.name} cannot be read as an AnnData file ({exc}); give an intact .h5ad file."
        ) from exc
