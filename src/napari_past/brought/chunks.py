"""Windows of arrays that are stored in pieces, without decoding a large piece again and again."""

from __future__ import annotations

from collections import OrderedDict
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_past.errors import BadTable

LARGE_PX = 512 * 512
"""Pieces above this are kept for a while."""
KEPT_BYTES = 512 * 1024**2
MOST_BYTES = 1024**3
"""A piece above this is not read."""
_CODECS = frozenset(
    ("blosc", "bytes", "crc32c", "delta", "gzip", "lz4", "lzma", "shuffle", "transpose", "zlib",
     "zstd", "bz2", "shardingindexed", "sharding"),
)  # fmt: skip
"""Compressions and filters that turn numbers into numbers; zarr knows one that runs code."""


class KeptChunks:
    """One plane (Y, X) of a zarr array, with the last of its pieces in memory."""

    def __init__(self, array: Any, plane: tuple[int, ...], source: str) -> None:
        """Of `array`, (…, Y, X), that has `plane` as its leading indices."""
        self._array = array
        self._plane = plane
        self._source = source
        self.shape: tuple[int, int] = (int(array.shape[-2]), int(array.shape[-1]))
        self.dtype = np.dtype(array.dtype)
        self._chunk = (int(array.chunks[-2]), int(array.chunks[-1]))
        _check_codecs(array, source)
        piece = int(np.prod(array.chunks)) * self.dtype.itemsize
        if piece > MOST_BYTES:
            raise BadTable(
                f"{source} is stored in pieces of {piece / 1024**3:.0f} GiB, too large to read in "
                "part; save it tiled, in tiles of 512 x 512 px for example."
            )
        self._most = max(1, KEPT_BYTES // max(1, piece))
        self._kept: OrderedDict[tuple[int, int], npt.NDArray[Any]] = OrderedDict()

    def __getitem__(self, key: tuple[slice, slice]) -> npt.NDArray[Any]:
        if self._chunk[0] * self._chunk[1] <= LARGE_PX:
            return self._decoded(key)
        (y0, y1), (x0, x1) = ((k.start, k.stop) for k in key)
        high, wide = self._chunk
        window = np.zeros((y1 - y0, x1 - x0), self.dtype)
        rows, columns = range(y0 // high, -(-y1 // high)), range(x0 // wide, -(-x1 // wide))
        for row, column in product(rows, columns):
            chunk = self._chunk_at(row, column)
            top, left = row * high, column * wide
            a, b = max(y0, top), min(y1, top + chunk.shape[0])
            c, d = max(x0, left), min(x1, left + chunk.shape[1])
            window[a - y0 : b - y0, c - x0 : d - x0] = chunk[a - top : b - top, c - left : d - left]
        return window

    def _chunk_at(self, row: int, column: int) -> npt.NDArray[Any]:
        if (row, column) not in self._kept:
            while len(self._kept) >= self._most:
                self._kept.popitem(last=False)
            high, wide = self._chunk
            place = slice(row * high, (row + 1) * high), slice(column * wide, (column + 1) * wide)
            self._kept[row, column] = self._decoded(place)
        self._kept.move_to_end((row, column))
        return self._kept[row, column]

    def _decoded(self, key: tuple[slice, slice]) -> npt.NDArray[Any]:
        try:
            return np.asarray(self._array[(*self._plane, *key)])
        except Exception as exc:  # codecs raise many types on damaged pieces
            reason = " ".join(str(exc).split())[:200] or type(exc).__name__
            raise BadTable(
                f"A piece of {self._source} cannot be decoded ({reason}); copy it again from where "
                "it came from."
            ) from exc


def _check_codecs(array: Any, source: str) -> None:
    metadata = getattr(array, "metadata", None)
    waiting = list(getattr(metadata, "codecs", None) or ())
    waiting += list(getattr(metadata, "filters", None) or ())
    waiting += [c for c in (getattr(metadata, "compressor", None),) if c is not None]
    while waiting:
        codec = waiting.pop()
        name = str(getattr(codec, "codec_id", type(codec).__name__)).lower()
        if name.removesuffix("codec").replace("_", "") not in _CODECS:
            raise BadTable(
                f"{source} is stored with {name!r}, which is not read here; save the labels with "
                "a usual compression, as zstd."
            )
        waiting += list(getattr(codec, "codecs", None) or ())
        waiting += list(getattr(codec, "index_codecs", None) or ())
