"""The page of the bundled model says what its file and its run say."""

from __future__ import annotations

import json
from pathlib import Path

from napari_past.model import load_model
from past_training.report import RunReport, model_page

REPOSITORY = Path(__file__).resolve().parents[2]


def test_documentation_shows_the_bundled_model() -> None:
    run = json.loads((REPOSITORY / "docs" / "past-mini.report.json").read_text())
    report = RunReport(**{k: tuple(v) if isinstance(v, list) else v for k, v in run.items()})
    page = model_page(load_model("past-mini").card, report)
    assert (REPOSITORY / "docs" / "past-mini.md").read_text(encoding="utf-8") == page
