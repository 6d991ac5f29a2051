"""The page of the bundled model says what its file says."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_past.model import load_model
from past_training.release.page import model_page

REPOSITORY = Path(__file__).resolve().parents[3]


def test_documentation_shows_the_bundled_model() -> None:
    page = (REPOSITORY / "docs" / "past-mini.md").read_text(encoding="utf-8")
    assert page == model_page(load_model("past-mini").card)


@pytest.mark.parametrize(
    ("unstated", "line"),
    [
        ((), "- Tissue: human breast, FFPE, H&E; none."),
        (("preparation", "scanner"), "- Tissue: human breast. Not stated: preparation, scanner."),
        (("species", "preparation"), "- Tissue: breast; none. Not stated: species, preparation."),
        (("organ",), "- Tissue: human, FFPE, H&E; none. Not stated: organ."),
        (
            ("species", "organ", "preparation", "scanner"),
            "- Tissue: not stated.",
        ),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_what_is_not_stated_of_the_tissue_stands_apart(tiny_card, unstated, line):
    page = model_page(tiny_card(**dict.fromkeys(unstated, "not stated")))
    assert line in page.splitlines()
