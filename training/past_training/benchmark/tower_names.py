"""Which tower a name means."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from napari_past.errors import PastError
from napari_past.model import available_models, load_model
from napari_past.model.zoo import FETCHED_MODELS
from past_training.benchmark.cell_means import CellMeans
from past_training.benchmark.patches import PatchTower
from past_training.benchmark.recipe import HestData
from past_training.benchmark.whole_patch import RESNET50, published, resnet50
from past_training.engine.known_towers import known_tower


def tower_maker(
    name: str, data: HestData, device: str, weights: Path | None, random: bool
) -> Callable[[], PatchTower]:
    """What makes the tower `name`: ``resnet50``, one of `KNOWN_TOWERS`, a model's name or its
    file, else a name of timm or of a hub.

    Parameters
    ----------
    weights
        A file of a published tower's weights; None: those that are published.
    random
        Whether a published tower's weights are drawn by lot instead.

    Raises
    ------
    PastError
        Weights or lots were asked for where the name is a model's, or both at once.
    """
    if weights is not None and random:
        raise PastError(f"--weights and --random both name {name}; leave one of them out.")
    if name == RESNET50:
        return lambda: resnet50(device, weights, random=random)
    if known_tower(name) is None and _is_model(name):
        if weights is not None or random:
            raise PastError(
                f"{name} is a model that brings its weights: --weights and --random are for "
                f"published towers; leave them out."
            )
        return lambda: CellMeans(name, load_model(name, device), data.patch_px, data.mpp)
    return lambda: published(name, data.mpp, device, weights, random=random)


def _is_model(name: str) -> bool:
    known = (*available_models(), *FETCHED_MODELS)
    return name in known or name.endswith((".safetensors", ".pth")) or Path(name).exists()
