from __future__ import annotations

import json

import numpy as np

from napari_past.cli.models import evidence_line
from napari_past.model import load_model


def test_list(command):
    done = command("models", "list")
    assert done.code == 0
    model = load_model()
    for part in (model.name, model.card.licence, model.card.training_data, model.path):
        assert part in done.out
    assert f"{len(model.genes)} genes" in done.out


def test_card(command):
    model = load_model()
    done = command("models", "card", "past-mini")
    assert done.code == 0
    for part in (model.card.evidence.protocol, model.card.attribution, model.card.cutoffs_source):
        assert part in done.out
    detected = model.card.evidence.detected
    poor = sum(detected.get(gene, 0) < model.card.min_detected for gene in model.genes)
    assert f"not learnable  {poor} genes" in done.out


def test_card_as_json_is_the_whole_card(command):
    model = load_model()
    text = command("models", "card", model.path, "--json").out
    assert json.loads(text) == json.loads(model.card.model_dump_json())


def test_evidence_line_tells_the_mean_over_measured_genes():
    model = load_model()
    values = [
        np.mean([v for v in r if v is not None])
        for gene, r in model.card.evidence.r.items()
        if model.reliability(gene).learnable and any(v is not None for v in r)
    ]
    expected = f"mean r {np.mean(values):.2f}" if values else "r not measured"
    assert expected in evidence_line(model)
