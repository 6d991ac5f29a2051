"""The report of a validation, as one HTML page or as Markdown with its plots beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from napari_past.calibration.figures import agreement_svg, bland_altman_svg
from napari_past.calibration.mask_overlap import DAB_POSITIVE, MaskOverlap
from napari_past.calibration.validation import Validation
from napari_past.model.calibration import LEAST_PATIENTS, LOCAL_BELOW, Agreement, Calibration
from napari_past.report.document import Document, Plot, Plots, Sentence, write_document
from napari_past.report.page import Table

MISSING = "–"


def write_validation(
    validation: Validation,
    path: str | Path,
    overlaps: Sequence[MaskOverlap] = (),
    told: Sequence[str] = (),
) -> tuple[Path, ...]:
    """Write the report and return its files: one ``.html``, or an ``.md`` with two ``.svg``.

    The same validation gives the same bytes.

    Parameters
    ----------
    overlaps
        Of the masks of DAB, where the same section was stained.
    told
        Sentences to add.

    Raises
    ------
    CannotWrite
        Another suffix, or the folder is missing or read-only, or the disk is full.
    """
    plots = Plots(
        "",
        (
            Plot("agreement", agreement_svg(validation)),
            Plot("bland-altman", bland_altman_svg(validation)),
        ),
    )
    first, second, *others = _tables(validation, overlaps)
    sentences = map(Sentence, _sentences(validation, told))
    title = f"Validation: {validation.calibration.marker}"
    document = Document(title, (*sentences, first, second, plots, *others))
    return write_document(document, Path(path))


def agreement_rows(found: Agreement) -> tuple[tuple[str, str], ...]:
    """What a comparison found, name and text of each line."""
    limits = MISSING
    if found.limits is not None:
        limits = f"{_signed(found.limits[0])} to {_signed(found.limits[1])}"
    return (
        ("bias (predicted − measured)", _signed(found.bias)),
        ("95 % limits of agreement", limits),
        ("between patients, within them (SD)", f"{_of(found.between_sd)}, {_of(found.within_sd)}"),
        ("correlation over regions, Pearson", _of(found.correlation, 2)),
        ("correlation over regions, Spearman", _of(found.rank_correlation, 2)),
    )


def calibration_rows(calibration: Calibration) -> tuple[tuple[str, str], ...]:
    """What was calibrated, name and text of each line."""
    kind = "local calibration" if calibration.local else "calibration"
    matched = "cells of the same section" if calibration.level == "cells" else "regions"
    first, last = calibration.span
    counts = f"{calibration.patients} patients, {calibration.held_out.regions} regions"
    return (
        ("marker", calibration.marker),
        (
            "model",
            f"{calibration.model} {calibration.model_version}, SHA-256 "
            f"{calibration.model_sha256[:16]}…",
        ),
        ("calibrated to", f"{calibration.unit}, by matched {matched}"),
        ("antibody clone", calibration.clone or "not told"),
        ("scanner", calibration.scanner or "not told"),
        (kind, counts),
        ("predicted values", f"{first:.3g} to {last:.3g}, {calibration.predicted_unit}"),
    )


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


def overlap_rows(overlaps: Sequence[MaskOverlap]) -> tuple[tuple[str, ...], ...]:
    """Patient, region, Dice, and both areas of brown in mm²."""
    return tuple(
        (
            overlap.patient,
            overlap.region,
            MISSING if math.isnan(overlap.dice) else f"{overlap.dice:.2f}",
            f"{overlap.predicted_um2 / 1e6:.4f}",
            f"{overlap.measured_um2 / 1e6:.4f}",
        )
        for overlap in overlaps
    )


def _tables(validation: Validation, overlaps: Sequence[MaskOverlap]) -> tuple[Table, ...]:
    calibration, found = validation.calibration, validation.found
    patients = dict.fromkeys(row.patient for row in validation.regions)
    by_patient = []
    for name in patients:
        rows = [row for row in validation.regions if row.patient == name]
        bias = sum(row.estimate.value - row.measured for row in rows) / len(rows)
        seen = "yes" if name in validation.seen_patients else "no"
        by_patient.append((name, str(len(rows)), _signed(bias), seen))
    return (
        Table("The calibration", ("", ""), calibration_rows(calibration), 2),
        Table(
            "Agreement",
            ("", "here", "when calibrated, held-out patients"),
            tuple(
                (name, here, there)
                for (name, here), (_, there) in zip(
                    agreement_rows(found), agreement_rows(calibration.held_out), strict=True
                )
            )
            + (
                (
                    "measured within the 95 % prediction interval",
                    validation.share or MISSING,
                    MISSING,
                ),
            ),
            3,
        ),
        Table(
            "Patients",
            ("patient", "regions", "mean difference", "calibrated on"),
            tuple(by_patient),
            4,
        ),
        Table(
            "Regions",
            (
                "patient",
                "region",
                "predicted value",
                f"predicted {validation.unit}",
                "95 % prediction interval",
                "measured",
                "note",
            ),
            tuple(
                (
                    row.patient,
                    row.region,
                    f"{row.predicted:.3g}",
                    f"{row.estimate.value:.3g}",
                    _interval(row.estimate.low, row.estimate.high),
                    f"{row.measured:.3g}",
                    row.estimate.note,
                )
                for row in validation.regions
            ),
            7,
        ),
        *([_masks(overlaps)] if overlaps else []),
    )


def _masks(overlaps: Sequence[MaskOverlap]) -> Table:
    return Table(
        f"Masks of DAB (optical density from {DAB_POSITIVE:g} on)",
        ("patient", "region", "Dice", "predicted brown, mm²", "measured brown, mm²"),
        overlap_rows(overlaps),
        5,
    )


def _sentences(validation: Validation, more: Sequence[str]) -> list[str]:
    told = [
        f"{validation.calibration.named(validation.unit)} beside the real stain",
        validation.whose,
    ]
    if validation.seen_patients:
        told.append(
            "Patients that were calibrated on are among them: this is no independent validation."
        )
    if validation.found.limits is None:
        told.append("Under three patients no limits of agreement are told.")
    return [*told, *more]


def _interval(low: float, high: float) -> str:
    return MISSING if math.isnan(low) else f"{low:.3g} to {high:.3g}"


def _of(value: float | None, decimals: int | None = None) -> str:
    if value is None:
        return MISSING
    return f"{value:.3g}" if decimals is None else f"{value:.{decimals}f}"


def _signed(value: float) -> str:
    return f"{value:+.3g}".replace("-", "−")
