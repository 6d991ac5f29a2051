"""Sizes that nobody gave: they fit the rows, and the model that is to read them."""

from __future__ import annotations

import re

import numpy as np
import pytest

from past_training.dataset.cut import Cut, View, view_of
from past_training.dataset.margin import margin_px, patch_px_for
from past_training.dataset.schema import BadDataset

MINI = View("mini", 1.0, 144)


@pytest.mark.parametrize(
    ("spot_um", "mode", "mpp", "patch_px", "halo_px"),
    [
        (None, "crops", 0.5, 96, 0),
        (None, "crops", 0.25, 192, 0),
        (None, "crops", 0.2125, 224, 0),
        (None, "crops", None, 96, 0),
        (100.0, "crops", 0.5, 224, 0),
        (150.0, "crops", 0.5, 304, 0),
        (None, "regions", 0.5, 512, 64),
        (100.0, "regions", 0.5, 512, 112),
    ],
)
def test_sizes_without_a_model(spot_um, mode, mpp, patch_px, halo_px):
    config = Cut(mode=mode, mpp=mpp).config(spot_um)
    assert (config.mpp, config.patch_px, config.halo_px) == (mpp or 0.5, patch_px, halo_px)


@pytest.mark.parametrize(
    ("view", "spot_um", "mode", "patch_px", "halo_px"),
    [
        (MINI, None, "crops", 288, 0),
        # 144 px and the spot's radius of 50 px, twice, as a multiple of 16.
        (MINI, 100.0, "crops", 400, 0),
        (View("fine", 0.25, 112), 100.0, "crops", 624, 0),
        # Less than a patch shows in any case.
        (View("near", 0.5, 16), None, "crops", 96, 0),
        (MINI, None, "regions", 544, 144),
        (MINI, 100.0, "regions", 672, 208),
        (View("near", 0.5, 16), None, "regions", 512, 64),
    ],
)
def test_sizes_for_a_model(view, spot_um, mode, patch_px, halo_px):
    config = Cut(mode=mode, view=view).config(spot_um)
    assert (config.mpp, config.patch_px, config.halo_px) == (view.mpp, patch_px, halo_px)


def wanted_px(dataset, name: str, halo_px: int) -> int:
    """What an evaluation asks for, by the nuclei on disk."""
    yx_px = np.asarray(dataset.section(name).nuclei_yx[:])
    return patch_px_for(halo_px, margin_px(yx_px, dataset.patch_px), dataset.patch_px)


@pytest.mark.parametrize("mode", ["crops", "regions"])
@pytest.mark.parametrize("kind", ["cells", "spots"])
def test_patches_for_a_model_show_all_that_it_sees(write, cells, spots, kind, mode):
    section = cells() if kind == "cells" else spots()
    config = Cut(mode=mode, view=View("small", 0.5, 40)).config(section.spot_diameter_um)
    dataset = write(section, **(config.model_dump() | {"shard_patches": 8}))
    assert wanted_px(dataset, section.name, 40) == dataset.patch_px


def test_patches_that_are_narrower_do_not(write, cells):
    assert wanted_px(write(cells(), patch_px=76), "A", 40) > 76


def test_the_bundled_model_is_known_by_its_name():
    assert view_of("past-mini") == View("past-mini", 1.0, 144)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"mpp": 0.0}, "--dataset-mpp is a positive number of µm/px, but got 0."),
        ({"mpp": float("nan")}, "--dataset-mpp is a positive"),
        ({"mpp": 0.5, "view": MINI}, "--for mini means 1 µm/px, but got --dataset-mpp 0.5"),
        ({"patch_px": 287, "view": MINI}, "144 px around a nucleus, .* or give 288 or more"),
        ({"mode": "regions", "halo_px": 143, "view": MINI}, "a --halo-px of 143 .*144 or more"),
    ],
)
def test_contradictions_are_told_at_once(given, message):
    with pytest.raises(BadDataset, match=message):
        Cut(**given)


@pytest.mark.parametrize(
    "given",
    [
        {"mpp": 1.0},
        {"patch_px": 388},
        {"mode": "regions", "halo_px": 194},
    ],
)
def test_what_agrees_with_the_model_is_taken(given):
    config = Cut(**given, view=MINI).config(100.0)
    told = {"mpp": config.mpp, "patch_px": config.patch_px, "halo_px": config.halo_px}
    assert {key: told[key] for key in given if key != "mode"} == {
        key: value for key, value in given.items() if key != "mode"
    }


def test_spots_need_more_than_cells():
    with pytest.raises(BadDataset, match=r"nuclei of a spot of 100 µm, .* give 388 or more"):
        Cut(patch_px=387, view=MINI).config(100.0)


def test_a_later_section_of_wider_spots(cells, spots):
    cut = Cut(view=View("small", 0.5, 64))
    config = cut.config(None)
    kept = cut.fitting([cells("A"), spots("B")], config)
    assert next(kept).name == "A"
    with pytest.raises(BadDataset, match=re.escape("spot of 20 µm, which patches of 128 px")):
        next(kept)
