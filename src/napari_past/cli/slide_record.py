"""What is known of a finished slide in a folder of results, so that a later run passes it over.

    DIR/.napari-past/<digest of the result's name>.json    one for each slide that was begun
    DIR/.napari-past/<digest of the result's name>.lock    held by the run that works on it

A record is written before the work, and again with the digest of the result when that is complete,
by renames. The system frees a lock with the process that holds it, however that ends.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path

from filelock import FileLock, Timeout

from napari_past.errors import CannotWrite
from napari_past.files import atomic_write, file_sha256
from napari_past.io.csv_table import sidecar_of

FOLDER = ".napari-past"
SCHEMA = 1


class Standing(Enum):
    """What became of a finished result."""

    WHOLE = "whole"
    MISSING = "missing"
    CHANGED = "changed"


@dataclass(frozen=True)
class SlideRecord:
    """A slide that is finished or, without a digest of its result, was begun."""

    slide: str
    file: str
    """Of the result, relative to the folder, with slashes."""
    inputs: Mapping[str, str]
    """Digests of what was read: slide, cells, rois."""
    options: Mapping[str, str]
    """What the result depends on besides, as it was asked for."""
    sha256: str = ""
    """Of the file, or of all files in the folder that a ``.zarr`` is, with their names."""
    beside_sha256: str = ""
    """Of the file that is written beside it, the provenance of a ``.csv``."""
    size_bytes: int = 0
    changed_ns: int = 0
    cells: int = 0
    tiles: int = 0
    unreadable_tiles: int = 0
    area_mm2: float = 0.0
    schema: int = SCHEMA


def read_record(folder: Path, file: str) -> SlideRecord | None:
    """The record of a result; None where there is none that this version reads."""
    return _read(_place(folder, file).with_suffix(".json"))


def read_records(folder: Path) -> list[SlideRecord]:
    """All records of a folder of results, by the name of the result."""
    found = [_read(path) for path in sorted((folder / FOLDER).glob("*.json"))]
    return sorted((r for r in found if r is not None), key=lambda record: record.file)


def _read(path: Path) -> SlideRecord | None:
    try:
        record = SlideRecord(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return record if record.schema == SCHEMA else None


def write_record(folder: Path, record: SlideRecord) -> None:
    """Keep that a slide is finished.

    Raises
    ------
    CannotWrite
    """
    with atomic_write(_place(folder, record.file).with_suffix(".json")) as unfinished:
        unfinished.write_text(
            json.dumps(asdict(record), indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )


def make_records(folder: Path) -> None:
    """Make the place of the records in a folder of results.

    Raises
    ------
    CannotWrite
    """
    try:
        (folder / FOLDER).mkdir(exist_ok=True)
    except OSError as exc:
        raise CannotWrite(
            f"{folder} cannot be written ({exc.strerror or exc}); choose another folder."
        ) from exc


@contextmanager
def claimed(folder: Path, file: str) -> Iterator[bool]:
    """Whether this run has a slide for itself while the block lasts; False where another has it.

    Raises
    ------
    CannotWrite
    """
    lock = FileLock(_place(folder, file).with_suffix(".lock"), thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    except OSError as exc:
        raise CannotWrite(
            f"{folder} cannot be locked ({exc.strerror or exc}); choose a folder on another disk."
        ) from exc
    try:
        yield True
    finally:
        lock.release()


def _place(folder: Path, file: str) -> Path:
    return folder / FOLDER / hashlib.sha256(file.encode()).hexdigest()[:32]


def standing(record: SlideRecord, path: Path) -> Standing:
    """What became of a result; its content is read only where size or date differ."""
    if os.path.lexists(path):
        size_bytes, changed_ns = stamp(path)
        if size_bytes != record.size_bytes:
            return Standing.CHANGED
        if changed_ns != record.changed_ns and content_sha256(path) != record.sha256:
            return Standing.CHANGED
    if not all(os.path.lexists(part) for part in written_to(path)):
        return Standing.MISSING
    return Standing.WHOLE if beside_sha256(path) == record.beside_sha256 else Standing.CHANGED


def written_to(path: Path) -> list[Path]:
    """A result's own file or folder, then what is written beside it."""
    return [path, sidecar_of(path)] if path.suffix.lower() == ".csv" else [path]


def beside_sha256(path: Path) -> str:
    """64 hex digits of what is written beside a result; empty where nothing is."""
    return "".join(file_sha256(part) for part in written_to(path)[1:])


def stamp(path: Path) -> tuple[int, int]:
    """Size in bytes and the latest change, ns since 1970, of a file or all files of a folder."""
    stats = [file.stat() for _, file in _parts(path)]
    return sum(s.st_size for s in stats), max((s.st_mtime_ns for s in stats), default=0)


def content_sha256(path: Path) -> str:
    """64 hex digits of a file's content, or of the names and contents of all files of a folder."""
    if not path.is_dir():
        return file_sha256(path)
    digest = hashlib.sha256()
    for name, file in _parts(path):
        digest.update(f"{name}\0{file_sha256(file)}\n".encode())
    return digest.hexdigest()


def _parts(path: Path) -> list[tuple[str, Path]]:
    if not path.is_dir():
        return [("", path)]
    files: list[tuple[str, Path]] = []
    with suppress(FileNotFoundError):
        files = [(p.relative_to(path).as_posix(), p) for p in path.rglob("*") if p.is_file()]
    return sorted(files)
