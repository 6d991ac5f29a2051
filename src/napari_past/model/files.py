"""Model files: safetensors weights and a card, in one file or one folder.

Nothing in them can run code: safetensors holds arrays and text, the card is checked JSON.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from napari_past.errors import BadModel
from napari_past.files import atomic_write
from napari_past.model.card import Card, parse_card
from napari_past.model.tensors import Tensors

CARD_KEY = "napari_past_card"
FOLDER_CARD, FOLDER_WEIGHTS = "card.json", "weights.safetensors"
FOLDER_BANK = "bank.h5ad"
"""A reference bank, where the model comes with one."""

MAPPED_BYTES = 64 << 20
"""Tensors of larger files stay on disk until they are used, and processes share them."""
_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U8": "u1", "BOOL": "?",
}  # fmt: skip
_NAMES = {np.dtype(dtype): name for name, dtype in _DTYPES.items()}
_ALIGNED = 64


def read_model_file(path: Path) -> tuple[Card, Tensors, str]:
    """Card, tensors and the SHA-256 over weights and card of a model file or folder.

    Tensors of a file above `MAPPED_BYTES` are mapped from it (`numpy.memmap`): a writer must
    replace it, as ours does, not change it in place.

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
            tensors: Tensors
            if weights.stat().st_size > MAPPED_BYTES:
                tensors = _mapped(weights)
            else:
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, TypeError, KeyError) as exc:
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


def read_card(path: Path) -> Card:
    """The card in a model file; its tensors are not read.

    Raises
    ------
    BadModel
        It is no safetensors file, or has no valid card.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as exc:
        raise BadModel(
            f"{path.name} cannot be read as a model ({exc}); get the file again."
        ) from exc
    return parse_card(metadata.get(CARD_KEY, ""), path.name)


def _mapped(path: Path) -> Tensors:
    """The tensors of a safetensors file whose header was found sound; changes stay in memory."""
    whole = np.memmap(path, np.uint8, mode="c")
    (length,) = struct.unpack("<Q", bytes(whole[:8]))
    header = json.loads(bytes(whole[8 : 8 + length]))
    header.pop("__metadata__", None)
    tensors: Tensors = {}
    for key, entry in header.items():
        first, stop = (8 + length + offset for offset in entry["data_offsets"])
        tensors[key] = whole[first:stop].view(_DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensors


def write_model_file(
    path: Path, card: Card, tensors: Mapping[str, npt.NDArray[np.generic]]
) -> Path:
    """Write card and tensors as one file, whole or not at all; returns `path`.

    Raises
    ------
    CannotWrite
        The folder is missing or read-only, or the disk is full.
    """
    # Wide numbers first, so that each lies on a multiple of its own size.
    keys = sorted(tensors, key=lambda key: (-tensors[key].dtype.itemsize, key))
    layout = {
        key: (tensors[key].shape, _NAMES[tensors[key].dtype.newbyteorder("<")]) for key in keys
    }
    return _written(path, card, layout, (tensors[key] for key in keys))


def write_model_stream(
    path: Path,
    card: Card,
    layout: Mapping[str, tuple[int, ...]],
    tensors: Iterable[npt.NDArray[np.float32]],
) -> Path:
    """`write_model_file` of float32 tensors that come one after the other, as `layout` has them.

    Raises
    ------
    CannotWrite
        The folder is missing or read-only, or the disk is full.
    """
    return _written(path, card, {key: (shape, "F32") for key, shape in layout.items()}, tensors)


def _written(
    path: Path,
    card: Card,
    layout: Mapping[str, tuple[tuple[int, ...], str]],
    tensors: Iterable[npt.NDArray[np.generic]],
) -> Path:
    """A safetensors file, a tensor at a time; safetensors' own writer needs all of it in memory,
    and makes files that nobody else may read."""
    header: dict[str, object] = {"__metadata__": {CARD_KEY: _text(card)}}
    stop = 0
    for key, (shape, name) in layout.items():
        first, stop = stop, stop + np.dtype(_DTYPES[name]).itemsize * math.prod(shape)
        header[key] = {"dtype": name, "shape": list(shape), "data_offsets": [first, stop]}
    with atomic_write(path) as unfinished, unfinished.open("wb") as file:
        file.write(_head(header))
        for (shape, name), values in zip(layout.values(), tensors, strict=True):
            assert values.shape == shape, "not the layout's shape"
            file.write(np.ascontiguousarray(values, _DTYPES[name]).data)
    return path


def copy_with_card(source: Path, path: Path, card: Card) -> Path:
    """Write the weights of a model file, as they are, with another card; returns `path`.

    Nothing but the header is held in memory.

    Raises
    ------
    BadModel
        `source` is no safetensors file, or a folder.
    CannotWrite
        The folder is missing or read-only, or the disk is full.
    """
    if source.is_dir():
        raise BadModel(f"{source.name} is a folder; its {FOLDER_CARD} can be edited instead.")
    read_card(source)
    with source.open("rb") as weights:
        (length,) = struct.unpack("<Q", weights.read(8))
        header = json.loads(weights.read(length))
        header["__metadata__"] = {**header.get("__metadata__", {}), CARD_KEY: _text(card)}
        with atomic_write(path) as unfinished, unfinished.open("wb") as file:
            file.write(_head(header))
            shutil.copyfileobj(weights, file, 1 << 20)
    return path


def _text(card: Card) -> str:
    return json.dumps(card.model_dump(mode="json"), ensure_ascii=False, separators=(",", ":"))


def _head(header: Mapping[str, object]) -> bytes:
    """The beginning of a safetensors file, padded so that the tensors behind it are aligned."""
    content = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    content += b" " * (-(len(content) + 8) % _ALIGNED)
    return struct.pack("<Q", len(content)) + content
