"""Image towers: anything that timm can build, sampled at nuclei or pooled over the patch.

Shapes: B patches, C = 3 channels, H x W pixels, N nuclei, T tokens, E numbers of an embedding.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import timm
import torch
from torch import Tensor, nn

from napari_past.errors import PastError
from napari_past.model.card import EncoderCard, TowerCard
from napari_past.model.pooled import PooledTower
from napari_past.model.tower import DenseTower
from past_training.engine.hub import TowerSource, TowerUnavailable, explaining, tower_source
from past_training.engine.known_towers import known_tower

STAIN_MEAN, STAIN_STD = (0.70, 0.55, 0.70), (0.20, 0.20, 0.20)
"""Of H&E at 0–1: what towers without trained weights read."""
_DENSE_STRIDE = 16
# What vision transformers need to read another size than they were made for, tried in this order.
_SIZES: tuple[dict[str, Any], ...] = (
    {},
    {"dynamic_img_size": True},
    {"dynamic_img_size": True, "dynamic_img_pad": True},
)


class ImageTower(nn.Module):
    """Embeddings of nuclei from 0–255 pixels."""

    mean_C11: Tensor
    std_C11: Tensor
    body: nn.Module
    """Of normalised pixels; low-rank additions may stand in for it while they are trained."""

    def __init__(
        self,
        body: DenseTower | PooledTower,
        embed_dim: int,
        config: Mapping[str, Any] | None,
        card: TowerCard | None = None,
    ) -> None:
        super().__init__()
        self.body = body
        self.embed_dim = embed_dim
        self.card = card
        """Of a tower that is sampled at nuclei, as a model file has it; None for a pooled one."""
        mean, std = STAIN_MEAN, STAIN_STD
        if config is not None:
            mean, std = tuple(config["mean"]), tuple(config["std"])
        self.register_buffer("mean_C11", torch.tensor(mean).view(3, 1, 1) * 255)
        self.register_buffer("std_C11", torch.tensor(std).view(3, 1, 1) * 255)

    def forward(self, image_BCHW: Tensor, where_N3: Tensor) -> Tensor:
        """Embeddings (N, E) of nuclei at `where_N3` = (patch, y px, x px)."""
        standard_BCHW = (image_BCHW - self.mean_C11) / self.std_C11
        result: Tensor = self.body(standard_BCHW, where_N3)
        return result

    def checkpoint_gradients(self) -> None:
        """Compute activations again in the backward pass instead of keeping them.

        Raises
        ------
        PastError
            The tower cannot.
        """
        backbone: Any = self.body.backbone
        backbone = getattr(backbone, "model", backbone)
        try:
            backbone.set_grad_checkpointing(True)
        except (AttributeError, AssertionError) as exc:
            raise PastError(
                "This tower cannot recompute its activations; leave gradient checkpointing out, or "
                "take a smaller batch."
            ) from exc


def dense_tower(encoder: EncoderCard) -> ImageTower:
    """The tower that a card describes, with fresh weights; its `body` is what a model file holds.

    Raises
    ------
    TowerUnavailable
        timm has no such backbone, or not with these stages; or the card's tower is no dense one.
    """
    card = encoder.tower
    if not isinstance(card, TowerCard):
        raise TowerUnavailable(
            f"{card.backbone} gives one vector for a whole crop, and towers of that kind stay as "
            f"they are here; fit a read-out on it with `past-train finetune --how head`."
        )
    try:
        body = DenseTower(card)
    except (RuntimeError, ValueError, IndexError, AssertionError, TypeError) as exc:
        raise TowerUnavailable(
            f"{card.backbone} with stages {card.stages} cannot be built ({exc}); name a backbone "
            f"of timm and stages that it has."
        ) from exc
    return ImageTower(body, card.embed_dim, {"mean": encoder.mean, "std": encoder.std}, card)


def dense_state(tower: ImageTower) -> dict[str, npt.NDArray[np.generic]]:
    """Weights of a dense tower's body by name, on the CPU, as a model file holds them."""
    return {k: v.detach().cpu().numpy() for k, v in tower.body.state_dict().items()}


