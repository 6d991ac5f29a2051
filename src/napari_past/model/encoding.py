"""A model's networks in torch: built, filled, and run in batches that fit the memory.

Shapes: B images, H x W pixels, C = 3 channels, N cells, P token positions, K neighbours.
Imported by the first call that encodes, since torch takes seconds to load.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from itertools import chain
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from napari_past.errors import BadModel, PastError, WorkerFailed
from napari_past.model.card import Card, EncoderCard, PooledTowerCard, TowerCard
from napari_past.model.past_network import CellEncoder
from napari_past.model.pooled import PooledTower, pooled_tower
from napari_past.model.tensors import CELL, TOWER, Tensors, check_finite, part_of
from napari_past.model.tower import DenseTower
from napari_past.types import Rgb

_Network = TypeVar("_Network", bound=nn.Module)
# timm has no error of its own: each backbone refuses what it cannot be in its own way.
_CANNOT_BUILD = (RuntimeError, ValueError, IndexError, AssertionError, TypeError)


def device_of(name: str) -> torch.device:
    """The device that "auto", "cpu" or "cuda" means.

    Raises
    ------
    PastError
        "cuda" where there is none.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise PastError("No CUDA GPU was found; use --device cpu (or auto).")
    return torch.device(name)


def fresh_tower(card: TowerCard | PooledTowerCard) -> DenseTower | PooledTower:
    """The image tower that a card describes, its weights as they are before training."""
    return pooled_tower(card) if isinstance(card, PooledTowerCard) else DenseTower(card)


def image_tower(card: Card, tensors: Tensors, device: str) -> nn.Module:
    """The image tower of a model, on a device.

    Raises
    ------
    BadModel
        timm has no such backbone, or the tensors do not fit it.
    PastError
        No such device.
    """
    encoder = card.encoder
    what = f"the backbone {encoder.tower.backbone!r}"
    if isinstance(encoder.tower, TowerCard):
        what += f" with stages {encoder.tower.stages}"

    def build() -> DenseTower | PooledTower:
        try:
            return fresh_tower(encoder.tower)
        except _CANNOT_BUILD as exc:
            raise BadModel(
                f"Model {card.name} asks for {what}, which timm {version('timm')} does not have "
                f"({exc}); update timm or choose another model."
            ) from exc

    tower = _filled(build, card.name, TOWER, part_of(tensors, TOWER))
    strides = tower.strides if isinstance(tower, DenseTower) else ()
    if encoder.mode == "dense" and any(encoder.stride_px % stride for stride in strides):
        raise BadModel(
            f"The tower of model {card.name} has strides {strides} but its card says "
            f"{encoder.stride_px}; get the file again."
        )
    return tower.to(device_of(device)).to(memory_format=torch.channels_last).eval()


def cell_encoder(card: Card, tensors: Tensors, device: str) -> CellEncoder:
    """The cell side of a model whose card has one, on a device.

    Raises
    ------
    BadModel
        The tensors do not fit the card.
    PastError
        No such device.
    """
    cell_card, dim = card.cell_tower, card.projection_dim
    assert cell_card is not None, "no cell tower in the card"
    assert dim is not None, "a cell tower without a projection"
    encoder = _filled(lambda: CellEncoder(cell_card, dim), card.name, CELL, part_of(tensors, CELL))
    return encoder.to(device_of(device)).eval()


def encoded_images(
    tower: nn.Module, encoder: EncoderCard, images: Rgb, where_N3: npt.NDArray[np.float64]
) -> npt.NDArray[np.float32]:
    """The tower's output (N, D) for cells at `where_N3` = (image, y px, x px)."""
    device = next(tower.parameters()).device
    # A dense tower stays in single precision: its cells must not depend on their tile.
    mixed = encoder.mode == "crop" and device.type == "cuda"
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=mixed):
        pixels = torch.from_numpy(np.ascontiguousarray(images)).to(device)
        x = pixels.permute(0, 3, 1, 2).float()
        mean = torch.tensor(encoder.mean, device=device).view(1, 3, 1, 1) * 255
        std = torch.tensor(encoder.std, device=device).view(1, 3, 1, 1) * 255
        x = ((x - mean) / std).contiguous(memory_format=torch.channels_last)
        result = tower(x, torch.from_numpy(where_N3).to(device))
    return np.asarray(result.float().cpu().numpy())


