"""``napari-past score``: classes and scores of one marker, from anybody's table."""

from __future__ import annotations

import math
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from napari_past.calibration.calibrated import beyond_origin, calibrated_rows, calibrations_of
from napari_past.cli.option_values import SAME_MPP
from napari_past.cli.table_told import table_told
from napari_past.engine import chosen_cutoffs
from napari_past.engine.unreadable import unreadable_lines, unreadable_mm2, unreadable_rects
from napari_past.errors import BadTable, CannotWrite, MissingCutoffs
from napari_past.io import (
    MarkerTable,
    check_writable,
    read_marker_table,
    read_regions,
    write_score_csv,
)
from napari_past.io.origin import Origin, read_origin
from napari_past.model import load_model
from napari_past.report.flags import unlike_lines
from napari_past.slide.units import checked_mpp
from napari_past.stain import ScoreRow, ScoreTable, count_cells, rules_of, score_table
from napari_past.stain.hot_spot import HOT_SPOT_MM2
from napari_past.stain.measured import check_cutoffs, cutoffs_of, has_classes
from napari_past.stain.real_stain import real_stain_lines
from napari_past.stain.rows import number_text
from napari_past.tma import TmaGrid, case_file, case_lines, grid_in, score_cases, write_case_csv
from napari_past.types import MEASURED_RESEARCH_USE, RESEARCH_USE, Cutoffs, Rect, Region

DISPLAY_CLASSES = (
    "0 to 3+ are display classes of predicted means, which are shrunken: they empty 0 and 3+"
)
NO_AREA = "density: the area of the slide is not known; score regions with --rois"
UNREADABLE_MM2 = "unreadable_mm2"
INSUFFICIENT = "insufficient"


def execute(options: Namespace) -> int:
    """Score, print the table, and write it where asked."""
    if options.out is not None:
        _check_out(options.out, [options.cells, options.rois])
    mpp = checked_mpp(options.mpp)
    marker = read_marker_table(options.cells, options.marker)
    if (
        mpp is not None
        and marker.mpp is not None
        and not math.isclose(mpp, marker.mpp, rel_tol=SAME_MPP)
    ):
        print(
            f"napari-past: --mpp {mpp:g} places the regions, but {options.cells.name} says "
            f"{marker.mpp:g} µm per pixel.",
            file=sys.stderr,
        )
    marker.resolved.require_scorable()
    origin = read_origin(options.cells)
    limits = known_cutoffs(options.cutoffs, marker, origin, options.cells.name)
    regions = () if options.rois is None else read_regions(options.rois, mpp or marker.mpp)
    if options.rois is not None and not regions:
        raise BadTable(f"{options.rois.name} holds no regions; export some annotations into it.")
    grid = None if options.rois is None else grid_in(options.rois, mpp or marker.mpp)
    every = options.include_unscored

    def scored(regions: Sequence[Region]) -> ScoreTable:
        return score_table(
            marker.values,
            marker.centers_um,
            limits,
            regions,
            rules=rules_of(marker.resolved),
            unscored=None if every else marker.unscored,
            unscored_area_mm2=None if every else marker.unscored_area_mm2,
        )

    table = scored(regions)
    cases = () if grid is None else score_cases(grid, table, scored)
    lost = unreadable_rects(table_told(options.cells))
    print(f"{marker.resolved.label} · {options.cells.name}")
    if marker.resolved.note:
        print(marker.resolved.note)
    for line in _flag_lines(origin, marker):
        print(line)
    calibrated = _calibrated_lines(options, origin, marker, regions, table)
    print("\n".join([*score_lines(table), *calibrated, *case_lines(cases)]))
    print("\n".join(_origin_lines(origin, marker)))
    if options.out is not None:
        about = _about(origin, marker)
        write_score_csv(table, options.out, about, columns=_columns_of(regions, grid, lost))
        print(f"written to {options.out}")
        if cases:
            write_case_csv(cases, case_file(options.out), about)
            print(f"cases: written to {case_file(options.out)}")
    unread = unreadable_lines(lost, regions)
    for line in unread:
        print(f"napari-past: {line}", file=sys.stderr)
    return 1 if unread else 0


