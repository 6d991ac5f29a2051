"""Matched regions in a CSV file, one row each."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pandas as pd

from napari_past.calibration.matched import Matched, checked
from napari_past.errors import BadTable
from napari_past.files import atomic_write, existing_file
from napari_past.io.csv_table import csv_frame, csv_header, numbers
from napari_past.model.calibration import Quantity

PREDICTED, PREDICTED_SCORE = "predicted", "predicted_h_score"
SCORE_UNIT = "pseudo-H-score"
"""Unit of the latter; the former is in the model's."""
MEASURED: dict[Quantity, tuple[str, ...]] = {
    "od": ("measured_od", "measured"),
    "h-score": ("measured_h_score",),
    "percent": ("measured_pct",),
}
"""Columns of each quantity; the first one found is read."""


def read_region_table(
    path: str | Path, quantity: Quantity | None = None, *, same_section: bool = False
) -> Matched:
    """The rows of a CSV file with the columns ``patient,region,predicted,measured``.

    ``measured`` is mean DAB optical density (``measured_od`` says the same); ``measured_h_score``
    and ``measured_pct`` may stand in its place or beside it. ``slide`` is optional; other columns,
    as ``n``, are passed over. Instead of ``predicted``, in the model's unit, ``predicted_h_score``
    may be given.

    Parameters
    ----------
    quantity
        Which measured column; the first one there if omitted.
    same_section
        Rows are matched cells of one section that was stained again; a region has several.

    Raises
    ------
    BadTable
        No such file, a column missing, a value missing or impossible, a region twice.
    """
    source = existing_file(path)
    header = csv_header(source)
    chosen = chosen_quantity(header, source, quantity)
    measured = next(c for c in MEASURED[chosen] if c in header)
    predicted = predicted_column(header, source)
    for column in ("patient", "region"):
        if column not in header:
            raise BadTable(
                f"{source.name} has no column {column}; it needs patient, region, predicted and "
                "measured."
            )
    frame = csv_frame(source)
    texts = text_columns(source, ("patient", "region", "slide"))
    named = zip(texts["slide"], texts["region"], strict=True)
    matched = Matched(
        patients=texts["patient"],
        regions=tuple(f"{slide} · {region}" if slide else region for slide, region in named),
        predicted=numbers(frame[[predicted]], source)[:, 0],
        measured=numbers(frame[[measured]], source)[:, 0],
        quantity=chosen,
        of_cells=same_section,
    )
    if same_section and chosen != "od":
        raise BadTable(
            f"{source.name} has {measured}, but matched cells (--same-section) are calibrated to "
            "optical density; give measured_od."
        )
    return checked(matched, source.name)


def has_scores(path: str | Path) -> bool:
    """Whether a table gives predicted scores, not values in the model's unit."""
    return PREDICTED_SCORE in csv_header(existing_file(path))


def predicted_column(header: Collection[str], source: Path) -> str:
    """The one column of predictions."""
    found = [c for c in (PREDICTED, PREDICTED_SCORE) if c in header]
    if len(found) != 1:
        got = "both" if found else "neither"
        raise BadTable(
            f"{source.name} needs one of the columns {PREDICTED} (mean of the region's cells, in "
            f"the model's unit) and {PREDICTED_SCORE}, but has {got}."
        )
    return found[0]


def chosen_quantity(header: Collection[str], source: Path, wanted: Quantity | None) -> Quantity:
    """The measured quantity to read."""
    for quantity, columns in MEASURED.items():
        if wanted in (None, quantity) and any(c in header for c in columns):
            return quantity
    names = MEASURED[wanted] if wanted else [c for columns in MEASURED.values() for c in columns]
    raise BadTable(f"{source.name} has no column of measured values; give {' or '.join(names)}.")


def write_region_table(matched: Matched, path: str | Path) -> None:
    """Write the rows as `read_region_table` reads them.

    Raises
    ------
    CannotWrite
    """
    frame = pd.DataFrame(
        {
            "patient": matched.patients,
            "region": matched.regions,
            PREDICTED: matched.predicted,
            MEASURED[matched.quantity][0]: matched.measured,
        }
    )
    with atomic_write(path) as unfinished:
        frame.to_csv(unfinished, index=False, lineterminator="\n", encoding="utf-8")


def text_columns(source: Path, columns: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Columns of a CSV file as they are written, "" where they are missing: a patient "007" that
    were read as a number would be another one elsewhere."""
    frame = pd.read_csv(source, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    empty = ("",) * len(frame)
    return {c: tuple(frame[c].str.strip()) if c in frame else empty for c in columns}
