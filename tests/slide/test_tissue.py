"""Glass and tissue of drawn and real slides."""

from __future__ import annotations

import numpy as np
import pytest

from napari_past.slide import TissueMask, open_slide
from napari_past.slide.tissue import tissue_mask
from napari_past.types import Rect

GLASS = (241, 238, 243)
STAIN = (190, 120, 180)


def scene(height: int, width: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.clip(rng.normal(GLASS, 2, (height, width, 3)), 0, 255).astype(np.uint8)


def stained(rgb, y0, y1, x0, x1, seed=1):
    rng = np.random.default_rng(seed)
    shape = rgb[y0:y1, x0:x1].shape
    rgb[y0:y1, x0:x1] = np.clip(rng.normal(STAIN, 12, shape), 0, 255)
    return rgb


def test_a_square_is_found_with_its_place_and_area():
    found = tissue_mask(stained(scene(300, 400), 100, 200, 50, 250), 8.0, GLASS)
    assert found.area_mm2 == pytest.approx(200 * 100 * 64e-6, rel=0.06)
    assert found.mask[100:200, 50:250].all()
    points = np.array([[50 * 8 + 1, 100 * 8 + 1], [10, 10], [-5, 900], [1e9, 3], [1600.0, 1200.0]])
    assert found.contains(points).tolist() == [True, False, False, False, True]


def test_no_tissue_and_nothing_but_tissue():
    assert not tissue_mask(scene(300, 400), 8.0, GLASS).mask.any()
    full = stained(scene(300, 400), 0, 300, 0, 400)
    assert tissue_mask(full, 8.0, GLASS).mask.all()
    assert tissue_mask(full, 8.0, (255, 255, 255)).mask.all()
    flat = np.full((40, 50, 3), STAIN, np.uint8)
    assert tissue_mask(flat, 8.0, GLASS).mask.all()


def test_pale_counterstain_beside_dark_brown_is_tissue_where_stain_may_be_faint():
    """Brown must not draw the limit up to where pale blue is glass; shading stays glass."""
    rng = np.random.default_rng(3)
    rgb = scene(300, 400).astype(float)
    rgb *= np.linspace(1, 0.97, 400)[None, :, None]
    pale = rng.normal((214, 221, 236), 6, (300, 200, 3))
    rgb[:, 200:] = pale
    rgb[20:80, 300:360] = rng.normal((90, 60, 45), 10, (60, 60, 3))
    picture = np.clip(rgb, 0, 255).astype(np.uint8)
    faint = tissue_mask(picture, 8.0, GLASS, faint=True).mask
    assert faint[:, 210:].mean() > 0.95
    assert not faint[:, :190].any()
    assert tissue_mask(picture, 8.0, GLASS).mask[:, 210:].mean() < 0.2


def test_specks_go_and_lumina_fill():
    rgb = stained(scene(300, 400), 100, 200, 50, 250)
    rgb[120:125, 100:105] = GLASS  # 40 µm: a lumen
    rgb[140:190, 150:220] = GLASS  # 400 x 560 µm: glass
    stained(rgb, 20, 22, 20, 22)  # 256 µm²: dust
    found = tissue_mask(rgb, 8.0, GLASS)
    assert found.mask[122, 102]
    assert not found.mask[165, 185]
    assert not found.mask[10:30, 10:30].any()


def test_covers_is_inclusive_by_one_pixel():
    mask = np.zeros((10, 20), bool)
    mask[4, 6] = True
    tissue = TissueMask(mask, 8.0)
    assert tissue.covers(Rect(48, 32, 8, 8))
    assert tissue.covers(Rect(56, 32, 4, 4))
    assert not tissue.covers(Rect(65, 32, 4, 4))
    assert tissue.covers(Rect(-100, -100, 1000, 1000))
    assert not tissue.covers(Rect(-100, -100, 50, 50))
    assert not tissue.covers(Rect(500, 500, 50, 50))


def test_background_is_the_glass(tmp_path, write_tiff):
    rgb = stained(scene(700, 900), 100, 500, 100, 600)
    with open_slide(write_tiff(tmp_path / "a.tif", [rgb], mpp=4.0)) as slide:
        assert np.abs(np.subtract(slide.background, GLASS)).max() <= 1
        found = slide.tissue_mask()
        assert found.mpp == 8.0
        assert found.mask.shape == (350, 450)
        assert found.area_mm2 == pytest.approx(400 * 500 * 16e-6, rel=0.06)
        assert slide.tissue_mask() is found


def test_mask_is_not_finer_than_the_slide(tmp_path, write_tiff):
    rgb = stained(scene(100, 120), 30, 70, 30, 70)
    with open_slide(write_tiff(tmp_path / "a.tif", [rgb], mpp=None), mpp=15) as slide:
        found = slide.tissue_mask()
        assert (found.mpp, found.mask.shape) == (15.0, (100, 120))


@pytest.mark.parametrize(
    ("name", "mpp", "tissue_um", "glass_um", "share"),
    [
        ("CMU-1-Small-Region.svs", None, (600, 900), (150, 900), (0.37, 0.45)),
        # dots printed on the glass, and a pink smear right of the tissue
        ("her2st_C5_pyramid.tif", None, (2500, 2500), (4200, 3900), (0.15, 0.19)),
        ("tma_core.ome.tif", None, (340, 370), (20, 20), (0.70, 0.78)),
        ("edge/small_HE_levels.tiff", 4, (500, 400), (30, 30), (0.50, 0.57)),
    ],
)
def test_real_slides(data_dir, name, mpp, tissue_um, glass_um, share):
    with open_slide(data_dir / "slides" / name, mpp=mpp) as slide:
        found = slide.tissue_mask()
        assert found.contains(np.array([tissue_um, glass_um], float)).tolist() == [True, False]
        assert share[0] < found.mask.mean() < share[1]
