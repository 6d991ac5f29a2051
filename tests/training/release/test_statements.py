"""What a card states: the records' words, above them the user's, below them the base model's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.sparse import csr_array

from napari_past import load_model
from napari_past.errors import PastError
from napari_past.spatial.section import MeasuredSection
from past_training.dataset.prepare import prepare
from past_training.dataset.read import PairedDataset
from past_training.dataset.schema import PrepareConfig
from past_training.release.statements import statements_of


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> PairedDataset:
    """Sections of two organs, one of them without a word on its species."""
    folder = tmp_path_factory.mktemp("statements")
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (60, 60, 3), np.uint8)).save(folder / "s.png")

    def section(name: str, patient: str, species: str, tissue: str) -> MeasuredSection:
        return MeasuredSection(
            name=name, patient=patient, species=species, tissue=tissue, technology="Xenium",
            image=folder / "s.png", mpp=0.5, ids=("a", "b", "c"),
            centers_um=rng.uniform(8, 22, (3, 2)), counts=csr_array(np.ones((3, 1), np.float32)),
            genes=("ACTB",), spot_diameter_um=None,
        )  # fmt: skip

    made = [section("S1", "P", "human", "lung"), section("S2", "Q", "", "breast")]
    return prepare(made, folder / "lab.past", PrepareConfig(patch_px=16))


def test_the_records_speak_first(dataset):
    said = statements_of(dataset, "mine", "Short.", None)
    assert (said.name, said.summary) == ("mine", "Short.")
    assert (said.species, said.organ) == ("human", "lung, breast")
    assert said.training_data == "lab (Xenium; patients P, Q; sections S1, S2)"
    assert said.licence == said.attribution == said.preparation == said.scanner == "not stated"


def test_the_base_model_is_not_forgotten(dataset):
    base = load_model("past-mini").card
    said = statements_of(dataset, "mine", "Short.", None, base)
    assert said.training_data == (
        f"{base.training_data}; then lab (Xenium; patients P, Q; sections S1, S2)"
    )
    assert said.attribution == base.attribution
    assert said.licence == f"not stated; that of past-mini: {base.licence}"


def test_tissue_is_listed_once_however_often_it_was_fitted_to(dataset):
    base = load_model("past-mini").card
    once = statements_of(dataset, "mine", "Short.", None, base)
    start = base.model_copy(update={"training_data": once.training_data})
    assert statements_of(dataset, "mine", "Short.", None, start).training_data == once.training_data


def test_a_technology_that_nobody_stated_is_not_called_other(dataset):
    records = tuple(r.model_copy(update={"technology": "other"}) for r in dataset.sections)
    said = statements_of(replace(dataset, sections=records), "mine", "Short.", None)
    assert said.training_data == "lab (patients P, Q; sections S1, S2)"


def test_the_user_has_the_last_word(dataset, tmp_path):
    card = tmp_path / "card.toml"
    card.write_text('licence = "CC BY 4.0"\norgan = "lung"\nmin_detected = 0.1\n', encoding="utf-8")
    said = statements_of(dataset, "mine", "Short.", card, load_model("past-mini").card)
    assert (said.licence, said.organ, said.min_detected) == ("CC BY 4.0", "lung", 0.1)
    assert said.species == "human"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read as TOML"),
        (b"licence = CC BY", "cannot be read as TOML"),
        (b"licence = \xff", "cannot be read as TOML"),
        (b'colour = "red"', "colour"),
        (b"min_detected = 2", "min_detected"),
        (b"cutoff_quantiles = [0.5, 0.4, 0.9]", "cutoff_quantiles ascend"),
        (b"licence = 3", "licence"),
    ],
    ids=["missing", "no TOML", "no UTF-8", "unknown", "share", "order", "type"],
)
def test_mistakes_name_the_file_and_the_field(dataset, tmp_path: Path, text, message):
    card = tmp_path / "card.toml"
    if text is not None:
        card.write_bytes(text)
    with pytest.raises(PastError, match=message) as told:
        statements_of(dataset, "mine", "Short.", card)
    assert str(told.value).startswith(f"--card {card}")
    assert "\n" not in str(told.value)
