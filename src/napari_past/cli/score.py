"""``napari-past score``: classes and pseudo-H-scores of one marker, from anybody's table."""

from __future__ import annotations

import math
from argparse import Namespace
from pathlib import Path

import numpy as np

from napari_past.cli.origin import Origin, read_origin
from napari_past.cli.run import unlike_lines
from napari_past.engine import chosen_cutoffs
from napari_past.errors import BadTable, CannotWrite, MissingCutoffs
from napari_past.io import (
    MarkerTable,
    check_writable,
    read_marker_table,
    read_regions,
    write_score_csv,
)
from napari_past.slide.units import checked_mpp
from napari_past.stain import ScoreTable, score_table
from napari_past.types import RESEARCH_USE, Cutoffs

HEADER = ("region", "role", "n", "n0", "n1", "n2", "n3", "% positive", "score", "interval")


def execute(options: Namespace) -> int:
    """Score, print the table, and write it where asked."""
    if options.out is not None:
        _check_out(options.out, [options.cells, options.rois])
    mpp = checked_mpp(options.mpp)
    marker = read_marker_table(options.cells, options.marker)
    marker.resolved.require_scorable()
    origin = read_origin(options.cells)
    limits = known_cutoffs(options.cutoffs, marker, origin, options.cells.name)
    regions = () if options.rois is None else read_regions(options.rois, mpp or marker.mpp)
    if options.rois is not None and not regions:
        raise BadTable(f"{options.rois.name} holds no regions; export some annotations into it.")
    every = options.include_unscored
    table = score_table(
        marker.values,
        marker.centers_um,
        limits,
        regions,
        unscored=None if every else marker.unscored,
        unscored_area_mm2=None if every else marker.unscored_area_mm2,
    )
    print(f"{marker.resolved.label} · {options.cells.name}")
    if marker.resolved.note:
        print(marker.resolved.note)
    print("\n".join(score_lines(table)))
    print("\n".join(_origin_lines(origin, marker)))
    if options.out is not None:
        write_score_csv(table, options.out, _about(origin, marker))
        print(f"written to {options.out}")
    return 0


def _about(origin: Origin, marker: MarkerTable) -> dict[str, str]:
    """What a file of scores says of its values."""
    told = {"marker": marker.resolved.label, "note": marker.resolved.note}
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
    """Those given, else those of the file, else those of the card of the model that made it.

    Raises
    ------
    MissingCutoffs
    """
    if given is not None:
        return given
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
    cells = [
        (
            row.region,
            row.role,
            *(str(count) for count in (row.n, row.n0, row.n1, row.n2, row.n3)),
            _number(row.pct_positive),
            _number(row.h_score),
            "–" if math.isnan(row.lo) else f"{row.lo:.1f}–{row.hi:.1f}",
        )
        for row in table.rows
    ]
    widths = [max(len(line[i]) for line in (HEADER, *cells)) for i in range(len(HEADER))]
    lines = []
    for line in (HEADER, *cells):
        names = [text.ljust(width) for text, width in zip(line[:2], widths[:2], strict=True)]
        numbers = [text.rjust(width) for text, width in zip(line[2:], widths[2:], strict=True)]
        lines.append("  ".join([*names, *numbers]))
    limits = ", ".join(f"{value:g}" for value in table.cutoffs.values)
    lines += [
        f"score: {table.score_name}, 0–300; interval: 95 % {table.interval_name}",
        f"denominator: {table.denominator}; excluded by Ignore* regions: {table.excluded} cells"
        + (f"; without a value: {table.without_class}" if table.without_class else ""),
        f"cut-offs: {limits} (1+, 2+, 3+; {table.cutoffs.source})",
    ]
    if table.unscored_sentence:
        lines.append(table.unscored_sentence)
    return lines + [row.explanation for row in table.rows if row.explanation]


def _origin_lines(origin: Origin, marker: MarkerTable) -> list[str]:
    if not origin.predicted:
        return ["values as given in the file"]
    lines = [f"predicted by {origin.model} {origin.version}, in {origin.unit}"]
    if origin.analysed:
        lines.append(f"analysed: {origin.analysed}")
    evidence = origin.reliability(marker.resolved.symbols)
    if evidence:
        lines.append(f"reliability: {evidence}")
    flags = origin.unlike_training
    lines += unlike_lines(
        origin.slide_unlike_training, np.zeros(0, bool) if flags is None else flags
    )
    return [*lines, RESEARCH_USE]


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.1f}"
