"""Each kind is found where it is, and tissue in focus is left alone."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from scipy import ndimage

import napari_past as past
from napari_past.errors import Cancelled, MissingPixelSize
from napari_past.quality import UNSCORED_KINDS, find_unscored
from napari_past.slide import open_slide, slide_of_array

MPP = 0.5
INKS = {"blue": (30, 70, 150), "green": (30, 130, 70), "black": (30, 30, 35), "red": (200, 30, 45)}


def label(kind):
    return UNSCORED_KINDS.index(kind) + 1


def part(mask, x0, y0, x1, y1):
    """Labels inside a box in µm."""
    a, b, c, d = (round(v / mask.mpp) for v in (y0, y1, x0, x1))
    return mask.labels[a:b, c:d]


def inside(mask, polygon_um):
    y, x = (np.indices(mask.labels.shape) + 0.5) * mask.mpp
    return shapely.contains_xy(polygon_um, x, y)


@pytest.fixture(scope="module")
def slide(phantom):
    return slide_of_array(phantom.rgb, MPP)


@pytest.fixture(scope="module")
def mask(slide):
    return find_unscored(slide)


def test_the_phantoms_blur_and_pen_are_found_and_little_else(phantom, slide, mask):
    assert mask.mpp == slide.tissue_mask().mpp
    assert mask.labels.shape == slide.tissue_mask().mask.shape
    pen, blur = (inside(mask, phantom.regions[k].buffer(-8)) for k in ("pen", "blur"))
    assert (mask.labels[pen] == label("pen")).mean() > 0.9
    assert (mask.labels[blur] == label("blur")).mean() > 0.6
    spoiled = phantom.regions["pen"].union(phantom.regions["blur"]).buffer(24)
    rest = slide.tissue_mask().mask & ~inside(mask, spoiled)
    assert (mask.labels[rest] > 0).mean() < 0.02
    centers = phantom.centers_um
    clean = ~shapely.contains_xy(spoiled, centers[:, 0], centers[:, 1])
    assert (mask.kind_at(centers[clean]) > 0).mean() < 0.02


@pytest.mark.parametrize("sigma_um", [2.0, 4.0])
def test_tissue_out_of_focus(tissue, sigma_um):
    half = tissue.shape[1] // 2
    sigma = sigma_um / MPP
    soft = ndimage.gaussian_filter(tissue.astype(np.float32), (sigma, sigma, 0))
    tissue[:, :half] = np.rint(soft[:, :half])
    mask = find_unscored(slide_of_array(tissue, MPP))
    width_um = half * MPP
    there = slide_of_array(tissue, MPP).tissue_mask().mask
    blurred = (mask.labels == label("blur")) & there
    left = there.copy()
    left[:, round((width_um - 24) / mask.mpp) :] = False
    right = there.copy()
    right[:, : round((width_um + 40) / mask.mpp)] = False
    assert blurred[left].mean() > 0.8
    assert blurred[right].mean() < 0.2, "the phantom has a place out of focus of its own"


@pytest.mark.parametrize("ink", INKS)
def test_pen_of_four_colours(tissue, ink):
    stroke = np.zeros(tissue.shape[:2], np.float32)
    stroke[300:700, 100:1100] = 0.9
    stroke = ndimage.gaussian_filter(stroke, 4)[..., None]
    painted = tissue * (np.array(INKS[ink]) / 255) ** stroke
    mask = find_unscored(slide_of_array(np.rint(painted).astype(np.uint8), MPP))
    assert (part(mask, 60, 160, 540, 340) == label("pen")).mean() > 0.85
    assert (part(mask, 60, 400, 540, 480) == label("pen")).mean() < 0.05


def test_a_fold_is_a_band_twice_as_dense():
    rng = np.random.default_rng(0)
    # Even stroma: what lies beside the band is the same tissue once.
    grain = ndimage.gaussian_filter(rng.standard_normal((1200, 1200)), 3)
    od = (0.3 + 0.06 * grain / grain.std())[..., None] * np.array([0.35, 0.9, 0.5])
    od[:, :60] = 0
    band = np.zeros((1200, 1200, 1))
    band[560:660, 100:1100] = 1
    folded = slide_of_array(np.rint(240 * 10 ** -(od * (1 + band))).astype(np.uint8), MPP)
    mask = find_unscored(folded)
    assert (part(mask, 80, 288, 520, 320) == label("fold")).mean() > 0.8
    assert not (part(mask, 0, 0, 600, 240) == label("fold")).any()
    # A band that is denser in haematoxylin alone is epithelium.
    epithelium = od + band * np.array([0.3, 0.12, 0.05])
    other = slide_of_array(np.rint(240 * 10**-epithelium).astype(np.uint8), MPP)
    assert not (find_unscored(other).labels == label("fold")).any()


def test_a_bubble_is_a_dark_ring_around_nothing_sharp(tissue):
    y, x = np.indices(tissue.shape[:2])
    distance_um = np.hypot(x - 600, y - 500) * MPP
    hazy = ndimage.gaussian_filter(tissue.astype(np.float32), (16, 16, 0))
    painted = np.where((distance_um < 130)[..., None], hazy, tissue)
    ring = np.exp(-(((distance_um - 130) / 4) ** 2))[..., None]
    painted = painted * 10 ** (-0.9 * ring)
    mask = find_unscored(slide_of_array(np.rint(painted).astype(np.uint8), MPP))
    bubble = mask.labels == label("bubble")
    at_um = (np.indices(bubble.shape) + 0.5) * mask.mpp - np.array([250, 300])[:, None, None]
    distance_um = np.hypot(*at_um)
    assert bubble[distance_um < 110].mean() > 0.9
    assert not bubble[distance_um > 160].any()


def test_glass_is_what_is_no_tissue(slide, mask):
    tissue = slide.tissue_mask().mask
    assert not (mask.labels[tissue] == label("glass")).any()
    far = ~ndimage.binary_dilation(tissue, iterations=3)
    assert (mask.labels[far] == label("glass")).mean() > 0.98


def test_fat_is_not_glass():
    """Thin walls that the tissue mask passes over, with nuclei in them."""
    rgb = np.full((1000, 1000, 3), 240, np.uint8)
    rgb[:300, :600] = 200, 120, 170
    y, x = np.indices(rgb.shape[:2])
    nuclei_um = np.array([[250.0, 400.0], [380.0, 350.0], [100.0, 430.0]])
    for cx, cy in nuclei_um / MPP:
        rgb[np.hypot((x - cx) / 1.5, y - cy) < 6] = 90, 60, 140
    slide = slide_of_array(rgb, MPP)
    assert not slide.tissue_mask().contains(nuclei_um).any()
    mask = find_unscored(slide)
    assert (mask.kind_at(nuclei_um) == 0).all()
    assert (part(mask, 420, 420, 480, 480) == label("glass")).all()


def test_empty_glass_alone_is_all_glass():
    mask = find_unscored(slide_of_array(np.full((600, 800, 3), 240, np.uint8), MPP))
    assert (mask.labels == label("glass")).all()


def test_the_same_slide_gives_the_same_mask(phantom, mask):
    again = find_unscored(slide_of_array(phantom.rgb, MPP))
    assert (again.labels == mask.labels).all()
    assert again.source == mask.source


def test_a_coarse_slide_has_no_blur_and_no_error(phantom):
    rgb = phantom.rgb[: 1536 // 8 * 8, : 2048 // 8 * 8]
    coarse = rgb.reshape(rgb.shape[0] // 8, 8, rgb.shape[1] // 8, 8, 3).mean(axis=(1, 3))
    mask = find_unscored(slide_of_array(coarse.astype(np.uint8), 4.0))
    assert not (mask.labels == label("blur")).any()
    pen = inside(mask, phantom.regions["pen"].buffer(-12))
    assert (mask.labels[pen] == label("pen")).mean() > 0.8


def test_progress_begins_and_ends_and_can_be_cancelled(slide):
    told = []
    find_unscored(slide, on_progress=lambda done, total: told.append((done, total)))
    assert told[0][0] == 0
    assert told[-1][0] == told[-1][1] > 0
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    with pytest.raises(Cancelled):
        find_unscored(slide, cancelled=lambda: True)


def test_a_slide_without_pixel_size_is_told(data_dir):
    with (
        open_slide(data_dir / "slides" / "edge" / "invalid_resolutions_tiff.tif") as slide,
        pytest.raises(MissingPixelSize),
    ):
        find_unscored(slide)


@pytest.mark.parametrize(
    ("name", "mpp", "most"),
    # A rim of the frozen section is lifted out of focus: some of its loss is right.
    [("CMU-1-Small-Region.svs", None, 0.005), ("her2st_C5_pyramid.tif", 0.69, 0.03)],
)
def test_real_tissue_is_left_alone(data_dir, name, mpp, most):
    with past.open_slide(data_dir / "slides" / name, mpp=mpp) as slide:
        mask, tissue = find_unscored(slide), slide.tissue_mask()
        lost = sum(a for kind, a in mask.area_mm2().items() if kind != "glass")
        assert lost / tissue.area_mm2 < most
