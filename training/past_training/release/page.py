"""The page that goes with a model: its card in words."""

from __future__ import annotations

import numpy as np

from napari_past.genes import markers
from napari_past.model import Card
from napari_past.model.card import NOT_STATED
from napari_past.types import RESEARCH_USE


def model_page(card: Card) -> str:
    """Markdown for people."""
    return "\n".join(
        [
            f"# {card.name} (version {card.version})",
            "",
            card.summary,
            "",
            f"**{RESEARCH_USE}**",
            "",
            *_facts(card),
            "",
            "## Evidence",
            "",
            *_evidence(card),
            "",
            *(_panel(card) if card.genes else []),
        ]
    )


def _facts(card: Card) -> list[str]:
    encoder = card.encoder
    return [
        f"- Trained on: {card.training_data}.",
        _tissue(card),
        *_genes(card),
        f"- Encoder: {encoder.mode}, {encoder.tower.backbone}, {encoder.mpp:g} µm/px, stride "
        f"{encoder.stride_px} px, halo {encoder.halo_px} px, {encoder.tower.embed_dim} numbers a "
        "cell.",
        f"- Licence: {card.licence}. {card.attribution}",
    ]


def _tissue(card: Card) -> str:
    """What is stated of it, and after that what is not."""
    names = ("species", "organ", "preparation", "scanner")
    species, organ, preparation, scanner = (
        "" if (text := getattr(card, name)) == NOT_STATED else text for name in names
    )
    what = ", ".join(filter(None, (f"{species} {organ}".strip(), preparation)))
    told = "; ".join(filter(None, (what, scanner)))
    unstated = ", ".join(name for name in names if getattr(card, name) == NOT_STATED)
    if not told:
        return "- Tissue: not stated."
    return f"- Tissue: {told}." + (f" Not stated: {unstated}." if unstated else "")


def _genes(card: Card) -> list[str]:
    if not card.genes:
        return ["- Genes: none, for it has no read-out."]
    learnable = sum(d >= card.min_detected for d in card.evidence.detected.values())
    told = [
        f"- Genes: {len(card.genes)}, of which {learnable} count as learnable. "
        f"Unit: {card.expression_unit}."
    ]
    if card.hidden_units is not None:
        told.append(f"- Read-out: one hidden layer of {card.hidden_units} units.")
    return told


def _evidence(card: Card) -> list[str]:
    evidence = card.evidence
    if not evidence.sections:
        return ["How well genes are predicted was not measured."]
    lines = [
        f"Protocol: {evidence.protocol}; {evidence.resolution}. Patients among the held-out tissue "
        f"that the model never saw: {evidence.unseen_patients}.",
        "",
        "| held out | " + " | ".join(evidence.sections) + " |",
        "|---|" + "---|" * len(evidence.sections),
    ]
    values = np.array(
        [[np.nan if v is None else v for v in r] for r in evidence.r.values()], np.float64
    )
    genes = list(evidence.r)
    learnable = np.array([evidence.detected[g] >= card.min_detected for g in genes])
    for name, rows in (("learnable genes", values[learnable]), ("all genes", values)):
        means = [f"{np.nanmean(column):.3f}" for column in rows.T] if len(rows) else []
        if means:
            lines.append(f"| mean r of {len(rows)} {name} | " + " | ".join(means) + " |")
    return lines


def _panel(card: Card) -> list[str]:
    return [
        "## Genes of the marker panel",
        "",
        *_markers(card),
        "",
        f"Cut-offs: {card.cutoffs_source}. Genes seen in under {100 * card.min_detected:g} % of "
        "the training rows are shown as not learnable.",
        "",
    ]


def _markers(card: Card) -> list[str]:
    genes = dict.fromkeys(g for m in markers() for g in m.genes if g in card.genes)
    if not genes:
        return ["None of them was measured in the training tissue."]
    rows = ["| gene | seen in | r on held-out tissue | cut-offs |", "|---|---|---|---|"]
    for gene in genes:
        r = card.evidence.r.get(gene, ())
        points = ", ".join("–" if v is None else f"{v:.2f}" for v in r) or "not measured"
        seen = card.evidence.detected.get(gene, 0.0)
        note = "" if seen >= card.min_detected else " (not learnable)"
        cut = card.cutoffs.get(gene)
        limits = " / ".join(f"{c:.2f}" for c in cut) if cut else "none"
        rows.append(f"| {gene}{note} | {100 * seen:.0f} % | {points} | {limits} |")
    return rows
