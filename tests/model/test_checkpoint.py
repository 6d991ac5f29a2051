"""What is no published checkpoint is refused by name, and nothing in it is run."""

from __future__ import annotations

import argparse
import hashlib
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_past.errors import BadModel, CannotWrite, PastError
from napari_past.model import load_model
from napari_past.model.card import CellTowerCard
from napari_past.model.checkpoint import convert_checkpoint
from napari_past.model.files import read_card
from napari_past.model.state_dict_adapter import GRAPH_ALONE

NORM, QUERIES = "image_encoder.model.norm.weight", "cell_encoder.encoder.layers.3.self_attn"


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


pytestmark = pytest.mark.usefixtures("narrow_tower")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder of models."""
    folder = tmp_path / "models"
    monkeypatch.setenv("NAPARI_PAST_MODELS", str(folder))
    return folder


def refused(path: Path, folder: Path) -> str:
    with pytest.raises(BadModel) as told:
        load_model(path, "cpu")
    assert "\n" not in str(told.value)
    assert path.name in str(told.value)
    assert not folder.exists() or not list(folder.iterdir())
    return str(told.value)


both_variants = pytest.mark.parametrize("graph", [True, False], ids=["graph", "no graph"])


@both_variants
def test_one_tensor_missing(tmp_path, folder, hollow, save_checkpoint, graph):
    tensors = hollow(graph)
    del tensors[f"{QUERIES}.in_proj_bias"]
    told = refused(save_checkpoint(tmp_path / "c.pth", tensors), folder)
    assert f"1 missing ({QUERIES}.in_proj_bias);" in told


@both_variants
def test_one_tensor_too_many(tmp_path, folder, hollow, save_checkpoint, graph):
    tensors = hollow(graph) | {"readout.weight": torch.zeros(3)}
    told = refused(save_checkpoint(tmp_path / "c.pth", tensors), folder)
    assert "1 unexpected (readout.weight);" in told


@both_variants
def test_one_tensor_of_another_shape(tmp_path, folder, hollow, save_checkpoint, graph):
    tensors = hollow(graph) | {NORM: torch.zeros(768)}
    told = refused(save_checkpoint(tmp_path / "c.pth", tensors), folder)
    assert f"1 of another shape ({NORM} (768,) instead of (192,))" in told


@both_variants
def test_all_that_differs_is_counted(tmp_path, folder, hollow, save_checkpoint, graph):
    tensors = {k: v for k, v in hollow(graph).items() if ".blocks.7." not in k}
    tensors |= {f"image_encoder.model.blocks.24.{i}": torch.zeros(1) for i in range(9)}
    told = refused(save_checkpoint(tmp_path / "c.pth", tensors), folder)
    assert "14 missing (image_encoder.model.blocks.7." in told
    assert "and 11 more" in told
    assert "9 unexpected" in told


def test_malicious_pickle(tmp_path, folder, hollow, save_checkpoint):
    ran = tmp_path / "ran"
    for place in ({"args": Bomb(ran)}, {"model": hollow(False) | {NORM: Bomb(ran)}}):
        path = save_checkpoint(tmp_path / "c.pth", hollow(False), **place)
        told = refused(path, folder)
        assert "asks to run" in told
        assert "mkdir" in told
    path.write_bytes(pickle.dumps({"model": Bomb(ran)}))
    assert "cannot be read as a model" in refused(path, folder)
    torch.save({"model": Bomb(ran)}, path, _use_new_zipfile_serialization=False)
    assert "cannot be read as a model" in refused(path, folder)
    assert not ran.exists()


def test_no_other_class_is_made(tmp_path, folder, hollow, save_checkpoint):
    args = argparse.Namespace(folder=Path("/tmp"))
    told = refused(save_checkpoint(tmp_path / "c.pth", hollow(False), args=args), folder)
    assert "pathlib" in told


def test_pickle_that_is_damaged_where_it_makes_what_is_allowed(tmp_path, folder):
    """`argparse.Namespace` may be made, but not of a text."""
    path = tmp_path / "c.pth"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("c/data.pkl", b"\x80\x02cargparse\nNamespace\nX\x01\x00\x00\x00x\x85R.")
        file.writestr("c/version", "3\n")
        file.writestr("c/byteorder", "little")
    refused(path, folder)


def test_half_a_graph_branch(tmp_path, folder, hollow, save_checkpoint):
    tensors = hollow(True)
    for name in [k for k in tensors if k.startswith("fusion_norm")]:
        del tensors[name]
    told = refused(save_checkpoint(tmp_path / "c.pth", tensors), folder)
    assert "2 missing (fusion_norm.weight, fusion_norm.bias)" in told
    assert "no variant without one" in told


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"state_dict": {}, "epoch": 3}, "holds no entry 'model' .* but state_dict, epoch"),
        ([1, 2], "holds no entry 'model'"),
        ({"model": {NORM: 3}}, rf"{NORM} in c\.pth is no tensor"),
    ],
)
def test_another_kind_of_file(tmp_path, folder, content, message):
    torch.save(content, tmp_path / "c.pth")
    with pytest.raises(BadModel, match=message):
        load_model(tmp_path / "c.pth")


@pytest.mark.parametrize("share", [0.05, 0.5, 0.99])
def test_truncated_download(tmp_path, folder, hollow, save_checkpoint, share):
    path = save_checkpoint(tmp_path / "c.pth", hollow(True))
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert "cannot be read as a checkpoint" in refused(path, folder)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (torch.full((192,), float("nan")), "holds infinities or NaN"),
        (torch.zeros(192, dtype=torch.int64), "holds torch.int64 where"),
    ],
    ids=["NaN", "integers"],
)
def test_values_that_are_no_weights(tmp_path, folder, hollow, save_checkpoint, values, message):
    path = save_checkpoint(tmp_path / "c.pth", hollow(False) | {NORM: values})
    assert message in refused(path, folder)


def test_folder_that_cannot_be_made(tmp_path, monkeypatch, hollow, save_checkpoint):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NAPARI_PAST_MODELS", str(tmp_path / "file" / "models"))
    with pytest.raises(CannotWrite, match="NAPARI_PAST_MODELS"):
        load_model(save_checkpoint(tmp_path / "c.pth", hollow(False)))


def test_variant_without_a_graph_branch_and_its_pixel_size(
    tmp_path, folder, hollow, save_checkpoint
):
    tensors = hollow(False)
    assert not any(name.startswith(GRAPH_ALONE) for name in tensors)
    path = save_checkpoint(tmp_path / "c.pth", tensors)
    made = convert_checkpoint(path, mpp=0.25)
    try:
        card = read_card(made)
        assert card.encoder.mpp == 0.25
        assert "0.25 was given" in card.summary
        assert card.cell_tower == CellTowerCard(graph=False)
        stamp = made.stat().st_mtime_ns
        model = load_model(path, "cpu")
        assert Path(model.path) == made.resolve()
        assert made.stat().st_mtime_ns == stamp
        assert convert_checkpoint(path, mpp=0.25).stat().st_mtime_ns == stamp
        # In the file's pages, not in memory of our own.
        assert isinstance(model.tower_state["backbone.norm.weight"], np.memmap)
        with pytest.raises(PastError, match="no graph branch"):
            model.encode_tokens(np.full((1, 300), 40), np.full((1, 8, 300), 40))
        with pytest.raises(PastError, match="between 0"):
            convert_checkpoint(path, mpp=25)
    finally:
        made.unlink()


def test_made_once_and_named_by_its_content(tmp_path, folder, hollow, save_checkpoint):
    path = save_checkpoint(tmp_path / "c.pth", hollow(True))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    past = load_model(path, "cpu")
    made = folder / f"past-{digest[:12]}.safetensors"
    assert past.path == str(made.resolve())
    stamp = made.stat().st_mtime_ns
    link = tmp_path / "renamed.pth"
    link.symlink_to(path)
    assert load_model(link, "cpu").path == past.path
    assert made.stat().st_mtime_ns == stamp
    assert load_model("past", "cpu") is past
    assert load_model(f"past-{digest[:12]}", "cpu") is past
