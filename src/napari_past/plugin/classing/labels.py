"""Classes that a user named on a slide, and the places that were labelled. Knows no viewer.

Labels are places in µm, not rows of a table: another model gives the same cells other vectors, and
the same places teach it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import shapely

from napari_past.errors import PastError
from napari_past.plugin.cell_types import TYPE_COLOURS

MOST_CLASSES = len(TYPE_COLOURS)
"""As many as there are colours that all eyes can tell apart."""
LONGEST_NAME = 60
SAME_PLACE_UM = 0.5
"""Clicks give centres of cells: what is nearer is the same cell."""


class BadClassName(PastError):
    """A class cannot be named so."""


@dataclass(frozen=True)
class LabelledPlace:
    """The centre of a cell that was labelled."""

    x_um: float
    y_um: float
    code: int
    """Place of its class among the names."""

    def is_at(self, x_um: float, y_um: float) -> bool:
        return math.hypot(self.x_um - x_um, self.y_um - y_um) < SAME_PLACE_UM


@dataclass(frozen=True)
class LabelledArea:
    """An area whose cells are of a class, but for those that were labelled one by one."""

    polygon_um: shapely.Polygon | shapely.MultiPolygon
    code: int


@dataclass(frozen=True)
class ClassLabels:
    """One state of them; a change makes another."""

    names: tuple[str, ...] = ()
    places: tuple[LabelledPlace, ...] = ()
    areas: tuple[LabelledArea, ...] = ()
    """Of areas that overlap the later one counts."""

    def __post_init__(self) -> None:
        codes = [p.code for p in self.places] + [a.code for a in self.areas]
        if codes and not 0 <= min(codes) <= max(codes) < len(self.names):
            raise ValueError(
                f"labels are of {len(self.names)} classes, and of one that is not there"
            )

    def with_class(self, name: str) -> ClassLabels:
        """One class more.

        Raises
        ------
        BadClassName
            No name, one that is taken, or more classes than there are colours.
        """
        if len(self.names) == MOST_CLASSES:
            raise BadClassName(
                f"There are {MOST_CLASSES} classes, and no more colours that all eyes can tell "
                "apart; remove a class first."
            )
        return replace(self, names=(*self.names, self._free(name)))

    def renamed(self, code: int, name: str) -> ClassLabels:
        """Another name for a class.

        Raises
        ------
        BadClassName
        """
        if name.strip() == self.names[code]:
            return self
        free = self._free(name)
        return replace(
            self, names=tuple(free if k == code else n for k, n in enumerate(self.names))
        )

    def without_class(self, code: int) -> ClassLabels:
        """Without a class and its labels; the classes after it move up."""
        return ClassLabels(
            tuple(name for k, name in enumerate(self.names) if k != code),
            tuple(replace(p, code=p.code - (p.code > code)) for p in self.places if p.code != code),
            tuple(replace(a, code=a.code - (a.code > code)) for a in self.areas if a.code != code),
        )

    def with_place(self, x_um: float, y_um: float, code: int) -> ClassLabels:
        """A cell labelled; labelled with the class that it has, its label is taken away."""
        label = LabelledPlace(x_um, y_um, code)
        others = tuple(place for place in self.places if not place.is_at(x_um, y_um))
        had_it = any(p.code == code for p in self.places if p.is_at(x_um, y_um))
        return replace(self, places=others if had_it else (*others, label))

    def with_areas(self, areas: Sequence[LabelledArea]) -> ClassLabels:
        """These areas in place of those there are."""
        return replace(self, areas=tuple(areas))

    def counts(self, code: int) -> tuple[int, int]:
        """How many cells and areas were labelled with a class."""
        places = sum(place.code == code for place in self.places)
        return places, sum(area.code == code for area in self.areas)

    def _free(self, name: str) -> str:
        name = " ".join(name.split())
        if not name:
            raise BadClassName("A class needs a name; type one, such as Tumour.")
        if len(name) > LONGEST_NAME:
            raise BadClassName(f"A class's name has at most {LONGEST_NAME} characters; shorten it.")
        if name.casefold() in (taken.casefold() for taken in self.names):
            raise BadClassName(f"There is a class {name} already; give another name.")
        return name


def joined_labels(first: ClassLabels, then: ClassLabels) -> ClassLabels:
    """Both of them; a class is known by its name, and of two labels of a cell the later counts."""
    names = tuple(dict.fromkeys([*first.names, *then.names]))[:MOST_CLASSES]
    together = ClassLabels(names)
    for labels in (first, then):
        code_of = [names.index(name) if name in names else -1 for name in labels.names]
        for place in labels.places:
            code = code_of[place.code]
            if code >= 0:
                kept = tuple(p for p in together.places if not p.is_at(place.x_um, place.y_um))
                together = replace(together, places=(*kept, replace(place, code=code)))
        areas = [replace(a, code=code_of[a.code]) for a in labels.areas if code_of[a.code] >= 0]
        together = replace(together, areas=(*together.areas, *areas))
    return together
