"""Any tower of timm or of a hub as a model's image tower: what it reads, and its weights.

Known towers are built from what `known_towers` says of them; of others timm and the hub's
``config.json`` are asked.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydantic
import timm
import torch
from huggingface_hub import hf_hub_download
from safetensors import SafetensorError
from safetensors.torch import load_file
from timm.models import load_model_config_from_hf

from napari_past.errors import PastError
from napari_past.model.card import EncoderCard, Pool, PooledTowerCard, Rgb01
from napari_past.model.pooled import pooled_dim, pooled_tower, timm_options
from past_training.dataset.schema import first_problem
from past_training.engine.hub import TowerUnavailable, explaining, tower_source
from past_training.engine.known_towers import KnownTower, known_tower
from past_training.engine.published_weights import tower_state

RANDOM_SEED = 20240229
_CONCH_FILE, _USUAL_FILE = "pytorch_model.bin", "model.safetensors"


@dataclass(frozen=True)
class FrozenTower:
    """An image tower whose weights stay as they are."""

    name: str
    """As it was asked for."""
    encoder: EncoderCard
    state: Mapping[str, npt.NDArray[np.generic]]
    """Weights of `pooled_tower(encoder.tower)`, by name."""
    random: bool
    """Whether the weights were drawn by lot."""


def frozen_tower(name: str, mpp: float | None = None, *, random: bool = False) -> FrozenTower:
    """A tower by its name, its weights from the hub or from timm's.

    Parameters
    ----------
    name
        A short name of `KNOWN_TOWERS` (``uni2-h``), ``hf-hub:OWNER/NAME``, or a name of timm.
    mpp
        µm/px that it shall read; None takes what its authors say.
    random
        Draw its weights by lot instead, for trials: nothing is downloaded of a known tower.

    Raises
    ------
    TowerUnavailable
        The name is not known, the hub cannot be reached or asks for a licence, or what it gives is
        no such tower.
    PastError
        Nobody knows the tower's µm/px, or they are out of range.
    """
    known = known_tower(name)
    if mpp is None:
        if known is None:
            raise PastError(
                f"At how many µm/px {name} reads is not known here; tell it with --mpp (most "
                f"towers of histology read 0.5)."
            )
        mpp = known.mpp
    elif not 0.02 < mpp < 20:
        raise PastError(f"--mpp lies between 0.02 and 20 µm/px, but got {mpp:g}; give the tower's.")
    shape = explaining(lambda: _shape(name, known), name)
    encoder = EncoderCard(
        mode="crop", mpp=mpp, stride_px=1, halo_px=(shape.crop_px + 1) // 2, crop_px=shape.crop_px,
        mean=shape.mean, std=shape.std, tower=shape.card,
    )  # fmt: skip
    state = _drawn(shape.card) if random else explaining(lambda: _weights(name, known), name)
    _check(name, shape.card, state)
    return FrozenTower(name, encoder, state, random)


@dataclass(frozen=True)
class _Shape:
    """How timm builds a tower, and what it reads."""

    card: PooledTowerCard
    crop_px: int
    mean: Rgb01
    std: Rgb01


def _shape(name: str, known: KnownTower | None) -> _Shape:
    if known is not None:
        card = PooledTowerCard(
            backbone=known.backbone, options=known.options, pool=known.pool,
            embed_dim=known.embed_dim,
        )  # fmt: skip
        return _Shape(card, known.crop_px, *known.normalisation)
    if tower_source(name).from_hub:
        config, backbone, options = _hub_config(name)
    else:
        config, backbone, options = _timm_config(name), name, {}
    side_px = _crop_px(name, config)
    options.pop("num_classes", None)
    pool: Pool = "token"
    if options.get("global_pool") == "":
        # It gives its tokens, of which a card has its own way to make one vector.
        pool = "token+mean"
        del options["global_pool"]
    with torch.device("meta"):
        built = timm.create_model(backbone, num_classes=0, **timm_options(options))
    try:
        card = PooledTowerCard(
            backbone=backbone, options=options, pool=pool, embed_dim=pooled_dim(built, pool)
        )
    except pydantic.ValidationError as exc:
        raise TowerUnavailable(
            f"{name} cannot become a model's tower ({first_problem(exc)}); take another tower."
        ) from exc
    _check_output(name, card, side_px)
    return _Shape(card, side_px, _rgb01(config["mean"]), _rgb01(config["std"]))


def _timm_config(name: str) -> Mapping[str, Any]:
    found = timm.get_pretrained_cfg(name)
    if found is None:
        raise RuntimeError(f"Unknown model ({name})")
    config: Mapping[str, Any] = found.to_dict()
    return config


def _hub_config(name: str) -> tuple[Mapping[str, Any], str, dict[str, Any]]:
    """``pretrained_cfg``, architecture and ``model_args`` of a repository."""
    try:
        config, backbone, options = load_model_config_from_hf(name.partition(":")[2])
    except KeyError as exc:
        raise TowerUnavailable(
            f"{name} is no tower that timm can build: its config.json has no {exc.args[0]!r}; take "
            f"another tower, or one of the short names."
        ) from exc
    return config, backbone, dict(options or {})


def _crop_px(name: str, config: Mapping[str, Any]) -> int:
    size = config.get("input_size")
    if not size or size[1] != size[2] or not {"mean", "std"} <= config.keys():
        raise TowerUnavailable(
            f"How {name} reads pixels is not told (square crops, mean, std: its config says "
            f"{size}); take a tower of timm with trained weights, or one of a hub with a "
            f"pretrained_cfg."
        )
    return int(size[1])


def _rgb01(values: Any) -> Rgb01:
    red, green, blue = (float(v) for v in values)
    return red, green, blue


def _check_output(name: str, card: PooledTowerCard, side_px: int) -> None:
    """One crop through fresh weights: what timm says of a tower is not always what it gives."""
    tower = pooled_tower(card).eval()
    with torch.inference_mode():
        given = tuple(tower(torch.zeros(1, 3, side_px, side_px), torch.zeros(1, 3)).shape)
    if given != (1, card.embed_dim):
        raise TowerUnavailable(
            f"{name} gives {given[1:]} numbers for a crop where one vector of {card.embed_dim} was "
            f"expected; take another tower."
        )


def _drawn(card: PooledTowerCard) -> dict[str, npt.NDArray[np.generic]]:
    with torch.random.fork_rng():
        torch.manual_seed(RANDOM_SEED)
        return _arrays(pooled_tower(card).state_dict())


def _weights(name: str, known: KnownTower | None) -> dict[str, npt.NDArray[np.generic]]:
    if known is not None and known.layout != "timm":
        file = _CONCH_FILE if known.layout == "conch" else _USUAL_FILE
        path = Path(hf_hub_download(known.repository, file))
        return _arrays(tower_state(_published(path, name), known.layout, name))
    source = tower_source(name)
    backbone = timm.create_model(source.timm_name, pretrained=True, num_classes=0, **source.options)
    return _arrays(tower_state(backbone.state_dict(), "timm", name))


def _published(path: Path, name: str) -> Mapping[str, torch.Tensor]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as exc:
        raise TowerUnavailable(
            f"{path.name} of {name} holds more than tensors, which could run code, and was not "
            f"opened; get it from where {name} is published."
        ) from exc
    except (SafetensorError, RuntimeError, EOFError, OSError) as exc:
        raise TowerUnavailable(
            f"{path.name} of {name} cannot be read; delete {path} and download it again."
        ) from exc
    found: Mapping[str, torch.Tensor] = content.get("state_dict", content)
    return found


def _arrays(state: Mapping[str, torch.Tensor]) -> dict[str, npt.NDArray[np.generic]]:
    """Floating-point tensors in single precision, whole ones as they are."""
    return {
        key: (value.float() if value.is_floating_point() else value).detach().cpu().numpy()
        for key, value in state.items()
    }


def _check(name: str, card: PooledTowerCard, state: Mapping[str, npt.NDArray[np.generic]]) -> None:
    with torch.device("meta"):
        expected = {key: tuple(v.shape) for key, v in pooled_tower(card).state_dict().items()}
    for key in dict.fromkeys([*expected, *state]):
        given = state[key].shape if key in state else None
        if given != expected.get(key):
            raise TowerUnavailable(
                f"The weights of {name} do not fit its shape as it is known here: tensor {key} is "
                f"{given or 'missing'} where {expected.get(key, 'none')} was expected; update "
                f"napari-past or timm, or take another tower."
            )
