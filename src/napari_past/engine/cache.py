"""The folder of all stored results: what lies in it, how large it may grow, what goes first.

    <cache>/cells-v1/<key digest>/key.json              what the results depend on; its time of
                                                        change is that of the last use
    <cache>/cells-v1/<key digest>/about.json            slide and model by name, for people
    <cache>/cells-v1/<key digest>/<column>_<row>.tile
    <cache>/cells-v1/<key digest>/<host>-<pid>-<n>.use  a process that has it open
    <cache>/cells-v1/removed.jsonl                      what was removed to stay below the limit

Other files and folders are nobody's here to remove: they are left alone and told.
"""

from __future__ import annotations

import itertools
import json
import logging
import math
import os
import platform
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import platformdirs
import psutil

from napari_past.errors import CannotWrite, PastError

LIMIT = "NAPARI_PAST_CACHE_LIMIT_GB"
DEFAULT_LIMIT_GB = 20.0
KEY, ABOUT, TILE, USE, PART = "key.json", "about.json", ".tile", ".use", ".part"
REMOVED = "removed.jsonl"
ELSEWHERE_S = 24 * 3600.0
"""A mark of use from another machine, whose processes cannot be seen, counts for so long."""

_log = logging.getLogger("napari_past.cache")
_DIGEST = re.compile(r"[0-9a-f]{32}")
_GOING = re.compile(r"[0-9a-f]{32}\.going-[0-9a-f]+")
_marks = itertools.count()


@dataclass(frozen=True)
class CacheEntry:
    """The stored results of one slide with one model and detector."""

    folder: Path
    slide: str
    """File name of the slide; empty where it is not known."""
    path: str
    """Where the slide lay."""
    model: str
    tiles: int
    size_bytes: int
    created: str
    """Date and time, ISO 8601, UTC; empty where it is not known."""
    used_s: float
    """Last use, seconds since 1970."""
    in_use: bool
    """Whether a living process has it open."""

    @property
    def key(self) -> str:
        """32 hex digits."""
        return self.folder.name

    @property
    def told(self) -> str:
        """What it is called in messages."""
        return f"{self.slide or self.key} ({self.model or 'unknown model'}, {self.tiles} tiles)"


def cache_folder() -> Path:
    """``$NAPARI_PAST_CACHE``, else the user's cache folder."""
    given = os.environ.get("NAPARI_PAST_CACHE")
    return Path(given) if given else Path(platformdirs.user_cache_dir("napari-past", False))


def cache_limit_bytes() -> int:
    """``$NAPARI_PAST_CACHE_LIMIT_GB`` in bytes, by default 20 GB.

    Raises
    ------
    PastError
        It is not a number from 0 on.
    """
    text = os.environ.get(LIMIT, "").strip()
    try:
        limit = float(text) if text else DEFAULT_LIMIT_GB
        if not limit >= 0 or math.isinf(limit):
            raise ValueError
    except ValueError:
        raise PastError(
            f"{LIMIT} is {text!r}, but a number of GB from 0 on is needed, as {DEFAULT_LIMIT_GB:g}."
        ) from None
    return round(limit * 1e9)


def cache_entries(root: Path | None = None) -> tuple[list[CacheEntry], list[Path]]:
    """What is stored, least recently used first, and what else lies there and is left alone."""
    entries: list[CacheEntry] = []
    foreign: list[Path] = []
    for schema in sorted((root or cache_folder()).glob("cells-v*")):
        for place in _places(schema):
            if place.name == REMOVED or place.name.startswith(f"{REMOVED}.") or _is_going(place):
                continue
            entry = _entry(place)
            if entry is None:
                foreign.append(place)
            else:
                entries.append(entry)
    return sorted(entries, key=lambda entry: entry.used_s), foreign


def _places(schema: Path) -> list[Path]:
    """What lies in a folder; nothing where it cannot be read."""
    if not schema.is_dir():
        return [schema]
    with suppress(OSError):
        return sorted(schema.iterdir())
    return []


def _is_going(place: Path) -> bool:
    return bool(_GOING.fullmatch(place.name))


def _entry(folder: Path) -> CacheEntry | None:
    """An entry, or None where the folder is not one of ours or cannot be read."""
    if not _DIGEST.fullmatch(folder.name):
        return None
    tiles = size_bytes = 0
    try:
        used_s = (folder / KEY).stat().st_mtime
        with os.scandir(folder) as files:
            for file in files:
                with suppress(FileNotFoundError):  # another process finished writing it
                    size_bytes += file.stat().st_size
                tiles += file.name.endswith(TILE)
    except OSError:
        return None
    about = _about(folder)
    return CacheEntry(
        folder=folder,
        slide=str(about.get("slide", "")),
        path=str(about.get("path", "")),
        model=str(about.get("model", "")),
        tiles=tiles,
        size_bytes=size_bytes,
        created=str(about.get("created", "")),
        used_s=used_s,
        in_use=_in_use(folder),
    )


def _about(folder: Path) -> dict[str, object]:
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return about if isinstance(about, dict) else {}


