"""What a slide is, whatever it is called and wherever it lies."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

_BLOCK_BYTES = 65536
_BLOCKS = 16
_METADATA = ("zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata")
_SAMPLED_FILES = 32


def fingerprint(files: Sequence[tuple[str, Path]]) -> str:
    """64 hex digits (SHA-256) of the content of the files that make up a slide.

    Large files are not read as a whole: each counts with its size, head, tail and 16 blocks of
    64 KiB spread evenly. Of many files (OME-Zarr) all names and sizes count, all metadata, and the
    blocks of 32 files spread evenly.

    Parameters
    ----------
    files
        (name, path) of each part; the name is relative to the slide, so "" for a single file.
    """
    digest = hashlib.sha256()
    ordered = sorted(files)
    every = max(1, len(ordered) // _SAMPLED_FILES)
    for i, (name, path) in enumerate(ordered):
        size = path.stat().st_size
        digest.update(f"{name}\0{size}\0".encode())
        if path.name in _METADATA:
            digest.update(path.read_bytes())
        elif i % every == 0:
            _update_with_blocks(digest, path, size)
    return digest.hexdigest()


def _update_with_blocks(digest: hashlib._Hash, path: Path, size: int) -> None:
    with path.open("rb") as file:
        if size <= (_BLOCKS + 2) * _BLOCK_BYTES:
            digest.update(file.read())
            return
        last = size - _BLOCK_BYTES
        for i in range(_BLOCKS + 2):
            file.seek(last * i // (_BLOCKS + 1))
            digest.update(file.read(_BLOCK_BYTES))
