"""Stain vectors: pictures made by Beer's law give back what they were made from."""

from __future__ import annotations

import numpy as np
import pytest

from napari_past.cells import estimate_stains, hematoxylin_od
from napari_past.cells.stains import optical_density
from napari_past.optical_density import RUIFROK_EOSIN, RUIFROK_HEMATOXYLIN


def unit(*vector: float) -> np.ndarray:
    return np.array(vector) / np.linalg.norm(vector)


def picture(h: np.ndarray, e: np.ndarray, glass: tuple[float, ...], seed: int = 0):
    """Tissue of pure and mixed pixels and some glass; amounts of haematoxylin with it."""
    rng = np.random.default_rng(seed)
    n = 40_000
    hema, eosin = rng.uniform(0, 1.1, n), rng.uniform(0, 0.9, n)
    kind = rng.integers(0, 4, n)  # haematoxylin alone, eosin alone, both, glass
    hema[(kind == 1) | (kind == 3)] = 0
    eosin[(kind == 0) | (kind == 3)] = 0
    light = np.array(glass) * 10 ** -(hema[:, None] * h + eosin[:, None] * e)
    rgb = np.clip(np.rint(light + rng.normal(0, 0.7, light.shape)), 0, 255)
    return rgb.astype(np.uint8).reshape(200, 200, 3), hema.reshape(200, 200)


@pytest.mark.parametrize(
    ("h", "e"),
    [
        (unit(0.65, 0.70, 0.29), unit(0.07, 0.99, 0.11)),
        (unit(0.55, 0.78, 0.30), unit(0.20, 0.90, 0.40)),
        (unit(0.75, 0.60, 0.25), unit(0.25, 0.85, 0.45)),
    ],
    ids=["Ruifrok", "purple", "blue"],
)
@pytest.mark.parametrize("glass", [(255, 255, 255), (241, 236, 244)], ids=["white", "grey"])
def test_vectors_are_recovered(h, e, glass):
    rgb, amount = picture(h, e, glass)
    profile = estimate_stains(rgb, glass)
    for found, true in ((profile.hematoxylin, h), (profile.eosin, e)):
        assert np.linalg.norm(found) == pytest.approx(1)
        assert np.degrees(np.arccos(np.clip(np.dot(found, true), -1, 1))) < 4
    unmixed = hematoxylin_od(rgb, profile)
    assert np.corrcoef(unmixed.ravel(), amount.ravel())[0, 1] > 0.99
    tissue = amount[optical_density(rgb, glass).mean(axis=2) > 0.15]
    assert profile.hematoxylin_scale == pytest.approx(np.percentile(tissue, 99), rel=0.06)


def test_amount_of_a_pure_stain_is_its_density():
    profile = estimate_stains(np.full((8, 8, 3), 250, np.uint8), (250.0, 250.0, 250.0))
    h, e = np.array(profile.hematoxylin), np.array(profile.eosin)
    light = 250 * 10 ** -np.stack([0.6 * h, 0.8 * e, 0.6 * h + 0.8 * e])
    amount = hematoxylin_od(np.rint(light).astype(np.uint8)[None], profile)[0]
    np.testing.assert_allclose(amount, [0.6, 0, 0.6], atol=0.02)


@pytest.mark.parametrize(
    "rgb",
    [
        np.full((60, 60, 3), 244, np.uint8),
        np.zeros((0, 384, 3), np.uint8),
        np.full((60, 60, 3), (120, 90, 160), np.uint8),
        np.zeros((60, 60, 3), np.uint8),
    ],
    ids=["glass", "nothing", "one colour", "black"],
)
def test_fixed_vectors_where_the_picture_gives_none(rgb):
    profile = estimate_stains(rgb, (244.0, 244.0, 244.0))
    np.testing.assert_allclose(profile.hematoxylin, unit(*RUIFROK_HEMATOXYLIN), atol=1e-9)
    np.testing.assert_allclose(profile.eosin, unit(*RUIFROK_EOSIN), atol=1e-9)
    assert profile.hematoxylin_scale > 0


def test_order_of_pixels_does_not_matter():
    rgb, _ = picture(unit(0.65, 0.70, 0.29), unit(0.07, 0.99, 0.11), (255, 255, 255))
    a = estimate_stains(rgb, (255.0, 255.0, 255.0))
    b = estimate_stains(rgb[::-1, ::-1], (255.0, 255.0, 255.0))
    np.testing.assert_allclose(a.hematoxylin, b.hematoxylin, atol=1e-9)
