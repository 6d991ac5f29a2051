"""Nuclei on brown-and-blue slides: both colours alike, however pale or dark."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage
from skimage import data

from napari_past.cells import (
    Detector,
    IhcCounterstainDetector,
    IhcDetector,
    cells_in,
    detector_names,
    find_cells,
    get_detector,
    tiles_over,
)
from napari_past.slide import slide_of_array
from napari_past.types import FoundCells

BLUE, BROWN = np.array((0.78, 0.58, 0.22)), np.array((0.268, 0.570, 0.776))
GLASS = np.array((240.0, 239.0, 236.0))
MPP = 0.5
RADIUS_UM = 4.0


def nuclei(seed: int = 0, count: int = 120) -> np.ndarray:
    """Centres (n, 2) in µm, at least 11 µm apart, on 250 x 200 µm."""
    rng = np.random.default_rng(seed)
    found: list[np.ndarray] = []
    while len(found) < count:
        place = rng.uniform((10, 10), (240, 190))
        if all(np.hypot(*(place - other)) > 11 for other in found):
            found.append(place)
    return np.array(found)


def slide_with(
    centers: np.ndarray, blue: np.ndarray, brown: np.ndarray, ring: float = 0.0
) -> np.ndarray:
    """Discs with these densities of both stains, brown rings of `ring` around them, and tissue."""
    y, x = (np.mgrid[:400, :500] + 0.5) * MPP
    h, d = np.full(x.shape, 0.03), np.zeros(x.shape)
    for (cx, cy), amount, dab in zip(centers, blue, brown, strict=True):
        away = np.hypot(x - cx, y - cy)
        h[away < RADIUS_UM], d[away < RADIUS_UM] = amount, dab
        d[(away >= RADIUS_UM) & (away < RADIUS_UM + 1.5)] = ring
    h, d = (ndimage.gaussian_filter(a, 0.7) for a in (h, d))
    light = GLASS * 10 ** -(h[..., None] * BLUE + d[..., None] * BROWN)
    light += ndimage.gaussian_filter(np.random.default_rng(1).normal(0, 3, light.shape), (1, 1, 0))
    return np.clip(np.rint(light), 0, 255).astype(np.uint8)


def test_names_and_protocol():
    assert {"ihc-nuclear", "ihc-membrane"} <= set(detector_names())
    found = [get_detector("ihc-nuclear"), get_detector("ihc-membrane")]
    assert [type(d) for d in found] == [IhcDetector, IhcCounterstainDetector]
    assert all(isinstance(d, Detector) for d in found)
    assert [d.name for d in found] == ["ihc-nuclear", "ihc-membrane"]
    assert len({d.identity() for d in found}) == 2
    slide = slide_of_array(slide_with(nuclei(), np.full(120, 0.4), np.zeros(120)), MPP)
    fitted = found[0].fitted(slide)
    assert isinstance(fitted, IhcDetector)
    assert fitted.identity() == found[0].fitted(slide).identity() != found[0].identity()


@pytest.mark.parametrize("share", [0.0, 0.03, 0.5, 1.0])
@pytest.mark.parametrize("pale", [0.5, 0.2], ids=["blue", "pale blue"])
def test_blue_and_brown_are_found_alike(matched, share, pale):
    """Brown nuclei four times as dense must not hide the blue ones, nor the other way round."""
    centers = nuclei()
    rng = np.random.default_rng(2)
    brown = np.where(rng.random(len(centers)) < share, rng.uniform(0.25, 1.2, len(centers)), 0.0)
    rgb = slide_with(centers, np.full(len(centers), pale), brown)
    # Without the tissue mask, which is made for H&E and sees the palest of these as glass.
    slide = slide_of_array(rgb, MPP)
    detector = IhcDetector()
    detector = replace(detector, stains=detector.profile(rgb, slide.background))
    found = cells_in(slide, slide.bounds, detector)
    assert len(found) <= 1.05 * len(centers)
    for kind in (brown > 0, brown == 0):
        if kind.any():
            assert matched(found.centers_um, centers[kind], 1.0) >= 0.95 * kind.sum()
    assert np.median(found.areas_um2) == pytest.approx(np.pi * RADIUS_UM**2, rel=0.15)


def test_nuclei_in_brown_membranes(matched):
    centers = nuclei()
    rgb = slide_with(centers, np.full(len(centers), 0.4), np.zeros(len(centers)), ring=0.8)
    found = find_cells(slide_of_array(rgb, MPP), detector="ihc-membrane")
    assert matched(found.centers_um, centers, 1.0) >= 0.95 * len(centers)
    assert len(found) <= 1.05 * len(centers)
    assert np.median(found.areas_um2) == pytest.approx(np.pi * RADIUS_UM**2, rel=0.2)


@pytest.mark.parametrize("name", ["ihc-nuclear", "ihc-membrane"])
def test_one_tile_against_many(name):
    rgb = np.tile(data.immunohistochemistry()[250:, 180:], (1, 2, 1))
    slide = slide_of_array(rgb, MPP)
    detector = get_detector(name).fitted(slide)
    one = cells_in(slide, slide.bounds, detector)
    parts = [cells_in(slide, t.rect, detector) for t in tiles_over(slide.bounds, 71.0)]
    many = FoundCells.concatenate(parts)
    assert len(one) == len(many) > 50
    order = [c.take(np.lexsort(np.round(c.centers_um, 3).T)) for c in (one, many)]
    np.testing.assert_allclose(order[0].centers_um, order[1].centers_um, atol=1e-6)
    np.testing.assert_array_equal(order[0].areas_um2, order[1].areas_um2)


def test_real_membranes_give_a_sane_picture():
    """scikit-image's colon at about 0.5 µm/px: brown glands whose nuclei are blue, and stroma."""
    found = find_cells(data.immunohistochemistry(), MPP, detector="ihc-membrane")
    assert 200 < len(found) < 450
    assert 15 < np.median(found.areas_um2) < 50
    lumen = np.hypot(*(found.centers_um - (10.0, 190.0)).T) < 20
    assert lumen.sum() <= 1


def test_pixels_alone_are_enough():
    """Without `fitted`, a block tells its own scale."""
    rgb = slide_with(nuclei(), np.full(120, 0.4), np.zeros(120))
    slide = slide_of_array(rgb, MPP)
    detector = IhcDetector()
    assert len(cells_in(slide, slide.bounds, detector)) > 110
    assert len(cells_in(slide, slide.bounds, replace(detector, threshold=50.0))) == 0


@pytest.mark.parametrize("name", ["ihc-nuclear", "ihc-membrane"])
def test_noisy_glass_has_no_cells(name):
    light = GLASS + np.random.default_rng(0).normal(0, 2, (300, 300, 3))
    slide = slide_of_array(np.rint(light).astype(np.uint8), MPP)
    assert len(cells_in(slide, slide.bounds, get_detector(name).fitted(slide))) == 0
    assert len(cells_in(slide, slide.bounds, get_detector(name))) == 0
