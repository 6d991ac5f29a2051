"""The page of the bundled model says what its file says."""

from __future__ import annotations

from pathlib import Path

from napari_past.model import load_model
from past_training.release.page import model_page

REPOSITORY = Path(__file__).resolve().parents[3]


def test_documentation_shows_the_bundled_model() -> None:
    page = (REPOSITORY / "docs" / "past-mini.md").read_text(encoding="utf-8")
    assert page == model_page(load_model("past-mini").card)
