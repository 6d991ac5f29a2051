from __future__ import annotations

import numpy as np
import pytest
import shapely

from napari_past.sample.fibres import COARSE_STEP, streaks
from napari_past.sample.raster import inside_mask, signed_distance_px
from napari_past.sample.texture import ramp, resampled, smooth_noise


@pytest.mark.parametrize("grain_px", [1.0, 3.7, 12.0])
def test_smooth_noise_has_unit_spread_and_the_grain_asked_for(grain_px: float) -> None:
    noise = smooth_noise(np.random.default_rng(1), (700, 900), grain_px)
    assert noise.shape == (700, 900)
    assert noise.dtype == np.float32
    # The mean of a field of n independent blobs is only known to 2 / sqrt(n).
    blobs = noise.size / grain_px**2
    assert noise.mean() == pytest.approx(0, abs=6 / blobs**0.5)
    assert noise.std() == pytest.approx(1, abs=0.12)
    # Values one grain apart resemble each other; five grains apart they do not.
    near, far = (round(k * grain_px) for k in (1, 5))
    assert np.corrcoef(noise[:, :-near].ravel(), noise[:, near:].ravel())[0, 1] > 0.3
    assert abs(np.corrcoef(noise[:, :-far].ravel(), noise[:, far:].ravel())[0, 1]) < 0.15


def test_resampling_keeps_the_outer_corner() -> None:
    # A value is its pixel centre's position, so a resampled value must be its own pixel centre's.
    y, x = np.mgrid[:6, :8].astype(np.float32) + np.float32(0.5)
    fine = resampled(x + 10 * y, (12, 16), 0.5)
    assert fine[4, 5] == pytest.approx(2.75 + 10 * 2.25)
    assert fine[0, 0] == pytest.approx(0.5 + 5)
    assert np.array_equal(resampled(x, (6, 8), 1.0), x)


def test_ramp_both_ways() -> None:
    values = np.array([-1, 0, 1, 2, 3], np.float32)
    assert ramp(values, 0, 2).tolist() == [0, 0, 0.5, 1, 1]
    assert ramp(values, 2, 0).tolist() == [1, 1, 0.5, 0, 0]


def test_mask_equals_that_of_shapely_with_holes_and_parts() -> None:
    ring = shapely.Point(20.3, 11.2).buffer(9).difference(shapely.Point(21, 12).buffer(3.3))
    shape = ring.union(shapely.box(33.1, -5, 60, 6.7))
    y, x = np.mgrid[:50, :70]
    expected = shapely.contains_xy(shape, (x + 0.5) * 0.6, (y + 0.5) * 0.6)
    assert np.array_equal(inside_mask(shape, (50, 70), 0.6), expected)
    assert expected.any()


def test_signed_distance_counts_from_the_border() -> None:
    mask = np.zeros((5, 7), bool)
    mask[:, 3:] = True
    expected = [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5]
    assert signed_distance_px(mask)[2].tolist() == expected
    assert (signed_distance_px(np.ones((3, 3), bool)) > 100).all()
    assert (signed_distance_px(np.zeros((3, 3), bool)) < -100).all()


@pytest.mark.parametrize("degrees", [0, 45, 90, 135])
def test_streaks_run_along_the_fibres(degrees: float) -> None:
    shape = (300, 320)
    angle = np.full((300 // COARSE_STEP, 320 // COARSE_STEP), np.radians(degrees), np.float32)
    noise = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    (streak,) = streaks(angle, [(noise, 4)], shape)
    assert streak.mean() == pytest.approx(0, abs=1e-3)
    assert streak.std() == pytest.approx(1, abs=1e-3)

    def resemblance(turn: float) -> float:
        dx = round(6 * np.cos(np.radians(degrees + turn)))
        dy = round(6 * np.sin(np.radians(degrees + turn)))
        inner = streak[40:-40, 40:-40]
        moved = np.roll(streak, (-dy, -dx), axis=(0, 1))[40:-40, 40:-40]
        return float(np.corrcoef(inner.ravel(), moved.ravel())[0, 1])

    assert resemblance(0) > 0.6
    assert abs(resemblance(90)) < 0.2
