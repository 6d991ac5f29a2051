"""The arrays of a section on disk: their types, chunks and shards, and how they are written.

    patches        uint8 (p, S, S, 3)    H&E at the dataset's µm/px
    patch_um       float64 (p, 2)        (x, y) of each patch's outer corner in slide space
    row_start      int64 (p + 1,)        rows that each patch owns: row_start[p]:row_start[p + 1]
    nuclei_start   int64 (p + 1,)        nuclei that each patch owns, alike
    nuclei_yx      float32 (n, 2)        px in their patch, pixel centres at integers
    nuclei_row     int64 (n,)            row that each nucleus contributes to
    counts_start   int64 (r + 1,)        CSR over the dataset's genes
    counts_indices int32 (k,)
    counts_data    float32 (k,)          raw counts
    counts_total   float32 (r,)          library size over all genes of the source
    gene_index     int32 (g,)            the dataset's genes that were measured here, ascending
    row_um         float64 (r, 2)        (x, y) of each row's centre in slide space
    row_id         str (r,)
    tokens         int64 (r, 300)        where the source has them
    neighbour_start  int64 (r + 1,)      cells: rows within the radius, nearest first
    neighbour_index  int64 (m,)

Every array is sharded: one file holds many chunks and an index of them, so that a file system or a
bucket holds thousands of files, not millions, and a reader fetches a chunk by a range of bytes.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr
from zarr.codecs import ZstdCodec
from zarr.storage import LocalStore

from past_training.dataset.schema import PrepareConfig

PATCHES = "patches"
CHUNK_BYTES = 2**21
"""Pixels in a chunk, before compression: as far back as zstd looks. Crops of neighbouring cells
show the same tissue, and what they share is stored once."""
CHUNK_VALUES, SHARD_VALUES = 2**15, 2**21
"""Of all other arrays."""
# The checksum lets a reader notice a flipped bit. Level and chunk: benchmarks/loader.py --formats.
_ZSTD = ZstdCodec(level=3, checksum=True)
# A chunk of zeros is written like any other: a file that is not there is a fault, never zeros.
_WRITE_ALL: Any = {"write_empty_chunks": True}


def create_patches(folder: Path, patches: int, config: PrepareConfig) -> zarr.Array:
    """An empty array of patches in a new group at `folder`."""
    group = zarr.create_group(LocalStore(folder))
    side, shard = config.patch_px, config.patches_in_shard
    chunk = math.gcd(shard, 2 ** int(math.log2(max(1, CHUNK_BYTES // (3 * side**2)))))
    # zarr fills the last shard up: a section of few patches would be a shard of zeros.
    shard = min(shard, chunk * math.ceil(patches / chunk))
    return group.create_array(
        PATCHES,
        shape=(patches, side, side, 3),
        dtype="uint8",
        chunks=(chunk, side, side, 3),
        shards=(shard, side, side, 3),
        compressors=_ZSTD,
        config=_WRITE_ALL,
    )


def open_patches(folder: Path) -> zarr.Array:
    """The array that `create_patches` made, to go on writing."""
    return zarr.open_array(LocalStore(folder), path=PATCHES, mode="r+", config=_WRITE_ALL)


def patches_file(folder: Path, shard: int) -> Path:
    """The file of one shard of patches."""
    return folder / PATCHES / "c" / str(shard) / "0" / "0" / "0"


def write_array(folder: Path, name: str, values: npt.NDArray[Any]) -> None:
    """Write one whole array of a section, replacing what an interrupted run left."""
    per_item = math.prod(values.shape[1:])
    chunk = max(1, min(CHUNK_VALUES // per_item, len(values)))
    chunks = min(SHARD_VALUES // CHUNK_VALUES, max(1, math.ceil(len(values) / chunk)))
    group = zarr.open_group(LocalStore(folder), mode="r+")
    array = group.create_array(
        name,
        shape=values.shape,
        dtype=str if values.dtype.kind in "OUT" else values.dtype,
        chunks=(chunk, *values.shape[1:]),
        shards=(chunk * chunks, *values.shape[1:]),
        compressors=_ZSTD,
        config=_WRITE_ALL,
        overwrite=True,
    )
    if len(values):
        array[:] = values.astype(np.dtypes.StringDType()) if values.dtype.kind in "OUT" else values
