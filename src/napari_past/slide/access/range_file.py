"""Files for tifffile that are read by ranges: on disk or at an address."""

from __future__ import annotations

import io
import os
import threading
from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from napari_past.slide.access.patience import READING, Persistence
from napari_past.slide.access.remote import Remote

Span = tuple[int, int]
"""Bytes [start, stop) of a file."""

BLOCK_BYTES = 2**16
"""Of the parts of a remote file that are not tiles: header and directories."""
_BLOCKS_KEPT = 256
_TILES_BYTES = 2**25
"""Of encoded tiles kept, so that neighbouring reads and panning back fetch nothing again."""
_GAP_BYTES = 4096
_REQUEST_BYTES = 2**22
"""Spans that are at most a gap apart are fetched together, up to a size."""


class RangeFile(io.RawIOBase):
    """A seekable file whose reads end at the file's end, whatever length a directory claims."""

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self.size = size
        self._place = 0
        self._budget: int | None = None

    @contextmanager
    def within(self, n_bytes: int) -> Iterator[None]:
        """Read at most `n_bytes` in all in this block; more is a ValueError."""
        self._budget = n_bytes
        try:
            yield
        finally:
            self._budget = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = 0, /) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self.size}[whence]
        self._place = max(0, start + offset)
        return self._place

    def read(self, n: int | None = -1, /) -> bytes:
        left = max(0, self.size - self._place)
        count = left if n is None or n < 0 else min(n, left)
        if self._budget is not None:
            self._budget -= count
            if self._budget < 0:
                raise ValueError("its directories are larger than any slide's")
        data = self.read_at(self._place, self._place + count) if count else b""
        self._place += len(data)
        return data

    def readinto(self, buffer: object, /) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    @abstractmethod
    def read_at(self, start: int, stop: int) -> bytes:
        """Bytes [start, stop) of the file."""

    @contextmanager
    def holding(self, spans: Sequence[Span]) -> Iterator[None]:
        """Have spans at hand while their tiles are decoded."""
        yield


class LocalFile(RangeFile):
    """A file on a disk or a mounted file system, whose passing errors are waited out."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stop = threading.Event()
        self._persistence = Persistence(path.name, "its disk", "that it is connected", self._stop)
        self._lock = threading.Lock()
        self._file: io.FileIO | None = None
        super().__init__(str(path), self._persistence.attempt(path.stat, READING).st_size)

    def read_at(self, start: int, stop: int) -> bytes:
        return self._persistence.attempt(lambda: self._read(start, stop), READING)

    def _read(self, start: int, stop: int) -> bytes:
        with self._lock:
            try:
                if self._file is None:
                    self._file = io.FileIO(self._path)
                self._file.seek(start)
                out = bytearray()
                while len(out) < stop - start:
                    piece = self._file.read(stop - start - len(out))
                    if not piece:
                        break
                    out += piece
                return bytes(out)
            except OSError:
                # a handle that went stale with its mount never recovers
                self._let_go()
                raise

    def close(self) -> None:
        self._stop.set()
        with self._lock:
            self._let_go()
        super().close()

    def _let_go(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()


class RemoteFile(RangeFile):
    """A file at an address.

    Tiles are fetched exactly, all that a window touches at once (`holding`); what else tifffile
    reads comes in blocks, which are kept.
    """

    def __init__(self, remote: Remote, size: int, head: bytes) -> None:
        super().__init__(remote.name, size)
        self._remote = remote
        self._lock = threading.Lock()
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        if len(head) >= min(BLOCK_BYTES, size):
            self._blocks[0] = head[:BLOCK_BYTES]
        self._tiles: OrderedDict[Span, bytes] = OrderedDict()
        self._held: dict[Span, tuple[int, bytes]] = {}

    def read_at(self, start: int, stop: int) -> bytes:
        with self._lock:
            held = self._held.get((start, stop))
        if held is not None:
            return held[1]
        first, last = start // BLOCK_BYTES, (stop - 1) // BLOCK_BYTES
        if last - first >= _BLOCKS_KEPT:
            return self._remote.read("", start, stop)
        blocks = self._blocks_between(first, last)
        joined = b"".join(blocks)
        return joined[start - first * BLOCK_BYTES : stop - first * BLOCK_BYTES]

    @contextmanager
    def holding(self, spans: Sequence[Span]) -> Iterator[None]:
        wanted = sorted(set(spans))
        have: dict[Span, bytes] = {}
        with self._lock:
            for span in wanted:
                kept = self._tiles.pop(span, None)
                if kept is None and span in self._held:
                    kept = self._held[span][1]
                if kept is not None:
                    have[span] = kept
        have |= self._fetched([span for span in wanted if span not in have])
        with self._lock:
            for span, data in have.items():
                self._held[span] = (self._held.get(span, (0, data))[0] + 1, data)
        try:
            yield
        finally:
            with self._lock:
                for span, data in have.items():
                    users = self._held.pop(span)[0] - 1
                    if users:
                        self._held[span] = (users, data)
                    self._tiles[span] = data
                while sum(stop - start for start, stop in self._tiles) > _TILES_BYTES:
                    self._tiles.popitem(last=False)

    def _blocks_between(self, first: int, last: int) -> list[bytes]:
        with self._lock:
            have = {i: self._blocks[i] for i in range(first, last + 1) if i in self._blocks}
        missing = [i for i in range(first, last + 1) if i not in have]
        spans = [(i * BLOCK_BYTES, min((i + 1) * BLOCK_BYTES, self.size)) for i in missing]
        fetched = self._fetched(spans)
        have |= {span[0] // BLOCK_BYTES: data for span, data in fetched.items()}
        with self._lock:
            for i, data in have.items():
                self._blocks[i] = data
                self._blocks.move_to_end(i)
            while len(self._blocks) > _BLOCKS_KEPT:
                self._blocks.popitem(last=False)
        return [have[i] for i in range(first, last + 1)]

    def _fetched(self, spans: Sequence[Span]) -> dict[Span, bytes]:
        """Bytes of sorted spans; neighbours come in one request."""
        requests: list[list[Span]] = []
        for span in spans:
            group = requests[-1] if requests else []
            near = group and 0 <= span[0] - group[-1][1] <= _GAP_BYTES
            if near and span[1] - group[0][0] <= _REQUEST_BYTES:
                group.append(span)
            else:
                requests.append([span])
        wholes = self._remote.read_many("", [(g[0][0], g[-1][1]) for g in requests])
        return {
            (start, stop): whole[start - group[0][0] : stop - group[0][0]]
            for group, whole in zip(requests, wholes, strict=True)
            for start, stop in group
        }
