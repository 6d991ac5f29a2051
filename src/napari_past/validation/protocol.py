"""The rule of a validation: same rows, same genes, same figures for all that is compared.

1. Genes are those measured in all sections and predicted by every predictor; rows those that every
   one of them predicts.
2. Measured values are log1p(counts per 10k) of the genes measured.
3. What is fitted on this tissue (baselines) predicts rows that are held out (`folds`).
4. Figures are within sections, and averaged over sections and patients (`compared_rows`).

Genes are taken some at a time, in the order of their mean expression, so that memory does not grow
with their number.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import version
from itertools import combinations

import numpy as np
from scipy.spatial import cKDTree

from napari_past import __version__
from napari_past.errors import PastError
from napari_past.model.traces import NO_TRACES
from napari_past.validation.bench import Bench
from napari_past.validation.block_interval import BlockIntervals, block_intervals
from napari_past.validation.colour import WINDOW_UM
from napari_past.validation.colour_ridge import ColourRidge
from napari_past.validation.compared_rows import Array, ComparedRows
from napari_past.validation.figures import Intervals
from napari_past.validation.folds import held_out
from napari_past.validation.gene_choice import (
    LEAST_DETECTED,
    asked_genes,
    compared_genes,
    measured_levels,
)
from napari_past.validation.intervals import LEAST_UNITS
from napari_past.validation.patient_interval import NoIntervals, PatientIntervals
from napari_past.validation.predictor import NOBODY, Predictor, Watch
from napari_past.validation.result import (
    GroupResult,
    IntervalOver,
    PredictorResult,
    TissueFacts,
    Validation,
)
from napari_past.validation.seen import SeenTissue, same_slides, seen_patients, seen_sections
from napari_past.validation.sentences import (
    field_warnings,
    held_out_note,
    interval_note,
    left_out,
    missing_warnings,
    one_slide_refusal,
    refusal,
    row_warnings,
    seen_warnings,
    spot_warnings,
    trace_warnings,
    unit_warnings,
)
from napari_past.validation.tissue import IntArray, Tissue
from napari_past.validation.training_mean import TrainingMean
from napari_past.validation.within import row_groups

_MAPPED_VALUES = 2**24
"""Rows times genes of which maps are kept; 130 MB."""
_EXTREMES = 25
"""So many best and worst genes are mapped where not all are."""
_PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "timm")


def validate(
    tissues: Sequence[Tissue],
    predictor: Predictor,
    *,
    allow_seen: bool = False,
    asked: Sequence[str] = (),
    baselines: Sequence[Predictor] | None = None,
    warnings: Sequence[str] = (),
    watch: Watch = NOBODY,
) -> Validation:
    """Predicted against measured expression on somebody's own tissue, beside baselines.

    Parameters
    ----------
    tissues
        Measured sections, with different names. Those on one H&E, in whatever file, are held out
        together and count as one section; one without any predicted row is left out.
    predictor
        What the validation is about.
    allow_seen
        Go on with sections that the predictor was trained on; the result says so.
    asked
        Genes or markers to be told of in any case.
    baselines
        What it is compared with; None for ridge on colour statistics and the training mean.
    warnings
        Sentences of those who placed and matched, to be told with the result.
    watch
        Told of progress; asked between steps whether to go on.

    Raises
    ------
    SeenTissue
        The predictor was trained on a section, and `allow_seen` is not set.
    PastError
        One H&E is given as of two patients, no gene or too few rows can be compared, or what is
        fitted here has too little tissue to be fitted on.
    Cancelled
    """
    _check(tissues)
    beside: Sequence[Predictor]
    beside = (ColourRidge(), TrainingMean()) if baselines is None else baselines
    seen = seen_sections(tissues, predictor.traces)
    if seen and not allow_seen:
        raise SeenTissue(refusal(predictor.name, seen, len(tissues)))
    genes = compared_genes(tissues, (predictor, *beside))
    asked_places = asked_genes(asked, genes)
    reach_um = _reach_um(tissues, (predictor, *beside))
    held = held_out(tissues, reach_um)
    if not held.folds:
        if predictor.fitted_here:
            raise PastError(
                f"{predictor.name} cannot be fitted on this tissue, because {held.sentence}; give "
                f"a larger section, or several."
            )
        beside = [baseline for baseline in beside if not baseline.fitted_here]
    bench = Bench(tuple(tissues), (predictor, *beside), held, watch)
    everything = ComparedRows(bench.tissues, tuple(np.arange(len(t)) for t in tissues))
    often = measured_levels(everything, genes).variable()
    rows = bench.rows([genes[i] for i in often])
    empty = [t for t, kept in zip(tissues, rows.kept, strict=True) if not len(kept)]
    if empty:
        return validate(
            [tissue for tissue in tissues if tissue not in empty],
            predictor,
            allow_seen=allow_seen,
            asked=asked,
            baselines=baselines,
            warnings=(*warnings, *map(left_out, empty)),
            watch=watch,
        )
    levels = measured_levels(rows, genes)
    groups = row_groups(rows)
    blocks = block_intervals(rows, reach_um)
    twice = _lie_on_each_other(rows, reach_um)
    over, intervals = _intervals(rows, blocks, twice)
    found = bench.figures(rows, genes, levels.mean, groups, intervals)
    variable = levels.variable()
    draws = bench.mean_draws(rows, [genes[i] for i in variable], intervals)
    results = tuple(
        PredictorResult(
            one.name,
            one.unit,
            one.fitted_here,
            seen_sections(tissues, one.traces),
            figures,
            *_percentiles(mean, intervals),
            *_percentiles(draws[0] - mean if one is not predictor else mean * np.nan, intervals),
        )
        for one, figures, mean in zip(bench.predictors, found.figures, draws, strict=True)
    )
    mapped = _mapped(len(rows), results[0].figures.r, levels.detected, (asked_places, variable))
    patients = seen_patients(tissues, predictor.traces)
    traced = predictor.traces != NO_TRACES
    return Validation(
        about=predictor.name,
        model_sha256=predictor.sha256,
        unit=predictor.unit,
        tissues=tuple(_facts(t, k) for t, k in zip(rows.tissues, rows.kept, strict=True)),
        genes=genes,
        measured_mean=levels.mean,
        detected=levels.detected,
        variable=variable,
        asked=asked_places,
        results=results,
        random_r=found.random_r,
        percentile=found.percentile,
        groups=tuple(
            GroupResult(group.kind, group.name, len(group), r, rho)
            for group, r, rho in zip(groups, found.group_r, found.group_rho, strict=True)
        ),
        maps=bench.maps(rows, genes, mapped),
        traced=traced,
        seen_patients=patients,
        interval_over=over,
        interval_note=interval_note(over, rows, blocks, twice),
        held_out=held_out_note(held, bench.predictors, traced),
        warnings=(
            *warnings,
            *seen_warnings(predictor.name, seen, patients),
            *trace_warnings(predictor, traced),
            *spot_warnings(tissues),
            *field_warnings(bench.predictors, reach_um),
            *row_warnings(rows),
            *unit_warnings(tissues, predictor),
            *missing_warnings(results[0]),
        ),
        versions={
            "napari-past": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in _PACKAGES},
        },
    )


def _check(tissues: Sequence[Tissue]) -> None:
    names = [tissue.section.name for tissue in tissues]
    if not names:
        raise PastError("No measured section was given; give one with its H&E.")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise PastError(f"Two sections are called {twice}; give each a name of its own.")
    for tissue, first in zip(tissues, same_slides(tissues), strict=True):
        if tissue.section.patient != tissues[first].section.patient:
            raise PastError(one_slide_refusal(tissues[first], tissue))


def _reach_um(tissues: Sequence[Tissue], predictors: Sequence[Predictor]) -> float:
    """Width of the square of H&E that is seen for a row: a spot's cells lie all over it."""
    spot_um = max(tissue.section.spot_diameter_um or 0.0 for tissue in tissues)
    return max(WINDOW_UM, *(predictor.field_um for predictor in predictors)) + spot_um


