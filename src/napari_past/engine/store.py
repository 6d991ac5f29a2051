"""Results on disk, one file for each tile, safe at any kill.

    <cache>/cells-v1/<key digest>/key.json            what the results depend on
    <cache>/cells-v1/<key digest>/<column>_<row>.tile safetensors: centres, outlines, embeddings …

A tile is written beside its place and renamed, so that a file that is there is whole. Viewer,
command line and several runs may share a folder: equal keys give equal tiles.
"""

from __future__ import annotations

import errno
import json
import os
import threading
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import numpy as np
import platformdirs
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from napari_past.engine.plan import STORE_SCHEMA, StoreKey
from napari_past.errors import CannotWrite
from napari_past.types import FoundCells, Outlines, TileResult, TileSpec

SUFFIX = ".tile"


def cache_folder() -> Path:
    """``$NAPARI_PAST_CACHE``, else the user's cache folder."""
    given = os.environ.get("NAPARI_PAST_CACHE")
    return Path(given) if given else Path(platformdirs.user_cache_dir("napari-past", False))


class Store:
    """The tiles of one key."""

    def __init__(self, key: StoreKey, root: Path | None = None) -> None:
        self.key = key
        self.folder = (root or cache_folder()) / f"cells-v{STORE_SCHEMA}" / key.digest
        try:
            if not (self.folder / "key.json").is_file():
                self.folder.mkdir(parents=True, exist_ok=True)
                _replace(self.folder / "key.json", json.dumps(asdict(key), sort_keys=True).encode())
        except OSError as exc:
            raise _cannot_write(self.folder, exc) from exc

    def has(self, tile: TileSpec) -> bool:
        """Whether the tile was finished."""
        return self._path(tile).is_file()

    def write(self, result: TileResult) -> None:
        """Keep a finished tile, whole or not at all; an unreadable one is left to be tried again.

        Raises
        ------
        CannotWrite
            The disk is full or the folder cannot be written.
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
        try:
            _replace(self._path(result.tile), content)
        except OSError as exc:
            raise _cannot_write(self.folder, exc) from exc

    def read(self, tile: TileSpec) -> TileResult | None:
        """A finished tile, or None where there is none; a damaged file counts as none and goes."""
        try:
            t = load_file(self._path(tile))
            cells = FoundCells(
                t["centers_um"], Outlines(t["vertices_um"], t["offsets"]), t["areas_um2"]
            )
            return TileResult(tile, cells, t["embeddings"], t["hematoxylin_od"])
        except OSError:  # absent, or out of reach for now: no reason to delete it
            return None
        except (SafetensorError, KeyError, ValueError, TypeError, IndexError):
            with suppress(OSError):
                self._path(tile).unlink()
            return None

    def _path(self, tile: TileSpec) -> Path:
        return self.folder / f"{tile.column}_{tile.row}{SUFFIX}"


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            # Else a power cut may keep the new name and lose what it names.
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        with suppress(OSError):
            temporary.unlink()


def _cannot_write(folder: Path, exc: OSError) -> CannotWrite:
    if exc.errno in (errno.ENOSPC, errno.EDQUOT):
        return CannotWrite(
            f"The disk that holds the cache {folder} is full; free some space or point "
            f"NAPARI_PAST_CACHE elsewhere, and run again: finished tiles are kept."
        )
    return CannotWrite(
        f"The cache {folder} cannot be written ({exc.strerror}); point NAPARI_PAST_CACHE to a "
        f"folder that can."
    )
