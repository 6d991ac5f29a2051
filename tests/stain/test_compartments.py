"""Painted nuclei, rings and membranes give back what they were painted with, each its own."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_past.genes import resolve
from napari_past.stain.compartments import (
    COMPARTMENTS,
    cell_densities,
    cell_shapes,
    compartment_of,
    membrane_sectors,
)
from napari_past.types import FoundCells, Outlines, PixelGrid

MPP = 0.25
GRID = PixelGrid(0.0, 0.0, MPP)
SHAPE = (240, 320)


def discs(centers, radii, corners: int = 60) -> FoundCells:
    centers, radii = np.asarray(centers, float), np.asarray(radii, float)
    angle = np.arange(corners) * 2 * np.pi / corners
    rim = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    vertices = centers[:, None] + radii[:, None, None] * rim
    offsets = np.arange(len(centers) + 1, dtype=np.int64) * corners
    outlines = Outlines(vertices.reshape(-1, 2).astype(np.float32), offsets)
    return FoundCells(centers, outlines, (np.pi * radii**2).astype(np.float32))


def away_from(center) -> np.ndarray:
    """Distance of each pixel's centre from a place, µm."""
    y, x = (np.mgrid[: SHAPE[0], : SHAPE[1]] + 0.5) * MPP
    return np.hypot(x - center[0], y - center[1])


def nearest(cells: FoundCells, radii) -> tuple[np.ndarray, np.ndarray]:
    """Nearest disc of each pixel, and the distance from its edge (negative inside)."""
    gaps = np.stack([away_from(c) - r for c, r in zip(cells.centers_um, radii, strict=True)])
    return gaps.argmin(axis=0), gaps.min(axis=0)


def test_three_densities_of_a_lone_cell():
    cells = discs([(40, 30)], [5])
    gap = away_from((40, 30)) - 5
    dab = np.select([gap < 0, gap < 3, gap < 4], [0.5, 0.3, 0.8], 0.05)
    found = cell_densities(dab, GRID, cell_shapes(cells, ring_um=4, membrane_um=1))
    assert found.nucleus[0] == pytest.approx(0.5, abs=0.01)
    assert found.cytoplasm[0] == pytest.approx(0.3, abs=0.01)
    assert found.membrane[0] == pytest.approx(0.8, abs=0.06)
    assert [found.of(c)[0] for c in COMPARTMENTS] == [
        found.nucleus[0], found.cytoplasm[0], found.membrane[0],
    ]  # fmt: skip


def test_touching_nuclei_keep_their_own():
    cells = discs([(30, 30), (40, 30)], [5, 5])
    dab = np.where(away_from((30, 30)) < 5, 0.9, 0.0)
    found = cell_densities(dab, GRID, cell_shapes(cells))
    assert found.nucleus == pytest.approx([0.9, 0.0], abs=0.02)
    assert found.cytoplasm == pytest.approx([0, 0], abs=0.02)


def test_pixels_that_two_outlines_claim_count_for_neither():
    cells = discs([(30, 30), (38, 30)], [5, 5])
    dab = np.where(away_from((30, 30)) < 5, 0.9, 0.0)
    found = cell_densities(dab, GRID, cell_shapes(cells))
    assert found.nucleus == pytest.approx([0.9, 0.0], abs=0.02)


def test_a_nucleus_within_another_is_measured_whole():
    cells = discs([(30, 30), (30, 30.5)], [8, 3])
    found = cell_densities(np.full(SHAPE, 0.4), GRID, cell_shapes(cells))
    np.testing.assert_allclose(found.nucleus, 0.4, atol=1e-6)


@pytest.mark.parametrize("ring_um", [2.0, 4.0, 8.0])
def test_rings_do_not_bleed(ring_um):
    """Every pixel outside of nuclei is painted with the value of the cell whose edge is nearest."""
    rng = np.random.default_rng(3)
    centers = np.array([(x, y) for x in range(12, 72, 12) for y in range(12, 52, 12)], float)
    centers += rng.uniform(-1.5, 1.5, centers.shape)
    radii = rng.uniform(2.5, 4.5, len(centers))
    cells, own = discs(centers, radii), rng.uniform(0.1, 0.9, len(centers))
    owner, gap = nearest(cells, radii)
    dab = np.where(gap < 0, 5.0, own[owner])
    found = cell_densities(dab, GRID, cell_shapes(cells, ring_um, membrane_um=1.0))
    for part in (found.cytoplasm, found.membrane):
        some = np.isfinite(part)
        assert some.mean() > 0.9
        np.testing.assert_allclose(part[some], own[some], atol=0.09)
        assert np.abs(part[some] - own[some]).mean() < 0.02


def test_ring_ends_where_it_was_told():
    cells = discs([(40, 30)], [5])
    beyond = np.where(away_from((40, 30)) > 9.2, 1.0, 0.0)
    found = cell_densities(beyond, GRID, cell_shapes(cells, ring_um=4))
    assert found.cytoplasm[0] == found.membrane[0] == 0


