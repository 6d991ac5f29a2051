from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import scipy.ndimage as ndi
import shapely
from scipy.spatial import cKDTree
from skimage.color import rgb2hed

from napari_past.sample import Phantom, draw_phantom

KINDS = {"epithelial", "fibroblast", "lymphocyte"}


def values_at(image: np.ndarray, points_um: np.ndarray, mpp: float) -> np.ndarray:
    """Of the pixel that each point (x, y) in µm lies in."""
    columns, rows = np.floor(points_um / mpp).astype(int).T
    return image[rows, columns]


def pixel_centres_um(phantom: Phantom) -> tuple[np.ndarray, np.ndarray]:
    height, width = phantom.rgb.shape[:2]
    y, x = np.mgrid[:height, :width]
    return (x + 0.5) * phantom.mpp, (y + 0.5) * phantom.mpp


def inside(phantom: Phantom, region: shapely.Geometry) -> np.ndarray:
    return shapely.contains_xy(region, *pixel_centres_um(phantom))


def in_focus(phantom: Phantom) -> np.ndarray:
    """Which nuclei lie neither under ink nor in the blurred patch."""
    spoilt = shapely.union(phantom.regions["blur"], phantom.regions["pen"]).buffer(8)
    return ~shapely.contains_xy(spoilt, *phantom.centers_um.T)


def test_shapes_and_types(phantom: Phantom) -> None:
    n = len(phantom.centers_um)
    assert phantom.rgb.shape == (902, 1310, 3)
    assert phantom.rgb.dtype == np.uint8
    assert phantom.mpp == 0.5
    assert phantom.centers_um.shape == (n, 2)
    assert phantom.centers_um.dtype == np.float64
    assert phantom.kinds.shape == phantom.radii_um.shape == (n,)
    assert set(phantom.kinds.tolist()) == KINDS
    assert phantom.regions.keys() == {"tissue", "glands", "blur", "pen"}
    with pytest.raises(dataclasses.FrozenInstanceError):
        phantom.mpp = 1.0


def test_the_same_arguments_give_the_same_phantom(phantom: Phantom) -> None:
    again = draw_phantom(1310, 902, 0.5, 3)
    assert np.array_equal(again.rgb, phantom.rgb)
    assert np.array_equal(again.centers_um, phantom.centers_um)
    assert np.array_equal(again.kinds, phantom.kinds)
    assert all(again.regions[k].equals(r) for k, r in phantom.regions.items())


def test_another_seed_gives_another_tissue(phantom: Phantom) -> None:
    other = draw_phantom(1310, 902, 0.5, 4)
    assert not np.array_equal(other.rgb, phantom.rgb)
    assert not other.regions["glands"].equals(phantom.regions["glands"])


def test_the_same_tissue_at_another_resolution() -> None:
    coarse, fine = draw_phantom(400, 300, 0.5, 1), draw_phantom(800, 600, 0.25, 1)
    assert np.array_equal(coarse.centers_um, fine.centers_um)
    halved = fine.rgb.reshape(300, 2, 400, 2, 3).mean(axis=(1, 3))
    assert np.corrcoef(halved.ravel(), coarse.rgb.ravel())[0, 1] > 0.97


def test_nuclei_hold_haematoxylin(phantom: Phantom) -> None:
    hematoxylin = ndi.uniform_filter(rgb2hed(phantom.rgb)[..., 0], 3)
    seen = in_focus(phantom)
    nuclei = values_at(hematoxylin, phantom.centers_um[seen], phantom.mpp)
    tissue = inside(phantom, phantom.regions["tissue"].difference(phantom.regions["pen"].buffer(8)))
    rows, columns = np.nonzero(tissue)
    chosen = np.random.default_rng(0).integers(0, len(rows), 5000)
    points = (np.stack([columns, rows], axis=1)[chosen] + 0.5) * phantom.mpp
    elsewhere = points[cKDTree(phantom.centers_um).query(points)[0] > 8]
    ground = values_at(hematoxylin, elsewhere, phantom.mpp)
    assert len(ground) > 1000
    # Nearly every nucleus is bluer than nearly all of the tissue between the nuclei.
    assert np.percentile(nuclei, 3) > np.percentile(ground, 97)


def test_centres_are_the_middle_of_nuclei_to_a_tenth_of_a_pixel(phantom: Phantom) -> None:
    """A half-pixel shift or swapped axes would show: the centre of gravity of round nuclei."""
    hematoxylin = rgb2hed(phantom.rgb)[..., 0]
    alone = cKDTree(phantom.centers_um).query(phantom.centers_um, k=2)[0][:, 1] > 9
    round_ones = (phantom.kinds == "lymphocyte") & alone & in_focus(phantom)
    offsets = []
    for x_um, y_um in phantom.centers_um[round_ones]:
        column, row = int(x_um / phantom.mpp), int(y_um / phantom.mpp)
        window = hematoxylin[row - 8 : row + 9, column - 8 : column + 9]
        dark = window > (window.max() + np.median(window)) / 2
        y_px, x_px = ndi.center_of_mass(dark)
        offsets.append(
            [
                (column - 8 + x_px + 0.5) - x_um / phantom.mpp,
                (row - 8 + y_px + 0.5) - y_um / phantom.mpp,
            ]
        )
    assert len(offsets) >= 10
    assert np.abs(np.median(offsets, axis=0)).max() < 0.15