def _columns_of(
    regions: Sequence[Region], grid: TmaGrid | None, lost: Sequence[Rect]
) -> dict[str, dict[str, str]] | None:
    """Further columns of the scores by region: cases of cores, and area that was not read."""
    columns = {} if grid is None else grid.told()
    if lost:
        for region in regions:
            area = f"{unreadable_mm2(lost, region):.4f}"
            columns[region.name] = {**columns.get(region.name, {}), UNREADABLE_MM2: area}
    return columns or None


def _calibrated_lines(
    options: Namespace,
    origin: Origin,
    marker: MarkerTable,
    regions: Sequence[Region],
    table: ScoreTable,
) -> list[str]:
    """A line for each region and each calibration in the card of the model that made the values."""
    model = origin.bundled_model() if options.model is None else load_model(options.model)
    if model is None or not origin.predicted:
        return []
    fitting = calibrations_of(model, marker.resolved, origin.sha256)
    if not fitting:
        return []
    unscored = None if options.include_unscored else marker.unscored
    counted = count_cells(marker.centers_um, regions, unscored=unscored)
    beyond = beyond_origin(origin, marker.resolved)
    return [
        f"{row.region}: {row.sentence}"
        for calibration in fitting
        for row in calibrated_rows(calibration, marker.values, counted, table, beyond)
    ]


def _about(origin: Origin, marker: MarkerTable) -> dict[str, str]:
    """What a file of scores says of its values."""
    told = {"marker": marker.resolved.label, "note": marker.resolved.note}
    if origin.mismatch:
        told["mismatch"] = origin.mismatch
    if origin.measured:
        return {**told, "values": origin.measured, "analysed": origin.analysed}
    if not origin.predicted:
        return {**told, "values": "as given in the file"}
    return {
        **told,
        "values": f"predicted by {origin.model} {origin.version}, in {origin.unit}",
        "model_sha256": origin.sha256,
        "analysed": origin.analysed,
        "reliability": origin.reliability(marker.resolved.symbols),
    }


def _check_out(out: Path, inputs: list[Path | None]) -> None:
    if out.suffix.lower() != ".csv":
        raise CannotWrite(f"Scores are written as CSV, but --out is {out}; end the name in .csv.")
    if any(p is not None and p.exists() and out.exists() and p.samefile(out) for p in inputs):
        raise CannotWrite(f"{out} is read by this command; give another --out.")
    check_writable(out)


def known_cutoffs(given: Cutoffs | None, marker: MarkerTable, origin: Origin, name: str) -> Cutoffs:
    """Those given, else those of the file, else those of the card of the model that made it; of
    HER2's classes on a real stain always their own.

    Raises
    ------
    MissingCutoffs
        There are none, or others are given for classes.
    """
    symbol = marker.resolved.symbols[0]
    if marker.measured and given is not None:
        check_cutoffs(symbol, given)
    if given is not None:
        return given
    own = cutoffs_of(symbol) if marker.measured and has_classes(symbol) else None
    if own is not None:
        return own
    if marker.cutoffs is not None:
        return marker.cutoffs
    model = origin.bundled_model()
    if model is not None:
        return chosen_cutoffs(model, marker.resolved)
    raise MissingCutoffs(
        f"{name} tells no cut-offs for {marker.resolved.label}; give three, in the unit of its "
        "values, with --cutoffs A,B,C."
    )


