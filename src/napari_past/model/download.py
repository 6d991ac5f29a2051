"""A file from any web address, taken up again where it broke off."""

from __future__ import annotations

import hashlib
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import Literal

from napari_past import __version__
from napari_past.errors import CannotWrite, PastError

ATTEMPTS = 5
"""Breaks in a row without a byte in between, after which it is given up."""
PAUSE_S = 1.0
_CHUNK_BYTES = 1 << 20
_TIMEOUT_S = 30.0

Told = Callable[[int, int | None], None]
"""Told of the bytes that are here, and of those there are in all where that is known."""


class _Changed(Exception):
    """The file on the server is another than the one of which a part is here."""


def download(url: str, folder: Path, told: Told, *, pause_s: float = PAUSE_S) -> Path:
    """The file behind `url`, in `folder`.

    What broke off goes on from there, within a call and between calls, as long as the server has
    the same file.

    Parameters
    ----------
    told
        Called after every piece.
    pause_s
        Seconds between two attempts.

    Raises
    ------
    PastError
        The server cannot be reached, does not have the file, or breaks off again and again.
    CannotWrite
    """
    part = folder / f".{hashlib.sha256(url.encode()).hexdigest()[:12]}.part"
    failures = 0
    while True:
        before = _size(part)
        try:
            _fetch_rest(url, part, told)
            return part
        except _Changed:
            discard(part)
        except urllib.error.HTTPError as exc:
            if exc.code < 500 and exc.code != 429:
                raise PastError(
                    f"{url} was not given ({exc.code} {exc.reason}); check the address."
                ) from exc
            failures = _failed(url, failures, exc)
        except (http.client.HTTPException, OSError) as exc:
            failures = _failed(url, 0 if _size(part) > before else failures, exc)
        time.sleep(pause_s)


def _failed(url: str, failures: int, exc: Exception) -> int:
    """How many attempts failed, or the error that says so."""
    if failures + 1 < ATTEMPTS:
        return failures + 1
    reason = str(getattr(exc, "reason", exc)) or type(exc).__name__
    raise PastError(
        f"{url} cannot be had from here ({reason}); check the network and run the same command "
        f"again, which goes on where it broke off, or copy the file here and give it with --from."
    ) from exc


def _fetch_rest(url: str, part: Path, told: Told) -> None:
    have = _size(part)
    headers = {"User-Agent": f"napari-past/{__version__}", "Accept-Encoding": "identity"}
    version = _version_file(part)
    if have and version.is_file():
        headers |= {"Range": f"bytes={have}-", "If-Range": version.read_text()}
    request = urllib.request.Request(url, headers=headers)
    try:
        answer = urllib.request.urlopen(request, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as exc:
        if have and exc.code == 416:
            raise _Changed from exc
        raise
    with answer:
        resumed = answer.status == 206
        have = have if resumed else 0
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length is not None else None
        with _opened(part, "ab" if resumed else "wb") as file:
            if not resumed:
                _note_version(part, answer.headers)
            while piece := answer.read(_CHUNK_BYTES):
                _write(file, piece, part)
                have += len(piece)
                told(have, total)
    if total is not None and have < total:
        raise http.client.IncompleteRead(b"", total - have)


def _opened(part: Path, mode: Literal["ab", "wb"]) -> FileIO:
    try:
        return FileIO(part, mode)
    except OSError as exc:
        raise _cannot_write(part, exc) from exc


def _write(file: FileIO, piece: bytes, part: Path) -> None:
    try:
        file.write(piece)
    except OSError as exc:
        raise _cannot_write(part, exc) from exc


def _cannot_write(part: Path, exc: OSError) -> CannotWrite:
    return CannotWrite(
        f"The download cannot be kept in {part.parent} ({exc.strerror or exc}); free some space, "
        f"or set NAPARI_PAST_MODELS to another folder."
    )


def _note_version(part: Path, headers: http.client.HTTPMessage) -> None:
    """Keep what tells this file from a later one at the same address; weak tags do not."""
    tag = headers.get("ETag") or ""
    told = tag if tag and not tag.startswith("W/") else headers.get("Last-Modified")
    if told:
        _version_file(part).write_text(told)
    else:
        _version_file(part).unlink(missing_ok=True)


def _version_file(part: Path) -> Path:
    return part.with_suffix(".version")


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def discard(part: Path) -> None:
    """Remove a download."""
    part.unlink(missing_ok=True)
    _version_file(part).unlink(missing_ok=True)
