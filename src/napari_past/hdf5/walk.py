"""Look through an HDF5 file: the groups, the heads of its datasets, and all attributes.

Run as a program, ``python walk.py FILE``. The HDF5 library may end or hang the process where a file
is damaged, so this one imports nothing else. What the library merely refuses is passed over: the
reader tells it.
"""

from __future__ import annotations

import sys
from contextlib import suppress

import h5py

_MOST_NODES = 20_000
_SMALL_BYTES, _CHUNK_BYTES = 1 << 20, 1 << 24
_CPU_S, _MEMORY_BYTES = 10, 4 << 30


def look_through(path: str) -> None:
    """Open every object of a file and read its attributes and its first values.

    Raises
    ------
    OSError
        It is no HDF5 file.
    """
    with h5py.File(path, "r") as file:
        seen: set[int] = set()
        left: list[h5py.Group] = [file]
        while left and len(seen) < _MOST_NODES:
            node = left.pop()
            place = h5py.h5o.get_info(node.id).addr
            if place in seen:
                continue
            seen.add(place)
            _read_attributes(node)
            if isinstance(node, h5py.Dataset):
                with suppress(Exception):
                    _read_first(node)
            elif isinstance(node, h5py.Group):
                left += _members(node)


def _members(group: h5py.Group) -> list[h5py.Group]:
    found = []
    with suppress(Exception):
        for name in group:
            # A link to another file is that file's matter.
            with suppress(Exception):
                if not isinstance(group.get(name, getlink=True), h5py.ExternalLink):
                    found.append(group[name])
    return found


def _read_attributes(node: h5py.Group) -> None:
    with suppress(Exception):
        for name in node.attrs:
            with suppress(Exception):
                _ = node.attrs[name]


def _read_first(data: h5py.Dataset) -> None:
    """Small ones whole, else the first row, where it lies in no large chunk."""
    if data.shape is None or 0 in data.shape:
        return
    if data.size * data.dtype.itemsize <= _SMALL_BYTES:
        _ = data[()]
        return
    chunk = data.dtype.itemsize
    for length in data.chunks or ():
        chunk *= length
    if chunk <= _CHUNK_BYTES:
        _ = data[(0,) * data.ndim]


def _bounded() -> None:
    """Take at most so much of the processor and of memory; leave no dump of it."""
    try:
        import resource
    except ImportError:  # Windows: the caller's clock alone
        return
    for kind, most in (
        (resource.RLIMIT_CPU, _CPU_S),
        (resource.RLIMIT_AS, _MEMORY_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        with suppress(ValueError, OSError):
            resource.setrlimit(kind, (most, most))


if __name__ == "__main__":
    _bounded()
    with suppress(Exception):
        look_through(sys.argv[1])
