"""Settings and names that a dataset can have."""

from __future__ import annotations

import pydantic
import pytest

from past_training.dataset.schema import BadDataset, PrepareConfig, checked_section_name


@pytest.mark.parametrize(
    ("patch_px", "patches"),
    # 2^24 bytes hold 606.8 patches of 96 px, 111.5 of 224 px, 21.3 of 512 px, 1.3 of 2048 px.
    [(96, 512), (224, 64), (512, 16), (2048, 1)],
)
def test_a_shard_is_a_power_of_two_within_16_mib(patch_px, patches):
    assert PrepareConfig(patch_px=patch_px).patches_in_shard == patches


def test_core_of_a_region():
    assert PrepareConfig(patch_px=64, mode="regions", halo_px=10).core_px == 44


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode": "regions", "patch_px": 64, "halo_px": 32}, "leaves no core"),
        ({"mode": "crops", "halo_px": 8}, "halo_px belongs to regions"),
        ({"mpp": 0.0}, "mpp"),
        ({"patch_px": 8}, "patch_px"),
        ({"size_px": 8}, "size_px"),
    ],
    ids=["no core", "halo of crops", "no pixel size", "too small", "unknown"],
)
def test_settings_that_make_no_sense(settings, message):
    with pytest.raises(pydantic.ValidationError, match=message):
        PrepareConfig(**settings)


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "a b", "µ"])
def test_names_that_cannot_be_folders(name):
    with pytest.raises(BadDataset, match="--name"):
        checked_section_name(name)


def test_names_that_can():
    assert checked_section_name("human_lung_DonorA_s1.v2-b") == "human_lung_DonorA_s1.v2-b"