def _lie_on_each_other(rows: ComparedRows, reach_um: float) -> bool:
    """Whether rows of two sections may share pixels; on two files of one H&E nobody can tell."""
    slides, tissues, row_um = same_slides(rows.tissues), rows.tissues, rows.row_um
    for i, j in combinations(range(len(slides)), 2):
        if slides[i] == slides[j]:
            if tissues[i].fingerprint != tissues[j].fingerprint:
                return True
            if cKDTree(row_um[i]).query(row_um[j], p=np.inf)[0].min() < reach_um:
                return True
    return False


def _intervals(
    rows: ComparedRows, blocks: BlockIntervals, twice: bool
) -> tuple[IntervalOver | None, Intervals]:
    if len(rows.telling_patients) >= LEAST_UNITS:
        return "patients", PatientIntervals(rows)
    return ("blocks", blocks) if blocks.enough and not twice else (None, NoIntervals())


def _percentiles(draws: Array, intervals: Intervals) -> tuple[float, float]:
    low, high = np.quantile(draws, intervals.levels)
    return float(low), float(high)


def _mapped(rows: int, r: Array, detected: Array, wanted: Sequence[IntArray]) -> IntArray:
    """Ascending places of the genes of which maps are kept: all, as long as they are few."""
    if rows * len(r) <= _MAPPED_VALUES:
        return np.arange(len(r))
    known = np.flatnonzero(np.isfinite(r) & (detected >= LEAST_DETECTED))
    ranked = known[np.argsort(r[known], kind="stable")]
    return np.unique(np.concatenate([*wanted, ranked[:_EXTREMES], ranked[-_EXTREMES:]]))


def _facts(tissue: Tissue, kept: IntArray) -> TissueFacts:
    section = tissue.section
    return TissueFacts(
        name=section.name,
        patient=section.patient,
        technology=section.technology,
        resolution=tissue.resolution,
        slide=tissue.slide.name,
        fingerprint=tissue.fingerprint,
        rows=len(kept),
        usable=tissue.usable,
        measured=len(section),
    )
