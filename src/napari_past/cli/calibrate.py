"""``napari-past calibrate``: predicted values to a real stain, fitted and judged by patient."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from pathlib import Path

from napari_past.calibration import (
    CalibratedBy,
    Calibration,
    fit_calibration,
    write_calibration,
    write_region_table,
)
from napari_past.calibration.page import agreement_rows, calibration_rows
from napari_past.cli.matched import SCORE_UNIT, check_outputs, has_scores, read_matched
from napari_past.errors import BadTable, CannotWrite
from napari_past.genes import resolve
from napari_past.model import Card, Model, load_model, model_path
from napari_past.model.calibration import LEAST_PATIENTS, LOCAL_BELOW
from napari_past.model.files import copy_with_card
from napari_past.model.folder import MODEL_SUFFIX
from napari_past.types import RESEARCH_USE


def execute(options: Namespace) -> int:
    """Fit, tell what held-out patients say, and write it."""
    inputs = [options.table]
    if options.card is not None:
        inputs.append(model_path(options.model))
        if inputs[-1].is_dir():
            raise CannotWrite(f"{inputs[-1]} is a folder; --card needs a model in one file.")
        if options.card.suffix != MODEL_SUFFIX:
            raise CannotWrite(f"--card {options.card} is to be a model; end it in {MODEL_SUFFIX}.")
    check_outputs([options.out, options.regions_out, options.card], inputs)
    model = load_model(options.model)
    resolved = resolve(options.marker, model.genes)
    resolved.require_scorable()

    def check(sha256: str, name: str) -> None:
        if sha256 != model.sha256:
            raise BadTable(
                f"The cells were predicted by {name} (SHA-256 {sha256[:12]}…), not by {model.name} "
                f"({model.sha256[:12]}…); give the model that made them with --model."
            )

    matched, told = read_matched(options, options.marker, resolved.symbols, check)
    by = CalibratedBy.of(model, resolved, options.clone, options.scanner)
    if has_scores(options.table):
        by = replace(by, predicted_unit=SCORE_UNIT)
    calibration = fit_calibration(matched, by)
    print("\n".join([*told, *calibration_lines(calibration)]))
    write_calibration(calibration, options.out)
    print(f"written to {options.out}")
    if options.regions_out is not None:
        write_region_table(matched, options.regions_out)
        print(f"matched regions written to {options.regions_out}")
    if options.card is not None:
        copy_with_card(Path(model.path), options.card, carded(model, calibration))
        print(f"{model.name} with this calibration in its card written to {options.card}")
    print(RESEARCH_USE)
    return 0


def carded(model: Model, calibration: Calibration) -> Card:
    """The model's card with the calibration, in place of an earlier one of the same stain."""

    def stain(of: Calibration) -> tuple[str, ...]:
        return (of.marker, of.quantity, of.level, of.predicted_unit, of.clone, of.scanner)

    others = [c for c in model.card.calibrations if stain(c) != stain(calibration)]
    return model.card.model_copy(update={"calibrations": (*others, calibration)})


def calibration_lines(calibration: Calibration) -> list[str]:
    """What was fitted, and how far off it is on held-out patients."""
    lines = [calibration.named()]
    lines += [f"{name}: {text}" for name, text in calibration_rows(calibration)]
    lines.append("estimated for each patient from the others:")
    lines += [f"  {name}: {text}" for name, text in agreement_rows(calibration.held_out)]
    if calibration.patients < LEAST_PATIENTS:
        lines.append(f"under {LEAST_PATIENTS} patients: neither limits nor prediction intervals")
    elif calibration.local:
        lines.append(
            f"under {LOCAL_BELOW} patients: a local calibration, not evidence for other places"
        )
    if calibration.quantity == "od" and calibration.cell_sd is None:
        lines.append("mean densities tell no H-score: calibrate measured ones, --measured h-score")
    return lines
