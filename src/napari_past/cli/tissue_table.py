"""Which measured sections are validated on: from a table, or from the options of one."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import pandas as pd

from napari_past.errors import BadTable
from napari_past.files import existing_file
from napari_past.io.csv_table import csv_frame
from napari_past.spatial import MeasuredAs

_FILES = ("alignment", "affine", "landmarks")
"""Of `MeasuredAs`."""
_NUMBERS = {"spot_diameter": "spot_diameter_um", "mpp": "mpp"}
_TEXTS = ("kind", "section", "unit", "x", "y", "layer", "types", "patient")
COLUMNS = ("slide", "measured", *_TEXTS, *_NUMBERS, *_FILES, "rois", "predictions")
"""That a table may have; `slide` and `measured` must be there."""


@dataclass(frozen=True)
class AskedSection:
    """A measured section as the user names it."""

    slide: Path
    """The H&E."""
    measured: Path
    asked: MeasuredAs
    rois: Path | None = None
    """QuPath annotations of the H&E."""
    predictions: Path | None = None
    """Of this section alone."""

    @property
    def inputs(self) -> list[Path]:
        """Files that are read."""
        files = [self.slide, self.measured, self.rois, self.predictions]
        return [path for path in files if path is not None]


def asked_sections(options: Namespace) -> list[AskedSection]:
    """What the command's words and options mean.

    Raises
    ------
    BadTable
        A table that cannot be read, or a wrong number of files.
    """
    if len(options.inputs) == 2:
        slide, measured = options.inputs
        return [AskedSection(slide, measured, _asked(options), options.rois)]
    if len(options.inputs) == 1 and options.inputs[0].suffix.lower() == ".csv":
        return read_tissue_table(options.inputs[0], _asked(options))
    raise BadTable(
        f"{len(options.inputs)} file{'s were' if len(options.inputs) > 1 else ' was'} given where "
        "SLIDE MEASURED, or a table of sections, TABLE.csv, were expected; give both, or the table."
    )


def read_tissue_table(path: Path, common: MeasuredAs | None = None) -> list[AskedSection]:
    """The sections of a table, one a line; files lie beside it unless their path says otherwise.

    Parameters
    ----------
    common
        What holds for all sections, where a line does not say it.

    Raises
    ------
    BadTable
        No such file, a column that is missing or unknown, or a cell that is empty or no number.
    """
    source = existing_file(path)
    frame = csv_frame(source).dropna(how="all")
    missing = [name for name in ("slide", "measured") if name not in frame]
    unknown = [str(name) for name in frame if name not in COLUMNS]
    if missing or unknown:
        what = f"no column {missing[0]}" if missing else f"a column {unknown[0]!r}"
        raise BadTable(
            f"{source.name} has {what}; a table of sections has slide and measured, and may have "
            f"{', '.join(COLUMNS[2:])} (calibrations are validated with --calibration)."
        )
    if frame.empty:
        raise BadTable(f"{source.name} names no section; give one on each line.")
    sections = []
    for line, (_, row) in enumerate(frame.iterrows(), start=2):
        cells = {str(k): str(v).strip() for k, v in row.items() if not pd.isna(v)}
        cells = {name: text for name, text in cells.items() if text}
        for name in ("slide", "measured"):
            if name not in cells:
                raise BadTable(f"Line {line} of {source.name} has no {name}; fill it in.")
        sections.append(_section(cells, common or MeasuredAs(), source, line))
    return sections


def _section(cells: dict[str, str], common: MeasuredAs, source: Path, line: int) -> AskedSection:
    def file(name: str) -> Path | None:
        return source.parent / cells[name] if name in cells else None

    changes: dict[str, Any] = {name: cells[name] for name in _TEXTS if name in cells}
    if changes.get("unit", "um") not in ("um", "px"):
        raise BadTable(f"Line {line} of {source.name} has unit {changes['unit']!r}; give um or px.")
    for name, field in _NUMBERS.items():
        if name in cells:
            try:
                changes[field] = float(cells[name])
            except ValueError as exc:
                raise BadTable(
                    f"Line {line} of {source.name} has {name} {cells[name]!r} where a number was "
                    "expected; correct it."
                ) from exc
    changes |= {name: file(name) for name in _FILES if name in cells}
    return AskedSection(
        slide=source.parent / cells["slide"],
        measured=source.parent / cells["measured"],
        asked=replace(common, **changes),
        rois=file("rois"),
        predictions=file("predictions"),
    )


def _asked(options: Namespace) -> MeasuredAs:
    """The options that `MeasuredAs` has a field for."""
    told = {field.name: getattr(options, field.name, None) for field in fields(MeasuredAs)}
    told["genes"] = None  # of the command line they are those to be told of
    return MeasuredAs(**{name: value for name, value in told.items() if value is not None})
