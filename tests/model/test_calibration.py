"""A calibration as a strict value, and in a card."""

from __future__ import annotations

import json
from pathlib import Path

import pydantic
import pytest

from napari_past.errors import BadModel, BadTable
from napari_past.model import load_model
from napari_past.model.calibration import (
    Agreement,
    Calibration,
    PatientResiduals,
    parse_calibration,
)
from napari_past.model.card import parse_card
from napari_past.model.files import copy_with_card, read_card


def calibration(**changes: object) -> Calibration:
    fields = {
        "marker": "ESR1 (ER)",
        "asked": "ER",
        "genes": ("ESR1",),
        "model": "past-mini",
        "model_version": "2",
        "model_sha256": "a" * 64,
        "predicted_unit": "log1p",
        "quantity": "od",
        "level": "regions",
        "knots": ((0.0, 0.1), (1.0, 0.5)),
        "held_out": Agreement(
            patients=2, regions=3, bias=0.0, between_sd=None, within_sd=None, limits=None,
            correlation=0.9, rank_correlation=1.0,
        ),
        "residuals": (
            PatientResiduals(patient="0" * 16, residuals=(0.1, -0.1)),
            PatientResiduals(patient="1" * 16, residuals=(0.0,)),
        ),
        "cell_sd": None,
    }  # fmt: skip
    return Calibration(**{**fields, **changes})


def test_it_reads_back_as_it_was():
    made = calibration(clone="SP1")
    assert parse_calibration(made.model_dump_json(), "c.json") == made


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"knots": ((0.0, 0.1), (0.0, 0.5))}, "do not ascend"),
        ({"knots": ((0.0, 0.5), (1.0, 0.1))}, "do not ascend"),
        ({"residuals": (PatientResiduals(patient="0" * 16, residuals=(0.0,)),) * 2}, "twice"),
        ({"model_sha256": "short"}, "pattern"),
        ({"date": "today"}, "Extra inputs"),
        ({"cell_sd": float("nan")}, "finite"),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    with pytest.raises(pydantic.ValidationError, match=message):
        calibration(**changes)


def test_the_first_wrong_field_is_named():
    told = json.loads(calibration().model_dump_json()) | {"quantity": "brown"}
    with pytest.raises(BadTable, match=r"c\.json is no valid calibration at 'quantity'"):
        parse_calibration(json.dumps(told), "c.json")


def test_a_card_holds_calibrations_of_its_own_model_alone(tmp_path):
    model = load_model("past-mini")
    path = tmp_path / "m.safetensors"
    card = model.card.model_copy(update={"calibrations": (calibration(),)})
    copy_with_card(Path(model.path), path, card)
    assert read_card(path) == card
    told = card.model_dump(mode="json")
    told["calibrations"][0]["model"] = "other"
    with pytest.raises(BadModel, match="calibrations: one is of the model other"):
        parse_card(json.dumps(told), "m")


def test_weights_are_copied_as_they_are(tmp_path):
    model = load_model("past-mini")
    source, path = Path(model.path), tmp_path / "m.safetensors"
    copy_with_card(source, path, model.card)
    ours, theirs = source.read_bytes(), path.read_bytes()
    assert weights_of(ours) == weights_of(theirs)
    assert (len(theirs) - len(weights_of(theirs))) % 64 == 0, "tensors are aligned"


def test_a_card_without_the_field_is_valid():
    told = load_model("past-mini").card.model_dump(mode="json")
    del told["calibrations"]
    assert parse_card(json.dumps(told), "old").calibrations == ()


def weights_of(content: bytes) -> bytes:
    return content[8 + int.from_bytes(content[:8], "little") :]
