"""What an AnnData file has to choose from, read without its contents."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_past.errors import BadTable
from napari_past.files import existing_file
from napari_past.hdf5 import open_hdf5


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
        with open_hdf5(source) as file:
            obs = file["obs"]
            names = obs.attrs["column-order"]
            index = obs[obs.attrs["_index"]]
            layers = tuple(str(name) for name in file.get("layers", {}))
            return TableParts(tuple(str(name) for name in names), layers, len(index))
    except BadTable:
        raise
    except Exception as exc:  # a damaged file fails in h5py in many ways
        raise BadTable(
            f"{source.name} cannot be read as an AnnData file ({exc}); give an intact .h5ad file."
        ) from exc
