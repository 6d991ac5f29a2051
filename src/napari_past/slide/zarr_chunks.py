"""How the chunks of an OME-Zarr array may be stored, and that none grows beyond its size.

Decoders of zarr make room for whatever a chunk's header states, and unpack gzip without any bound,
so the size is checked before.
"""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import imagecodecs
import numpy as np
import zarr

from napari_past.errors import SlideError, UnsupportedPixels

_LARGEST_CHUNK_BYTES = 2**28
ROOM_BYTES = 2**16
_KNOWN = ("blosc", "zstd", "gzip", "zlib", "lz4")
_PLAIN = ("bytes", "transpose", "crc32c")
_NOTHING = 2**64 - 1


@dataclass(frozen=True)
class ChunkRule:
    """What a stored chunk of one array may be."""

    codec: str | None
    """Compression, or None."""
    n_bytes: int
    """Of a decoded chunk."""
    per_shard: int = 0
    """Chunks in a shard; 0 where each chunk is a file."""
    index_first: bool = False

    @property
    def limit(self) -> int:
        """Most bytes of a file: compression never adds more than a little."""
        return (self.n_bytes + ROOM_BYTES) * max(1, self.per_shard)

    def check_file(self, data: memoryview) -> None:
        """Raise ValueError where a file's content would grow beyond its size."""
        if not self.per_shard:
            self.check_chunk(data)
            return
        length = 16 * self.per_shard
        index = data[:length] if self.index_first else data[-length - 4 : -4]
        for start, size in np.frombuffer(index, "<u8").reshape(-1, 2).tolist():
            if start != _NOTHING:
                self.check_chunk(data[start : start + size])

    def check_chunk(self, data: memoryview) -> None:
        """Raise ValueError where one chunk would grow beyond its size."""
        stated = _stated_bytes(self.codec, data, self.n_bytes)
        if stated > self.n_bytes:
            raise ValueError(f"a chunk of {self.n_bytes} bytes unpacks to {stated} or more")


def chunk_rule(slide_name: str, array: zarr.Array[Any]) -> ChunkRule:
    """The rule for an array's chunks.

    Raises
    ------
    UnsupportedPixels
        A compression that is not known here, or filters.
    SlideError
        Chunks or shards above 256 MB.
    """
    n_bytes = math.prod(array.chunks) * array.dtype.itemsize
    whole = math.prod(array.shards or array.chunks) * array.dtype.itemsize
    if whole > _LARGEST_CHUNK_BYTES:
        size = " x ".join(map(str, array.shards or array.chunks))
        raise SlideError(
            f"{slide_name} stores its pixels in chunks of {size}, too large to read in part; "
            "convert the image with smaller chunks, for example with bioformats2raw."
        )
    described: Any = array.metadata.to_dict()
    if described["zarr_format"] == 2:
        if described.get("filters"):
            raise _not_known(slide_name, "filters")
        compressor = described.get("compressor")
        name = None if compressor is None else str(compressor.get("id"))
        if name is not None and name not in _KNOWN:
            raise _not_known(slide_name, name)
        return ChunkRule(name, n_bytes)
    codecs = list(described["codecs"])
    if [c["name"] for c in codecs] != ["sharding_indexed"]:
        return ChunkRule(_compression(slide_name, codecs), n_bytes)
    sharding = codecs[0]["configuration"]
    if [c["name"] for c in sharding["index_codecs"]] != ["bytes", "crc32c"]:
        raise _not_known(slide_name, "another index of shards")
    return ChunkRule(
        _compression(slide_name, sharding["codecs"]),
        n_bytes,
        whole // n_bytes,
        sharding.get("index_location") == "start",
    )


def _compression(slide_name: str, codecs: Any) -> str | None:
    names = [str(codec["name"]) for codec in codecs if codec["name"] not in _PLAIN]
    if not names:
        return None
    if len(names) > 1 or names[0] not in _KNOWN:
        raise _not_known(slide_name, " and ".join(names))
    return names[0]


def _not_known(slide_name: str, found: str) -> UnsupportedPixels:
    return UnsupportedPixels(
        f"{slide_name} stores its pixels with {found}, but {', '.join(_KNOWN)} or none is read; "
        "convert the image, for example with bioformats2raw."
    )


def _stated_bytes(codec: str | None, data: memoryview, allowed: int) -> int:
    """Bytes that a chunk unpacks to, at least up to one more than allowed."""
    if codec == "blosc":
        return struct.unpack("<I", data[4:8])[0] if len(data) >= 16 else 0
    if codec == "lz4":
        return struct.unpack("<I", data[:4])[0] if len(data) >= 4 else 0
    if codec in ("gzip", "zlib"):
        return len(zlib.decompressobj(wbits=47).decompress(data, allowed + 1))
    if codec == "zstd":
        return _zstd_bytes(data, allowed)
    return len(data) if codec is None else 0


def _zstd_bytes(data: memoryview, allowed: int) -> int:
    """RFC 8878 3.1.1: the frame's content size, or the size of what it unpacks to."""
    if len(data) < 6 or bytes(data[:4]) != b"\x28\xb5\x2f\xfd":
        return 0
    flags = data[4]
    single = bool(flags & 0x20)
    width = (1 if single else 0, 2, 4, 8)[flags >> 6]
    place = 5 + (0 if single else 1) + (0, 1, 2, 4)[flags & 3]
    if width:
        return int.from_bytes(data[place : place + width], "little") + (256 if width == 2 else 0)
    try:
        return len(imagecodecs.zstd_decode(bytes(data), out=allowed))
    except imagecodecs.ZstdError:
        return allowed + 1
