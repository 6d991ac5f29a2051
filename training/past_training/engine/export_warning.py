"""What stands between a run and a model file, told before the run and not after it."""

from __future__ import annotations

import numpy as np

from napari_past.model.tower import DenseTower
from past_training.dataset.margin import margin_px, patch_px_for
from past_training.dataset.read import PairedDataset
from past_training.engine.hub import tower_source
from past_training.engine.receptive_field import SeesAll, halo_px
from past_training.engine.towers import ImageTower

LARGEST_PROBE_PX = 512
"""Wider pictures would cost towers with attention minutes."""


def export_warning(name: str, tower: ImageTower, dataset: PairedDataset) -> str:
    """Why ``past-train export`` would refuse a run's weights, in a sentence; else empty.

    Only of towers that a model file can hold: pooled ones and those of a hub alone are no such.

    Parameters
    ----------
    name
        As the launch line names the tower.
    tower
        On the CPU, with the weights that training begins with. Branches that add nothing yet are
        not seen, so that the halo may still grow.
    dataset
        All that is trained on or held out.
    """
    if tower.card is None or tower_source(name).from_hub:
        return ""
    assert isinstance(tower.body, DenseTower), "towers that are sampled have a dense body"
    try:
        around_px = halo_px(tower.body, LARGEST_PROBE_PX)
    except SeesAll as exc:
        return f"past-train export may refuse the weights of this run: {exc}"
    margins = [
        margin_px(np.asarray(dataset.section(r.name).nuclei_yx[:]), dataset.patch_px)
        for r in dataset.sections  # one at a time: all together may be more than fits into memory
        if r.nuclei
    ]
    if not margins:
        return ""
    margin = min(margins)
    wanted_px = patch_px_for(around_px, margin, dataset.patch_px)
    if wanted_px <= dataset.patch_px:
        return ""
    return (
        f"past-train export would refuse the weights of this run: a model with {name} looks "
        f"{around_px} px around a nucleus, but patches of {dataset.patch_px} px show less; prepare "
        f"the dataset with --patch-px {wanted_px} or more and train on that."
    )
