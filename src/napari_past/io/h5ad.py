"""Tables as AnnData's own files: everything is kept, embeddings and outlines too."""

from __future__ import annotations

from pathlib import Path

import anndata
from anndata import AnnData

from napari_past.errors import BadTable
from napari_past.files import atomic_write, existing_file
from napari_past.hdf5 import open_hdf5, written_here
from napari_past.io.anndata_form import incoming, outgoing
from napari_past.io.declared import check_declared
from napari_past.io.settled import settled


def write_h5ad(adata: AnnData, path: str | Path) -> None:
    """Write the whole table; a dask ``X`` is computed and written block by block.

    The file says for which use it is made, its schema version, axes and units, whether or not the
    table did. The same table gives the same bytes.

    Raises
    ------
    CannotWrite
        The folder is missing or read-only, or the disk is full.
    """
    table = outgoing(settled(adata))
    with atomic_write(path) as unfinished:
        try:
            table.write_h5ad(unfinished, compression="gzip", compression_opts=1)
        except Exception as exc:
            exc.add_note(f"while writing {Path(path).name}")
            raise
    written_here(path)


def read_h5ad(path: str | Path) -> AnnData:
    """The table of an ``.h5ad`` file with cell positions.

    Raises
    ------
    BadTable
        No such file, no AnnData file, no ``obsm["spatial"]`` (n, 2), or written by a later version.
    """
    source = existing_file(path)
    try:
        with open_hdf5(source) as file:
            check_declared(file, source)
        adata = anndata.read_h5ad(source)
    except BadTable:
        raise
    except Exception as exc:  # a damaged file fails in h5py or anndata in many ways
        raise BadTable(
            f"{source.name} cannot be read as an AnnData file ({exc}); give an intact .h5ad file."
        ) from exc
    return incoming(adata, source)
