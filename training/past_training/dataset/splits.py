"""What is trained on and what is held out: whole patients, else whole sections, never cells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from past_training.dataset.read import PairedDataset
from past_training.dataset.schema import BadDataset

By = Literal["patient", "section"]


class Fold(NamedTuple):
    """One way to hold out."""

    train: PairedDataset
    held: PairedDataset
    name: str
    """What is held out, and what it is: ``"patient A"``, ``"section C2"``."""


def held_out_by(dataset: PairedDataset, by: By = "patient") -> By:
    """What a dataset can be split by: patients where it has two and `by` asks for it.

    Cells of one patient look alike whatever section they lie in, so a section that is held out
    beside others of its patient says nothing of another patient.
    """
    return "patient" if by == "patient" and len(dataset.patients) > 1 else "section"


def leave_out(dataset: PairedDataset, by: By = "patient") -> Iterator[Fold]:
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
            f"held out; prepare a second section, of another patient if there is one."
        )
    kind = held_out_by(dataset, by)
    of_section = {r.name: r.patient if kind == "patient" else r.name for r in dataset.sections}
    for value in dict.fromkeys(of_section.values()):
        held = [name for name, one in of_section.items() if one == value]
        train = [name for name, one in of_section.items() if one != value]
        yield Fold(dataset.select(sections=train), dataset.select(sections=held), f"{kind} {value}")
