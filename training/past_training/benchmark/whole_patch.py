"""Published towers that see a patch as one crop, as the benchmark shows it to them."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import timm
import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from napari_past.errors import BadModel, PastError
from napari_past.model import load_model
from napari_past.model.card import EncoderCard, PooledTowerCard
from napari_past.model.encoding import (
    Batches,
    device_of,
    encoded_images,
    first_misfit,
    fresh_tower,
)
from napari_past.types import Rgb
from past_training.benchmark.patches import About, Embedded
from past_training.benchmark.task import Sample
from past_training.engine.frozen_tower import RANDOM_SEED, frozen_tower
from past_training.engine.hub import TowerUnavailable, explaining
from past_training.engine.known_towers import known_tower

RESNET50 = "resnet50"
_RESNET50_OF_TIMM = "resnet50.tv_in1k"
_THIRD_STAGE, _THIRD_STAGE_DIM = 3, 1024
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_NOT_KNOWN = "what its authors name; not known here sample by sample"


class WholePatch:
    """A frozen network that gives one vector for a patch.

    Parameters
    ----------
    network
        Takes what `napari_past.model.encoding.encoded_images` hands over.
    encoder
        What it reads; patches of another size than its crop are resized to it.
    """

    def __init__(
        self, name: str, network: nn.Module, encoder: EncoderCard, about: About, device: str
    ) -> None:
        self.name = name
        self.about = about
        self._encoder = encoder
        self._network = network.to(device_of(device)).to(memory_format=torch.channels_last).eval()
        self._batches = Batches.on(self._network)
        side = encoder.crop_px
        self._batches.find(lambda n: self._encoded(np.zeros((n, side, side, 3), np.uint8)))

    def own_genes(self, genes: Sequence[str]) -> tuple[str, ...]:
        """None: such towers predict no gene."""
        return ()

    def embed(self, sample: Sample, genes: Sequence[str]) -> Embedded:
        """One vector for each patch."""
        parts = []
        for patches in sample.batches():
            crops = sized(patches, self._encoder.crop_px)
            parts += self._batches.run(len(crops), partial(self._part, crops))
        return Embedded(np.concatenate(parts))

    def _part(self, crops: Rgb, part: slice) -> Tensor:
        return self._encoded(crops[part])

    def _encoded(self, crops: Rgb) -> Tensor:
        middle = np.full((len(crops), 2), (self._encoder.crop_px - 1) / 2)
        where = np.column_stack([np.arange(len(crops)), middle])
        return encoded_images(self._network, self._encoder, crops, where)


def sized(patches: Rgb, side_px: int) -> Rgb:
    """Patches resized to a side, uint8 (b, side_px, side_px, 3); themselves where they fit."""
    if patches.shape[1] == side_px:
        return patches
    size, way = (side_px, side_px), Image.Resampling.BILINEAR
    return np.stack([np.asarray(Image.fromarray(p).resize(size, way)) for p in patches])


def resnet50(device: str, weights: Path | None = None, *, random: bool = False) -> WholePatch:
    """ResNet50 (ImageNet) cut after its third stage, as the benchmark has it: 1024 numbers.

    Parameters
    ----------
    weights
        A file of torchvision's or timm's ResNet50 (.safetensors, .pth, .bin); None: timm's.
    random
        Draw its weights by lot instead.

    Raises
    ------
    TowerUnavailable
        The weights cannot be had.
    BadModel
        The file holds something else.
    """

    def build(pretrained: bool) -> nn.Module:
        made: nn.Module = timm.create_model(
            _RESNET50_OF_TIMM,
            pretrained=pretrained,
            features_only=True,
            out_indices=(_THIRD_STAGE,),
        )
        return made

    if random:
        with torch.random.fork_rng():
            torch.manual_seed(RANDOM_SEED)
            stages, source = build(False), f"with weights drawn by lot (seed {RANDOM_SEED})"
    elif weights is not None:
        stages, source = build(False), f"with the weights of {weights.name}"
        _fill(stages, weights)
    else:
        try:
            stages = explaining(lambda: build(True), _RESNET50_OF_TIMM)
        except TowerUnavailable as exc:
            raise TowerUnavailable(
                f"The ImageNet weights of ResNet50 cannot be had from here: download "
                f"model.safetensors of timm/{_RESNET50_OF_TIMM} on a machine with a network and "
                f"give it with --weights {RESNET50}=FILE."
            ) from exc
        source = f"ImageNet weights of timm's {_RESNET50_OF_TIMM}"
    mean, std = _IMAGENET
    card = PooledTowerCard(
        backbone="resnet50", options={}, pool="token", embed_dim=_THIRD_STAGE_DIM
    )
    encoder = EncoderCard(
        mode="crop", mpp=0.5, stride_px=1, halo_px=112, crop_px=224, mean=mean, std=std, tower=card
    )
    what = f"ResNet50 cut after its third stage, mean over its map (1024 numbers), {source}."
    trained_on = "nothing: drawn by lot" if random else "photographs (ImageNet-1k), no histology"
    return WholePatch(RESNET50, _StageMean(stages), encoder, About(what, trained_on), device)


def published(
    name: str, mpp: float, device: str, weights: Path | None = None, *, random: bool = False
) -> WholePatch:
    """Any tower that ``past-train tower`` takes, shown whole patches resized to its crop.

    Parameters
    ----------
    mpp
        µm/px of the patches.
    weights
        A model file that ``past-train tower`` wrote of it; None: the hub's.

    Raises
    ------
    TowerUnavailable, BadModel, PastError
        As `frozen_tower` has it, or the file is of another tower.
    """
    known = known_tower(name)
    state: Mapping[str, npt.NDArray[np.generic]]
    if weights is not None:
        model = load_model(weights, device)
        encoder, state = model.card.encoder, model.tower_state
        dim = encoder.tower.embed_dim
        if (
            known is None
            or not isinstance(encoder.tower, PooledTowerCard)
            or (encoder.tower.backbone, dim) != (known.backbone, known.embed_dim)
        ):
            raise BadModel(
                f"{weights.name} holds a tower {encoder.tower.backbone} of {dim} numbers, which is "
                f"not {name}; give the file that 'past-train tower {name} --out FILE' wrote."
            )
        source = f"with the weights of {weights.name} (made by: {model.card.recipe})"
        trained_on = model.card.training_data
    else:
        tower = frozen_tower(name, mpp, random=random)
        encoder, state = tower.encoder, tower.state
        source = "with weights drawn by lot" if random else "with its published weights"
        trained_on = "nothing: drawn by lot" if random else _NOT_KNOWN
    network = fresh_tower(encoder.tower)
    network.load_state_dict({key: torch.tensor(value) for key, value in state.items()})
    side = encoder.crop_px
    what = f"{name} {source}, {encoder.tower.embed_dim} numbers for a patch of {side} px" + (
        f" ({known.attribution})." if known is not None else "."
    )
    return WholePatch(name, network, encoder, About(what, trained_on), device)


class _StageMean(nn.Module):
    """The mean over the map that a network of timm gives as its only feature."""

    def __init__(self, stages: nn.Module) -> None:
        super().__init__()
        self.stages = stages

    def forward(self, image_BCHW: Tensor, where_N3: Tensor) -> Tensor:
        """Vectors (N, D) of the images that `where_N3` = (image, y px, x px) names."""
        (map_BDHW,) = self.stages(image_BCHW)
        pooled: Tensor = map_BDHW.mean((2, 3))
        return pooled[where_N3[:, 0].long()]


def _fill(stages: nn.Module, path: Path) -> None:
    """Put a file's weights into the stages; what belongs to later stages is not needed."""
    try:
        if path.suffix == ".safetensors":
            content: Any = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as exc:
        raise PastError(f"There is no file {path}; give ResNet50's weights.") from exc
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, OSError) as exc:
        raise BadModel(f"{path.name} holds no weights that can be read; get it again.") from exc
    state = content.get("state_dict", content) if isinstance(content, dict) else {}
    wanted = stages.state_dict()
    missing = [key for key in wanted if key not in state]
    try:
        if missing:
            raise RuntimeError(f"\n{missing[0]} is missing")
        stages.load_state_dict({key: state[key] for key in wanted})
    except RuntimeError as exc:
        raise BadModel(
            f"{path.name} does not hold the weights of a ResNet50 ({first_misfit(exc)}); give "
            f"model.safetensors of timm/{_RESNET50_OF_TIMM}."
        ) from exc
