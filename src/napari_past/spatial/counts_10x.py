"""The feature-barcode matrix of 10x Genomics, which Space Ranger and Xenium write."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.io
from scipy.sparse import csr_array

from napari_past.hdf5 import open_hdf5
from napari_past.spatial.errors import BadSource
from napari_past.spatial.folder import first_existing, reading


@dataclass(frozen=True, eq=False)
class Matrix10x:
    """Counts, and what their rows and columns are."""

    barcodes: tuple[str, ...]
    """(r,) of spots, or ids of cells."""
    counts: csr_array
    """(r, f) float32."""
    feature_ids: tuple[str, ...]
    """(f,) Ensembl ids of genes."""
    feature_names: tuple[str, ...]
    feature_types: tuple[str, ...]


def read_matrix(folder: Path, stem: str) -> Matrix10x:
    """The matrix ``<stem>.h5`` or, without it, the folder ``<stem>`` of MEX files.

    Raises
    ------
    BadSource
        There is neither, or it is damaged.
    """
    path = first_existing(folder, (f"{stem}.h5", stem), "matrix of counts")
    with reading(path, "a 10x feature-barcode matrix"):
        matrix = _from_mex(path) if path.is_dir() else _from_h5(path)
    sizes = (len(matrix.barcodes), len(matrix.feature_names))
    if matrix.counts.shape != sizes:
        raise BadSource(
            f"{path.name} holds a matrix of {matrix.counts.shape} for {sizes} barcodes and "
            "features; copy it again from where it came from."
        )
    return matrix


def _from_h5(path: Path) -> Matrix10x:
    # Barcodes are the columns of a CSC matrix on disk, which is the CSR of its transpose.
    with open_hdf5(path) as file:
        matrix = file["matrix"]
        features, barcodes = (int(n) for n in matrix["shape"][:])
        counts = csr_array(
            (
                matrix["data"][:].astype(np.float32),
                matrix["indices"][:].astype(np.int32),
                matrix["indptr"][:].astype(np.int64),
            ),
            shape=(barcodes, features),
        )
        return Matrix10x(
            tuple(matrix["barcodes"].asstr("utf-8")[:]),
            counts,
            tuple(matrix["features/id"].asstr("utf-8")[:]),
            tuple(matrix["features/name"].asstr("utf-8")[:]),
            tuple(matrix["features/feature_type"].asstr("utf-8")[:]),
        )


def _from_mex(folder: Path) -> Matrix10x:
    matrix = scipy.io.mmread(_plain_or_gz(folder / "matrix.mtx"), spmatrix=False)
    features = [line.split("\t") for line in _lines(folder / "features.tsv")]
    return Matrix10x(
        tuple(_lines(folder / "barcodes.tsv")),
        csr_array(matrix.T).astype(np.float32),
        tuple(f[0] for f in features),
        tuple(f[1] for f in features),
        tuple(f[2] if len(f) > 2 else "Gene Expression" for f in features),
    )


def _plain_or_gz(path: Path) -> Path:
    packed = path.with_name(f"{path.name}.gz")
    return packed if packed.exists() else path


def _lines(path: Path) -> list[str]:
    place = _plain_or_gz(path)
    raw = gzip.decompress(place.read_bytes()) if place.suffix == ".gz" else place.read_bytes()
    return raw.decode("utf-8").splitlines()
