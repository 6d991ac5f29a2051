"""A zarr store over a `Folder`: only reading, with a limit for every file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

from zarr.abc.store import (
    ByteRequest,
    OffsetByteRequest,
    RangeByteRequest,
    Store,
    SuffixByteRequest,
)
from zarr.core.buffer import Buffer, BufferPrototype

from napari_past.slide.access.folder import Folder, Part
from napari_past.slide.access.remote import SMALL_BYTES
from napari_past.slide.fingerprint import METADATA
from napari_past.slide.zarr_chunks import ChunkRule


class FolderStore(Store):
    """Reads what zarr asks for; chunks only of arrays whose rule was given by `expect`."""

    supports_writes = False
    supports_deletes = False
    supports_listing = False

    def __init__(self, folder: Folder) -> None:
        super().__init__(read_only=True)
        self._folder = folder
        self._rules: dict[str, ChunkRule] = {}

    def expect(self, path: str, rule: ChunkRule) -> None:
        """Chunks of the array at `path` follow a rule."""
        self._rules[path.strip("/")] = rule

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        data = await asyncio.to_thread(self._get, key, _part(byte_range))
        return None if data is None else prototype.buffer.from_bytes(data)

    async def get_partial_values(
        self,
        prototype: BufferPrototype,
        key_ranges: Iterable[tuple[str, ByteRequest | None]],
    ) -> list[Buffer | None]:
        return list(await asyncio.gather(*(self.get(k, prototype, r) for k, r in key_ranges)))

    async def exists(self, key: str) -> bool:
        return await asyncio.to_thread(self._folder.read, key, (0, 1), 1) is not None

    async def set(self, key: str, value: Buffer) -> None:
        raise PermissionError(f"{key} is only read")

    async def delete(self, key: str) -> None:
        raise PermissionError(f"{key} is only read")

    def list(self) -> AsyncIterator[str]:
        raise NotImplementedError("a web server does not list its files")

    def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        raise NotImplementedError("a web server does not list its files")

    def list_dir(self, prefix: str) -> AsyncIterator[str]:
        raise NotImplementedError("a web server does not list its files")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FolderStore) and other._folder is self._folder

    def __hash__(self) -> int:
        return id(self._folder)

    def _get(self, key: str, part: Part) -> bytes | None:
        if key.rpartition("/")[2] in METADATA:
            return self._folder.read(key, part, SMALL_BYTES)
        rule = self._rule(key)
        data = self._folder.read(key, part, rule.limit)
        if data is None:
            return None
        view = memoryview(data)
        if part is None:
            rule.check_file(view)
        elif part[0] >= 0 and part[1] is not None and rule.per_shard:
            self._check_part(rule, part, view)
        return data

    def _check_part(self, rule: ChunkRule, part: Any, view: memoryview) -> None:
        is_index = rule.index_first and part[0] == 0
        if not is_index:
            rule.check_chunk(view)

    def _rule(self, key: str) -> ChunkRule:
        path = key
        while path:
            path = path.rpartition("/")[0]
            if path in self._rules:
                return self._rules[path]
        raise ValueError(f"{key} belongs to no array of the image")


def _part(byte_range: ByteRequest | None) -> Part:
    if isinstance(byte_range, RangeByteRequest):
        return byte_range.start, byte_range.end
    if isinstance(byte_range, OffsetByteRequest):
        return byte_range.offset, None
    if isinstance(byte_range, SuffixByteRequest):
        return -byte_range.suffix, None
    return None
