"""Files that declare more than they hold: a few bytes may say that an array has a billion rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py
import zarr

from napari_past.errors import BadTable

_LEAST, _MOST_EXPANSION = 1 << 30, 2000
"""Bytes that any file may declare, and how much larger than stored; gzip reaches 1,030."""


def check_declared(file: h5py.File | zarr.Group, source: Path) -> None:
    """Raise `BadTable` where the arrays of a file are declared far larger than it is."""
    if isinstance(file, zarr.Group):
        files = source.rglob("*") if source.is_dir() else ()
        stored = sum(f.stat().st_size for f in files if f.is_file())
        declared = sum(_zarr_sizes(file))
    else:
        stored, declared = source.stat().st_size, sum(_hdf5_sizes(file))
    check_size(declared, stored, source)


def check_size(declared: int, stored: int, source: Path) -> None:
    """Raise `BadTable` where a file declares far more bytes of values than it has."""
    if declared > max(_LEAST, _MOST_EXPANSION * stored):
        raise BadTable(
            f"{source.name} declares {declared / 1e9:.0f} GB of values but holds "
            f"{stored / 1e6:.1f} MB; it is damaged, write it again."
        )


def _hdf5_sizes(file: h5py.File) -> Iterator[int]:
    sizes: list[int] = []

    def see(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and item.shape is not None:
            sizes.append(int(item.size) * int(item.dtype.itemsize))

    file.visititems(see)
    yield from sizes


def _zarr_sizes(group: zarr.Group) -> Iterator[int]:
    for _, item in group.members(max_depth=None):
        if isinstance(item, zarr.Array):
            yield int(item.nbytes)
