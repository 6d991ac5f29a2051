"""A classifier as a file: JSON that people can read, with a checksum."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Final

import numpy as np
from pydantic import Field

from napari_past.errors import BadModel
from napari_past.files import atomic_write
from napari_past.model.checked_json import CHECKSUM, read_checked
from napari_past.model.classifier.card import ClassifierCard
from napari_past.model.classifier.classifier import CellClassifier
from napari_past.model.classifier.probe import Probe
from napari_past.model.strict import Strict

SUFFIX: Final = ".past-classes.json"
"""Of the files by convention; any name is read."""
_MOST_BYTES = 64 * 2**20
"""Hundreds of classes of the longest vectors there are."""


class _ClassifierFile(Strict):
    card: ClassifierCard
    weight: Annotated[tuple[tuple[float, ...], ...], Field(min_length=2)]
    """(c, d)."""
    intercept: tuple[float, ...]
    """(c,)."""


def write_classifier(classifier: CellClassifier, path: str | Path) -> None:
    """Write it as JSON with its checksum; the same classifier gives the same bytes.

    Raises
    ------
    CannotWrite
    """
    fields = classifier.fields
    card = json.dumps(fields["card"], indent=1, ensure_ascii=False)
    rows = ",\n".join(json.dumps(row) for row in fields["weight"])
    text = (
        f'{{"{CHECKSUM}": "{classifier.sha256}",\n"card": {card},\n"weight": [\n{rows}\n],\n'
        f'"intercept": {json.dumps(fields["intercept"])}}}\n'
    )
    with atomic_write(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8", newline="\n")


def read_classifier(path: str | Path) -> CellClassifier:
    """The classifier in a file of `write_classifier`.

    Raises
    ------
    BadTable
        No such file.
    BadModel
        No classifier, a damaged one, or one that was changed since it was written.
    """
    again = "save it again, or make it with `napari-past classify fit`"
    read, source = read_checked(
        path, _ClassifierFile, BadModel, "classifier of cells", again, _MOST_BYTES
    )
    card, classes = read.card, len(read.card.classes)
    widths = {len(row) for row in read.weight}
    if (len(read.weight), len(read.intercept)) != (classes, classes) or widths != {card.embed_dim}:
        raise BadModel(
            f"{source.name} has weights that do not fit its card's {classes} classes and vectors "
            f"of {card.embed_dim} numbers; {again}."
        )
    with np.errstate(over="ignore"):
        weight, intercept = np.array(read.weight, np.float32), np.array(read.intercept, np.float32)
    return CellClassifier(card, Probe(weight, intercept))
