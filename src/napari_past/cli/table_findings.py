"""What a table of cells tells for a report, without its slide."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from napari_past import __version__
from napari_past.calibration.calibrated import beyond_origin, calibrated_lines, calibrations_of
from napari_past.cli.score import known_cutoffs
from napari_past.cli.table_told import as_mapping, table_columns, table_told
from napari_past.engine.unreadable import unreadable_lines, unreadable_rects
from napari_past.errors import BadTable, MissingCutoffs
from napari_past.files import existing_file
from napari_past.genes import markers
from napari_past.io import MarkerTable, read_marker_table
from napari_past.io.origin import Origin, read_origin
from napari_past.model import Model
from napari_past.report import NOT_CALIBRATED, MarkerFindings, ModelFacts, SlideFindings
from napari_past.report.flags import much_unlike, trained_on, unlike_lines
from napari_past.stain import count_cells, rules_of, score_table
from napari_past.stain.measured import unit_of
from napari_past.types import Cutoffs, Region

NOT_LEARNABLE = "not learnable"
"""Begins the evidence of such a gene."""


def table_findings(
    path: Path,
    asked: Sequence[str] | None,
    cutoffs: Cutoffs | None,
    regions_of: Callable[[float | None], tuple[Region, ...]],
    model: Model | None = None,
) -> SlideFindings:
    """The findings of a table, with the numbers that `napari-past score` gives.

    Parameters
    ----------
    asked
        Markers; None takes the first of the panel with values and cut-offs.
    regions_of
        Gives the regions for the µm/px that the table tells.
    model
        Whose calibrations are told, where it made the values.

    Raises
    ------
    BadTable, MissingCutoffs
    UnknownGene, AmbiguousGene, NotScorable
    """
    origin = read_origin(path if path.is_dir() else existing_file(path))
    tables = [
        read_marker_table(path, name)
        for name in asked or [_first_with_cutoffs(path, origin, cutoffs)]
    ]
    for table in tables:
        table.resolved.require_scorable()
    first = tables[0]
    if not len(first.values):
        raise BadTable(f"{path.name} holds no cells, so there is nothing to report.")
    regions = regions_of(first.mpp)
    found = [
        _of_marker(table, origin, regions, known_cutoffs(cutoffs, table, origin, path.name))
        for table in tables
    ]
    lines: list[str] = []
    if model is not None and origin.predicted:
        counted = count_cells(first.centers_um, regions, unscored=first.unscored)
        for table, marker in zip(tables, found, strict=True):
            fitting = calibrations_of(model, table.resolved, origin.sha256)
            beyond = beyond_origin(origin, table.resolved)
            lines += calibrated_lines(fitting, table.values, counted, marker.table, beyond)
    told = table_told(path)
    slide = as_mapping(told.get("slide"))
    known = origin.unlike_training is not None or bool(origin.slide_unlike_training)
    flags = np.zeros(0, bool) if origin.unlike_training is None else origin.unlike_training
    return SlideFindings(
        name=str(slide.get("name") or path.name),
        fingerprint=str(slide.get("fingerprint") or ""),
        case_code="",
        centers_um=first.centers_um,
        markers=tuple(found),
        regions=regions,
        unscored=first.unscored,
        model=_model_facts(origin, as_mapping(told.get("model"))) if origin.predicted else None,
        unlike=tuple(unlike_lines(origin.slide_unlike_training, flags)) if known else None,
        much_unlike=much_unlike(origin.slide_unlike_training, flags),
        calibration=" ".join(lines) or NOT_CALIBRATED,
        measured=origin.measured,
        mismatch=origin.mismatch,
        analysed=origin.analysed,
        unreadable=tuple(unreadable_lines(unreadable_rects(told), regions)),
        versions=_versions(told),
    )


def _of_marker(
    table: MarkerTable, origin: Origin, regions: tuple[Region, ...], cutoffs: Cutoffs
) -> MarkerFindings:
    resolved = table.resolved
    known = origin.evidence
    return MarkerFindings(
        label=resolved.label,
        values=table.values,
        table=score_table(
            table.values,
            table.centers_um,
            cutoffs,
            regions,
            rules=rules_of(resolved),
            unscored=table.unscored,
            unscored_area_mm2=table.unscored_area_mm2,
        ),
        unit=unit_of(resolved.symbols[0]) if table.measured else origin.unit,
        note=resolved.note,
        evidence=tuple(f"{s}: {known[s]}" for s in resolved.symbols if s in known),
        learnable=not any(known.get(s, "").startswith(NOT_LEARNABLE) for s in resolved.symbols),
    )


def _first_with_cutoffs(path: Path, origin: Origin, given: Cutoffs | None) -> str:
    """The first marker of the panel that a table has values and cut-offs for."""
    columns = set(table_columns(path))
    for marker in markers():
        if marker.scorable and set(marker.genes) <= columns:
            table = read_marker_table(path, marker.name)
            with suppress(MissingCutoffs):
                known_cutoffs(given, table, origin, path.name)
                return marker.name
    raise MissingCutoffs(
        f"{path.name} has values with cut-offs for no marker of the panel; name one of its columns "
        "with --marker, and the cut-offs with --cutoffs A,B,C."
    )


def _model_facts(origin: Origin, told: Mapping[str, object]) -> ModelFacts:
    species, organ, preparation, data = (
        str(told.get(key, "")) for key in ("species", "organ", "preparation", "training_data")
    )
    tissue = trained_on(species, organ, preparation, data) if organ else ""
    return ModelFacts(origin.model, origin.version, origin.sha256, tissue)


def _versions(told: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    made_with = as_mapping(told.get("versions"))
    theirs = tuple((f"cells: {name}", str(number)) for name, number in made_with.items())
    return (*theirs, ("report: napari-past", __version__))
