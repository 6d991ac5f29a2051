"""µm/px from the spacing of spots."""

from __future__ import annotations

import numpy as np
import pytest

from napari_past.spatial.lattice import VISIUM_STEP_UM, lattice_mpp, pitch


def visium_grid(rows=6, columns=8):
    row, column = np.divmod(np.arange(rows * columns), columns)
    return np.stack([2 * column + row % 2, row], axis=1) * VISIUM_STEP_UM


def test_pitch_of_visium_is_the_same_in_all_directions():
    grid = visium_grid()
    away = np.linalg.norm(grid[:, None] - grid, axis=2)
    away[away == 0] = np.inf
    np.testing.assert_allclose(np.sort(away, axis=1)[:, :2], 100.0)
    assert pitch(grid) == pytest.approx(100.0)


@pytest.mark.parametrize("mirrored", [False, True])
def test_turned_mirrored_and_jittered(mirrored):
    rng = np.random.default_rng(0)
    turn = np.deg2rad(190)
    matrix = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) / 0.3
    if mirrored:
        matrix[:, 0] *= -1
    grid = visium_grid()
    xy_px = grid @ matrix + (5000, 800)
    assert lattice_mpp(grid, xy_px) == pytest.approx(0.3, rel=1e-9)
    jittered = xy_px + rng.normal(0, 0.05 * 100 / 0.3, xy_px.shape)
    assert lattice_mpp(grid, jittered) == pytest.approx(0.3, rel=0.02)


def test_gaps_do_not_matter():
    grid = visium_grid()[::7]
    assert lattice_mpp(grid, grid / 0.25) == pytest.approx(0.25)


def test_no_scale_without_a_lattice():
    rng = np.random.default_rng(0)
    grid = visium_grid()
    assert lattice_mpp(grid, rng.permutation(grid)) is None
    assert lattice_mpp(grid[:2], grid[:2]) is None
    assert lattice_mpp(np.zeros_like(grid), grid) is None
    line = grid[grid[:, 1] == 0]
    assert lattice_mpp(line, line) is None
    assert lattice_mpp(grid, np.zeros_like(grid)) is None
    assert pitch(grid[:1]) is None
