"""What is trained on and what is held out: whole patients, else whole sections, never cells.

A section that is alone can be held out of itself in contiguous blocks: see `blocks`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from past_training.dataset.read import PairedDataset
from past_training.dataset.schema import BadDataset

Whole = Literal["patient", "section"]
By = Literal["patient", "section", "block"]
"""From what says most of new tissue to what says least."""


class Fold(NamedTuple):
    """One way to hold out."""

    train: PairedDataset
    held: PairedDataset
    name: str
    """What is held out, and what it is: ``"patient A"``, ``"section C2"``, ``"block 1 of C2"``."""

    @property
    def shared(self) -> tuple[str, ...]:
        """Sections of which rows are trained on and rows are held out."""
        train = {record.name for record in self.train.sections}
        return tuple(r.name for r in self.held.sections if r.name in train)

    @property
    def by(self) -> By:
        """What is new about what is held out: the patient, the section, or a block of it alone."""
        if self.shared:
            return "block"
        return "section" if set(self.train.patients) & set(self.held.patients) else "patient"

    def gap_um(self) -> float | None:
        """Least distance in µm from a training row to a row held out of the same section; None
        where sections are held out as a whole.

        Raises
        ------
        BadDataset
            A row is trained on and held out at once.
        """
        gaps = []
        for name in self.shared:
            row_um = np.asarray(self.held.section(name).row_um[:])
            every = np.ones(len(row_um), bool)
            train, held = (
                every if kept is None else kept
                for kept in (self.train.rows_kept(name), self.held.rows_kept(name))
            )
            if (train & held).any():
                raise BadDataset(
                    f"Section {name} is trained on and held out at once in the fold {self.name!r}; "
                    f"split by patient, by section, or by blocks that share no row."
                )
            away_um, _ = cKDTree(row_um[train]).query(row_um[held])
            gaps.append(float(away_um.min()))
        return min(gaps, default=None)


def held_out_by(dataset: PairedDataset, by: Whole = "patient") -> Whole:
    """What a dataset can be split by: patients where it has two and `by` asks for it.

    Cells of one patient look alike whatever section they lie in, so a section that is held out
    beside others of its patient says nothing of another patient.
    """
    return "patient" if by == "patient" and len(dataset.patients) > 1 else "section"


def leave_out(dataset: PairedDataset, by: Whole = "patient") -> Iterator[Fold]:
    """Each patient held out in turn, or each section where there is one patient.

    Parameters
    ----------
    by
        ``"section"`` holds out sections though there are patients to hold out.

    Raises
    ------
    BadDataset
        There is a single section.
    """
    if len(dataset.sections) < 2:
        raise BadDataset(
            f"{dataset.name} has a single section ({dataset.sections[0].name}), so nothing can be "
            f"held out as a whole; prepare a second section, of another patient if there is one, "
            f"or hold out blocks of it (past-train evaluate --by block)."
        )
    kind = held_out_by(dataset, by)
    of_section = {r.name: r.patient if kind == "patient" else r.name for r in dataset.sections}
    for value in dict.fromkeys(of_section.values()):
        held = [name for name, one in of_section.items() if one == value]
        train = [name for name, one in of_section.items() if one != value]
        yield Fold(dataset.select(sections=train), dataset.select(sections=held), f"{kind} {value}")
