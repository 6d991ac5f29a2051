"""``napari-past validate --calibration``: on regions that it was not made from."""

from __future__ import annotations

from argparse import Namespace

from napari_past.calibration import (
    check_model,
    check_sha256,
    is_pair_table,
    read_calibration,
    validate,
    write_validation,
)
from napari_past.calibration.mask_overlap import MaskOverlap
from napari_past.calibration.page import agreement_rows, overlap_rows
from napari_past.calibration.region_table import SCORE_UNIT, has_scores
from napari_past.calibration.slide_masks import pair_overlaps
from napari_past.cli.matched import check_outputs, read_matched
from napari_past.errors import BadTable
from napari_past.model import load_model
from napari_past.report.document import check_suffix
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
        if model is None or sha256 not in model.known_sha256:
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
        print(f"measured within the 95 % prediction interval: {validation.share}")
    overlaps: tuple[MaskOverlap, ...] = ()
    more: tuple[str, ...] = ()
    if is_pair_table(options.table):
        overlaps, more = pair_overlaps(options.table, calibration.asked, options.same_section)
    for row in overlap_rows(overlaps):
        print(f"{row[0]}, {row[1]}: Dice of the DAB masks {row[2]}")
    print("\n".join(more), end="\n" if more else "")
    for file in write_validation(validation, options.out, overlaps, more):
        print(f"written to {file}")
    print(RESEARCH_USE)
    return 0
