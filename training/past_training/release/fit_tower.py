"""A tower trained on a dataset by the engine, on one device."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pydantic

from napari_past.model.strict import Strict
from past_training.dataset.batches import Batch, Batches
from past_training.dataset.read import PairedDataset
from past_training.dataset.schema import BadDataset
from past_training.engine.gene_levels import gene_levels
from past_training.engine.loop import LoopConfig, fit
from past_training.engine.pair_model import PairModel
from past_training.engine.processes import launched_fabric
from past_training.engine.progress import Progress
from past_training.engine.random_state import seed_everything
from past_training.engine.start import begun
from past_training.engine.towers import ImageTower
from past_training.engine.training import Feed
from past_training.objectives.config import ObjectiveConfig


class FitConfig(Strict):
    """How a tower is trained."""

    seed: int = pydantic.Field(default=0, ge=0)
    epochs: int = pydantic.Field(ge=1)
    batch_patches: int = pydantic.Field(ge=1)
    lr: float = pydantic.Field(gt=0)
    min_lr: float = pydantic.Field(default=0.0, ge=0)
    warmup_epochs: float = pydantic.Field(default=1.0, ge=0)
    weight_decay: float = pydantic.Field(default=0.05, ge=0)
    stain_jitter: float = pydantic.Field(default=0.1, ge=0)
    crop_px: int | None = pydantic.Field(default=None, ge=32)
    """Of each patch so much of its middle is seen, which must hold all of its nuclei; None: all.
    A spot's patch is wide, for its nuclei's whole field of view, and most of it is margin."""
    genes: int = pydantic.Field(default=1000, ge=1)
    """Of the best expressed training genes, how many the expression objective sees."""


_NEVER = 10**9
"""Steps between checkpoints: a fit of minutes keeps none."""


class Middles:
    """Batches of which only the middle of each patch is seen."""

    def __init__(self, batches: Batches, side_px: int) -> None:
        self._batches = batches
        self._side_px = side_px

    def __len__(self) -> int:
        return len(self._batches)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch.

        Raises
        ------
        BadDataset
            A nucleus lies outside of the middle.
        """
        for batch in self._batches.epoch(epoch):
            yield self._cut(batch)

    def state(self) -> dict[str, int]:
        """Where the next batch lies."""
        return self._batches.state()

    def restore(self, state: dict[str, int]) -> None:
        """Go on where `state` was taken."""
        self._batches.restore(state)

    def _cut(self, batch: Batch) -> Batch:
        side, whole = self._side_px, batch.patches.shape[1]
        margin = max(0, (whole - side) // 2)
        middle = slice(margin, margin + side)
        where = batch.where - batch.where.new_tensor([0, margin, margin])
        yx = where[:, 1:]
        if bool((yx < 0).any() or (yx > min(side, whole) - 1).any()):
            raise BadDataset(
                f"Nuclei lie outside of the middle {side} px of their patches of {whole} px; give "
                f"a larger fit.crop_px, or leave it out."
            )
        return replace(batch, patches=batch.patches[:, middle, middle], where=where)


def fit_tower(
    tower: ImageTower,
    dataset: PairedDataset,
    genes: Sequence[str],
    objective: ObjectiveConfig,
    config: FitConfig,
    device: str,
    scratch: Path,
) -> None:
    """Train `tower` in place, as far as its weights are not frozen.

    Parameters
    ----------
    tower
        Its body may have low-rank additions (`past_training.engine.adapt.with_lora`).
    genes
        That the expression objective compares.
    scratch
        Folder that exists; what is written there is removed again.

    Raises
    ------
    PastError
        The gradient is not finite, memory or disk is full, or there is no such device.
    """
    fabric = launched_fabric(device, "auto")
    batches = Batches(dataset, genes, config.batch_patches, seed=config.seed, workers=1)
    feed: Feed = batches if config.crop_px is None else Middles(batches, config.crop_px)
    loop = LoopConfig(
        config.epochs,
        save_interval=_NEVER,
        log_interval=len(feed),
        stain_jitter=config.stain_jitter,
    )
    seed_everything(config.seed)
    model = PairModel(objective, tower, None, 0, gene_levels(dataset, genes))
    steps = loop.steps_per_epoch(len(feed))
    training = begun(
        fabric, model, feed, total_steps=config.epochs * steps,
        warmup_steps=round(config.warmup_epochs * steps), lr=config.lr, min_lr=config.min_lr,
        encoder_lr_factor=1.0, weight_decay=config.weight_decay, patience=None,
    )  # fmt: skip
    with tempfile.TemporaryDirectory(dir=scratch, prefix=".fit-") as folder:
        progress = Progress(Path(folder), objective.parts, config.epochs * steps, None, True)
        try:
            fit(fabric, training, objective, loop, Path(folder), {}, progress, None)
        finally:
            progress.close()
    tower.cpu().eval()
