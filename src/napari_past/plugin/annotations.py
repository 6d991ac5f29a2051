"""What a user says of one slide: regions, notes, cut-offs, classes; and the way back.

Knows no viewer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from napari_past.plugin.classing.labels import ClassLabels, joined_labels
from napari_past.types import Cutoffs, Region

LONGEST_HISTORY = 200


@dataclass(frozen=True)
class KeptCutoffs:
    """Cut-offs that were set on a slide."""

    slide: str
    """Its file's name."""
    cutoffs: Cutoffs


@dataclass(frozen=True)
class Annotations:
    """One state of it; a change makes another."""

    regions: tuple[Region, ...] = ()
    cell_notes: Mapping[str, str] = field(default_factory=dict)
    """By cell id."""
    region_notes: Mapping[str, str] = field(default_factory=dict)
    """By the region's name."""
    cutoffs: Mapping[str, Cutoffs] = field(default_factory=dict)
    """Set by the user, by model and gene."""
    core_columns: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """What a spreadsheet tells of a tissue microarray's cores (case, …), by core name."""
    classes: ClassLabels = field(default_factory=ClassLabels)
    """Named by the user, with the cells and areas that were labelled."""

    @property
    def empty(self) -> bool:
        """Whether nothing was said."""
        return self == Annotations()


def joined(first: Annotations, then: Annotations) -> Annotations:
    """Both of them; where they differ, what came later."""
    known = {region.name for region in then.regions}
    kept = tuple(region for region in first.regions if region.name not in known)
    return Annotations(
        (*kept, *then.regions),
        {**first.cell_notes, **then.cell_notes},
        {**first.region_notes, **then.region_notes},
        {**first.cutoffs, **then.cutoffs},
        {**first.core_columns, **then.core_columns},
        joined_labels(first.classes, then.classes),
    )


class History:
    """States in the order in which they came, and where in them we are."""

    def __init__(self, first: Annotations) -> None:
        self._states = [first]
        self._now = 0

    @property
    def now(self) -> Annotations:
        return self._states[self._now]

    def push(self, state: Annotations) -> bool:
        """Go on to another state, which ends what could be redone; False where it is the same."""
        if state == self.now:
            return False
        self._states[self._now + 1 :] = [state]
        del self._states[: max(0, len(self._states) - LONGEST_HISTORY)]
        self._now = len(self._states) - 1
        return True

    def undo(self) -> bool:
        """Go one state back; False at the first."""
        return self._step(-1)

    def redo(self) -> bool:
        """Go one state on again; False at the last."""
        return self._step(1)

    def _step(self, by: int) -> bool:
        wanted = self._now + by
        if not 0 <= wanted < len(self._states):
            return False
        self._now = wanted
        return True
