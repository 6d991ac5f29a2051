"""PAST's published layout filled with weights that anyone can make again."""

from __future__ import annotations

import argparse
import json
import re
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_past.model import checkpoint
from napari_past.model.card import CellTowerCard, PooledTowerCard
from napari_past.model.checkpoint import IMAGE_TOWER, PROJECTION_DIM
from napari_past.model.state_dict_adapter import model_layout, published_name

NARROW = "vit_tiny_patch16_224"
PLUS_ONE = re.compile(r"norm\d?(s\.\d+)?\.weight$")


@pytest.fixture(scope="session")
def past_facts(data_dir: Path) -> Path:
    """Folder of the published checkpoint's layout and of golden values, beside the data."""
    folder = data_dir.parent / "past"
    if not folder.is_dir():
        pytest.skip(f"no facts of the published checkpoint: {folder} is not a folder")
    return folder


@pytest.fixture(scope="session")
def past_layout(past_facts: Path) -> dict[str, tuple[int, ...]]:
    """Shape of each tensor of the variant with a graph branch, by its published name."""
    layout = json.loads((past_facts / "checkpoint_layout.json").read_text())
    return {name: tuple(shape) for name, shape in layout.items()}


@pytest.fixture(scope="session")
def golden(past_facts: Path) -> dict:
    return json.loads((past_facts / "golden.json").read_text())


def drawn(salt: str, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The weights that the golden values were computed with, for the golden file's salt."""
    if name == "attn_bias":
        return np.array([[0, -1]], np.float32)
    if name == "temperature":
        return np.array(0.07, np.float32)
    rng = np.random.default_rng(zlib.crc32(f"{salt}:{name}".encode()))
    normal = rng.standard_normal(shape)
    normal *= 0.02  # in place, for they are hundreds of millions
    values = normal.astype(np.float32)
    return values + np.float32(1) if PLUS_ONE.search(name) else values


@pytest.fixture(scope="session")
def draw() -> Callable[[str, str, tuple[int, ...]], np.ndarray]:
    return drawn


@pytest.fixture(scope="session")
def save_checkpoint() -> Callable[..., Path]:
    """``save_checkpoint(path, tensors, args=…)``: a file with the published entries."""

    def save(path: Path, tensors: Mapping[str, object], **changes: object) -> Path:
        args = argparse.Namespace(context_length=300, lr=5e-4)
        content = {"model": dict(tensors), "optimizer": {}, "epoch": 19, "scaler": {}, "args": args}
        torch.save(content | changes, path)
        return path

    return save


@pytest.fixture
def narrow_tower(monkeypatch: pytest.MonkeyPatch) -> PooledTowerCard:
    """Checkpoints have an image tower of 5 million weights instead of 300; all else is as
    published."""
    narrow = IMAGE_TOWER.model_copy(update={"backbone": NARROW, "embed_dim": 192})
    monkeypatch.setattr(checkpoint, "IMAGE_TOWER", narrow)
    return narrow


@pytest.fixture
def hollow(narrow_tower: PooledTowerCard) -> Callable[[bool], dict[str, torch.Tensor]]:
    """``hollow(graph)``: tensors of the published names, of a few bytes in all."""

    def tensors(graph: bool) -> dict[str, torch.Tensor]:
        layout = model_layout(narrow_tower, CellTowerCard(graph=graph), PROJECTION_DIM)
        shapes = {published_name(name): shape for name, shape in layout.items()}
        # The published files hold these, too; nothing is computed with them.
        shapes["cell_encoder.encoder_layer.norm1.weight"] = (512,)
        if graph:
            shapes["graph_encoder.distance_transform.0.weight"] = (1, 1)
        return {name: torch.tensor(0.5).expand(shape) for name, shape in shapes.items()}

    return tensors


@pytest.fixture(scope="session")
def models_dir() -> Iterator[Path]:
    """A folder of models of the test run's own; removed at once, for it grows to gigabytes."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAPARI_PAST_MODELS", folder)
        yield Path(folder)


@pytest.fixture(scope="session")
def golden_checkpoint(
    past_layout: Mapping[str, tuple[int, ...]],
    golden: Mapping,
    save_checkpoint: Callable[..., Path],
    models_dir: Path,
) -> Iterator[Path]:
    """The published file as it would be with the golden weights."""
    with tempfile.TemporaryDirectory() as folder:
        tensors = {
            name: torch.from_numpy(drawn(golden["salt"], name, shape))
            for name, shape in past_layout.items()
        }
        for name, first in golden["weight_checks"].items():
            assert np.allclose(tensors[name].flatten()[:3], first, atol=1e-6)
        path = save_checkpoint(Path(folder) / "checkpoint-context300.pth", tensors)
        tensors.clear()
        yield path
