"""The virtual stain is drawn as it says, wherever a block begins, and can be measured.

That measuring gives back the classes is a test of the drawing. It says nothing about whether the
prediction is right.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_past.cells import StainLogDetector, cells_in
from napari_past.errors import CannotWrite
from napari_past.sample import Phantom, draw_phantom
from napari_past.slide import slide_of_array
from napari_past.stain import classes
from napari_past.stain.compartments import (
    COMPARTMENTS,
    cell_densities,
    cell_shapes,
    membrane_sectors,
)
from napari_past.stain.dab import DAB_CUTOFFS, estimate_dab_stains, stain_densities
from napari_past.stain.membrane import completeness
from napari_past.stain.virtual import (
    CLASS_DENSITIES,
    GLASS,
    HATCH_GREY,
    HATCH_LINE_PX,
    HATCH_PX,
    REACH_UM,
    class_densities,
    value_densities,
    virtual_stain,
    virtual_stains,
)
from napari_past.stain.virtual_mark import PREDICTED, burn_in
from napari_past.types import Cutoffs, FoundCells, PixelGrid, StainProfile

MPP = 0.5


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return draw_phantom(700, 560, MPP, seed=4)


@pytest.fixture(scope="module")
def profile(phantom) -> StainProfile:
    stains = StainLogDetector().fitted(slide_of_array(phantom.rgb, MPP)).stains
    assert stains is not None
    return stains


@pytest.fixture(scope="module")
def cells(phantom, profile) -> FoundCells:
    slide = slide_of_array(phantom.rgb, MPP)
    return cells_in(slide, slide.bounds, StainLogDetector(stains=profile))


@pytest.fixture(scope="module")
def drawn_classes(cells) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 4, len(cells)).astype(np.int8)


def picture_of(phantom, cells, density, compartment, profile, unreliable=None, part=None):
    flags = np.zeros(len(cells), np.bool_) if unreliable is None else unreliable
    y, x = part or (slice(None), slice(None))
    grid = PixelGrid((x.start or 0) * MPP, (y.start or 0) * MPP, MPP)
    return virtual_stain(phantom.rgb[y, x], grid, cells, density, flags, compartment, profile)


@pytest.mark.parametrize("compartment", COMPARTMENTS)
def test_measuring_it_gives_back_what_was_drawn(
    phantom, cells, drawn_classes, profile, compartment
):
    rgb = picture_of(phantom, cells, class_densities(drawn_classes), compartment, profile)
    dab = stain_densities(rgb, virtual_stains())[1]
    density = cell_densities(dab, PixelGrid(0, 0, MPP), cell_shapes(cells)).of(compartment)
    found = classes(density, DAB_CUTOFFS)
    seen = found >= 0
    assert seen.mean() > 0.98
    for grade in range(4):
        drawn = seen & (drawn_classes == grade)
        assert drawn.sum() > 20
        assert (found[drawn] == grade).mean() > 0.95


def test_estimated_vectors_measure_it_too(phantom, cells, drawn_classes, profile):
    rgb = picture_of(phantom, cells, class_densities(drawn_classes), "nucleus", profile)
    stains = estimate_dab_stains(rgb, GLASS)
    assert stains.source.count("estimated") == 2
    density = cell_densities(
        stain_densities(rgb, stains)[1], PixelGrid(0, 0, MPP), cell_shapes(cells)
    )
    found = classes(density.nucleus, DAB_CUTOFFS)
    assert ((found > 0) == (drawn_classes > 0)).mean() > 0.98


def test_drawn_membranes_are_complete(phantom, cells, drawn_classes, profile):
    rgb = picture_of(phantom, cells, class_densities(drawn_classes), "membrane", profile)
    dab = stain_densities(rgb, virtual_stains())[1]
    share = completeness(membrane_sectors(dab, PixelGrid(0, 0, MPP), cell_shapes(cells)), 0.2)
    seen = np.isfinite(share)
    assert share[seen & (drawn_classes >= 2)].mean() > 0.95
    assert share[seen & (drawn_classes == 0)].mean() < 0.15


@pytest.mark.parametrize("compartment", COMPARTMENTS)
@pytest.mark.parametrize("mpp", [0.25, 0.5, 0.69, 1.7, 2.5, 8.0])
def test_a_block_is_the_cut_of_a_larger_one(cells, drawn_classes, profile, compartment, mpp):
    """Pixels differ from level to level; cells do not."""
    rng = np.random.default_rng(5)
    shape = (150, 190)
    # Blocks of one lattice, away from the slide's corner and off its pixels.
    first, shift = (23, 41), 0.3 * mpp
    rgb = rng.integers(60, 240, (*shape, 3), dtype=np.uint8)
    density, unreliable = class_densities(drawn_classes), rng.random(len(cells)) < 0.1

    def drawn(top: int, left: int, bottom: int, right: int) -> np.ndarray:
        grid = PixelGrid(shift + (first[1] + left) * mpp, shift + (first[0] + top) * mpp, mpp)
        part = rgb[top:bottom, left:right]
        return virtual_stain(part, grid, cells, density, unreliable, compartment, profile)

    whole = drawn(0, 0, *shape)
    for top, left, bottom, right in [(0, 0, 70, 80), (31, 17, 150, 121), (60, 95, 61, 96)]:
        np.testing.assert_array_equal(
            drawn(top, left, bottom, right), whole[top:bottom, left:right]
        )


@pytest.mark.parametrize("compartment", COMPARTMENTS)
def test_cells_out_of_reach_do_not_matter(phantom, cells, drawn_classes, profile, compartment):
    part = np.s_[200:360, 240:420]
    density = class_densities(drawn_classes)
    y_um, x_um = (np.array([s.start, s.stop]) * MPP for s in part)
    low = np.array([x_um[0], y_um[0]]) - REACH_UM
    high = np.array([x_um[1], y_um[1]]) + REACH_UM
    near = ((cells.centers_um > low) & (cells.centers_um < high)).all(axis=1)
    assert 0 < near.sum() < len(cells)
    np.testing.assert_array_equal(
        picture_of(phantom, cells, density, compartment, profile, part=part),
        picture_of(phantom, cells.take(near), density[near], compartment, profile, part=part),
    )


@pytest.mark.parametrize("compartment", COMPARTMENTS)
def test_flagged_and_unknown_cells_are_hatched_grey(
    phantom, cells, drawn_classes, profile, compartment
):
    density = class_densities(np.full(len(cells), 3))
    flagged = np.arange(len(cells)) % 3 == 0
    told = picture_of(phantom, cells, density, compartment, profile, unreliable=flagged)
    unknown = picture_of(phantom, cells, np.where(flagged, np.nan, density), compartment, profile)
    np.testing.assert_array_equal(told, unknown)
    # 3 x 3 px at the centres of flagged cells that no other nucleus covers.
    y, x = np.floor(cells.centers_um[flagged][:, ::-1] / MPP).astype(int).T
    inside = (y > 0) & (x > 0) & (y < 559) & (x < 699)
    around = [told[y[inside] + i, x[inside] + j] for i in (-1, 0, 1) for j in (-1, 0, 1)]
    spread = np.ptp(np.stack(around).astype(int), axis=2)
    assert (spread == 0).mean() > 0.95
    greys = np.stack(around)[spread == 0][:, 0]
    assert (greys == HATCH_GREY).mean() == pytest.approx(HATCH_LINE_PX / HATCH_PX, abs=0.06)


def test_eosin_goes_and_haematoxylin_stays(profile):
    amounts = np.linspace(0, profile.hematoxylin_scale, 6)
    glass = np.array(profile.background)
    nothing = FoundCells.empty()

    def shown(vector) -> np.ndarray:
        rgb = np.rint(glass * 10 ** -(amounts[:, None] * np.array(vector))).astype(np.uint8)[None]
        none, flags = np.zeros(0), np.zeros(0, np.bool_)
        grid = PixelGrid(0, 0, MPP)
        return virtual_stain(rgb, grid, nothing, none, flags, "nucleus", profile)[0].astype(int)

    pink, blue = shown(profile.eosin), shown(profile.hematoxylin)
    assert np.abs(pink - GLASS).max() <= 40
    assert np.abs(pink[:3] - GLASS).max() <= 12
    assert (np.diff(blue[:, 0]) < 0).all()
    assert (blue[1:, 2] > blue[1:, 0]).all()
    assert stain_densities(blue.astype(np.uint8), virtual_stains())[1].max() < 0.03


def test_without_positive_cells_nothing_is_brown(phantom, cells, profile):
    rgb = picture_of(phantom, cells, np.zeros(len(cells)), "nucleus", profile)
    assert stain_densities(rgb, virtual_stains())[1].max() < 0.05


def test_classes_and_values_to_densities():
    np.testing.assert_array_equal(class_densities(np.array([3, 0, -1])), [0.9, 0, np.nan])
    assert [classes([d], DAB_CUTOFFS)[0] for d in CLASS_DENSITIES] == [0, 1, 2, 3]
    cutoffs = Cutoffs(-0.5, 0.5, 2.5, "drawn")
    values = np.array([-9, -1.5, -1.0, -0.5, 0.5, 1.5, 2.5, 8.5, 99, np.nan])
    expected = [0, 0, 0.1, 0.2, 0.4, 0.5, 0.6, 1.2, 1.2, np.nan]
    np.testing.assert_allclose(value_densities(values, cutoffs), expected, atol=1e-12)


def test_flags_and_densities_are_one_a_cell(phantom, cells, profile):
    with pytest.raises(ValueError, match="as many densities"):
        picture_of(phantom, cells, np.zeros(3), "nucleus", profile)


def test_pixels_given_stay(phantom, cells, drawn_classes, profile):
    before = phantom.rgb.copy()
    picture_of(phantom, cells, class_densities(drawn_classes), "membrane", profile)
    np.testing.assert_array_equal(phantom.rgb, before)


def test_scale_of_the_slides_stain_hardly_matters(phantom, profile):
    """A slide stained half as strongly has half the scale and gives the same counterstain."""
    pale = replace(profile, hematoxylin_scale=profile.hematoxylin_scale / 2)
    glass = np.array(profile.background)
    light = glass * (np.maximum(phantom.rgb[:80, :80], 1) / glass) ** 0.5
    nothing, none, flags = FoundCells.empty(), np.zeros(0), np.zeros(0, np.bool_)
    grid = PixelGrid(0, 0, MPP)
    full = virtual_stain(phantom.rgb[:80, :80], grid, nothing, none, flags, "nucleus", profile)
    half = np.rint(np.clip(light, 0, 255)).astype(np.uint8)
    again = virtual_stain(half, grid, nothing, none, flags, "nucleus", pale)
    assert np.abs(full.astype(int) - again).mean() < 3


@pytest.mark.parametrize("size", [(90, 120), (300, 400), (1500, 900)])
def test_words_are_burnt_in(size):
    rgb = np.full((*size, 3), (150, 90, 40), np.uint8)
    marked = burn_in(rgb)
    changed = (marked != rgb).any(axis=(1, 2))
    strip = np.flatnonzero(changed)
    assert strip[-1] == size[0] - 1
    assert (np.diff(strip) == 1).all()
    assert 0.03 < len(strip) / size[0] < 0.4
    written = marked[strip].max(axis=2) < 60
    columns = np.flatnonzero(written.any(axis=0))
    assert 0.3 < np.ptp(columns) / size[1] <= 0.92
    rows = np.flatnonzero(written.any(axis=1))
    assert np.ptp(rows) >= 7
    assert (burn_in(rgb, "OTHER WORDS") != marked).any()
    assert (rgb == (150, 90, 40)).all()


def test_letters_grow_with_the_picture():
    heights = []
    for side in (400, 800, 1600):
        marked = burn_in(np.zeros((side, side, 3), np.uint8))
        heights.append((marked.min(axis=2) > 0).any(axis=1).sum())
    assert heights[1] == pytest.approx(2 * heights[0], rel=0.1)
    assert heights[2] == pytest.approx(4 * heights[0], rel=0.1)


def test_a_picture_too_small_for_words():
    with pytest.raises(CannotWrite, match=f"too small for the words '{PREDICTED}'"):
        burn_in(np.zeros((20, 20, 3), np.uint8))
