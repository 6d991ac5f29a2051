"""Files below a folder, on a disk or at an address, read whole or in part up to a limit."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Protocol

from napari_past.errors import DamagedSlide
from napari_past.slide.access.patience import READING, Persistence
from napari_past.slide.access.remote import Remote

Part = tuple[int, int | None] | None
"""First byte (from the end where negative) and the one after the last, None for the end; None for
the whole file."""


class Folder(Protocol):
    """Where the files of an OME-Zarr image lie."""

    def read(self, key: str, part: Part, limit: int) -> bytes | None:
        """Bytes of a file, or None where there is none.

        Raises
        ------
        DamagedSlide
            They are more than `limit`.
        SlideUnreachable
            Its disk or server does not answer.
        """


class LocalFolder:
    """A folder on a disk or a mounted file system, whose passing errors are waited out."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._persistence = Persistence(
            path.name, "its disk", "that it is connected", threading.Event()
        )

    def read(self, key: str, part: Part, limit: int) -> bytes | None:
        try:
            return self._persistence.attempt(lambda: self._read(key, part, limit), READING)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None

    def _read(self, key: str, part: Part, limit: int) -> bytes:
        with (self._path / key).open("rb") as file:
            size = file.seek(0, 2)
            start, stop = _span(part, size)
            if stop - start > limit:
                raise _too_large(self._path.name, key, limit)
            file.seek(start)
            return file.read(stop - start)


class RemoteFolder:
    """What lies below an address."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    def read(self, key: str, part: Part, limit: int) -> bytes | None:
        if part is None:
            return self._remote.whole(key, limit)
        start, stop = part
        if start < 0 or stop is None:
            found = self._remote.head(key)
            if found is None:
                return None
            start, stop = _span(part, found[0].size)
        if stop - start > limit:
            raise _too_large(self._remote.name, key, limit)
        return self._remote.read(key, start, stop)


def _span(part: Part, size: int) -> tuple[int, int]:
    start, stop = (0, None) if part is None else part
    start = max(0, size + start) if start < 0 else min(start, size)
    return start, size if stop is None else max(start, min(stop, size))


def _too_large(name: str, key: str, limit: int) -> DamagedSlide:
    return DamagedSlide(
        f"{name} has a part ({key}) of more than {limit:,} bytes, more than its metadata allow; it "
        "is damaged, copy it again from where it came from."
    )
