"""Calibrations as files, and whether one is of a model."""

from __future__ import annotations

import json
from pathlib import Path

from napari_past.errors import BadTable
from napari_past.files import atomic_write, existing_file
from napari_past.model import Card, Model
from napari_past.model.calibration import Calibration, parse_calibration


def write_calibration(calibration: Calibration, path: str | Path) -> None:
    """Write it as JSON; the same calibration gives the same bytes.

    Raises
    ------
    CannotWrite
    """
    with atomic_write(path) as unfinished:
        text = json.dumps(calibration.model_dump(mode="json"), indent=1, ensure_ascii=False)
        unfinished.write_text(text + "\n", encoding="utf-8", newline="\n")


def read_calibration(path: str | Path) -> Calibration:
    """The calibration in a file of `write_calibration`.

    Raises
    ------
    BadTable
        No such file, or it is no valid calibration.
    """
    source = existing_file(path)
    try:
        text = source.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise BadTable(f"{source.name} cannot be read ({exc}); make it again.") from exc
    return parse_calibration(text, source.name)


def check_model(calibration: Calibration, model: Model) -> None:
    """Raise `BadTable` for a calibration of another model.

    What is in the model's own card is of this model, though adding it changed the file's SHA-256.
    """
    if calibration in model.card.calibrations:
        return
    check_sha256(calibration, model.sha256, model.name)


def check_sha256(calibration: Calibration, sha256: str, name: str) -> None:
    """Raise `BadTable` where values were predicted by another model than was calibrated."""
    if sha256 != calibration.model_sha256:
        raise BadTable(
            f"The calibration is of {calibration.model} {calibration.model_version} (SHA-256 "
            f"{calibration.model_sha256[:12]}…), but these values are of {name} (SHA-256 "
            f"{sha256[:12]}…); calibrate that model too."
        )


def carded(model: Model, calibration: Calibration) -> Card:
    """The model's card with the calibration, in place of an earlier one of the same stain."""

    def stain(of: Calibration) -> tuple[str, ...]:
        return (of.marker, of.quantity, of.level, of.predicted_unit, of.clone, of.scanner)

    others = [c for c in model.card.calibrations if stain(c) != stain(calibration)]
    return model.card.model_copy(update={"calibrations": (*others, calibration)})
