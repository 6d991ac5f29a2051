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
    values = (0.02 * rng.standard_normal(shape)).astype(np.float32)
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
