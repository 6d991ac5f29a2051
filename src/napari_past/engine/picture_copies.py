"""Copies of plain pictures, kept in the cache as slides that workers can open."""

from __future__ import annotations

import shutil
from pathlib import Path

from napari_past.engine.cache import cache_folder
from napari_past.errors import CannotWrite


def pictures_folder() -> Path:
    """Where they are; it may not exist."""
    return cache_folder() / "pictures"


def pictures_bytes() -> int:
    """What those copies take."""
    return sum(path.stat().st_size for path in pictures_folder().rglob("*") if path.is_file())


def remove_pictures() -> int:
    """Remove them, to be made again when they are needed; returns how many bytes were freed.

    Raises
    ------
    CannotWrite
    """
    before = pictures_bytes()
    try:
        if pictures_folder().exists():
            shutil.rmtree(pictures_folder())
    except OSError as exc:
        raise CannotWrite(
            f"{pictures_folder()} cannot be removed ({exc.strerror}); close what has it open."
        ) from exc
    return before - pictures_bytes()
