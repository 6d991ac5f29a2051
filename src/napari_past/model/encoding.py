"""A model's networks in torch: built, filled, and run in batches that fit the memory.

Shapes: B images, H x W pixels, C = 3 channels, N cells, P token positions, K neighbours.
Imported by the first call that encodes, since torch takes seconds to load.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from itertools import chain
from typing import Self, TypeVar

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
CPU_BATCH = 4
GPU_BATCH = 64
"""The smallest that is tried."""
MOST_AT_ONCE = 4096
WORTH_IT = 1.05
"""Gain in rate for which a GPU's batch is doubled."""
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
) -> Tensor:
    """The tower's output (N, D), on its device, for cells at `where_N3` = (image, y px, x px)."""
    device = _device(tower)
    # A dense tower stays in single precision: its cells must not depend on their tile.
    mixed = encoder.mode == "crop" and device.type == "cuda"
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=mixed):
        pixels = torch.from_numpy(np.ascontiguousarray(images))
        if device.type == "cuda":
            # Pinned pages are copied while the batch before is still being computed.
            pixels = pixels.pin_memory()
        x = pixels.to(device, non_blocking=True).permute(0, 3, 1, 2).float()
        mean = torch.tensor(encoder.mean, device=device).view(1, 3, 1, 1) * 255
        std = torch.tensor(encoder.std, device=device).view(1, 3, 1, 1) * 255
        x = ((x - mean) / std).contiguous(memory_format=torch.channels_last)
        result: Tensor = tower(x, torch.from_numpy(where_N3).to(device))
    return result


def encoded_tokens(
    encoder: CellEncoder,
    ids_NP: npt.NDArray[np.integer],
    neighbours_NKP: npt.NDArray[np.integer] | None,
) -> Tensor:
    """Embeddings (N, E), L2-normalised, on the encoder's device."""
    device = _device(encoder)
    mixed = device.type == "cuda"
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=mixed):
        ids = torch.from_numpy(ids_NP.astype(np.int64)).to(device)
        nodes = None
        if neighbours_NKP is not None:
            nodes = torch.from_numpy(neighbours_NKP.astype(np.int64)).to(device)
        result: Tensor = encoder(ids, nodes)
    return result


def fetched(result: Tensor) -> npt.NDArray[np.float32]:
    """A network's output in this process's memory; waits until the device has computed it."""
    return np.asarray(result.float().cpu().numpy())


def _device(network: nn.Module) -> torch.device:
    return next(network.parameters()).device


class Batches:
    """How much goes through a network at once: halved, for good, where memory runs out."""

    def __init__(self, size: int, most: int) -> None:
        self.size = size
        self._most = most
        """Up to which larger batches are tried."""

    @classmethod
    def on(cls, network: nn.Module) -> Self:
        """Batches that suit the device of a network.

        A GPU's are found by trial. A CPU gains nothing from more (benchmarks/crops.py), and with a
        number that is fixed a run repeats to the bit.
        """
        if _device(network).type == "cuda":
            return cls(GPU_BATCH, MOST_AT_ONCE)
        return cls(CPU_BATCH, CPU_BATCH)

    def find(self, encode: Callable[[int], Tensor]) -> None:
        """Try batches twice as large, as long as each is worth its memory.

        Parameters
        ----------
        encode
            Encodes so many of anything.
        """
        if self.size == self._most:
            return
        rate, size = 0.0, self.size
        while size <= self._most:
            try:
                with out_of_memory_told():
                    fetched(encode(size))  # the first of a size has the device choose its ways
                    began = time.perf_counter()
                    fetched(encode(size))
            except WorkerFailed:
                return
            before, rate = rate, size / (time.perf_counter() - began)
            if rate < WORTH_IT * before:
                return
            self.size = size
            size *= 2

    def run(
        self,
        n: int,
        encode: Callable[[slice], Tensor],
        between: Callable[[int], None] = lambda done: None,
    ) -> list[npt.NDArray[np.float32]]:
        """What `encode` gives of slices that follow each other from 0 to `n`.

        A result is fetched when the next batch is under way, so that a GPU does not wait for the
        pixels of the next crops to be gathered.

        Parameters
        ----------
        between
            Told before each batch how many were encoded; what it raises ends the work.

        Raises
        ------
        WorkerFailed
            There is not enough memory for a single one.
        """
        parts: list[npt.NDArray[np.float32]] = []
        under_way: Tensor | None = None
        start = 0
        while start < n:
            between(start)
            stop = min(start + self.size, n)
            try:
                with out_of_memory_told():
                    encoded = encode(slice(start, stop))
            except WorkerFailed:
                if stop - start == 1:
                    raise
                self.size = (stop - start) // 2
                continue
            if under_way is not None:
                parts.append(fetched(under_way))
            under_way, start = encoded, stop
        if under_way is not None:
            parts.append(fetched(under_way))
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
