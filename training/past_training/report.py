"""The page that goes with a model: what it is, how it was measured, against what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from napari_past.genes import markers
from napari_past.model import Card
from napari_past.types import RESEARCH_USE


@dataclass(frozen=True)
class RunReport:
    """Figures of a training run, as they are written beside the model."""

    sections: tuple[str, ...]
    """Held-out sections, in order."""
    mean_r: Mapping[str, Sequence[float]]
    """What was compared → mean Pearson r over its genes on each held-out section."""
    penalties: tuple[float, ...]
    """Ridge penalty of each fold's read-out."""
    final_penalty: float
    cells: int
    spots: int

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def model_page(card: Card, report: RunReport) -> str:
    """Markdown for people: the card in words, and the figures of the run."""
    return "\n".join(
        [
            f"# {card.name} (version {card.version})",
            "",
            card.summary,
            "",
            f"**{RESEARCH_USE}**",
            "",
            *_facts(card, report),
            "",
            "## How it was measured",
            "",
            f"Protocol: {card.evidence.protocol}. {card.evidence.resolution}. Patients among the "
            f"held-out tissue that the model never saw: {card.evidence.unseen_patients}. "
            "Gene subsets were chosen on the training sections of each fold. With sections of one "
            "patient there is no interval; the points are shown.",
            "",
            "| mean Pearson r over genes | " + " | ".join(report.sections) + " | mean |",
            "|---|" + "---|" * (len(report.sections) + 1),
            *[
                f"| {name} | " + " | ".join(f"{v:.3f}" for v in values)
                + f" | {float(np.mean(values)):.3f} |"
                for name, values in report.mean_r.items()
            ],
            "",
            "## Genes of the marker panel",
            "",
            "| gene | seen in spots | r on held-out sections | cut-offs |",
            "|---|---|---|---|",
            *_panel(card),
            "",
            f"Cut-offs: {card.cutoffs_source}. Genes seen in under {100 * card.min_detected:g} % "
            "of the training spots are shown as not learnable.",
            "",
            "## Made again by",
            "",
            f"    past-train pretrain --recipe {card.recipe} --data FOLDER --out "
            f"{card.name}.safetensors",
            "",
        ]
    )  # fmt: skip


def _facts(card: Card, report: RunReport) -> list[str]:
    encoder = card.encoder
    learnable = sum(d >= card.min_detected for d in card.evidence.detected.values())
    return [
        f"- Trained on: {card.training_data}; {report.spots} spots, {report.cells} nuclei found in "
        "them.",
        f"- Tissue: {card.species} {card.organ}, {card.preparation}; {card.scanner}.",
        f"- Genes: {len(card.genes)}, of which {learnable} count as learnable. "
        f"Unit: {card.expression_unit}.",
        f"- Encoder: {encoder.mode}, {encoder.tower.backbone}, {encoder.mpp:g} µm/px, stride "
        f"{encoder.stride_px} px, halo {encoder.halo_px} px, {encoder.tower.embed_dim} numbers a "
        "cell.",
        f"- Licence: {card.licence}. {card.attribution}",
    ]


def _panel(card: Card) -> list[str]:
    genes = dict.fromkeys(g for m in markers() for g in m.genes if g in card.genes)
    rows = []
    for gene in genes:
        r = card.evidence.r.get(gene, ())
        points = ", ".join("–" if v is None else f"{v:.2f}" for v in r) or "not measured"
        seen = card.evidence.detected.get(gene, 0.0)
        note = "" if seen >= card.min_detected else " (not learnable)"
        cut = card.cutoffs.get(gene)
        limits = " / ".join(f"{c:.2f}" for c in cut) if cut else "none"
        rows.append(f"| {gene}{note} | {100 * seen:.0f} % | {points} | {limits} |")
    return rows
