"""What a slide is, whatever it is called and wherever it lies."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from napari_past.slide.access.remote import Remote

_BLOCK_BYTES = 65536
_BLOCKS = 16
METADATA = ("zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata")
SAMPLED_FILES = 32


class Part(Protocol):
    """One of the files that make up a slide."""

    @property
    def name(self) -> str:
        """Relative to the slide, so "" for a single file."""

    @property
    def size(self) -> int:
        """Bytes."""

    def read(self, spans: Sequence[tuple[int, int]]) -> list[bytes]:
        """Bytes [start, stop) of each span."""


@dataclass(frozen=True)
class LocalPart:
    """A file on a disk."""

    name: str
    path: Path

    @property
    def size(self) -> int:
        return self.path.stat().st_size

    def read(self, spans: Sequence[tuple[int, int]]) -> list[bytes]:
        out = []
        with self.path.open("rb") as file:
            for start, stop in spans:
                file.seek(start)
                out.append(file.read(stop - start))
        return out


@dataclass(frozen=True)
class RemotePart:
    """An object below an address."""

    name: str
    remote: Remote
    size: int

    def read(self, spans: Sequence[tuple[int, int]]) -> list[bytes]:
        return self.remote.read_many(self.name, spans)


@dataclass(frozen=True)
class ReadPart:
    """A small object that has been read already."""

    name: str
    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)

    def read(self, spans: Sequence[tuple[int, int]]) -> list[bytes]:
        return [self.data[start:stop] for start, stop in spans]


def fingerprint(parts: Sequence[Part]) -> str:
    """64 hex digits (SHA-256) of the content of the files that make up a slide.

    Large files are not read as a whole: each counts with its size, head, tail and 16 blocks of
    64 KiB spread evenly. Of many files (OME-Zarr) all names and sizes count, all metadata, and the
    blocks of 32 files spread evenly.
    """
    digest = hashlib.sha256()
    ordered = sorted(parts, key=lambda part: part.name)
    every = max(1, len(ordered) // SAMPLED_FILES)
    for i, part in enumerate(ordered):
        size = part.size
        digest.update(f"{part.name}\0{size}\0".encode())
        if part.name.rpartition("/")[2] in METADATA:
            spans = [(0, size)]
        elif i % every == 0:
            spans = _spans(size)
        else:
            continue
        for block in part.read(spans):
            digest.update(block)
    return digest.hexdigest()


def _spans(size: int) -> list[tuple[int, int]]:
    if size <= (_BLOCKS + 2) * _BLOCK_BYTES:
        return [(0, size)]
    last = size - _BLOCK_BYTES
    starts = [last * i // (_BLOCKS + 1) for i in range(_BLOCKS + 2)]
    return [(start, start + _BLOCK_BYTES) for start in starts]
