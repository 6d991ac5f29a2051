"""Results on disk, one file for each tile, safe at any kill.

    <cache>/cells-v1/<key digest>/key.json            what the results depend on
    <cache>/cells-v1/<key digest>/<column>_<row>.tile safetensors: centres, outlines, embeddings …

A tile is written beside its place and renamed, so that a file that is there is whole. Viewer,
command line and several runs may share a folder: equal keys give equal tiles. See `cache` for what
else lies there.
"""

from __future__ import annotations

import errno
import json
import os
import time
import weakref
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from uuid import uuid4

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from napari_past.engine.cache import (
    ABOUT,
    KEY,
    PART,
    TILE,
    cache_folder,
    cache_limit_bytes,
    mark_use,
    trim,
)
from napari_past.engine.plan import STORE_SCHEMA, Plan, StoreKey
from napari_past.errors import CannotWrite
from napari_past.files import TRANSIENT, retried
from napari_past.slide.place import shown_place
from napari_past.types import FoundCells, Outlines, TileResult, TileSpec

USED_S = 60.0
"""Writing tells of the use of a folder at most so often."""


class Store:
    """The tiles of one key. Thread-safe; any number of processes may have the same one.

    While it lives its tiles stay, and others that were not used for longest go where the cache is
    over its limit (see `cache.trim`). A cache that is read-only can be read.

    Parameters
    ----------
    key
        As `Plan.key`.
    root
        The cache's folder; None for the user's.
    trimmed
        False for who only reads, a thousand slides one after the other: the cache is not looked
        through for each.

    Raises
    ------
    CannotWrite
        There is no folder for the key yet and none can be made.
    PastError
        The limit of the cache is no number.
    """

    def __init__(self, key: StoreKey, root: Path | None = None, *, trimmed: bool = True) -> None:
        self.key = key
        self._root = root or cache_folder()
        self.folder = self._root / f"cells-v{STORE_SCHEMA}" / key.digest
        self._used_s = 0.0
        self._answers = True
        self._limit = cache_limit_bytes()
        try:
            retried(self._make)
        except OSError as exc:
            raise _cannot_write(self.folder, exc) from exc
        self._mark: Path | None = None
        with suppress(OSError):  # where the cache is read-only nobody can remove it either
            self._mark = mark_use(self.folder)
            weakref.finalize(self, _unlink, self._mark)
        self._use()
        self._size = trim(self._root)[1] if trimmed else 0

    def _make(self) -> None:
        if not (self.folder / KEY).is_file():
            self.folder.mkdir(parents=True, exist_ok=True)
            content = json.dumps(asdict(self.key), sort_keys=True).encode()
            _replace(self.folder / KEY, content)

    def _use(self) -> None:
        """Say that the folder is used now."""
        if time.monotonic() - self._used_s > USED_S or not self._used_s:
            self._used_s = time.monotonic()
            # The mark, too: other machines cannot see that this process lives.
            for path in (self.folder / KEY, self._mark):
                with suppress(OSError):
                    if path is not None:
                        os.utime(path)

    def describe(self, plan: Plan) -> None:
        """Note for people whose tiles these are; see ``napari-past cache list``."""
        told = {
            "slide": plan.slide_name,
            "path": shown_place(plan.slide.path),
            "model": plan.model.name,
            "detector": plan.detector.name,
        }
        path = self.folder / ABOUT
        with suppress(OSError, ValueError):
            before = json.loads(path.read_text(encoding="utf-8"))
            if {**before, **told} == before:
                return
        created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        with suppress(OSError):
            _replace(path, json.dumps({**told, "created": created}, indent=1).encode())

    def has(self, tile: TileSpec) -> bool:
        """Whether the tile was finished."""
        return self._path(tile).is_file()

    def finished(self, tiles: Iterable[TileSpec]) -> set[TileSpec]:
        """Those of some tiles that were finished, by one look into the folder."""
        try:
            names = {entry.name for entry in os.scandir(self.folder)}
        except OSError:
            names = set()
        return {tile for tile in tiles if self._path(tile).name in names}

    def write(self, result: TileResult) -> None:
        """Keep a finished tile, whole or not at all; an unreadable one is left to be tried again.

        Raises
        ------
        CannotWrite
            The disk is full, or the folder cannot be written, tried again for some seconds.
        """
        if result.unreadable:
            return
        cells = result.cells
        content = save(
            {
                "centers_um": np.ascontiguousarray(cells.centers_um),
                "vertices_um": np.ascontiguousarray(cells.outlines.vertices_um),
                "offsets": np.ascontiguousarray(cells.outlines.offsets),
                "areas_um2": np.ascontiguousarray(cells.areas_um2),
                "embeddings": np.ascontiguousarray(result.embeddings),
                "hematoxylin_od": np.ascontiguousarray(result.hematoxylin_od),
            }
        )
        path = self._path(result.tile)
        try:
            retried(lambda: self._put(path, content))
        except OSError as exc:
            # Windows replaces no file that another process reads: then the tile is there.
            if not (isinstance(exc, PermissionError) and path.is_file()):
                raise _cannot_write(self.folder, exc) from exc
        self._use()
        self._size += len(content)
        if self._size > self._limit:
            self._size = trim(self._root)[1]
            # Where this key alone is over the limit, there is nothing to look for at each tile.
            self._limit = max(self._limit, round(1.05 * self._size))

    def _put(self, path: Path, content: bytes) -> None:
        try:
            _replace(path, content)
        except FileNotFoundError:  # somebody cleared the cache
            self._make()
            _replace(path, content)

    def read(self, tile: TileSpec) -> TileResult | None:
        """A finished tile, or None where there is none; a damaged file counts as none and goes."""
        try:
            # Read, not mapped: where the disk fails under a map, the process is ended.
            t = load(self._content(self._path(tile)))
            cells = FoundCells(
                t["centers_um"], Outlines(t["vertices_um"], t["offsets"]), t["areas_um2"]
            )
            return TileResult(tile, cells, t["embeddings"], t["hematoxylin_od"])
        except OSError:  # absent, or out of reach for now: no reason to delete it
            return None
        except (SafetensorError, KeyError, ValueError, TypeError, IndexError):
            _unlink(self._path(tile))
            return None

    def _content(self, path: Path) -> bytes:
        try:
            content = retried(path.read_bytes) if self._answers else path.read_bytes()
        except OSError as exc:
            # One tile waits for a disk that does not answer; thousands would wait for hours.
            self._answers = exc.errno not in TRANSIENT
            raise
        self._answers = True
        return content

    def _path(self, tile: TileSpec) -> Path:
        return self.folder / f"{tile.column}_{tile.row}{TILE}"


def _unlink(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f"{path.name}.{uuid4().hex[:12]}{PART}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            # Else a power cut may keep the new name and lose what it names.
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        _unlink(temporary)


def _cannot_write(folder: Path, exc: OSError) -> CannotWrite:
    if exc.errno in (errno.ENOSPC, errno.EDQUOT):
        return CannotWrite(
            f"The disk that holds the cache {folder} is full; free some space or point "
            f"NAPARI_PAST_CACHE elsewhere, and run again: finished tiles are kept."
        )
    return CannotWrite(
        f"The cache {folder} cannot be written ({exc.strerror}); check its disk, or point "
        f"NAPARI_PAST_CACHE to a folder that can, and run again: finished tiles are kept."
    )
