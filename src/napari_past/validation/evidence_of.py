"""A validation as the file that a badge rests on."""

from __future__ import annotations

import math

from napari_past.model.lab_evidence import GeneEvidence, LabEvidence, ValidatedSection
from napari_past.model.patient import patient_digest
from napari_past.spatial.section import UNKNOWN_PATIENT
from napari_past.validation.result import TissueFacts, Validation, mean_r

_DIGITS = 4


def lab_evidence(validation: Validation) -> LabEvidence:
    """All genes of a validation, without places and values of rows, and no patient's name."""
    genes = {gene: _gene(validation, i) for i, gene in enumerate(validation.genes)}
    return LabEvidence(
        model=validation.about,
        model_sha256=validation.model_sha256,
        predicted_unit=validation.unit or "",
        sections=tuple(_section(facts) for facts in validation.tissues),
        seen=validation.seen,
        traced=validation.traced,
        seen_patients=len(validation.seen_patients),
        protocol=(validation.held_out, validation.interval_note),
        interval_over=validation.interval_over,
        mean_r=_known(mean_r(validation.main.figures, validation.variable)),
        mean_low=_known(validation.main.mean_low),
        mean_high=_known(validation.main.mean_high),
        mean_over=len(validation.variable),
        mean_baselines={
            other.name: _known(mean_r(other.figures, validation.variable))
            for other in validation.results[1:]
        },
        genes=genes,
        warnings=validation.warnings,
        versions=dict(validation.versions),
    )


def _section(facts: TissueFacts) -> ValidatedSection:
    told = facts.patient != UNKNOWN_PATIENT
    return ValidatedSection(
        name=facts.name,
        patient=patient_digest(facts.patient) if told else "",
        technology=facts.technology,
        resolution=facts.resolution,
        fingerprint=facts.fingerprint,
        rows=facts.rows,
    )


def _gene(validation: Validation, gene: int) -> GeneEvidence:
    figures = validation.main.figures
    return GeneEvidence(
        r=_known(figures.r[gene]),
        low=_known(figures.low[gene]),
        high=_known(figures.high[gene]),
        rho=_known(figures.rho[gene]),
        auc=_known(figures.auc[gene]),
        within={f"{g.kind} {g.name}": _known(g.r[gene]) for g in validation.groups},
        percentile=_known(validation.percentile[gene]),
        detected=float(validation.detected[gene]),
        baselines={other.name: _known(other.figures.r[gene]) for other in validation.results[1:]},
    )


def _known(value: float) -> float | None:
    return None if math.isnan(value) else round(float(value), _DIGITS)
