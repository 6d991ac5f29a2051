"""How much patches show around their nuclei, with numbers that can be counted."""

from __future__ import annotations

import numpy as np
import pytest

from past_training.dataset.margin import margin_px, patch_px_for


@pytest.mark.parametrize(
    ("yx_px", "margin"),
    [
        # Pixel 0 spans -0.5 to 0.5, pixel 9 ends at 9.5.
        ([[0, 5]], 0.5),
        ([[4.5, 4.5]], 5),
        ([[4.5, 4.5], [4.5, 7.5]], 2),
        ([[8, 4.5], [4, 4]], 1.5),
        ([[-1.5, 4.5]], -1),
    ],
)
def test_margin(yx_px, margin):
    assert margin_px(np.array(yx_px, np.float32), 10) == margin


@pytest.mark.parametrize(
    ("halo_px", "margin", "patch_px", "wanted_px"),
    [
        (64, 72, 144, 144),
        (64, 63.5, 128, 128),
        (64, 63, 126, 126),
        (64, 62.9, 126, 128),
        (64, 8, 16, 126),
        (64, -2, 16, 146),
    ],
)
def test_patches_that_show_enough(halo_px, margin, patch_px, wanted_px):
    assert patch_px_for(halo_px, margin, patch_px) == wanted_px
