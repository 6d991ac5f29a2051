"""Model files: safetensors weights and a card, in one file or one folder.

Nothing in them can run code: safetensors holds arrays and text, the card is checked JSON.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from napari_past.errors import BadModel
from napari_past.files import atomic_write
from napari_past.model.card import Card, parse_card

CARD_KEY = "napari_past_card"
FOLDER_CARD, FOLDER_WEIGHTS = "card.json", "weights.safetensors"

Tensors = dict[str, npt.NDArray[np.generic]]


def read_model_file(path: Path) -> tuple[Card, Tensors, str]:
    """Card, tensors and the SHA-256 over weights and card of a model file or folder.

    Raises
    ------
    BadModel
        It is no safetensors file, is damaged, or has no valid card.
    """
    weights = path / FOLDER_WEIGHTS if path.is_dir() else path
    if not weights.is_file():
        raise BadModel(
            f"{path.name} holds no {FOLDER_WEIGHTS}; a model is a .safetensors file with its card "
            f"inside, or a folder with {FOLDER_CARD} and {FOLDER_WEIGHTS}."
        )
    try:
        with safe_open(weights, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors: Tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, TypeError) as exc:
        raise BadModel(
            f"{path.name} cannot be read as a model ({exc}); a model is a .safetensors file with "
            f"its card inside: check the download, or choose another file."
        ) from exc
    with weights.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256")
    card_file = path / FOLDER_CARD
    if path.is_dir() and card_file.is_file():
        try:
            text = card_file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as exc:
            raise BadModel(
                f"{FOLDER_CARD} of {path.name} cannot be read as text ({exc}); get it again."
            ) from exc
        digest.update(text.encode())
    elif CARD_KEY in metadata:
        text = metadata[CARD_KEY]
    else:
        raise BadModel(
            f"{path.name} has no card, so its genes, µm/px and evidence are unknown; ask its "
            f"author for a model file exported by past-train."
        )
    return parse_card(text, path.name), tensors, digest.hexdigest()


def write_model_file(
    path: Path, card: Card, tensors: Mapping[str, npt.NDArray[np.generic]]
) -> Path:
    """Write card and tensors as one file, whole or not at all; returns `path`.

    Raises
    ------
    CannotWrite
        The folder is missing or read-only, or the disk is full.
    """
    text = json.dumps(card.model_dump(mode="json"), ensure_ascii=False, separators=(",", ":"))
    ordered = {key: np.ascontiguousarray(tensors[key]) for key in sorted(tensors)}
    # Not safetensors' own writer: it makes files that nobody else may read.
    content = save(ordered, metadata={CARD_KEY: text})
    with atomic_write(path) as unfinished:
        unfinished.write_bytes(content)
    return path
