"""``napari-past cache``: the finished tiles that are kept, and how to be rid of them."""

from __future__ import annotations

import json
import sys
import time
from argparse import Namespace
from dataclasses import asdict

from napari_past.engine.cache import (
    LIMIT,
    CacheEntry,
    cache_entries,
    cache_folder,
    cache_limit_bytes,
    day,
    matching,
    remove_entry,
    removed_before,
)
from napari_past.engine.picture_copies import pictures_bytes, remove_pictures
from napari_past.errors import Cancelled, CannotWrite, PastError

SHOWN_REMOVED = 5
SHOWN_KEY = 8


def execute(options: Namespace) -> int:
    """``list`` or ``clear``."""
    entries, foreign = cache_entries()
    entries.reverse()
    for path in foreign:
        print(f"napari-past: {path} is not of the cache and is left alone.", file=sys.stderr)
    if options.action == "clear":
        return _clear(entries, options.names, options.all)
    if options.json:
        print(json.dumps(_document(entries), indent=2, ensure_ascii=False))
    else:
        print("\n".join(_table(entries)))
    return 0


# ---- list ------------------------------------------------------------------------------------


def _table(entries: list[CacheEntry]) -> list[str]:
    head = ("slide", "model", "tiles", "size", "last used", "key")
    rows = [
        (
            entry.slide or "?",
            entry.model or "?",
            str(entry.tiles),
            _size(entry.size_bytes),
            day(entry.used_s) + (" (in use)" if entry.in_use else ""),
            entry.key[:SHOWN_KEY],
        )
        for entry in entries
    ]
    widths = [max(len(row[k]) for row in [head, *rows]) for k in range(len(head))]
    total = sum(entry.size_bytes for entry in entries)
    lines = [f"{cache_folder()}: {_size(total)} of at most {_size(cache_limit_bytes())} ({LIMIT})"]
    if rows:
        for row in [head, *rows]:
            lines.append("  ".join(f"{t:<{w}}" for t, w in zip(row, widths, strict=True)).rstrip())
    else:
        lines.append("No slide was analysed yet.")
    if copies := pictures_bytes():
        lines.append(f"copies of plain pictures: {_size(copies)}; `clear --all` removes them")
    for note in removed_before()[-SHOWN_REMOVED:]:
        lines.append(
            f"removed {note['removed']} to stay below the limit: {note['slide'] or note['key']}, "
            f"{note['tiles']} tiles"
        )
    return lines


def _document(entries: list[CacheEntry]) -> dict[str, object]:
    return {
        "folder": str(cache_folder()),
        "limit_bytes": cache_limit_bytes(),
        "size_bytes": sum(entry.size_bytes for entry in entries),
        "entries": [
            {
                "key": entry.key,
                **asdict(entry),
                "folder": str(entry.folder),
                "last_used": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(entry.used_s)),
            }
            for entry in entries
        ],
        "removed": removed_before(),
    }


def _size(size_bytes: int) -> str:
    unit = "kB" if size_bytes < 1e6 else "MB" if size_bytes < 1e9 else "GB"
    return f"{size_bytes / {'kB': 1e3, 'MB': 1e6, 'GB': 1e9}[unit]:.1f} {unit}"


# ---- clear -----------------------------------------------------------------------------------


def _clear(entries: list[CacheEntry], names: list[str], everything: bool) -> int:
    chosen = _chosen(entries, names, everything)
    used = [entry for entry in chosen if entry.in_use]
    failures = [f"{entry.told} is in use and stays; close what has it open." for entry in used]
    freed_bytes = removed = 0
    for entry in chosen:
        if entry in used:
            continue
        try:
            freed_bytes += remove_entry(entry)
            removed += 1
        except CannotWrite as exc:
            failures.append(str(exc))
    if not names:
        try:
            freed_bytes += remove_pictures()
        except CannotWrite as exc:
            failures.append(str(exc))
    print(f"Removed the tiles of {removed} analysed slides: {_size(freed_bytes)} freed.")
    for failure in failures:
        print(f"napari-past: {failure}", file=sys.stderr)
    return 1 if failures else 0


def _chosen(entries: list[CacheEntry], names: list[str], everything: bool) -> list[CacheEntry]:
    if names and everything:
        raise PastError("Either name what to remove or give --all, not both.")
    if not names:
        if entries and not everything:
            _ask(entries)
        return entries
    chosen: dict[str, CacheEntry] = {}
    for name in names:
        found = matching(entries, name)
        if not found:
            raise PastError(
                f"The cache has no slide or key {name!r}; `napari-past cache list` shows them."
            )
        chosen.update((entry.key, entry) for entry in found)
    return list(chosen.values())


def _ask(entries: list[CacheEntry]) -> None:
    total = _size(sum(entry.size_bytes for entry in entries))
    told = f"the tiles of all {len(entries)} analysed slides ({total})"
    if not sys.stdin.isatty():
        raise PastError(f"Name what to remove, or give --all to remove {told}.")
    try:
        answer = input(f"Remove {told}? [y/N] ")
    except EOFError:
        answer = ""
    if answer.strip().lower() not in ("y", "yes"):
        raise Cancelled("nothing was removed.")
