"""A zarr folder that appears whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from napari_past.errors import CannotWrite
from napari_past.files import cannot_write
from napari_past.io.provenance import KEY

METADATA = "zarr.json"


def check_folder_writable(path: str | Path) -> None:
    """Raise `CannotWrite` where a folder could not be put at `path`; leaves nothing behind.

    An older folder may be replaced only where this software wrote it: slides are zarr folders too.
    """
    target = Path(path)
    parent = target.parent
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise CannotWrite(f"{target} is a file, but a folder is written; give another name.")
    if target.exists() and not is_ours(target):
        raise CannotWrite(
            f"{target} is a folder that napari-past did not write; give another name, or remove it."
        )
    if not parent.is_dir():
        raise CannotWrite(f"The folder {parent} of {target.name} does not exist; create it first.")
    try:
        with tempfile.TemporaryFile(dir=parent):
            pass
    except OSError as exc:
        raise cannot_write(target, exc) from exc


def is_ours(folder: Path) -> bool:
    """Whether a folder is a table of cells that this software wrote."""
    try:
        told = json.loads((folder / METADATA).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    attributes = told.get("attributes") if isinstance(told, dict) else None
    return isinstance(attributes, dict) and KEY in attributes


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """A folder beside `path` to write to; it takes its place when the block ends without an error.

    After an error, of whatever kind, the unfinished folder is gone and what was at `path` is
    untouched. An older folder there steps aside and is removed once the new one has its name.

    Raises
    ------
    CannotWrite
        As of `check_folder_writable`; the disk is full.
    """
    target = Path(path)
    check_folder_writable(target)
    mark = uuid4().hex[:12]
    unfinished = target.with_name(f".{mark}.unfinished{target.suffix}")
    replaced = target.with_name(f".{mark}.replaced{target.suffix}")
    try:
        unfinished.mkdir()
        yield unfinished
        if target.exists():
            os.rename(target, replaced)
        try:
            os.rename(unfinished, target)
        except OSError:
            if replaced.exists():
                os.rename(replaced, target)
            raise
    except OSError as exc:
        raise cannot_write(target, exc) from exc
    finally:
        for folder in (unfinished, replaced):
            with suppress(OSError):
                shutil.rmtree(folder)
