"""Cell types as they are shown: which of them have a colour, and what the legend says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from napari_past.engine import TypedCells
from napari_past.types import IntArray

TYPE_COLOURS = (
    (62, 60, 200),
    (216, 70, 20),
    (150, 222, 125),
    (245, 205, 30),
    (100, 36, 24),
    (104, 160, 240),
    (18, 20, 48),
)
OTHER_COLOUR, BETWEEN_COLOUR = (115, 115, 115), (222, 222, 222)
"""Red, green, blue. Each two of them stay apart for eyes of all kinds, by 24 of CIELAB or more, and
none is eosin's or haematoxylin's."""
OTHER, BETWEEN = len(TYPE_COLOURS) + 1, len(TYPE_COLOURS) + 2
"""Labels; 0 is no cell, or one whose type is not known yet, the colours' are 1 and on."""
LABELS = BETWEEN + 1
OTHER_NAME, BETWEEN_NAME = "other types", "between two types"
LAYER_NAME = "Cell types"

Labels = npt.NDArray[np.uint8]


class TypeSource(Protocol):
    """What gives cells their types: a model's bank, through the table, or a user's classes."""

    @property
    def types(self) -> TypedCells:
        """Of the first cells of the table, those that are known by now."""


@dataclass(frozen=True)
class Typing:
    """How cells are shown by type."""

    source: TypeSource
    least_margin: float
    """Cells of which their type is less sure are grey."""
    between: str = BETWEEN_NAME
    """What these are called."""
    layer_name: str = LAYER_NAME
    fixed: bool = False
    """Whether colours go by the order of the types, not by how common they are in view."""


@dataclass(frozen=True)
class KeyRow:
    """A line of the legend."""

    label: int
    name: str
    count: int
    """Cells in view."""


@dataclass(frozen=True)
class TypeKey:
    """What the legend says of the cells in view."""

    rows: tuple[KeyRow, ...] = ()
    """Types with a colour, the most common first, then others and those between two types."""
    others: tuple[tuple[str, int], ...] = ()
    """Types without a colour and their cells in view, the most common first."""
    cells: int = 0
    """In view and counted."""
    unscored: int = 0
    """In view, in areas that are not scored, not counted."""
    unlike: int = 0
    """Of those counted, how many look unlike the model's training cells."""
    waiting: int = 0
    """In view, without a type yet."""


class TypeColours:
    """Gives the most common types in view a colour each; a type keeps its own while it has one, and
    finds it free when it comes back, if it can be."""

    def __init__(self) -> None:
        self._last: dict[int, int] = {}
        """The colour that each type had last."""

    def assign(self, counts: IntArray) -> npt.NDArray[np.uint8]:
        """The label of each type, (t,): a colour's or `OTHER`.

        Parameters
        ----------
        counts
            (t,) cells in view of each type.
        """
        order = np.argsort(-counts, kind="stable")[: len(TYPE_COLOURS)]
        chosen = [int(code) for code in order if counts[code] > 0]
        if len(counts) <= len(TYPE_COLOURS):
            # Enough for all: each has its own, whatever is in view.
            self._last = {code: code for code in range(len(counts))}
            chosen = list(self._last)
        taken: dict[int, int] = {}
        for code in chosen:
            slot = self._last.get(code)
            if slot is not None and slot not in taken:
                taken[slot] = code
        held = {slot for code, slot in self._last.items() if code not in chosen}
        free = sorted(set(range(len(TYPE_COLOURS))) - set(taken), key=lambda s: (s in held, s))
        for code in chosen:
            if code not in taken.values():
                taken[free.pop(0)] = code
        labels = np.full(len(counts), OTHER, np.uint8)
        for slot, code in taken.items():
            labels[code] = slot + 1
            self._last[code] = slot
        return labels


def fixed_labels(types: int) -> npt.NDArray[np.uint8]:
    """The label of each type, (t,): colours in their order, and `OTHER` beyond."""
    labels = np.arange(1, types + 1)
    return np.where(labels <= len(TYPE_COLOURS), labels, OTHER).astype(np.uint8)


@dataclass(frozen=True, eq=False)
class ShownTypes:
    """Cells with the label of their type."""

    cells: TypedCells
    least_margin: float
    """Cells nearer to a second type than this are between two."""
    label_of: npt.NDArray[np.uint8]
    """(t,), of each type."""
    between: str = BETWEEN_NAME

    def labels(self, index: npt.NDArray[np.intp]) -> Labels:
        """(m,), 0 where a cell's type is not known yet."""
        labels = np.zeros(len(index), np.uint8)
        known = index < len(self.cells.code)
        some = index[known]
        found = self.label_of[self.cells.code[some]]
        labels[known] = np.where(self.cells.margin[some] < self.least_margin, BETWEEN, found)
        return labels

    def name(self, label: int) -> str:
        """What a label stands for."""
        if label == OTHER:
            return OTHER_NAME
        if label == BETWEEN:
            return self.between
        codes = np.flatnonzero(self.label_of == label)
        return self.cells.names[codes[0]] if len(codes) else ""


def counts_of(cells: TypedCells, index: npt.NDArray[np.intp], least_margin: float) -> IntArray:
    """(t,) how many of some cells are of each type and not between two."""
    some = index[index < len(cells.code)]
    some = some[cells.margin[some] >= least_margin]
    return np.bincount(cells.code[some], minlength=len(cells.names))


def key_of(
    shown: ShownTypes,
    index: npt.NDArray[np.intp],
    unlike: npt.NDArray[np.bool_],
    unscored: npt.NDArray[np.bool_],
) -> TypeKey:
    """The legend of some cells.

    Parameters
    ----------
    index
        (m,) cells in view.
    unlike
        (m,) whether each looks unlike the model's training cells.
    unscored
        (m,) whether each is left out of scores; here it is left out of the counts.
    """
    counted = index[~unscored]
    labels = shown.labels(counted)
    of_type = counts_of(shown.cells, counted, shown.least_margin)
    names = shown.cells.names
    of_label = np.bincount(labels, minlength=LABELS)
    rows = [
        KeyRow(int(shown.label_of[code]), names[code], int(of_type[code]))
        for code in np.argsort(-of_type, kind="stable")
        if shown.label_of[code] != OTHER and of_type[code]
    ]
    for label, name in ((OTHER, OTHER_NAME), (BETWEEN, shown.between)):
        if of_label[label]:
            rows.append(KeyRow(label, name, int(of_label[label])))
    others = tuple(
        (names[code], int(of_type[code]))
        for code in np.argsort(-of_type, kind="stable")
        if shown.label_of[code] == OTHER and of_type[code]
    )
    return TypeKey(
        rows=tuple(rows),
        others=others,
        cells=int((labels > 0).sum()),
        unscored=int(unscored.sum()),
        unlike=int((unlike & ~unscored).sum()),
        waiting=int((labels == 0).sum()),
    )


def colours_by_label() -> Mapping[int, tuple[int, int, int]]:
    """Red, green, blue of each label but 0."""
    grey = {OTHER: OTHER_COLOUR, BETWEEN: BETWEEN_COLOUR}
    return dict(enumerate(TYPE_COLOURS, start=1)) | grey