def test_elongated_outlines_keep_their_shape():
    """The border follows the outline; a centre off the middle does not move it."""
    angle = np.arange(40) * 2 * np.pi / 40
    rim = np.stack([8 * np.cos(angle), 3 * np.sin(angle)], axis=1) + (40, 30)
    outlines = Outlines(rim.astype(np.float32), np.array([0, 40]))
    cells = FoundCells(np.array([[42.0, 30.5]]), outlines, np.array([75.4], np.float32))
    shapes = cell_shapes(cells, ring_um=3)
    away = shapes.borders[0] - (40, 30)
    inner = away / np.hypot(*away.T)[:, None] * np.maximum(np.hypot(*away.T) - 3, 0)[:, None]
    level = (inner[:, 0] / 8) ** 2 + (inner[:, 1] / 3) ** 2
    assert 0.6 < level.min() < level.max() < 1.4
    np.testing.assert_allclose(shapes.border_um - shapes.nucleus_um, 3)


def test_half_a_membrane():
    cells = discs([(40, 30)], [5])
    x = (np.arange(SHAPE[1]) + 0.5) * MPP
    gap = away_from((40, 30)) - 5
    dab = np.where((gap > 2.5) & (gap < 4.5) & (x > 40), 0.7, 0.0)
    sectors = membrane_sectors(dab, GRID, cell_shapes(cells, ring_um=4))
    assert sectors.shape == (1, 24)
    right = np.cos(np.arange(24) * 2 * np.pi / 24)
    np.testing.assert_allclose(sectors[0, right > 0.1], 0.7, atol=1e-6)
    np.testing.assert_allclose(sectors[0, right < -0.1], 0, atol=1e-6)


def test_no_membrane_is_seen_between_touching_nuclei():
    cells = discs([(30, 30), (40, 30)], [5, 5])
    sectors = membrane_sectors(np.full(SHAPE, 0.5), GRID, cell_shapes(cells))
    assert np.isnan(sectors[0, 0])
    assert np.isnan(sectors[1, 12])
    assert np.isfinite(sectors).sum(axis=1).min() >= 18


def test_cells_beyond_the_block_have_no_density():
    cells = discs([(40, 30), (500, 30), (0, 30)], [5, 5, 5])
    shapes = cell_shapes(cells)
    found = cell_densities(np.full(SHAPE, 0.3), GRID, shapes)
    assert np.isnan([found.of(c)[1] for c in COMPARTMENTS]).all()
    np.testing.assert_allclose([found.of(c)[[0, 2]] for c in COMPARTMENTS], 0.3, atol=1e-6)
    sectors = membrane_sectors(np.full(SHAPE, 0.3), GRID, shapes)
    assert np.isnan(sectors[1]).all()
    assert 6 <= np.isnan(sectors[2]).sum() <= 14


def test_a_part_of_the_block_gives_the_same():
    rng = np.random.default_rng(0)
    dab = ndimage.gaussian_filter(rng.random(SHAPE), 2)
    cells = discs(rng.uniform((20, 15), (60, 45), (12, 2)), rng.uniform(2, 4, 12))
    shapes = cell_shapes(cells)
    whole = cell_densities(dab, GRID, shapes)
    part = cell_densities(dab[20:220, 30:300], PixelGrid(30 * MPP, 20 * MPP, MPP), shapes)
    for compartment in COMPARTMENTS:
        np.testing.assert_allclose(part.of(compartment), whole.of(compartment), atol=1e-6)
    np.testing.assert_array_equal(
        membrane_sectors(dab[20:220, 30:300], PixelGrid(30 * MPP, 20 * MPP, MPP), shapes),
        membrane_sectors(dab, GRID, shapes),
    )


def test_no_cells():
    shapes = cell_shapes(FoundCells.empty())
    assert cell_densities(np.zeros(SHAPE), GRID, shapes).nucleus.shape == (0,)
    assert membrane_sectors(np.zeros(SHAPE), GRID, shapes).shape == (0, 24)


@pytest.mark.parametrize(("ring_um", "membrane_um"), [(1.0, 2.0), (4.0, -1.0)])
def test_widths_that_are_none(ring_um, membrane_um):
    with pytest.raises(ValueError, match="band"):
        cell_shapes(FoundCells.empty(), ring_um, membrane_um)


@pytest.mark.parametrize(
    ("name", "compartment"),
    [
        ("ER", "nucleus"), ("HER2", "membrane"), ("vimentin", "cytoplasm"), ("PSA", "cytoplasm"),
        ("β-catenin", "membrane"), ("KRT5", "cytoplasm"),
    ],
)  # fmt: skip
def test_a_stain_is_drawn_where_the_panel_names_it_first(name, compartment):
    assert compartment_of(resolve(name).marker) == compartment
