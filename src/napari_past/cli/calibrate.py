"""``napari-past calibrate``: predicted values to a real stain, fitted and judged by patient."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from napari_past.calibration import (
    CalibratedBy,
    fit_calibration,
    write_calibration,
    write_region_table,
)
from napari_past.calibration.files import carded
from napari_past.calibration.page import calibration_lines
from napari_past.calibration.region_table import has_scores
from napari_past.cli.matched import check_outputs, read_matched
from napari_past.errors import BadTable, CannotWrite
from napari_past.genes import resolve
from napari_past.model import load_model, model_path
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
        if sha256 not in model.known_sha256:
            raise BadTable(
                f"The cells were predicted by {name} (SHA-256 {sha256[:12]}…), not by {model.name} "
                f"({model.sha256[:12]}…); give the model that made them with --model."
            )

    matched, told = read_matched(options, options.marker, resolved.symbols, check)
    by = CalibratedBy.of(model, resolved, options.clone, options.scanner)
    if has_scores(options.table):
        by = by.of_scores(model, resolved)
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
