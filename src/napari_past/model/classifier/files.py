"""A classifier as a file: JSON that people can read, with a checksum."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import pydantic
from pydantic import Field

from napari_past.errors import BadModel
from napari_past.files import atomic_write, existing_file, json_sha256
from napari_past.model.classifier.card import ClassifierCard
from napari_past.model.classifier.classifier import CellClassifier
from napari_past.model.classifier.probe import Probe
from napari_past.model.strict import Strict, first_mistake

SUFFIX: Final = ".past-classes.json"
"""Of the files by convention; any name is read."""
_CHECKSUM = "checksum"
_MOST_BYTES = 64 * 2**20


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
        f'{{"{_CHECKSUM}": "{classifier.sha256}",\n"card": {card},\n"weight": [\n{rows}\n],\n'
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
    source = existing_file(path)
    again = "save it again, or make it with `napari-past classify fit`"
    try:
        if source.stat().st_size > _MOST_BYTES:
            raise ValueError("it is far too large")
        fields = json.loads(source.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as exc:
        raise BadModel(f"{source.name} is no classifier of cells ({exc}); {again}.") from exc
    if not isinstance(fields, dict) or not isinstance(fields.get(_CHECKSUM), str):
        raise BadModel(f"{source.name} is no classifier of cells: it has no {_CHECKSUM}; {again}.")
    checksum = fields.pop(_CHECKSUM)
    try:
        read = _ClassifierFile.model_validate_json(json.dumps(fields), strict=True)
    except pydantic.ValidationError as exc:
        mistake = first_mistake(exc, "classifier")
        raise BadModel(f"{source.name} is no valid classifier at {mistake}; {again}.") from exc
    if checksum != json_sha256(fields):
        raise BadModel(
            f"{source.name} was changed since it was written (its checksum does not fit); {again}."
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
