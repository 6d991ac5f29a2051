"""``napari-past validate``: a calibration on regions that it was not made from."""

from __future__ import annotations

from argparse import Namespace

from napari_past.calibration import (
    check_model,
    check_sha256,
    read_calibration,
    validate,
    write_validation,
)
from napari_past.calibration.page import agreement_rows, check_suffix
from napari_past.cli.matched import SCORE_UNIT, check_outputs, has_scores, read_matched
from napari_past.errors import BadTable
from napari_past.model import load_model
from napari_past.types import RESEARCH_USE


def execute(options: Namespace) -> int:
    """Compare, tell, and write the report."""
    check_suffix(options.out)
    check_outputs([options.out], [options.table, options.calibration])
    calibration = read_calibration(options.calibration)
    model = None if options.model is None else load_model(options.model)
    if model is not None:
        check_model(calibration, model)

    def check(sha256: str, name: str) -> None:
        if model is None or sha256 != model.sha256:
            check_sha256(calibration, sha256, name)

    if has_scores(options.table) != (calibration.predicted_unit == SCORE_UNIT):
        raise BadTable(
            f"The calibration maps {calibration.predicted_unit}, but {options.table.name} holds "
            "predictions of another kind; give the same."
        )
    if options.measured is None:
        options.measured = calibration.quantity
    matched, told = read_matched(options, calibration.asked, calibration.genes, check)
    validation = validate(calibration, matched, allow_seen=options.seen_patients)
    print("\n".join([*told, calibration.named(validation.unit), validation.whose]))
    print("\n".join(f"{name}: {text}" for name, text in agreement_rows(validation.found)))
    if validation.with_interval:
        print(
            f"measured within the 95 % prediction interval: {validation.inside} of "
            f"{validation.with_interval} regions"
        )
    for file in write_validation(validation, options.out):
        print(f"written to {file}")
    print(RESEARCH_USE)
    return 0
