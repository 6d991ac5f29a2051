"""One marker: the name that pathologists use for a stain, and what is known of it."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

PERCENT, HOT_SPOT, ALLRED, PSEUDO_H, DENSITY = (
    "percent",
    "hot-spot",
    "allred",
    "pseudo-h-score",
    "density",
)
PREDICTED_SCORES = (PERCENT, HOT_SPOT, ALLRED, PSEUDO_H, DENSITY)
"""Scores that may be computed from predicted expression."""
REAL_STAIN_SCORES = ("0/1+/2+/3+", "TPS", "CPS")
"""Scores that need a real stain."""
COMPARTMENTS = ("nucleus", "membrane", "cytoplasm")


@dataclass(frozen=True)
class Marker:
    """One stain of the table ``data/markers.toml`` or of the user's file."""

    name: str
    genes: tuple[str, ...]
    """HGNC symbols; the values of several are averaged."""
    aliases: tuple[str, ...]
    compartment: str
    """Where the antibody stains: "nucleus", "membrane", "nucleus and cytoplasm" …"""
    score: str
    """How pathologists customarily report it: "H-score", "TPS, CPS", …"""
    predicted: tuple[str, ...]
    """Which of `PREDICTED_SCORES` may be computed from predicted expression; empty where gene RNA
    cannot stand for the stain, and `note` then holds the reason."""
    real_stain_only: tuple[str, ...] = ()
    """Which of `REAL_STAIN_SCORES` the marker has."""
    least_cells: int = 0
    """With fewer cells of `least_of` a score is insufficient."""
    least_of: str = ""
    note: str = ""
    """Shown beside every result of the marker; may be empty."""

    @property
    def scorable(self) -> bool:
        """Whether gene RNA can stand for the stain."""
        return bool(self.predicted)

    @property
    def compartments(self) -> tuple[str, ...]:
        """Each of `COMPARTMENTS` that the antibody stains, in the order in which they are told."""
        return tuple(word for word in self.compartment.split() if word in COMPARTMENTS)


def marker_key(name: str) -> str:
    """The form in which two spellings of a marker are compared.

    Case, the kind of hyphen and space against hyphen do not matter ("Ki 67" is "ki-67"); a missing
    hyphen does, because TTF-1 and TTF1 are two different genes.
    """
    text = unicodedata.normalize("NFKC", name).casefold()
    text = "".join("-" if unicodedata.category(c) == "Pd" or c == "\u2212" else c for c in text)
    return "-".join(text.split())
