"""The panel: our markers, and those that the user added."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import platformdirs

from napari_past.errors import BadTable
from napari_past.genes.marker import Marker, marker_key
from napari_past.genes.panel_file import read_markers

MARKERS_FILE = "NAPARI_PAST_MARKERS"
"""Environment variable that names a file of markers of the user's own."""
DATA_HOME = "NAPARI_PAST_DATA_HOME"


def markers() -> tuple[Marker, ...]:
    """All markers: ours in the order of their table, then those that the user added.

    The user's file is ``$NAPARI_PAST_MARKERS``, else ``markers.toml`` in the user's data folder
    (``$NAPARI_PAST_DATA_HOME``) where there is one. It is read once in a process.

    Raises
    ------
    BadTable
        The user's file is missing or has a mistake; the sentence names the marker and the field.
    """
    return _panel().markers


def markers_by_key() -> dict[str, Marker]:
    """Every spelling's `marker_key` and its marker; two markers that share one are a mistake."""
    return _panel().by_key


def marker_asked(name: str) -> Marker | None:
    """The marker that somebody who typed `name` asked for; None where a gene was asked for.

    EPCAM to the letter is the gene, EpCAM and epcam are the marker; CD4 is both, and the marker.
    """
    typed = name.strip()
    marker = markers_by_key().get(marker_key(typed))
    if marker is not None and typed in marker.genes and typed not in (marker.name, *marker.aliases):
        return None
    return marker


def joined(ours: tuple[Marker, ...], theirs: tuple[Marker, ...], source: str) -> tuple[Marker, ...]:
    """Our markers with the user's: one of the same name is replaced in its place, others follow.

    A spelling of the user's is taken from those of our aliases that are equal.

    Raises
    ------
    BadTable
        Two markers of the user's share a spelling, or an alias is the name of one of ours.
    """
    taken: dict[str, Marker] = {}
    for marker in theirs:
        for spelling in (marker.name, *marker.aliases):
            other = taken.setdefault(marker_key(spelling), marker)
            if other is not marker:
                field = "name" if spelling == marker.name else "aliases"
                raise BadTable(
                    f"Marker {marker.name!r} in {source}: {spelling!r} in its field {field} is a "
                    f"spelling of marker {other.name!r} too; leave it out of one of them."
                )
    own = {marker_key(marker.name): marker for marker in theirs}
    result = []
    for marker in ours:
        key = marker_key(marker.name)
        if key in own:
            result.append(own.pop(key))
            continue
        if key in taken:
            raise BadTable(
                f"Marker {taken[key].name!r} in {source}: {marker.name!r} in its field aliases is "
                f"the name of a marker; name yours {marker.name} to replace it, or leave the alias "
                "out."
            )
        free = tuple(alias for alias in marker.aliases if marker_key(alias) not in taken)
        result.append(replace(marker, aliases=free))
    return (*result, *own.values())


@dataclass(frozen=True)
class _Panel:
    markers: tuple[Marker, ...]
    by_key: dict[str, Marker]


def _panel() -> _Panel:
    return _panel_of(os.environ.get(MARKERS_FILE), os.environ.get(DATA_HOME))


@lru_cache(maxsize=4)
def _panel_of(named: str | None, data_home: str | None) -> _Panel:
    shipped = files("napari_past").joinpath("data", "markers.toml").read_text(encoding="utf-8")
    panel = read_markers(shipped, "the panel")
    path = _own_file(named, data_home)
    if path is not None:
        panel = joined(panel, read_markers(_text(path), path.name, check_genes=True), path.name)
    by_key: dict[str, Marker] = {}
    for marker in panel:
        for spelling in (marker.name, *marker.aliases):
            key = marker_key(spelling)
            if by_key.setdefault(key, marker) is not marker:
                raise ValueError(f"{spelling!r} names both {by_key[key].name} and {marker.name}.")
    return _Panel(panel, by_key)


def _own_file(named: str | None, data_home: str | None) -> Path | None:
    """The user's file: one that was named must be there, the other may."""
    if named:
        return Path(named).expanduser()
    home = Path(data_home or platformdirs.user_data_dir("napari-past", False))
    path = home / "markers.toml"
    return path if path.exists() else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as exc:
        raise BadTable(
            f"{MARKERS_FILE} names {path}, but there is no such file; correct it or unset it."
        ) from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise BadTable(
            f"The file of markers {path} cannot be read ({exc}); give a TOML file in UTF-8."
        ) from exc
