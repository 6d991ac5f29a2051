"""``napari-past models``: which models there are, and what one says about itself."""

from __future__ import annotations

import json
from argparse import Namespace

import numpy as np

from napari_past.model import Model, bundled_models, load_model, model_path

SHOWN_GENES = 8


def execute(options: Namespace) -> int:
    """``list`` or ``card``."""
    if options.action == "list":
        for name in bundled_models():
            print("\n".join(_entry(load_model(name))))
        return 0
    model = load_model(options.model)
    if options.json:
        print(json.dumps(model.card.model_dump(mode="json"), indent=2, ensure_ascii=False))
    else:
        print("\n".join(_card(model)))
    return 0


def evidence_line(model: Model) -> str:
    """A model's name and the evidence behind it, one line."""
    evidence = model.card.evidence
    told = (f"{model.name} {model.card.version}", evidence.whose, evidence.resolution, _mean(model))
    return " · ".join(told)


def _mean(model: Model) -> str:
    r = np.array([value for value, _ in _measured(model)])
    if not len(r):
        return "r not measured"
    return f"mean r {r.mean():.2f} (median {np.median(r):.2f}) over {len(r)} genes"


def _measured(model: Model) -> list[tuple[float, str]]:
    """r and gene of the learnable genes that were measured, worst first."""
    rows = [model.reliability(gene) for gene in model.genes]
    return sorted((row.r, row.gene) for row in rows if row.learnable and row.r is not None)


def _entry(model: Model) -> list[str]:
    card = model.card
    return [
        f"{card.name}  version {card.version} · {len(card.genes)} genes",
        f"  trained on  {card.training_data}",
        f"  evidence    {evidence_line(model)}",
        f"  licence     {card.licence}",
        f"  path        {model_path(model.path)}",
    ]


def _card(model: Model) -> list[str]:
    card, evidence = model.card, model.card.evidence
    measured = _measured(model)
    learnable = sum(model.reliability(gene).learnable for gene in model.genes)
    lines = [
        f"{card.name}  version {card.version}",
        f"  {card.summary}",
        "",
        f"  predicts       {len(card.genes)} genes, in {card.expression_unit}",
        f"  made for       {card.species} · {card.organ} · {card.preparation}",
        f"  scanner        {card.scanner}",
        f"  trained on     {card.training_data}",
        f"  reads          {card.encoder.mode}, {card.encoder.mpp:g} µm/px, "
        f"{card.encoder.tower.backbone}, {model.embed_dim} numbers per cell",
        "",
        f"  validated      {evidence.protocol}",
        f"  held out       patients: {evidence.patients}, unseen in training: "
        f"{evidence.unseen_patients}; sections: {len(evidence.sections)}; {evidence.resolution}",
        f"  result         {_mean(model)}",
    ]
    if measured:
        best = ", ".join(f"{g} {r:.2f}" for r, g in reversed(measured[-SHOWN_GENES:]))
        worst = ", ".join(f"{g} {r:.2f}" for r, g in measured[:SHOWN_GENES])
        lines += [f"  best genes     {best}", f"  worst genes    {worst}"]
    lines += [
        f"  not learnable  {len(card.genes) - learnable} genes, seen in under "
        f"{100 * card.min_detected:g} % of the training spots",
        f"  cut-offs       {len(card.cutoffs)} genes, {card.cutoffs_source}",
        "",
        f"  licence        {card.licence}",
        f"  attribution    {card.attribution}",
        f"  sha256         {model.sha256}",
        f"  path           {model.path}",
    ]
    return lines