def score_lines(table: ScoreTable) -> list[str]:
    """The table, aligned, and what has to be told with it."""
    rules = table.rules
    columns = [column for column in _columns(table) if column is not None]
    widths = [max(map(len, column)) for column in columns]
    lines = []
    for line in zip(*columns, strict=True):
        names = [text.ljust(width) for text, width in zip(line[:2], widths[:2], strict=True)]
        numbers = [text.rjust(width) for text, width in zip(line[2:], widths[2:], strict=True)]
        lines.append("  ".join([*names, *numbers]))
    limits = ", ".join(f"{value:g}" for value in table.cutoffs.values)
    scale = ", 0–300" if rules.h_score else ", at any intensity"
    lines += [
        f"score: {table.score_name}{scale}; interval: 95 % {table.interval_name}",
        f"denominator: {table.denominator}; excluded by Ignore* regions: {table.excluded} cells"
        + (f"; without a value: {table.without_class}" if table.without_class else ""),
        f"cut-offs: {limits} (1+, 2+, 3+; {table.cutoffs.source})",
        rules.sentence,
        table.unscored_sentence,
        *(f"{row.region}: {row.insufficient}" for row in table.rows if row.insufficient),
        NO_AREA if rules.marker and rules.density and not _areas(table) else "",
        *(_hot_spot_line(row) for row in table.rows if rules.hot_spot and row.n),
        *(f"{row.region}: {told}" for row in table.rows for told in real_stain_lines(row)),
        *(row.explanation for row in table.rows),
    ]
    return [line for line in lines if line]


def _columns(table: ScoreTable) -> list[list[str] | None]:
    """Header and texts of each column; None where it would tell nothing."""
    rows, rules = table.rows, table.rules
    areas = _areas(table)

    def column(name: str, text: Callable[[ScoreRow], str], shown: bool = True) -> list[str] | None:
        return [name, *map(text, rows)] if shown else None

    def score(name: str, text: Callable[[ScoreRow], str], shown: bool = True) -> list[str] | None:
        return column(name, lambda row: INSUFFICIENT if row.insufficient else text(row), shown)

    return [
        column("region", lambda row: row.region),
        column("role", lambda row: row.role),
        column("mm²", lambda row: number_text(row.area_mm2, 3), areas),
        column("excluded", lambda row: str(row.excluded), any(row.excluded for row in rows)),
        column("n", lambda row: str(row.n)),
        column("n/mm²", lambda row: number_text(row.density_mm2, 0), areas),
        column("n0", lambda row: str(row.n0)),
        column("n1", lambda row: str(row.n1)),
        column("n2", lambda row: str(row.n2)),
        column("n3", lambda row: str(row.n3)),
        column(
            "positive/mm²", lambda row: number_text(row.positive_mm2, 0), areas and rules.density
        ),
        score("% positive", lambda row: number_text(row.pct_positive, 1)),
        score(rules.allred_name, lambda row: row.allred_text, rules.allred),
        score(rules.h_score_name, lambda row: row.h_score_text, rules.h_score),
        score("interval", lambda row: row.interval_text),
    ]


def _areas(table: ScoreTable) -> bool:
    return any(row.area_mm2 > 0 for row in table.rows)


def _hot_spot_line(row: ScoreRow) -> str:
    if row.hot_spot is not None:
        return f"hot spot of {row.region}: {row.hot_spot.sentence}"
    least = row.rules.least_in_hot_spot
    return f"hot spot of {row.region}: no circle of {HOT_SPOT_MM2:g} mm² holds {least} cells"


def _flag_lines(origin: Origin, marker: MarkerTable) -> list[str]:
    """What must be read before the scores, since it speaks against all of them."""
    lines = [origin.mismatch] if origin.mismatch else []
    symbols = marker.resolved.symbols
    if origin.not_learnable_of(symbols):
        lines.append(f"reliability: {origin.reliability(symbols)}")
    flags = origin.unlike_training
    unlike = np.zeros(0, bool) if flags is None else flags
    return [*lines, *unlike_lines(origin.slide_unlike_training, unlike)]


def _origin_lines(origin: Origin, marker: MarkerTable) -> list[str]:
    if origin.measured:
        part = [f"analysed: {origin.analysed}"] if origin.analysed else []
        return [origin.measured, *part, MEASURED_RESEARCH_USE]
    if not origin.predicted:
        return ["values as given in the file"]
    lines = [f"predicted by {origin.model} {origin.version}, in {origin.unit}", DISPLAY_CLASSES]
    if origin.analysed:
        lines.append(f"analysed: {origin.analysed}")
    symbols = marker.resolved.symbols
    evidence = origin.reliability(symbols)
    if evidence and not origin.not_learnable_of(symbols):
        when = ", as it stood when the table was written" if "your lab:" in evidence else ""
        lines.append(f"reliability{when}: {evidence}")
    return [*lines, RESEARCH_USE]
