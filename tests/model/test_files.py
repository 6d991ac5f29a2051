"""Every kind of damage to a model file is told as one sentence that names the first difference."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from safetensors.numpy import save_file

from napari_past.errors import BadModel, UnknownModel
from napari_past.model import bundled_models, load_model, read_model_file
from napari_past.model.files import CARD_KEY

NO_TOWER = {"backbone": "nonet", "stages": [0], "embed_dim": 16}
ZERO_CROP = np.zeros((1, 64, 64, 3), np.uint8)


def card_fields(card):
    return card().model_dump(mode="json")


def write_fields(path, fields, tensors):
    """A model file with a card as it comes, checked by nobody."""
    text = fields if isinstance(fields, str) else json.dumps(fields)
    save_file(dict(tensors), path, metadata={CARD_KEY: text})
    return path


def test_bundled_models_load_by_name():
    assert "past-mini" in bundled_models()
    model = load_model("past-mini")
    assert model.name == "past-mini"
    assert len(model.genes) == len(model.card.genes) > 500
    assert load_model("past-mini") is model


def test_round_trip(tiny_model_file, tiny_card, tiny_tensors):
    card, tensors, sha256 = read_model_file(tiny_model_file)
    assert card == tiny_card()
    assert len(sha256) == 64
    np.testing.assert_array_equal(tensors["readout.weight"], tiny_tensors["readout.weight"])


def test_folder_with_the_card_beside_the_weights(tmp_path, tiny_card, tiny_tensors):
    save_file({k: np.ascontiguousarray(v) for k, v in tiny_tensors.items()},
              tmp_path / "weights.safetensors")  # fmt: skip
    with pytest.raises(BadModel, match="has no card"):
        load_model(tmp_path)
    fields = card_fields(tiny_card)
    (tmp_path / "card.json").write_text(json.dumps(fields))
    first = load_model(tmp_path)
    assert first.encode_image(ZERO_CROP).shape == (1, 16)
    (tmp_path / "card.json").write_text(json.dumps(fields | {"version": "2nd"}))
    second = load_model(tmp_path)
    assert (first.card.version, second.card.version) == ("1", "2nd")
    assert first.sha256 != second.sha256
    (tmp_path / "card.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadModel, match=r"card\.json"):
        load_model(tmp_path)
    (tmp_path / "weights.safetensors").unlink()
    with pytest.raises(BadModel, match=r"holds no weights\.safetensors"):
        load_model(tmp_path)


def test_no_such_model(tmp_path):
    with pytest.raises(UnknownModel, match="past-mini"):
        load_model("past-maxi")
    with pytest.raises(UnknownModel, match="path of a model file"):
        load_model(tmp_path / "none.safetensors")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9, 0.9999])
def test_truncated_file(tmp_path, tiny_model_file, share):
    content = tiny_model_file.read_bytes()
    path = tmp_path / "cut.safetensors"
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(BadModel, match="cannot be read as a model"):
        load_model(path)


def test_code_is_never_run(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    path = tmp_path / "model.pt"
    path.write_bytes(pickle.dumps({"state_dict": Bomb()}))
    with pytest.raises(BadModel, match="cannot be read as a model"):
        load_model(path)
    assert not (tmp_path / "ran").exists()


def test_file_without_a_card(tmp_path, tiny_tensors):
    save_file(dict(tiny_tensors), tmp_path / "m.safetensors")
    with pytest.raises(BadModel, match="has no card"):
        load_model(tmp_path / "m.safetensors")


def nested(**encoder):
    return lambda f: f | {"encoder": f["encoder"] | encoder}


def backbone(name):
    return lambda f: nested(tower=f["encoder"]["tower"] | {"backbone": name})(f)


def evidence(**changes):
    return lambda f: f | {"evidence": f["evidence"] | changes}


BAD_CARDS = {
    "no JSON": (lambda f: "{", "card"),
    "a list": (lambda f: "[]", "card"),
    "field missing": (lambda f: {k: v for k, v in f.items() if k != "organ"}, "organ"),
    "field unknown": (lambda f: f | {"colour": "red"}, "colour"),
    "newer schema": (lambda f: f | {"schema_version": 2}, "schema_version"),
    "number as text": (nested(mpp="0.5"), "encoder.mpp"),
    "mode": (nested(mode="both"), "encoder.mode"),
    "NaN": (nested(mpp=float("nan")), "encoder.mpp"),
    "stride": (nested(stride_px=32), "encoder.stride_px"),
    "stride no power of two": (nested(stride_px=12), "power of two"),
    "halo off the stride": (nested(halo_px=65), "halo_px 65"),
    "crop with a stride": (nested(mode="crop"), "stride_px of a crop encoder is 1"),
    "crop beyond the halo": (nested(mode="crop", stride_px=1, crop_px=200), "half of crop_px"),
    "std": (nested(std=[0.2, 0.0, 0.2]), "std must be positive"),
    "no genes": (lambda f: f | {"genes": []}, "genes"),
    "gene twice": (lambda f: f | {"genes": [*f["genes"][:-1], "ERBB2"]}, "listed twice"),
    "evidence of another gene": (evidence(r={"TP53": [0.1, 0.2]}), "TP53 is not among"),
    "evidence of other sections": (evidence(r={"ERBB2": [0.1]}), "ERBB2 has 1 values"),
    "impossible r": (evidence(r={"ERBB2": [0.1, 1.2]}), r"evidence\.r\.ERBB2"),
    "detection untold": (evidence(detected={"ERBB2": 0.5}), r"evidence\.detected: CD3D is missing"),
    "more unseen than all": (evidence(unseen_patients=2), "unseen"),
    "cut-offs descend": (lambda f: f | {"cutoffs": {"ERBB2": [3, 2, 1]}}, "do not ascend"),
    "cut-offs of another gene": (lambda f: f | {"cutoffs": {"TP53": [1, 2, 3]}}, "TP53"),
    "limit": (lambda f: f | {"unlike_training_limit": 0}, "unlike_training_limit"),
    "halo of gigabytes": (nested(halo_px=2**20), "encoder.halo_px"),
    "crop of gigabytes": (nested(crop_px=10**5), "encoder.crop_px"),
    "backbone from the hub": (backbone("hf-hub:timm/resnet18"), "backbone"),
    "backbone from a folder": (backbone("local-dir:/tmp"), "backbone"),
}


@pytest.mark.parametrize("case", BAD_CARDS)
def test_card_that_does_not_hold(tmp_path, tiny_card, tiny_tensors, case):
    change, message = BAD_CARDS[case]
    path = tmp_path / "m.safetensors"
    write_fields(path, change(card_fields(tiny_card)), tiny_tensors)
    with pytest.raises(BadModel, match=message) as told:
        load_model(path)
    assert "m.safetensors" in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"readout.weight": None}, r"lacks the tensor readout\.weight"),
        ({"statistics.whitening": None}, r"lacks the tensor statistics\.whitening"),
        ({"readout.weight": np.zeros((5, 16), np.float32)}, r"\(5, 16\) .* 6 x 16"),
        ({"readout.bias": np.zeros((6, 1), np.float32)}, r"readout\.bias"),
        ({"statistics.mean": np.zeros(8, np.float32)}, r"\(8,\) .* 16"),
        ({"statistics.whitening": np.zeros((), np.float32)}, r"16 x any"),
        ({"readout.extra": np.zeros(1, np.float32)}, r"unexpected tensor readout\.extra"),
        ({"readout.bias": np.full(6, np.nan, np.float32)}, r"readout\.bias .* finite"),
        ({"readout.weight": np.zeros((6, 16), np.int8)}, r"readout\.weight .* floating"),
        ({"tower.head.1.bias": np.full(16, np.inf, np.float32)}, r"tower\.head\.1\.bias .* finite"),
    ],
)
def test_tensors_that_do_not_fit_the_card(tmp_path, write_tiny_model, tensors, message):
    path = write_tiny_model(tmp_path / "m.safetensors", tensors)
    with pytest.raises(BadModel, match=message):
        load_model(path)


@pytest.mark.parametrize(
    ("tensors", "changes", "message"),
    [
        ({"tower.head.1.bias": None}, {}, r"lacks the tensor tower\.head\.1\.bias"),
        ({"tower.head.9.bias": np.zeros(1, np.float32)}, {}, r"unexpected tensor tower\.head\.9"),
        (
            {"tower.head.1.bias": np.zeros(3, np.float32)},
            {},
            r"does not fit .*head\.1\.bias",
        ),
        ({}, {"encoder": {"tower": NO_TOWER}}, "nonet"),
        ({}, {"encoder": {"stride_px": 2}}, r"strides \(2, 4\) but its card says 2"),
    ],
    ids=["missing", "unexpected", "shape", "backbone", "stride"],
)
def test_tower_that_does_not_fit_the_card(tmp_path, write_tiny_model, tensors, changes, message):
    model = load_model(write_tiny_model(tmp_path / "m.safetensors", tensors, **changes), "cpu")
    with pytest.raises(BadModel, match=message) as told:
        model.encode_image(ZERO_CROP)
    assert "\n" not in str(told.value)


def test_changed_file_is_loaded_anew(tmp_path, write_tiny_model):
    path = tmp_path / "m.safetensors"
    before = load_model(write_tiny_model(path))
    after = load_model(write_tiny_model(path, version="1.0.1"))
    assert after.card.version == "1.0.1"
    assert before.sha256 != after.sha256
