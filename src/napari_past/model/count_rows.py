"""Counts of a table, read by rows: in memory, or streamed from a file.

Of a file nothing but the names of its genes and the rows asked for are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask.array
import h5py
import numpy as np
import pandas as pd
import zarr
from anndata import AnnData
from anndata.abc import CSCDataset, CSRDataset
from anndata.io import read_elem, sparse_dataset
from scipy import sparse

from napari_past.errors import BadTable
from napari_past.files import existing_file
from napari_past.hdf5 import open_hdf5

_ENTRIES_AT_ONCE = 1 << 24
"""Of a matrix stored by columns: what is held to turn it into rows, about 0.4 GB."""


@dataclass(frozen=True, eq=False)
class CountTable:
    """A matrix of counts that is open for reading, and the genes of its columns."""

    name: str
    """For messages: the file's name."""
    place: str
    """For messages: "X", or the layer."""
    var: pd.DataFrame
    matrix: Any
    """(n, g) array, sparse matrix, dask array, HDF5 or zarr array, or sparse dataset."""
    layers: tuple[str, ...]

    @property
    def rows(self) -> int:
        return int(self.matrix.shape[0])

    def blocks(self, rows_at_once: int) -> Iterator[tuple[int, sparse.csr_array]]:
        """First row and counts (rows, g) of each piece; all rows, in order.

        Raises
        ------
        BadTable
            A value is no raw count: negative, not finite, not whole.
        """
        matrix = self.matrix
        if sparse.issparse(matrix) and matrix.format != "csr":
            matrix = matrix.tocsr()
        pieces = (
            _rows_of_columns(matrix, rows_at_once)
            if isinstance(matrix, CSCDataset)
            else _rows(matrix, rows_at_once)
        )
        for start, block in pieces:
            self._check(start, block)
            yield start, block

    def _check(self, start: int, block: sparse.csr_array) -> None:
        values = block.data
        if values.dtype.kind not in "biuf":
            raise BadTable(
                f"{self.place} of {self.name} holds {values.dtype} values, but raw counts are "
                f"needed; {self._advice()}"
            )
        if values.dtype.kind in "bu" or not len(values):
            return
        if values.dtype.kind == "i":
            wrong = values < 0
        else:
            # The difference is NaN, thus not 0, for NaN and infinity too.
            with np.errstate(invalid="ignore"):
                wrong = (values < 0) | (values - np.floor(values) != 0)
        if not wrong.any():
            return
        entry = int(np.argmax(wrong))
        row = int(np.searchsorted(block.indptr, entry, side="right")) - 1
        gene = self.var.index[block.indices[entry]]
        raise BadTable(
            f"{self.place} of {self.name} holds {values[entry]:.6g} (row {start + row}, gene "
            f"{gene}), but raw counts are needed: whole numbers from 0 on, neither normalised nor "
            f"logged; {self._advice()}"
        )

    def _advice(self) -> str:
        others = [layer for layer in self.layers if layer != self.place]
        if others:
            return f"choose them with layer= (the table has {', '.join(others)})."
        return "give a table that has them."


