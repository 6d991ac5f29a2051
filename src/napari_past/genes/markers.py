"""Markers: the names that pathologists use for a stain, and the genes that stand for it."""

from __future__ import annotations

import tomllib
import unicodedata
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class Marker:
    """One stain of the table ``data/markers.toml``."""

    name: str
    genes: tuple[str, ...]
    """HGNC symbols; the values of several are averaged."""
    aliases: tuple[str, ...]
    compartment: str
    """Where the antibody stains: "nucleus", "membrane", …"""
    score: str
    """How pathologists customarily report it: "H-score", "TPS, CPS", …"""
    scorable: bool
    """False where gene RNA cannot stand for the stain; `note` then holds the reason."""
    note: str
    """Shown beside every result of the marker; may be empty."""

    def __post_init__(self) -> None:
        if not self.name or not self.genes:
            raise ValueError(f"A marker needs a name and at least one gene, but got {self}.")
        if not self.scorable and not self.note:
            raise ValueError(f"Marker {self.name} is not scorable: its note must say why.")


@cache
def markers() -> tuple[Marker, ...]:
    """All markers of the table, in its order."""
    text = files("napari_past").joinpath("data", "markers.toml").read_text(encoding="utf-8")
    return tuple(
        Marker(
            name=row["name"],
            genes=tuple(row["genes"]),
            aliases=tuple(row["aliases"]),
            compartment=row["compartment"],
            score=row["score"],
            scorable=row["scorable"],
            note=row["note"],
        )
        for row in tomllib.loads(text)["marker"]
    )


def marker_key(name: str) -> str:
    """The form in which two spellings of a marker are compared.

    Case, the kind of hyphen and space against hyphen do not matter ("Ki 67" is "ki-67"); a missing
    hyphen does, because TTF-1 and TTF1 are two different genes.
    """
    text = unicodedata.normalize("NFKC", name).casefold()
    text = "".join("-" if unicodedata.category(c) == "Pd" or c == "\u2212" else c for c in text)
    return "-".join(text.split())


@cache
def markers_by_key() -> dict[str, Marker]:
    """Every spelling's `marker_key` and its marker; two markers that share one are a mistake."""
    found: dict[str, Marker] = {}
    for marker in markers():
        for spelling in (marker.name, *marker.aliases):
            key = marker_key(spelling)
            if found.setdefault(key, marker) is not marker:
                raise ValueError(f"{spelling!r} names both {found[key].name} and {marker.name}.")
    return found
