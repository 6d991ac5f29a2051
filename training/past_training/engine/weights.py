"""Weights of a run in a file that cannot run code."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from napari_past.errors import BadModel
from napari_past.files import atomic_write
from past_training.engine.checkpoint import Facts

ABOUT = "past_training"


def save_weights(path: Path, model: nn.Module, facts: Facts) -> None:
    """Write the weights of `model` and what run they are of, whole or not at all.

    Raises
    ------
    CannotWrite
        The folder is missing or the disk is full.
    """
    state = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    # Not safetensors' own writer: it makes files that nobody else may read.
    content = save(state, metadata={ABOUT: json.dumps(dict(facts))})
    with atomic_write(path) as unfinished:
        unfinished.write_bytes(content)


def read_weights(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str | int | float | bool]]:
    """Weights by name, and the facts of their run.

    Raises
    ------
    BadModel
        It is no such file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as exc:
        raise BadModel(
            f"{path} cannot be read as weights ({exc}); give the best.safetensors or "
            f"last.safetensors of a run."
        ) from exc
    if ABOUT not in metadata:
        raise BadModel(f"{path} was not written by a run of past_training; give one that was.")
    return state, json.loads(metadata[ABOUT])