def test_nuclei_keep_apart_and_inside_the_frame(phantom: Phantom) -> None:
    assert (phantom.centers_um > 0).all()
    assert (phantom.centers_um < np.array([1310, 902]) * 0.5).all()
    distance = cKDTree(phantom.centers_um).query(phantom.centers_um, k=2)[0][:, 1]
    assert distance.min() > 4.0
    assert np.median(distance) > 6.0


def test_sizes_by_kind(phantom: Phantom) -> None:
    diameter = {k: 2 * np.median(phantom.radii_um[phantom.kinds == k]) for k in KINDS}
    assert 7 <= diameter["epithelial"] <= 9
    assert 5.5 <= diameter["lymphocyte"] <= 6.5
    # A spindle of 10 x 3 µm has the area of a circle of 5.5 µm.
    assert 4.5 <= diameter["fibroblast"] <= 6.5


def test_epithelium_alone_lies_in_glands(phantom: Phantom) -> None:
    in_gland = shapely.contains_xy(phantom.regions["glands"], *phantom.centers_um.T)
    assert in_gland[phantom.kinds == "epithelial"].mean() > 0.99
    assert not in_gland[phantom.kinds != "epithelial"].any()


def test_composition_of_the_default_slide_plan() -> None:
    """At 2 µm/px the whole 2 x 1.5 mm sample is quick to draw, and its table is the same."""
    sample = draw_phantom(1024, 768, 2.0, 0)
    assert 2500 <= len(sample.centers_um) <= 4500
    assert 0.6 <= sample.regions["tissue"].area / (2048 * 1536) <= 0.7
    assert min((sample.kinds == k).sum() for k in KINDS) > 300


def test_glass_is_bright_and_stroma_pink(phantom: Phantom) -> None:
    tissue, pen = phantom.regions["tissue"], phantom.regions["pen"]
    glass = phantom.rgb[~inside(phantom, shapely.union(tissue.buffer(15), pen.buffer(8)))]
    assert np.percentile(glass, 1) > 235
    away = shapely.union_all(
        [phantom.regions["glands"], pen, shapely.MultiPoint(phantom.centers_um).buffer(7)]
    ).buffer(4)
    red, green, blue = np.median(
        phantom.rgb[inside(phantom, tissue.buffer(-15).difference(away))], axis=0
    )
    assert red > blue > green
    assert red - green > 50


def test_ink_is_blue_green(phantom: Phantom) -> None:
    stroke = phantom.regions["pen"].buffer(-4).difference(phantom.regions["tissue"].buffer(8))
    red, green, blue = np.median(phantom.rgb[inside(phantom, stroke)], axis=0)
    assert red < green < blue
    assert blue - red > 60


def test_blur_is_out_of_focus(phantom: Phantom) -> None:
    detail = np.abs(ndi.laplace(ndi.gaussian_filter(phantom.rgb[..., 1].astype(float), 1)))
    tissue = phantom.regions["tissue"].buffer(-10)
    blur = phantom.regions["blur"]
    sharp = detail[inside(phantom, tissue.difference(blur))].mean()
    soft = detail[inside(phantom, blur.buffer(-14).intersection(tissue))].mean()
    assert soft < 0.5 * sharp
    assert shapely.contains_xy(blur, *phantom.centers_um.T).sum() > 5


@pytest.mark.parametrize(("width_px", "height_px"), [(200, 200), (901, 207), (207, 901)])
def test_small_and_slender_phantoms_have_all_parts(width_px: int, height_px: int) -> None:
    for seed in range(2):
        sample = draw_phantom(width_px, height_px, 0.5, seed)
        assert sample.rgb.shape == (height_px, width_px, 3)
        assert (sample.kinds == "epithelial").any()
        frame = shapely.box(0, 0, width_px / 2, height_px / 2)
        for region in sample.regions.values():
            assert region.is_valid
            assert region.area > 0
            assert frame.buffer(1e-6).contains(region)


# One that has none at all, and three with a cell of which nothing lies in the frame.
@pytest.mark.parametrize(
    ("width_px", "height_px", "seed"),
    [(230, 200, 0), (400, 360, 1), (420, 420, 1), (440, 400, 1)],
)
def test_red_cells_that_leak_out_of_the_frame_are_not_drawn(
    width_px: int, height_px: int, seed: int
) -> None:
    sample = draw_phantom(width_px, height_px, 0.5, seed)
    assert sample.rgb.shape == (height_px, width_px, 3)
    assert len(sample.centers_um) > 20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((199, 400, 0.5), "at least 200 whole pixels a side at 0.5 µm/px, but got 199 x 400"),
        ((400, -3, 0.5), "got 400 x -3"),
        ((400.5, 400, 0.5), "whole pixels"),
        ((400, 400, 0.0), "0.1 to 2.0 µm/px, but got 0.0"),
        ((400, 400, float("nan")), "but got nan"),
        ((400, 400, 5.0), "but got 5.0"),
        ((2**15, 2**15, 0.5), "at most 268435456 pixels"),
        ((400, 400, 0.5, -1), "non-negative integer, but got -1"),
    ],
)
def test_silly_arguments(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw_phantom(*arguments)