def image_tower(
    name: str, patch_px: int, *, pretrained: bool, pooled: bool = False, embed_dim: int = 256
) -> ImageTower:
    """A tower by its name at timm or on a hub.

    Parameters
    ----------
    name
        A name of timm (``mobilenetv4_conv_small``), ``hf-hub:OWNER/NAME``, or a short name of
        `KNOWN_TOWERS` (``uni2-h``).
    patch_px
        Side of the patches that it will read.
    pretrained
        Whether to load trained weights.
    pooled
        One vector for a patch instead of features sampled at the nuclei.
    embed_dim
        Size of a sampled embedding; a pooled one has the tower's own.

    Raises
    ------
    TowerUnavailable
        The name is not known, the hub cannot be reached or asks for a licence, or the tower cannot
        read patches of this size.
    """
    known = known_tower(name)
    if known is not None and known.layout != "timm":
        raise TowerUnavailable(
            f"{name} is not published for timm, so it cannot be trained here; "
            f"`past-train tower {name}` makes a model of it whose tower stays as it is."
        )
    source = tower_source(name)
    probe = torch.zeros(1, 3, patch_px, patch_px)
    if pooled:
        return explaining(lambda: _pooled(name, source, probe, pretrained), name)
    return explaining(lambda: _sampled(name, source, probe, pretrained, embed_dim), name)


def _pooled(name: str, source: TowerSource, probe: Tensor, pretrained: bool) -> ImageTower:
    reasons = []
    for size in _SIZES:
        options = {**source.options, **size, "num_classes": 0}
        try:
            tower = PooledTower(timm.create_model(source.timm_name, **options))
            embed_dim = _checked(tower, probe)
        except (TypeError, AssertionError, ValueError) as exc:
            reasons.append(str(exc))
            continue
        if not pretrained:
            return _only_reached(ImageTower(tower, embed_dim, None), probe)
        backbone = timm.create_model(source.timm_name, pretrained=True, **options)
        config = cast(Any, backbone).pretrained_cfg
        trained = ImageTower(PooledTower(backbone), embed_dim, config)
        return _only_reached(trained, probe)
    raise _wrong_size(name, probe, reasons)


def _sampled(
    name: str, source: TowerSource, probe: Tensor, pretrained: bool, embed_dim: int
) -> ImageTower:
    whole = timm.create_model(source.timm_name, features_only=True, **source.options)
    strides = list(cast(Any, whole.feature_info).reduction())
    stages = [i for i, stride in enumerate(strides) if stride <= _DENSE_STRIDE][-2:]
    if not stages:
        raise TowerUnavailable(
            f"{name} has no features at a stride of {_DENSE_STRIDE} px or less to sample at "
            f"nuclei; take another tower, or pool it over crops."
        )
    card = TowerCard(backbone=source.timm_name, stages=tuple(stages), embed_dim=embed_dim)
    tower = DenseTower(card)
    reasons = []
    for size in _SIZES:
        options = {**source.options, **size, "features_only": True, "out_indices": card.stages}
        try:
            tower.backbone = timm.create_model(source.timm_name, **options)
            _checked(tower, probe)
        except (TypeError, AssertionError, ValueError) as exc:
            reasons.append(str(exc))
            continue
        if not pretrained:
            return _only_reached(ImageTower(tower, embed_dim, None, card), probe)
        tower.backbone = timm.create_model(source.timm_name, pretrained=True, **options)
        trained = ImageTower(tower, embed_dim, cast(Any, tower.backbone).pretrained_cfg, card)
        return _only_reached(trained, probe)
    raise _wrong_size(name, probe, reasons)


def _checked(tower: nn.Module, probe: Tensor) -> int:
    """Length of an embedding, found by making one."""
    tower.eval()
    with torch.inference_mode():
        embedding_1E = tower(probe, torch.zeros(1, 3))
    tower.train()
    return int(embedding_1E.shape[1])


def _only_reached(tower: ImageTower, probe: Tensor) -> ImageTower:
    """The tower, its weights behind the last feature that is read frozen.

    DDP would wait for their gradients, which never come.
    """
    tower.eval()
    tower(probe, torch.zeros(1, 3)).sum().backward()
    for parameter in tower.parameters():
        parameter.requires_grad_(parameter.grad is not None)
        parameter.grad = None
    tower.train()
    return tower


def _wrong_size(name: str, probe: Tensor, reasons: list[str]) -> TowerUnavailable:
    side = probe.shape[-1]
    return TowerUnavailable(
        f"{name} cannot read patches of {side} x {side} px ({reasons[0]}); prepare the data with "
        f"another patch size, or take another tower."
    )