@contextmanager
def open_counts(table: AnnData | str | Path, layer: str | None = None) -> Iterator[CountTable]:
    """The counts of a table, in memory or in an ``.h5ad`` file or ``.zarr`` folder.

    Parameters
    ----------
    table
        An `AnnData`, backed or not, or the file of one.
    layer
        Where the counts are; default: ``X``.

    Raises
    ------
    BadTable
        No such file, no AnnData file, or no such layer.
    """
    if isinstance(table, AnnData):
        name = Path(table.filename).name if table.isbacked else "The table"
        layers = tuple(str(key) for key in table.layers)
        matrix = table.X if layer is None else _layer(table.layers, layer, layers, name)
        yield _checked(CountTable(name, layer or "X", table.var, matrix, layers))
        return
    path = Path(table)
    with _opened(path) as group:
        layers = tuple(str(key) for key in group["layers"]) if "layers" in group else ()
        try:
            var = read_elem(group["var"])
            if layer is None:
                matrix = group.get("X")
            else:
                matrix = _layer(group.get("layers", {}), layer, layers, path.name)
            if isinstance(matrix, h5py.Group | zarr.Group):
                matrix = sparse_dataset(matrix)
        except BadTable:
            raise
        except Exception as exc:  # what is no AnnData fails in anndata, h5py or zarr in many ways
            raise BadTable(
                f"{path.name} cannot be read as an AnnData file ({exc}); give an intact .h5ad file "
                "or .zarr folder."
            ) from exc
        yield _checked(CountTable(path.name, layer or "X", var, matrix, layers))


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The HDF5 or zarr group that an AnnData was written to."""
    if path.is_dir():
        try:
            group: Any = zarr.open_group(path, mode="r")
        except Exception as exc:  # zarr has an error of its own for each version and file
            raise BadTable(
                f"{path.name} cannot be read as a zarr folder ({exc}); give an .h5ad file, or the "
                ".zarr folder of an AnnData."
            ) from exc
        if "var" not in group:
            tables = sorted(str(key) for key in group["tables"]) if "tables" in group else []
            instead = f"{path.name}/tables/{tables[0]}" if tables else "an AnnData's .zarr folder"
            raise BadTable(f"{path.name} holds no table of its own; give {instead}.")
        yield group
        return
    source = existing_file(path)
    try:
        file = open_hdf5(source)
    except OSError as exc:
        raise BadTable(
            f"{source.name} cannot be read as an AnnData file ({exc}); give an intact .h5ad file "
            "or .zarr folder."
        ) from exc
    with file:
        if "var" not in file:
            raise BadTable(
                f"{source.name} names no genes (it has no var), so it is no AnnData file; give an "
                ".h5ad file or .zarr folder."
            )
        yield file


def _layer(layers: Any, layer: str, names: tuple[str, ...], table: str) -> Any:
    if layer not in names:
        have = f"has {', '.join(names)}" if names else "has none"
        raise BadTable(f"{table} has no layer {layer!r} (it {have}); choose another, or X.")
    return layers[layer]


def _checked(counts: CountTable) -> CountTable:
    if counts.matrix is None:
        raise BadTable(f"{counts.name} has no X; {counts._advice()}")
    shape: tuple[int, ...] = counts.matrix.shape or ()
    if len(shape) != 2 or shape[1] != len(counts.var):
        raise BadTable(
            f"{counts.place} of {counts.name} is {shape}, but has {len(counts.var)} genes; give a "
            "table of cells by genes."
        )
    return counts


def _rows(matrix: Any, rows_at_once: int) -> Iterator[tuple[int, sparse.csr_array]]:
    for start in range(0, matrix.shape[0], rows_at_once):
        block = matrix[start : start + rows_at_once]
        if isinstance(block, dask.array.Array):
            block = block.compute()
        if not sparse.issparse(block):
            block = np.asarray(block)
        yield start, sparse.csr_array(block)


def _rows_of_columns(
    matrix: CSRDataset | CSCDataset, rows_at_once: int
) -> Iterator[tuple[int, sparse.csr_array]]:
    """The same of a file that holds gene after gene.

    The file is read as often as its entries exceed what is held at once: each time it gives as many
    rows as fit.
    """
    rows, columns = matrix.shape
    entries = max(1, matrix.group["data"].shape[0])
    fit = rows * _ENTRIES_AT_ONCE // entries
    per_pass = rows_at_once * max(1, fit // rows_at_once)
    per_read = max(1, columns * _ENTRIES_AT_ONCE // (4 * entries))
    for first in range(0, rows, per_pass):
        pieces = [
            sparse.csc_array(matrix[:, start : start + per_read]).tocsr()[first : first + per_pass]
            for start in range(0, columns, per_read)
        ]
        held = sparse.csr_array(sparse.hstack(pieces, format="csr"))
        for start, block in _rows(held, rows_at_once):
            yield first + start, block