def encoded_tokens(
    encoder: CellEncoder,
    ids_NP: npt.NDArray[np.integer],
    neighbours_NKP: npt.NDArray[np.integer] | None,
) -> npt.NDArray[np.float32]:
    """Embeddings (N, E), L2-normalised."""
    device = next(encoder.parameters()).device
    mixed = device.type == "cuda"
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=mixed):
        ids = torch.from_numpy(ids_NP.astype(np.int64)).to(device)
        nodes = None
        if neighbours_NKP is not None:
            nodes = torch.from_numpy(neighbours_NKP.astype(np.int64)).to(device)
        result: Tensor = encoder(ids, nodes)
    return np.asarray(result.float().cpu().numpy())


class Batches:
    """How much goes through a network at once: halved, for good, where memory runs out."""

    def __init__(self, size: int) -> None:
        self.size = size

    def run(
        self, n: int, encode: Callable[[slice], npt.NDArray[np.float32]]
    ) -> list[npt.NDArray[np.float32]]:
        """What `encode` gives of slices that follow each other from 0 to `n`.

        Raises
        ------
        WorkerFailed
            There is not enough memory for a single one.
        """
        parts = []
        start = 0
        while start < n:
            try:
                with out_of_memory_told():
                    parts.append(encode(slice(start, min(start + self.size, n))))
            except WorkerFailed:
                if self.size == 1:
                    raise
                self.size = min(self.size, n - start) // 2 or 1
                continue
            start += self.size
        return parts


@contextmanager
def out_of_memory_told() -> Iterator[None]:
    """Turns torch's out-of-memory errors into our sentence."""
    try:
        yield
    except (RuntimeError, MemoryError) as exc:
        # Without memory on the CPU torch raises no class of its own.
        on_cpu = isinstance(exc, RuntimeError) and "allocate memory" in str(exc)
        if not on_cpu and not isinstance(exc, torch.cuda.OutOfMemoryError | MemoryError):
            raise
        raise WorkerFailed(
            "There was not enough memory to encode a tile; close other programs, or run on the "
            "CPU with --device cpu. Finished tiles are kept."
        ) from exc


def _filled(build: Callable[[], _Network], name: str, prefix: str, tensors: Tensors) -> _Network:
    """A network with these weights; those that lie in a file are not copied."""
    for key, values in tensors.items():
        if isinstance(values, np.memmap):
            check_finite(name, prefix + key, values)
    state = {key: _as_tensor(values) for key, values in tensors.items()}
    with torch.device("meta"):
        network = build()
    _load(network, name, prefix, state)
    if any(part.is_meta for part in chain(network.parameters(), network.buffers())):
        # It makes a part of itself when it is built, which no file holds.
        network = build()
        _load(network, name, prefix, state)
    return network


def _as_tensor(values: npt.NDArray[np.generic]) -> Tensor:
    mapped = isinstance(values, np.memmap)
    tensor = torch.from_numpy(values) if mapped else torch.tensor(values)
    return tensor.float() if tensor.is_floating_point() else tensor


def first_misfit(exc: RuntimeError) -> str:
    """The first difference that torch found between weights and a network."""
    # Its first line names the class, its second the first difference.
    first = str(exc).partition("\n")[2].strip().partition("\n")[0] or str(exc)
    return first.rstrip(". ")


def _load(network: nn.Module, name: str, prefix: str, state: dict[str, Tensor]) -> None:
    side = prefix.rstrip(".")
    try:
        missing, unexpected = network.load_state_dict(state, strict=False, assign=True)
    except RuntimeError as exc:
        raise BadModel(
            f"The {side} of model {name} does not fit its card ({first_misfit(exc)}); get the file "
            f"again."
        ) from exc
    if missing or unexpected:
        first = (missing or unexpected)[0]
        word = "lacks the" if missing else "has the unexpected"
        raise BadModel(f"Model {name} {word} tensor {prefix}{first}; get the file again.")
