"""Cells that were predicted on a slide, as a report tells them: the same from both faces."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version

from napari_past import __version__
from napari_past.calibration.calibrated import beyond_model, calibrated_lines, calibrations_of
from napari_past.engine import Cells, analysed, h_score, look_of, mismatch
from napari_past.engine.annotated import unscored_kinds
from napari_past.engine.measured import Assay, MeasuredStain
from napari_past.errors import PastError
from napari_past.model import Model
from napari_past.report import NOT_CALIBRATED, MarkerFindings, ModelFacts, SlideFindings
from napari_past.report.flags import much_unlike, trained_on, unlike_lines, unreadable
from napari_past.slide import Slide
from napari_past.stain import count_cells
from napari_past.types import Cutoffs, Region


def findings_of_cells(
    cells: Cells,
    slide: Slide,
    asked: Mapping[str, Cutoffs | None],
    regions: Sequence[Region] = (),
    case_code: str = "",
    on_marker: Callable[[str], None] = lambda name: None,
) -> SlideFindings:
    """What a report tells of a slide and its cells.

    Parameters
    ----------
    cells
        Computed; what lies in `Cells.quality` is not scored.
    slide
        Of the cells, with a µm/px, for the pictures.
    asked
        Gene or marker → its cut-offs; None takes those of the model's card.
    case_code
        As `checked_case_code` gives it.
    on_marker
        Called with the name of each marker before it is scored; what it raises ends the work.

    Raises
    ------
    PastError
        There is no cell.
    UnknownGene, AmbiguousGene, NotScorable, MissingCutoffs
    """
    if not len(cells):
        where = " in its regions" if any(not r.ignored for r in regions) else ""
        raise PastError(
            f"No cell was found on {slide.name}{where}, so there is nothing to report; check that "
            "it is H&E and that its µm/px is right."
        )
    model = cells.model
    kinds = unscored_kinds(cells)
    counted = count_cells(cells.centers_um, regions, unscored=kinds)
    found: list[MarkerFindings] = []
    lines: list[str] = []
    for name, cutoffs in asked.items():
        on_marker(name)
        marker = _marker(cells, name, tuple(regions), cutoffs)
        found.append(marker)
        if isinstance(model, Model):
            resolved = cells.resolve(name)
            fitting = calibrations_of(model, resolved)
            if fitting:
                beyond = beyond_model(model, resolved, cells.slide_unlike_training)
                lines += calibrated_lines(fitting, marker.values, counted, marker.table, beyond)
    findings = SlideFindings(
        name=slide.name,
        fingerprint=slide.fingerprint,
        case_code=case_code,
        centers_um=cells.centers_um,
        markers=tuple(found),
        regions=tuple(regions),
        unscored=kinds,
        analysed=analysed(cells.plan, cells.excluded),
        unreadable=tuple(unreadable(cells)),
        versions=(
            ("napari-past", __version__),
            *((package, version(package)) for package in _packages(model)),
            ("detector", cells.plan.detector.name),
        ),
        slide=slide,
        mismatch=mismatch(look_of(slide), isinstance(model, MeasuredStain)),
    )
    if isinstance(model, MeasuredStain):
        symbols = (symbol for name in asked for symbol in cells.resolve(name).symbols)
        told = dict.fromkeys(model.reliability(symbol).label for symbol in symbols)
        return replace(findings, measured="; ".join(told))
    return _predicted(findings, cells, model, " ".join(lines))


def _predicted(
    findings: SlideFindings, cells: Cells, model: Model, calibration: str
) -> SlideFindings:
    """With the model, and what looks unlike its training."""
    card = model.card
    flags = cells.unlike_training > 1
    known = card.unlike_training_limit is not None
    return replace(
        findings,
        model=ModelFacts(
            model.name,
            card.version,
            model.sha256,
            trained_on(card.species, card.organ, card.preparation, card.training_data),
        ),
        unlike=tuple(unlike_lines(cells.slide_unlike_training, flags)) if known else None,
        much_unlike=much_unlike(cells.slide_unlike_training, flags),
        calibration=calibration or NOT_CALIBRATED,
    )


def _packages(model: Assay) -> tuple[str, ...]:
    """Whose versions bear on the values."""
    return ("scikit-image",) if isinstance(model, MeasuredStain) else ("torch", "timm")


def _marker(
    cells: Cells, name: str, regions: tuple[Region, ...], cutoffs: Cutoffs | None
) -> MarkerFindings:
    resolved, model = cells.resolve(name), cells.model
    badges = [(symbol, model.reliability(symbol)) for symbol in resolved.symbols]
    return MarkerFindings(
        label=resolved.label,
        values=cells.marker_values(name),
        table=h_score(cells, name, regions, cutoffs),
        unit=model.unit_of(resolved.symbols[0]),
        note=resolved.note,
        evidence=tuple(f"{symbol}: {badge.label}" for symbol, badge in badges),
        learnable=all(badge.learnable for _, badge in badges),
    )
