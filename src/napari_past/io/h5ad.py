"""Tables as AnnData's own files: everything is kept, embeddings and outlines too."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
from anndata import AnnData

from napari_past.errors import BadTable
from napari_past.files import atomic_write, existing_file
from napari_past.io.provenance import KEY, check_schema, stamped


def write_h5ad(adata: AnnData, path: str | Path) -> None:
    """Write the whole table; a dask ``X`` is computed and written block by block.

    The file says for which use it is made and its schema version, whether or not the table did. The
    same table gives the same bytes.

    Raises
    ------
    CannotWrite
        The folder is missing or read-only, or the disk is full.
    """
    # A second AnnData around the same arrays: writing turns text columns into categories in place.
    table = AnnData(
        X=adata.X,
        obs=adata.obs.copy(),
        var=adata.var.copy(),
        obsm=dict(adata.obsm),
        uns={**adata.uns, KEY: stamped(adata.uns.get(KEY))},
    )
    with atomic_write(path) as unfinished:
        try:
            table.write_h5ad(unfinished, compression="gzip", compression_opts=1)
        except Exception as exc:
            exc.add_note(f"while writing {Path(path).name}")
            raise


def read_h5ad(path: str | Path) -> AnnData:
    """The table of an ``.h5ad`` file with cell positions.

    Raises
    ------
    BadTable
        No such file, no AnnData file, no ``obsm["spatial"]`` (n, 2), or written by a later version.
    """
    source = existing_file(path)
    try:
        adata = anndata.read_h5ad(source)
    except Exception as exc:  # a damaged file fails in h5py or anndata in many ways
        raise BadTable(
            f"{source.name} cannot be read as an AnnData file ({exc}); give an intact .h5ad file."
        ) from exc
    if "spatial" not in adata.obsm or np.ndim(adata.obsm["spatial"]) != 2:
        raise BadTable(
            f'{source.name} has no positions of cells: obsm["spatial"], (n, 2) (x, y) in µm, '
            "is needed."
        )
    check_schema(adata.uns.get(KEY), source)
    return adata
