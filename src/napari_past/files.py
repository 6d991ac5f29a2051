"""Files to read, and places to write: checked before long work, replaced when complete."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import platformdirs

from napari_past.errors import BadTable, CannotWrite

_REASONS = {
    errno.ENOSPC: "the disk is full; free some space or choose another disk",
    errno.EDQUOT: "your disk quota is used up; free some space or choose another disk",
    errno.EFBIG: "the file is larger than your limit or the disk allows; choose another disk",
    errno.ESTALE: "its network disk lost it; look whether the disk is connected and try again",
    errno.EIO: "the disk fails; look whether it is connected, or choose another one",
    errno.EROFS: "the disk is read-only; choose another folder",
    errno.EACCES: "you may not write there; choose another folder",
    errno.EPERM: "you may not write there; choose another folder",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
}
TRANSIENT = frozenset(
    {
        errno.EIO, errno.ESTALE, errno.EAGAIN, errno.ETIMEDOUT, errno.EBUSY, errno.EINTR,
        errno.ENOTCONN, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ENETUNREACH,
        errno.ECONNRESET, errno.ECONNABORTED, errno.ECONNREFUSED,
    }
)  # fmt: skip
"""Errors of a network file system that may be over in a moment."""
RETRY_AFTER_S = (0.1, 0.4, 1.6, 6.4)
"""A server that is started again answers after some seconds; a dead disk never does."""
_Result = TypeVar("_Result")


def retried(action: Callable[[], _Result]) -> _Result:
    """What `action` returns, tried again where a network file system fails for a while.

    Raises
    ------
    OSError
        The last error, where it fails to the end, or the first that will not pass.
    """
    for seconds in RETRY_AFTER_S:
        try:
            return action()
        except OSError as exc:
            if exc.errno not in TRANSIENT:
                raise
            time.sleep(seconds)
    return action()


def existing_file(path: str | Path) -> Path:
    """`path`, or `BadTable` where there is no such file."""
    source = Path(path)
    if source.is_dir():
        raise BadTable(f"{source} is a folder, but a file was expected; give a file in it.")
    if not source.exists():
        raise BadTable(f"There is no file {source}; check its name.")
    return source


def data_home() -> Path:
    """``$NAPARI_PAST_DATA_HOME``, else the user's data folder: unlike the cache never cleared."""
    given = os.environ.get("NAPARI_PAST_DATA_HOME")
    return Path(given) if given else Path(platformdirs.user_data_dir("napari-past", False))


def detector_weights(name: str) -> Path:
    """Where the fetched weights of a detector lie, or would lie: TorchScript."""
    return data_home() / "detectors" / f"{name}.pt"


def make_folder(folder: Path, cannot: str) -> None:
    """Make a folder for what users say.

    Parameters
    ----------
    cannot
        Begins the sentence where that fails, as "Regions and notes cannot be saved".

    Raises
    ------
    CannotWrite
        The disk is full or the place read-only.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise CannotWrite(
            f"{cannot} in {folder} ({exc.strerror}); point NAPARI_PAST_DATA_HOME to a folder that "
            f"can be written."
        ) from exc


def check_writable(path: str | Path) -> None:
    """Raise `CannotWrite` where `path` could not be written; leaves nothing behind.

    Called before long work, so that an hour's run does not end in a folder that is missing.
    """
    target = Path(path)
    folder = target.parent
    if target.is_dir():
        raise CannotWrite(f"{target} is a folder; give the name of a file.")
    if folder.exists() and not folder.is_dir():
        raise CannotWrite(f"{folder} is a file, so {target.name} cannot lie in it; give a folder.")
    if not folder.is_dir():
        raise CannotWrite(f"The folder {folder} of {target.name} does not exist; create it first.")
    if target.exists() and not os.access(target, os.W_OK):
        raise CannotWrite(f"{target} is write-protected; give another name or remove it.")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as exc:
        raise cannot_write(target, exc) from exc


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """A name beside `path` to write to; it replaces `path` when the block ends without an error.

    After an error, of whatever kind, the unfinished file is gone and what `path` held is untouched.

    Raises
    ------
    CannotWrite
        The folder is missing or read-only, or the disk is full.
    """
    target = Path(path)
    check_writable(target)
    # The suffix stays last: some writers look at it.
    unfinished = target.with_name(f".{uuid4().hex[:12]}.unfinished{target.suffix}")
    try:
        yield unfinished
        _sync(unfinished)
        retried(lambda: os.replace(unfinished, target))
    except OSError as exc:
        raise cannot_write(target, exc) from exc
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Have the disk hold all of a file.

    Else a power cut may keep its new name and lose what it names, and a network disk would tell of
    a full quota when nobody listens any more.
    """
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def cannot_write(target: Path, exc: OSError) -> CannotWrite:
    """What the system says of a file that could not be written, as a sentence."""
    # HDF5 tells a full disk in its text, without an error number.
    number = errno.ENOSPC if "No space left" in str(exc) else exc.errno
    reason = _REASONS.get(number or 0, f"the system says: {exc.strerror or exc}")
    return CannotWrite(f"{target} cannot be written: {reason}.")


def file_sha256(path: Path) -> str:
    """64 hex digits of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def json_sha256(fields: dict[str, Any]) -> str:
    """64 hex digits of a value of JSON, with sorted keys and no spaces."""
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
