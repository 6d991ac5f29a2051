"""What a run is told before it begins of the model file that it shall become."""

from __future__ import annotations

import logging

import pytest
from torch import Tensor, nn

from past_training.dataset.read import PairedDataset, open_dataset
from past_training.engine import launch
from past_training.engine.export_warning import export_warning
from past_training.engine.towers import ImageTower, image_tower


@pytest.fixture
def paired(dataset) -> PairedDataset:
    """Cells in the middle of patches of 16 px."""
    return open_dataset(dataset)


class OneLayer(nn.Module):
    """A backbone that gives one map, on cells of a pixel; without a radius each of all pixels."""

    def __init__(self, radius_px: int | None) -> None:
        super().__init__()
        self.all = radius_px is None
        far = radius_px or 1
        self.convolution = nn.Conv2d(3, 2, 3, padding=far, dilation=far)

    def forward(self, image_BCHW: Tensor) -> list[Tensor]:
        return [self.convolution(image_BCHW) + self.all * image_BCHW.mean()]


def seeing(radius_px: int | None) -> ImageTower:
    """A tower that sees so far."""
    tower = image_tower("test_resnet", 16, pretrained=False)
    tower.body.backbone, tower.body.strides = OneLayer(radius_px), (1,)
    tower.body.head = nn.Linear(2, 8)
    return tower


@pytest.mark.parametrize("radius_px", [3, 7])
def test_patches_that_show_enough(paired, radius_px):
    assert export_warning("mine", seeing(radius_px), paired) == ""


@pytest.mark.parametrize(("radius_px", "halo_px"), [(19, 20), (39, 40)])
def test_patches_that_show_too_little(paired, radius_px, halo_px):
    """A sample between two cells sees one more; of twice that, a pixel may be spared."""
    told = export_warning("mine", seeing(radius_px), paired)
    assert f"looks {halo_px} px around a nucleus, but patches of 16 px show less" in told
    named = int(told.partition("--patch-px ")[2].split()[0])
    assert named in (2 * halo_px - 2, 2 * halo_px)
    assert "\n" not in told


def test_towers_that_see_all(paired):
    told = export_warning("mine", seeing(None), paired)
    assert told.startswith("past-train export may refuse the weights of this run: The image tower")
    assert "over 256 px" in told


def test_towers_that_no_file_can_hold_need_no_room(paired):
    pooled = image_tower("test_resnet", 16, pretrained=False, pooled=True)
    assert export_warning("test_resnet", pooled, paired) == ""
    assert export_warning("uni2-h", seeing(39), paired) == ""


@pytest.mark.parametrize("pooled", [[], ["--pooled"]], ids=["sampled", "pooled"])
def test_a_run_is_told_once(dataset, tmp_path, caplog, pooled):
    line = (
        "--exp-name", "run", "--output-dir", str(tmp_path), "--data", str(dataset), "--epochs", "1",
        "--image-tower", "test_resnet", "--cell-dim", "16", "--num-workers", "0", "--device",
        "cpu", "--batch-size", "50",
    )  # fmt: skip
    with caplog.at_level(logging.INFO):
        assert launch.main([*line, *pooled]) == 0
    told = [r.message for r in caplog.records if "past-train export would refuse" in r.message]
    assert len(told) == (0 if pooled else 1)
