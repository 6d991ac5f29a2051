"""Which scores are told of a marker, and how many cells they need."""

from __future__ import annotations

from dataclasses import dataclass

from napari_past.genes import Resolved, marker_asked
from napari_past.genes.marker import ALLRED, DENSITY, HOT_SPOT, PERCENT, PSEUDO_H
from napari_past.stain.measured import has_classes

PSEUDO_H_SCORE, H_SCORE = "pseudo-H-score", "H-score"
PERCENT_POSITIVE = "% positive"
LEAST_IN_HOT_SPOT = 100
"""Cells that a hot spot holds at least where the marker asks for no more."""


@dataclass(frozen=True)
class ScoreRules:
    """What may be told of the classes of a marker's cells; by default what a plain gene has."""

    scores: tuple[str, ...] = (PERCENT, PSEUDO_H, DENSITY)
    """Of `napari_past.genes.marker.PREDICTED_SCORES`."""
    least_cells: int = 0
    """With fewer counted cells the scores of a region are insufficient."""
    least_of: str = ""
    """What these cells are."""
    real_stain_only: tuple[str, ...] = ()
    """Customary scores that these values do not have."""
    real_stain: tuple[str, ...] = ()
    """Customary scores that need a real stain, where the values are of one."""
    measured: bool = False
    """The classes are of a real stain: what is a pseudo-H-score of predictions is an H-score."""
    marker: str = ""
    """The marker's name; empty for a plain gene."""

    @property
    def h_score(self) -> bool:
        """Whether an H-score is told."""
        return PSEUDO_H in self.scores

    @property
    def allred(self) -> bool:
        return ALLRED in self.scores

    @property
    def density(self) -> bool:
        return DENSITY in self.scores

    @property
    def hot_spot(self) -> bool:
        return HOT_SPOT in self.scores

    @property
    def least_in_hot_spot(self) -> int:
        return self.least_cells or LEAST_IN_HOT_SPOT

    @property
    def h_score_name(self) -> str:
        return H_SCORE if self.measured else PSEUDO_H_SCORE

    @property
    def allred_name(self) -> str:
        return "Allred" if self.measured else "pseudo-Allred"

    @property
    def score_name(self) -> str:
        """Of the score that a table has for each region."""
        return self.h_score_name if self.h_score else PERCENT_POSITIVE

    @property
    def sentence(self) -> str:
        """What is customary and not told here, one line; empty where nothing is left out."""
        parts = []
        if not self.h_score:
            parts.append(f"{self.marker or 'This stain'} is not reported as an H-score.")
        if self.real_stain_only:
            whose = f" of {self.marker}" if self.marker else ""
            parts.append(f"{', '.join(self.real_stain_only)}{whose}: on real stain only.")
        return " ".join(parts)

    def insufficient(self, n: int) -> str:
        """Told of a region with `n` counted cells; empty where they suffice."""
        if n >= self.least_cells:
            return ""
        return f"insufficient: {n} of {self.least_cells} {self.least_of}"


PLAIN_GENE = ScoreRules()
"""Of a gene that was asked for by its symbol."""


def rules_of(resolved: Resolved, *, measured: bool = False) -> ScoreRules:
    """What may be told of what a user typed: of a marker what is customary, of a gene the rest.

    Parameters
    ----------
    resolved
        As `napari_past.genes.resolve` gives it. Whoever types MKI67 has asked for the gene.
    measured
        The values are of a real stain, not predicted; `Resolved.measured` says so, too.
    """
    measured = measured or resolved.measured
    marker = marker_asked(resolved.name)
    # Classes by completeness of the membrane are no intensities, of which an H-score is the sum.
    classes = measured and has_classes(resolved.name if marker is None else marker.name)
    if marker is None:
        plain = PLAIN_GENE.scores
        return ScoreRules(_without_h_score(plain) if classes else plain, measured=measured)
    scores = marker.predicted or (PERCENT,)
    return ScoreRules(
        scores=_without_h_score(scores) if classes else scores,
        least_cells=marker.least_cells,
        least_of=marker.least_of,
        real_stain_only=() if measured else marker.real_stain_only,
        real_stain=marker.real_stain_only if measured else (),
        measured=measured,
        marker=marker.name,
    )


def _without_h_score(scores: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(score for score in scores if score != PSEUDO_H)
