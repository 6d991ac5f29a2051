"""How far towers see, against convolutions that can be counted by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from napari_past.model.card import TowerCard
from napari_past.model.tower import DenseTower
from past_training.engine.receptive_field import SeesAll, halo_px, receptive_radius_px
from past_training.engine.towers import image_tower


class Stack(nn.Module):
    """Convolutions one after another, as a backbone that gives the last map."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, image_BCHW: Tensor) -> list[Tensor]:
        return [self.layers(image_BCHW)]


def tower_of(stride: int, *layers: nn.Module) -> DenseTower:
    torch.manual_seed(1)
    body = DenseTower(TowerCard(backbone="test_resnet", stages=(3,), embed_dim=5))
    body.backbone, body.strides = Stack(*layers), (stride,)
    body.head = nn.Sequential(nn.Linear(4, 5), nn.GELU())
    return body


def conv(channels: int, kernel: int, stride: int = 1, padding: int | None = None) -> nn.Conv2d:
    padding = kernel // 2 if padding is None else padding
    return nn.Conv2d(channels, 4, kernel, stride, padding)


@pytest.mark.parametrize(
    ("stride", "layers", "radius"),
    [
        (1, [conv(3, 1)], 0),
        (1, [conv(3, 7)], 3),
        # One pixel of the first, two of the second, whose cells are two pixels apart.
        (4, [conv(3, 3, 2), nn.ReLU(), conv(4, 3, 2)], 3),
        (16, [conv(3, 3, 2), conv(4, 3, 2), conv(4, 3, 2), conv(4, 3, 2)], 15),
        # Eight cells of 16 px to a side and 15 px: too wide for the first probe.
        (16, [conv(3, 3, 2), conv(4, 3, 2), conv(4, 3, 2), conv(4, 3, 2), conv(4, 17)], 143),
        # Nothing to the left, four to the right: the worse side counts.
        (1, [nn.ZeroPad2d((0, 4, 0, 4)), conv(3, 5, padding=0)], 4),
    ],
    ids=["one pixel", "one layer", "two of stride 2", "four of stride 2", "wide", "one-sided"],
)
def test_by_hand(stride, layers, radius):
    assert receptive_radius_px(tower_of(stride, *layers)) == radius


@pytest.mark.parametrize(
    ("stride", "layers", "halo"),
    [
        # A radius of 3 and a cell of 1, of 3 and of 4, of 15 and of 16, in whole cells.
        (1, [conv(3, 7)], 4),
        (4, [conv(3, 3, 2), nn.ReLU(), conv(4, 3, 2)], 8),
        (16, [conv(3, 3, 2), conv(4, 3, 2), conv(4, 3, 2), conv(4, 3, 2)], 32),
    ],
)
def test_halo_is_the_radius_and_a_cell(stride, layers, halo):
    assert halo_px(tower_of(stride, *layers)) == halo


def test_wide_pictures_may_be_left_out():
    wide = tower_of(16, *(conv(c, 3, 2) for c in (3, 4, 4, 4)), conv(4, 17))
    assert receptive_radius_px(wide, 512) == 143
    with pytest.raises(SeesAll, match="over 128 px"):
        receptive_radius_px(wide, 256)


def test_towers_of_timm():
    """What the halo of the bundled model was made for."""
    body = image_tower("mobilenetv4_conv_small", 96, pretrained=False).body
    assert receptive_radius_px(body) == 119


def test_branches_that_add_nothing_see_nothing():
    """timm starts the last scale of every residual branch of a ResNet at zero."""
    body = image_tower("test_resnet", 96, pretrained=False).body
    before = receptive_radius_px(body)
    with torch.no_grad():
        for parameter in body.backbone.parameters():
            parameter.add_(1e-6)
    assert receptive_radius_px(body) > before


def test_the_tower_stays_as_it_was():
    body = image_tower("mobilenetv4_conv_small", 96, pretrained=False).body.train()
    before = {name: value.clone() for name, value in body.state_dict().items()}
    receptive_radius_px(body)
    assert body.training
    assert all(p.dtype == torch.float32 and p.grad is None for p in body.parameters())
    for name, value in body.state_dict().items():
        assert torch.equal(value, before[name]), name


class Gate(nn.Module):
    """Every place is scaled by the mean of all, as squeeze-and-excitation does."""

    def forward(self, map_BCHW: Tensor) -> Tensor:
        return map_BCHW * map_BCHW.mean((2, 3), keepdim=True).sigmoid()


@pytest.mark.parametrize(
    ("body", "largest_px", "told"),
    [
        (lambda: tower_of(4, conv(3, 3, 4), Gate()), (), r"sees the whole patch \(over 512 px"),
        # Its wider probes would take seconds, and end alike.
        (lambda: image_tower("test_vit", 96, pretrained=False).body, (256,),
         r"sees the whole patch \(over 128 px"),
        (lambda: image_tower("vit_tiny_patch16_224", 224, pretrained=False).body, (), "of 256 px"),
    ],
    ids=["gate", "attention", "one size"],
)  # fmt: skip
def test_towers_that_see_all_are_refused(body, largest_px, told):
    with pytest.raises(SeesAll, match=told) as raised:
        receptive_radius_px(body(), *largest_px)
    assert "mobilenetv4_conv_small" in str(raised.value)
    assert "\n" not in str(raised.value)
