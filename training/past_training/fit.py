"""Fitting a dense tower to spots, and the linear read-out on top of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from lightning.fabric import Fabric
from torch import Tensor

from napari_past.errors import PastError
from napari_past.model.card import EncoderCard
from napari_past.model.tower import DenseTower
from past_training.augment import oriented, restained
from past_training.recipe import FitConfig
from past_training.spots import SpotSet

log = logging.getLogger("past_training")

FloatArray = npt.NDArray[np.float32]


def spot_means(values_ND: Tensor, spot_N: Tensor, n_spots: int) -> Tensor:
    """Mean over the cells of each spot, (n_spots, D)."""
    sums = values_ND.new_zeros(n_spots, values_ND.shape[1]).index_add_(0, spot_N, values_ND)
    counts = torch.bincount(spot_N, minlength=n_spots).clamp(min=1)
    return sums / counts[:, None]


def normalised(image_BCHW: Tensor, encoder: EncoderCard) -> Tensor:
    """0–255 floats to what the tower reads, by the card's mean and standard deviation."""
    mean = image_BCHW.new_tensor(encoder.mean).view(1, 3, 1, 1) * 255
    std = image_BCHW.new_tensor(encoder.std).view(1, 3, 1, 1) * 255
    return ((image_BCHW - mean) / std).contiguous(memory_format=torch.channels_last)


def fit_tower(
    sets: Sequence[SpotSet], targets: Sequence[FloatArray], encoder: EncoderCard, config: FitConfig
) -> DenseTower:
    """Train a tower whose mean over a spot's cells predicts the spot's standardised expression.

    Parameters
    ----------
    sets, targets
        Training sections and their log1p(counts per 10k), (s, G) each.
    """
    torch.manual_seed(config.seed)
    generator = torch.Generator().manual_seed(config.seed)
    target_SG = torch.from_numpy(np.concatenate(targets))
    target_SG = (target_SG - target_SG.mean(0)) / target_SG.std(0).clamp(min=1e-3)
    index = [(k, i) for k, spots in enumerate(sets) for i in range(len(spots))]
    fabric = Fabric(accelerator="auto", devices=1)
    tower = DenseTower(encoder.tower).to(memory_format=torch.channels_last)
    probe = torch.nn.Linear(encoder.tower.embed_dim, target_SG.shape[1])
    torch.nn.init.zeros_(probe.weight)
    both = torch.nn.ModuleDict({"tower": tower, "probe": probe})
    parameters = list(both.parameters())
    adamw = torch.optim.AdamW(parameters, lr=config.lr, weight_decay=config.weight_decay)
    fabric.to_device(both)
    optimizer: Any = fabric.setup_optimizers(adamw)
    steps = config.epochs * (len(index) // config.batch_spots)
    if steps < 1:
        raise PastError(
            f"{len(index)} spots do not fill one batch of {config.batch_spots}; set "
            f"fit.batch_spots of the recipe to less, or give more sections."
        )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.lr, total_steps=steps)
    for epoch in range(config.epochs):
        tower.train()
        start, losses = time.monotonic(), []
        order = torch.randperm(len(index), generator=generator)
        for step in range(len(index) // config.batch_spots):
            chosen = order[step * config.batch_spots : (step + 1) * config.batch_spots]
            image, where = _batch(sets, [index[int(i)] for i in chosen], config.crop_px)
            image, where = oriented(image, where, generator)
            image = restained(image, config.stain_jitter, generator)
            image, where, target_BG = fabric.to_device((image, where, target_SG[chosen]))
            cells_ND = tower(normalised(image, encoder), where)
            predicted_BG = probe(spot_means(cells_ND, where[:, 0].long(), len(chosen)))
            loss = torch.nn.functional.mse_loss(predicted_BG, target_BG)
            optimizer.zero_grad(set_to_none=True)
            fabric.backward(loss)
            norm = torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            if not bool(torch.isfinite(norm)):
                raise PastError(
                    f"The gradient is not finite at step {step} of epoch {epoch + 1}; lower fit.lr "
                    f"of the recipe."
                )
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        log.info(
            "epoch %d/%d  loss %.4f  %.0f s",
            epoch + 1,
            config.epochs,
            float(np.mean(losses)),
            time.monotonic() - start,
        )
    return tower.cpu().eval()


def embed_cells(tower: DenseTower, spots: SpotSet, encoder: EncoderCard) -> FloatArray:
    """Embeddings (n, D) of all nuclei of a section, float16 precision as the store keeps them."""
    parts = []
    with torch.inference_mode():
        for start in range(0, len(spots), 8):
            chosen = range(start, min(start + 8, len(spots)))
            image, where = _batch([spots], [(0, i) for i in chosen], spots.crops.shape[1])
            parts.append(tower(normalised(image, encoder), where).numpy())
    return np.concatenate(parts).astype(np.float16).astype(np.float32)


def spot_embeddings(cells_ND: FloatArray, spots: SpotSet) -> FloatArray:
    """Mean embedding of each spot's cells, (s, D)."""
    means = spot_means(torch.from_numpy(cells_ND), torch.from_numpy(spots.spot_of_cell), len(spots))
    return np.asarray(means.numpy())


def fit_readout(
    embeddings: FloatArray, targets: FloatArray, penalty: float
) -> tuple[FloatArray, FloatArray]:
    """Ridge read-out ``weight (G, D), bias (G,)`` from spot means (s, D) to targets (s, G).

    Features are standardised before the penalty, and the scaling is folded back into the weights.
    """
    mean, std = embeddings.mean(0), embeddings.std(0) + 1e-6
    x = ((embeddings - mean) / std).astype(np.float64)
    centre = targets.mean(0)
    gram = x.T @ x + penalty * len(x) * np.eye(x.shape[1])
    weight = np.linalg.solve(gram, x.T @ (targets - centre)).T / std
    bias = centre - weight @ mean
    return weight.astype(np.float32), bias.astype(np.float32)


def _batch(
    sets: Sequence[SpotSet], chosen: Sequence[tuple[int, int]], crop_px: int
) -> tuple[Tensor, Tensor]:
    """Centre crops (B, 3, crop, crop) as 0–255 floats and their nuclei (N, 3)."""
    images, wheres = [], []
    for b, (k, i) in enumerate(chosen):
        spots = sets[k]
        margin = (spots.crops.shape[1] - crop_px) // 2
        images.append(spots.crops[i, margin : margin + crop_px, margin : margin + crop_px])
        first, last = np.searchsorted(spots.spot_of_cell, [i, i + 1])
        yx = spots.yx_px[first:last] - margin
        wheres.append(np.column_stack([np.full(len(yx), b, np.float32), yx]))
    image = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float()
    return image, torch.from_numpy(np.concatenate(wheres)).float()
