"""The file of a fitted network: safetensors with its card in the header.

Nothing in it can run code.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pydantic
import torch
from safetensors import SafetensorError
from safetensors.numpy import load, save

from napari_past.errors import BadModel
from napari_past.files import atomic_write, existing_file
from napari_past.model.strict import first_mistake
from past_training.objectives.contrastive import Temperature
from past_training.slide_level.fitting.card import NetworkCard
from past_training.slide_level.fitting.network import SlideNetwork
from past_training.slide_level.fitting.objectives import Side
from past_training.slide_level.networks.poolings import make_pooling
from past_training.slide_level.networks.slide_module import SlideModule

SUFFIX = ".past-network.safetensors"
_KEY = "past_slide_network"
_AGAIN = "fit it again with `past-train slide fit`"
_LARGEST = 4 << 30


def write_network(network: SlideNetwork, path: Path) -> Path:
    """Write it, whole or not at all; the same network gives the same bytes.

    Raises
    ------
    CannotWrite
    """
    with atomic_write(path) as unfinished:
        unfinished.write_bytes(_content(network))
    return path


def content_sha256(network: SlideNetwork) -> str:
    """SHA-256 of the file that `write_network` makes of it."""
    return hashlib.sha256(_content(network)).hexdigest()


def read_network(path: Path) -> SlideNetwork:
    """The network in a file of `write_network`.

    Raises
    ------
    BadTable
        There is no such file.
    BadModel
        It is no network, is damaged, or its card and weights disagree.
    """
    source = existing_file(path)
    try:
        if source.stat().st_size > _LARGEST:
            raise ValueError("larger than any network")
        content = source.read_bytes()
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        told = json.loads(header["__metadata__"][_KEY])
        card_text, checksum = told["card"], told["checksum"]
        tensors = load(content)
    except (OSError, ValueError, KeyError, TypeError, RecursionError, SafetensorError) as exc:
        raise BadModel(f"{source.name} is no slide network ({exc}); {_AGAIN}.") from exc
    if checksum != _checksum(card_text, tensors):
        raise BadModel(
            f"{source.name} was changed or damaged since it was written (its checksum does not "
            f"fit); {_AGAIN}."
        )
    try:
        card = NetworkCard.model_validate_json(card_text, strict=True)
    except pydantic.ValidationError as exc:
        mistake = first_mistake(exc, "card")
        raise BadModel(f"{source.name} has no valid card at {mistake}; {_AGAIN}.") from exc
    module = _built(card)
    wanted = {key: tuple(value.shape) for key, value in module.state_dict().items()}
    given = {key: value.shape for key, value in tensors.items()}
    if wanted != given or not all(np.isfinite(value).all() for value in tensors.values()):
        raise BadModel(f"{source.name} has weights that do not fit its card; {_AGAIN}.")
    module.load_state_dict({key: torch.from_numpy(value) for key, value in tensors.items()})
    return SlideNetwork(card, module)


def _built(card: NetworkCard) -> SlideModule:
    """A module of the card's shape; its weights are random and torch's generator as before."""
    shape = card.shape
    with torch.random.fork_rng(devices=[]):
        pooling = make_pooling(
            shape.pooling, shape.dim, shape.width, tokens=shape.tokens, draws=shape.draws,
            clusters=shape.clusters,
        )  # fmt: skip
        module = SlideModule(pooling, len(card.output_names), card.dropout)
        for name, dim in shape.sides.items():
            module.sides[name] = Side(dim)
        if shape.sides:
            module.sides["temperature"] = Temperature()
    return module


def _content(network: SlideNetwork) -> bytes:
    tensors = {
        key: value.contiguous().numpy()
        for key, value in sorted(network.module.state_dict().items())
    }
    card_text = network.card.model_dump_json()
    told = {"card": card_text, "checksum": _checksum(card_text, tensors)}
    return save(tensors, {_KEY: json.dumps(told)})


def _checksum(card_text: str, tensors: dict[str, Any]) -> str:
    digest = hashlib.sha256(card_text.encode())
    for key, value in sorted(tensors.items()):
        digest.update(f"{key} {value.dtype} {value.shape}".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()
