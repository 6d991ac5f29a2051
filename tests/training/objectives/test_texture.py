"""Textures by hand, and what they must not depend on."""

from __future__ import annotations

import math

import pytest
import torch

from past_training.objectives.texture import (
    CHANNELS,
    DENSITIES,
    SCALES,
    TEXTURES,
    WINDOWS,
    texture,
    texture_loss,
)

OF_WINDOW = TEXTURES // len(WINDOWS)
MIDDLE = torch.tensor([[0.0, 100.0, 100.0]])


def flat(*rgb: float, side: int = 208) -> torch.Tensor:
    return torch.tensor(rgb).view(1, 3, 1, 1).expand(1, 3, side, side).clone()


def test_a_flat_picture_has_colour_and_no_detail():
    values = texture(flat(100.0, 60.0, 150.0), MIDDLE).view(len(WINDOWS), OF_WINDOW)
    torch.testing.assert_close(values, values[:1].expand_as(values))
    density = torch.tensor([-math.log((v + 1) / 256) for v in (100, 60, 150)])
    torch.testing.assert_close(values[0, :3], density)
    shares = values[0, CHANNELS : CHANNELS * (1 + len(DENSITIES))].view(len(DENSITIES), CHANNELS)
    for density_level, row in zip(DENSITIES, shares, strict=True):
        torch.testing.assert_close(row[:3], torch.sigmoid((density - density_level) / 0.08))
    details = values[0, CHANNELS * (1 + len(DENSITIES)) :]
    assert len(details) == 2 * SCALES * CHANNELS
    assert float(details.abs().max()) < 1e-6


def test_stains_are_told_apart():
    """A picture of Ruifrok's haematoxylin alone at density 1 holds 1 of it and no eosin."""
    vector = torch.tensor([0.650, 0.704, 0.286])
    rgb = (256 * torch.exp(-vector) - 1).tolist()
    values = texture(flat(*rgb), MIDDLE)[0]
    assert values[3:5].tolist() == pytest.approx([1, 0], abs=1e-4)


def test_a_dark_square_is_seen_at_its_place():
    """Black on the 8 px at 96–103: all of the inner window's shares, a 25th of the next one's."""
    image = flat(255.0, 255.0, 255.0)
    image[:, :, 96:104, 96:104] = 0
    at = torch.tensor([[0.0, 99.5, 99.5], [0.0, 150.0, 150.0]])
    values = texture(image, at).view(2, len(WINDOWS), OF_WINDOW)
    above_1_4 = CHANNELS * len(DENSITIES)
    assert values[0, :, above_1_4].tolist() == pytest.approx(
        [1, 1 / 25, 1 / 121, 1 / 441], abs=2e-3
    )
    assert values[1, :2, above_1_4].tolist() == pytest.approx([0, 0], abs=1e-6)


def test_turned_pictures_have_the_same_textures():
    generator = torch.Generator().manual_seed(3)
    image = torch.rand(1, 3, 96, 96, generator=generator) * 255
    at = torch.tensor([[0.0, 30.0, 52.0]])
    turned = torch.rot90(image, 1, (2, 3))
    there = torch.tensor([[0.0, 95.0 - 52.0, 30.0]])
    torch.testing.assert_close(texture(image, at), texture(turned, there), atol=1e-5, rtol=1e-4)


def test_loss_is_one_for_the_mean_and_zero_for_the_truth():
    generator = torch.Generator().manual_seed(0)
    values = torch.rand(400, TEXTURES, generator=generator) * 5 + 3
    truth = (values - values.mean(0)) / values.std(0, correction=0)
    assert float(texture_loss(torch.zeros_like(values), values)) == pytest.approx(1, abs=1e-3)
    assert float(texture_loss(truth, values)) == pytest.approx(0, abs=1e-6)
    # One nucleus alone, or textures that do not vary, give no infinite goal.
    assert float(texture_loss(torch.zeros(1, TEXTURES), values[:1])) == 0
