"""Augmentation: pictures that turn with their nuclei, stains that vary."""

from __future__ import annotations

import torch

from past_training.augment import oriented, restained


def test_orientation_takes_the_cells_along():
    """Each marked pixel is found where its position says, in all eight orientations."""
    side, seen = 9, set()
    where = torch.tensor([[0.0, 1.0, 5.0], [1.0, 3.0, 0.0], [1.0, 8.0, 8.0]])
    image = torch.zeros(2, 3, side, side)
    for value, (b, y, x) in enumerate(where.long().tolist(), start=1):
        image[b, :, y, x] = value
    for seed in range(60):
        generator = torch.Generator().manual_seed(seed)
        turned, moved = oriented(image, where, generator)
        assert turned.shape == image.shape
        for value, (b, y, x) in enumerate(moved.long().tolist(), start=1):
            assert turned[b, :, y, x].tolist() == [value] * 3
        seen.add(tuple(moved[0].tolist()))
    assert len(seen) == 8


def test_restaining_keeps_pixels_in_range_and_without_strength_changes_nothing():
    source = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (3, 3, 16, 16), generator=source).float()
    same = restained(image, 0.0, torch.Generator().manual_seed(1))
    torch.testing.assert_close(same, image, atol=1e-2, rtol=0)
    changed = restained(image, 0.2, torch.Generator().manual_seed(1))
    assert changed.min() >= 0
    assert changed.max() <= 255
    difference = (changed - image).abs().mean(dim=(1, 2, 3))
    assert difference.min() > 1
    assert difference.unique().numel() == 3
