"""What a validation says of itself: why it refuses, what its figures cover, what to be wary of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from napari_past.validation.block_interval import BlockIntervals
from napari_past.validation.compared_rows import LEAST_ROWS, ComparedRows
from napari_past.validation.folds import HoldOut
from napari_past.validation.intervals import LEAST_BLOCKS, LEAST_UNITS
from napari_past.validation.predictor import Predictor
from napari_past.validation.result import IntervalOver, PredictorResult
from napari_past.validation.tissue import MEASURED_UNIT, Tissue, in_measured_unit
from napari_past.validation.training_mean import TrainingMean

SMALL_PANEL = 5000
"""With fewer measured genes counts per 10k are not those of a whole transcriptome."""

_ALIKE = (
    ", and it is too narrow where sections of one patient are neighbours, because they are drawn "
    "as if they were not alike"
)


def refusal(name: str, seen: Sequence[str], sections: int) -> str:
    """Why tissue that was trained on is no test."""
    rest = "leave them out" if len(seen) < sections else "validate on other tissue"
    return (
        f"{name} was trained on the H&E of {_listed(seen)}, so figures on it would validate "
        f"nothing; {rest}, or go on all the same with --seen-tissue, and the result will say so."
    )


def seen_warnings(name: str, seen: Sequence[str], patients: Sequence[str]) -> Iterator[str]:
    """That tissue, or a patient, was trained on."""
    if seen:
        yield (
            f"{name} was trained on the H&E of {_listed(seen)}: its figures there say how well it "
            f"remembers, not how well it predicts."
        )
    if patients:
        yield (
            f"{name} was trained on other tissue of {_listed(patients)}, as far as the names of "
            f"patients tell: figures on a new patient are likely lower."
        )


def trace_warnings(predictor: Predictor, traced: bool) -> Iterator[str]:
    """That nobody can tell whether tissue was trained on."""
    if not traced:
        yield (
            f"What {predictor.name} was trained on is not known here, so nobody can tell whether "
            f"this tissue, or this patient, was part of it."
        )


def one_slide_refusal(a: Tissue, b: Tissue) -> str:
    """Why one H&E cannot be of two patients."""
    one, other = a.section, b.section
    return (
        f"{one.name} and {other.name} show the same H&E ({one.image.name} and "
        f"{other.image.name}), but are given as of two patients, {one.patient} and "
        f"{other.patient}; give both the same patient, or leave one out."
    )


def held_out_note(hold_out: HoldOut, predictors: Sequence[Predictor], traced: bool) -> str:
    """How baselines were fitted; the first predictor is the one that is validated.

    Parameters
    ----------
    traced
        Whether anything is known of what that one was trained on.
    """
    if not hold_out.folds:
        return f"No baseline was fitted: {hold_out.sentence}."
    if not any(predictor.fitted_here for predictor in predictors):
        return "Nothing was fitted on this tissue."
    if predictors[0].fitted_here:
        beside = "What was fitted here, the validated predictor among it,"
    elif traced:
        beside = "Baselines, fitted on this very tissue as the validated predictor was not,"
    else:
        beside = "Baselines, fitted on this very tissue,"
    note = f"{beside} predicted only rows held out: {hold_out.sentence}."
    if hold_out.by in ("patient", "section"):
        return note
    return (
        f"{note} Their correlations are of what they add to the mean of the rows they were fitted "
        f"on, because that mean alone is low where what is held out is high."
    )


def field_warnings(predictors: Sequence[Predictor], reach_um: float) -> Iterator[str]:
    """That distances were kept to what others see, where nobody knows what one sees."""
    blind = [
        one.name
        for one in predictors
        if one.field_um <= 0 and not isinstance(one, TrainingMean)  # which sees nothing
    ]
    if blind:
        yield (
            f"How much H&E {_listed(blind)} sees around a row is not known (--field-um tells it): "
            f"rows that are kept apart lie {reach_um:.0f} µm apart, and share pixels where it sees "
            f"more."
        )


def spot_warnings(tissues: Sequence[Tissue]) -> Iterator[str]:
    """That nothing tells whether spots are in place."""
    names = [t.section.name for t in tissues if t.section.spot_diameter_um is not None]
    if names:
        yield (
            f"How far the spots of {_listed(names)} lie off cannot be told from the H&E: a shift "
            f"lowers every figure here, and nothing else would show it; look at some of them."
        )


def left_out(tissue: Tissue) -> str:
    """That a section is not among those that were validated on."""
    section = tissue.section
    return (
        f"{section.name} was left out, because not one of its {len(tissue)} {section.row_kind} is "
        f"predicted; check its placement and its predictions."
    )


def interval_note(
    over: IntervalOver | None, rows: ComparedRows, blocks: BlockIntervals, twice: bool
) -> str:
    """What the interval covers, or why there is none.

    Parameters
    ----------
    twice
        Whether sections lie on the same tissue.
    """
    patients = len(rows.telling_patients)
    if over == "patients":
        return (
            f"95 % interval of the mean over {patients} patients, drawn with replacement: what to "
            f"expect of the mean over such patients."
        )
    if over == "blocks":
        sections = sum(len(kept) >= LEAST_ROWS for kept in rows.kept)
        whose = "one section" if sections == 1 else f"{sections} sections"
        return (
            f"95 % interval from {blocks.blocks} blocks of {whose}, up to "
            f"{blocks.side_um:.0f} µm wide and drawn with replacement, without the rows within "
            f"{blocks.reach_um / 2:.0f} µm of a border between two ({1 - blocks.share:.0%}), so "
            f"that rows of two blocks lie {blocks.reach_um:.0f} µm or more apart: it says nothing "
            f"of other tissue or of other patients"
            f"{_ALIKE if sections > patients else ''}."
        )
    if twice:
        return (
            f"No interval: it takes {LEAST_UNITS} patients, because blocks of sections that lie on "
            f"the same tissue would count twice."
        )
    patients_there = "one patient" if patients == 1 else f"{patients} patients"
    return (
        f"No interval: it takes {LEAST_UNITS} patients, or {LEAST_BLOCKS} blocks of tissue at "
        f"least {blocks.least_side_um:.0f} µm wide with about as many rows each (and two in every "
        f"section), but here {'is' if patients == 1 else 'are'} {patients_there}, and the blocks "
        f"here, of which small ones count less, amount to {blocks.worth:.1f}{_fewest(blocks)}."
    )


def _fewest(blocks: BlockIntervals) -> str:
    amounts = blocks.equal_blocks
    return f" ({min(amounts):.1f} in the smallest section)" if len(amounts) > 1 else ""


def row_warnings(rows: ComparedRows) -> Iterator[str]:
    """Rows that are not predicted, and sections that have too few."""
    for tissue, kept in zip(rows.tissues, rows.kept, strict=True):
        name, kind = tissue.section.name, tissue.section.row_kind
        if len(kept) < len(tissue):
            yield (
                f"{len(tissue) - len(kept)} of {len(tissue)} {kind} of {name} were left out, "
                f"because not every predictor predicts them."
            )
        if len(kept) < LEAST_ROWS:
            yield (
                f"{name} has {len(kept)} {kind} to compare, fewer than {LEAST_ROWS}, and adds "
                f"nothing to the correlations."
            )


def unit_warnings(tissues: Sequence[Tissue], predictor: Predictor) -> Iterator[str]:
    """Where amounts cannot, or hardly, be compared."""
    unit = predictor.unit
    if not in_measured_unit(unit):
        known = "in an unknown unit" if unit is None else f"in {unit}"
        yield (
            f"{predictor.name} predicts {known}, measured is {MEASURED_UNIT}: errors and the slope "
            f"are not told, correlations and the AUC stand."
        )
        return
    panel = min(len(tissue.genes) for tissue in tissues)
    if panel < SMALL_PANEL and not predictor.fitted_here:
        yield (
            f"Counts per 10k are of the {panel} genes measured, so that each looks more abundant "
            f"than in a whole transcriptome: errors, means and the slope of a model that was "
            f"trained on other genes are off by that."
        )


def missing_warnings(main: PredictorResult) -> Iterator[str]:
    """Genes that are predicted for some of the rows only."""
    missing = int(np.isnan(main.figures.predicted_mean).sum())
    if missing:
        yield (
            f"{missing} gene{'s' * (missing != 1)} that {main.name} does not predict on all rows "
            f"compared have no figures."
        )


def _listed(names: Sequence[str], most: int = 5) -> str:
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join([*([", ".join(names[:-1])] if names[:-1] else []), names[-1]])
