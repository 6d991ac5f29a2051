"""The table of a folder of results: a row for each slide, written anew after every one."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from napari_past.cli.slide_record import SlideRecord
from napari_past.files import atomic_write

FILE = "summary.csv"
DONE, FAILED, WAITING, ELSEWHERE = "done", "failed", "waiting", "elsewhere"


@dataclass(frozen=True)
class SummaryRow:
    """One slide. The fields are the columns; those of numbers are empty unless it is done."""

    slide: str
    status: str
    """done, failed, waiting (not analysed yet), or elsewhere (another run works on it)."""
    reason: str = ""
    cells: int | str = ""
    tiles: int | str = ""
    unreadable_tiles: int | str = ""
    area_mm2: str = ""
    file: str = ""
    sha256: str = ""


def done_row(record: SlideRecord, reason: str = "") -> SummaryRow:
    """The row of a finished slide."""
    return SummaryRow(
        record.slide,
        DONE,
        reason,
        record.cells,
        record.tiles,
        record.unreadable_tiles,
        f"{record.area_mm2:.4f}",
        record.file,
        record.sha256,
    )


def write_summary(rows: Iterable[SummaryRow], folder: Path) -> None:
    """Write ``summary.csv`` into a folder of results.

    Raises
    ------
    CannotWrite
    """
    with (
        atomic_write(folder / FILE) as unfinished,
        unfinished.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(SummaryRow))
        writer.writerows(astuple(row) for row in rows)