# ---- who uses it -----------------------------------------------------------------------------


def mark_use(folder: Path) -> Path:
    """Say that this process has a key's folder open; the mark is to be unlinked afterwards.

    Raises
    ------
    OSError
        The folder cannot be written.
    """
    host = re.sub(r"[^\w.]", "_", platform.node())
    mark = folder / f"{host}-{os.getpid()}-{next(_marks)}{USE}"
    pid = os.getpid()
    mark.write_text(json.dumps({"host": platform.node(), "pid": pid, "started": _started(pid)}))
    return mark


def _started(pid: int) -> str:
    """When a process started, in words that stay the same when the clock is set.

    Raises
    ------
    psutil.NoSuchProcess
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:  # no Linux, or no such process
        return f"{psutil.Process(pid).create_time():.0f}"
    return f"{fields[19]} ticks after boot {boot}"


def _in_use(folder: Path) -> bool:
    return any(_lives(mark) for mark in folder.glob(f"*{USE}"))


def _lives(mark: Path) -> bool:
    try:
        told = json.loads(mark.read_text())
        if told["host"] != platform.node():
            return time.time() - mark.stat().st_mtime < ELSEWHERE_S
        # Numbers of processes are used again; the time at which one started tells it apart.
        return _started(int(told["pid"])) == str(told["started"])
    except (OSError, ValueError, TypeError, KeyError, psutil.Error):
        return False


# ---- removing --------------------------------------------------------------------------------


def remove_entry(entry: CacheEntry) -> int:
    """Remove an entry and return how many bytes were freed. Files that are not ours stay.

    The folder is renamed first, so that nobody reads one that is half gone.

    Raises
    ------
    CannotWrite
        The cache is read-only, or a file of the entry is held open (Windows).
    """
    going = entry.folder.with_name(f"{entry.key}.going-{uuid4().hex[:8]}")
    try:
        os.replace(entry.folder, going)
    except FileNotFoundError:  # another process was faster
        return 0
    except OSError as exc:
        raise CannotWrite(
            f"{entry.told} cannot be removed from the cache {entry.folder.parent} "
            f"({exc.strerror}); close what uses it, or check its permissions."
        ) from exc
    if not _emptied(going):
        with suppress(OSError):
            os.replace(going, entry.folder)
        _log.warning("Files that are not of the cache were left in %s.", entry.folder)
    return entry.size_bytes


def _emptied(folder: Path) -> bool:
    """Remove our files and the folder; whether it is gone."""
    with suppress(OSError):
        for path in folder.iterdir():
            if path.name in (KEY, ABOUT) or path.suffix in (TILE, USE, PART):
                with suppress(OSError):
                    path.unlink()
        folder.rmdir()
    return not folder.exists()


def trim(root: Path | None = None) -> tuple[list[CacheEntry], int]:
    """Remove what was not used for longest until the cache is within its limit.

    What a living process has open stays, whatever its size. What is removed is logged and noted
    for ``napari-past cache list``.

    Returns
    -------
    The removed entries, and the bytes that are left.

    Raises
    ------
    PastError
        The limit is no number.
    """
    limit = cache_limit_bytes()
    root = root or cache_folder()
    for half_gone in root.glob("cells-v*/*.going-*"):
        if _is_going(half_gone):  # a removal that was killed
            _emptied(half_gone)
    entries, _ = cache_entries(root)
    left = sum(entry.size_bytes for entry in entries)
    removed: list[CacheEntry] = []
    for entry in entries:
        if left <= limit:
            break
        if entry.in_use:
            continue
        with suppress(CannotWrite):
            left -= remove_entry(entry)
            removed.append(entry)
            _note(entry)
            _log.warning(
                "Removed from the cache, which is limited to %.3g GB (%s): %s, last used %s.",
                limit / 1e9,
                LIMIT,
                entry.told,
                day(entry.used_s),
            )
    return removed, left


def _note(entry: CacheEntry) -> None:
    note = {
        "removed": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "slide": entry.slide,
        "model": entry.model,
        "key": entry.key,
        "tiles": entry.tiles,
        "size_bytes": entry.size_bytes,
    }
    with suppress(OSError), (entry.folder.parent / REMOVED).open("a", encoding="utf-8") as file:
        file.write(json.dumps(note) + "\n")


def removed_before(root: Path | None = None) -> list[dict[str, object]]:
    """What `trim` removed, first to last."""
    notes: list[dict[str, object]] = []
    for file in sorted((root or cache_folder()).glob(f"cells-v*/{REMOVED}")):
        with suppress(OSError, ValueError):
            notes += [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return notes


def matching(entries: Sequence[CacheEntry], name: str) -> list[CacheEntry]:
    """Entries of a slide's file name or path, or whose key begins with at least 6 hex digits."""
    by_key = re.fullmatch(r"[0-9a-f]{6,32}", name) is not None
    return [
        entry
        for entry in entries
        if name in (entry.slide, entry.path) or (by_key and entry.key.startswith(name))
    ]


def day(seconds: float) -> str:
    """Local date and time."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
