"""Opening, physical size, reading by µm."""

from __future__ import annotations

import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from napari_past.errors import MissingPixelSize, PastError, RegionError, SlideError
from napari_past.slide import open_slide


@pytest.fixture(scope="module")
def pyramid(tmp_path_factory, draw, write_tiff):
    """1001 x 777 px at 0.5 µm with a level of 400 x 311: downsamples that are no integers."""
    full, small = draw(777, 1001), draw(311, 400)
    path = tmp_path_factory.mktemp("pyramid") / "drawn.tif"
    return write_tiff(path, [full, small], compression="deflate"), full, small


def test_levels_have_exact_ratios(pyramid):
    path, full, small = pyramid
    with open_slide(path) as slide:
        assert [(lv.height_px, lv.width_px) for lv in slide.levels] == [(777, 1001), (311, 400)]
        assert slide.levels[1].downsample_y == 777 / 311
        assert slide.levels[1].downsample_x == 1001 / 400
        assert slide.mpp == pytest.approx(0.5, rel=1e-6)
        assert slide.size_um == pytest.approx((500.5, 388.5), rel=1e-6)
        assert slide.bounds.width_um == pytest.approx(500.5, rel=1e-6)
        np.testing.assert_array_equal(slide.level_arrays[0].compute(), full)
        np.testing.assert_array_equal(slide.level_arrays[1].compute(), small)


def test_arrays_slice_like_numpy(pyramid):
    path, full, _ = pyramid
    with open_slide(path) as slide:
        array = slide.level_arrays[0]
        np.testing.assert_array_equal(
            array[5:700:3, 10:900:7, 1].compute(), full[5:700:3, 10:900:7, 1]
        )
        np.testing.assert_array_equal(array[3, ::-1].compute(), full[3, ::-1])
        np.testing.assert_array_equal(array[-1, -1].compute(), full[-1, -1])
        assert array[4:4].compute().shape == (0, 1001, 3)


def test_grid_at_own_resolution_is_the_file(pyramid):
    path, full, _ = pyramid
    with open_slide(path, mpp=0.5) as slide:
        np.testing.assert_array_equal(slide.read_grid(900, 700, 101, 77, 0.5), full[700:, 900:])


@pytest.mark.parametrize("mpp", [0.25, 0.37, 0.5, 0.9, 1.3, 4.0, 20.0])
def test_pixels_lie_where_their_um_say(pyramid, mpp):
    """Red and green are linear in x and y of slide space, whatever level is read."""
    path, _, _ = pyramid
    with open_slide(path, mpp=0.5) as slide:
        n = max(1, int(150 / mpp))
        column, row = int(180 / mpp), int(120 / mpp)
        rgb = slide.read_grid(column, row, n, n, mpp).astype(float)
        x_um = (column + np.arange(n) + 0.5) * mpp
        y_um = (row + np.arange(n) + 0.5) * mpp
        # 255 grey levels over 500.5 µm: half a level-0 px is 0.13; truncation to integers costs 1
        np.testing.assert_allclose(rgb[:, :, 0].mean(axis=0), x_um / 500.5 * 255 - 0.5, atol=1.1)
        np.testing.assert_allclose(rgb[:, :, 1].mean(axis=1), y_um / 388.5 * 255 - 0.5, atol=1.1)


@pytest.mark.parametrize("mpp", [0.25, 0.499, 0.5, 0.7, 1.0, 1.25, 3.3])
def test_overlapping_reads_agree_bit_for_bit(pyramid, mpp):
    path, _, _ = pyramid
    with open_slide(path, mpp=0.5) as slide:
        whole = slide.read_grid(-40, -30, 500, 400, mpp)
        rng = np.random.default_rng(3)
        for _ in range(12):
            column, row = int(rng.integers(-40, 380)), int(rng.integers(-30, 290))
            width, height = (int(n) for n in rng.integers(1, 80, 2))
            part = slide.read_grid(column, row, width, height, mpp)
            same = whole[row + 30 : row + 30 + height, column + 40 : column + 40 + width]
            np.testing.assert_array_equal(part, same)


def test_reads_in_bounded_windows_agree(pyramid, monkeypatch):
    """A read too large to be held at once gives the values of one that is not cut."""
    path, _, _ = pyramid
    with open_slide(path, mpp=0.5) as slide:
        whole = slide.read_grid(0, 0, 800, 600, 0.6)
        monkeypatch.setattr("napari_past.slide.resample._SOURCE_PX", 200)
        np.testing.assert_array_equal(slide.read_grid(0, 0, 800, 600, 0.6), whole)


def test_outside_is_background(pyramid):
    path, _, _ = pyramid
    with open_slide(path, mpp=0.5) as slide:
        assert slide.background == (255, 255, 255)  # the drawing has no glass
        assert (slide.read_grid(-300, -300, 20, 10, 0.5) == 255).all()
        edge = slide.read_grid(-4, 0, 8, 8, 0.5)
        assert (edge[:, :4] == 255).all()
        assert (edge[:, 4:, 0] < 5).all()


def test_region_has_the_asked_size_and_place(pyramid):
    path, full, _ = pyramid
    with open_slide(path, mpp=0.5) as slide:
        assert slide.read_region(10, 20, 100.2, 50, 0.5).shape == (100, 200, 3)
        assert slide.read_region(10, 20, 0.1, 0.1, 0.5).shape == (1, 1, 3)
        np.testing.assert_array_equal(
            slide.read_region(50, 20, 100, 50, 0.5), full[40:140, 100:300]
        )
        shifted = slide.read_region(50.25, 20, 100, 50, 0.5)[:, :, 0].astype(float)
        expected = (full[40:140, 100:300, 0].astype(float) + full[40:140, 101:301, 0]) / 2
        np.testing.assert_allclose(shifted, expected, atol=0.51)


@pytest.mark.parametrize(
    ("x_um", "y_um", "width_um", "height_um"),
    [(600, 0, 10, 10), (-20, 0, 10, 10), (0, 500, 10, 10), (0, 0, 0, 10), (np.nan, 0, 1, 1)],
)
def test_regions_outside_are_refused(pyramid, x_um, y_um, width_um, height_um):
    with open_slide(pyramid[0]) as slide, pytest.raises(RegionError):
        slide.read_region(x_um, y_um, width_um, height_um, 0.5)


@pytest.mark.parametrize("mpp", [0, -1, np.nan, np.inf])
def test_reading_needs_a_positive_resolution(pyramid, mpp):
    with open_slide(pyramid[0]) as slide, pytest.raises(RegionError, match="positive"):
        slide.read_grid(0, 0, 4, 4, mpp)


def test_given_mpp_overrides_the_file(pyramid):
    with open_slide(pyramid[0], mpp=0.25) as slide:
        assert slide.mpp == 0.25
        assert slide.mpp_given
        assert slide.metadata.mpp == pytest.approx(0.5, rel=1e-6)
        assert slide.size_um == (250.25, 194.25)


@pytest.mark.parametrize("mpp", [0, -0.5, 0.01, 21, float("nan"), float("inf"), "half"])
def test_implausible_mpp_is_refused(pyramid, mpp):
    with pytest.raises(PastError, match="--mpp"):
        open_slide(pyramid[0], mpp=mpp)


def test_no_mpp_opens_and_says_how_to_give_it(tmp_path, draw, write_tiff):
    with open_slide(write_tiff(tmp_path / "a.tif", [draw(300, 200)], mpp=None)) as slide:
        assert slide.mpp is None
        assert slide.display_levels[0].shape == (300, 200, 3)
        for read in (slide.require_mpp, slide.tissue_mask, lambda: slide.bounds):
            with pytest.raises(MissingPixelSize, match=r"mpp=.*--mpp"):
                read()
        with pytest.raises(MissingPixelSize):
            slide.read_grid(0, 0, 1, 1, 0.5)


def test_pickles_through_its_ref(pyramid):
    with open_slide(pyramid[0], mpp=0.4) as slide:
        assert pickle.loads(pickle.dumps(slide.ref)) == slide.ref
        with pickle.loads(pickle.dumps(slide)) as again:
            assert (again.mpp, again.fingerprint) == (0.4, slide.fingerprint)


def test_closed_slide_says_so(pyramid):
    slide = open_slide(pyramid[0])
    slide.close()
    slide.close()
    with pytest.raises(SlideError, match="closed"):
        slide.read_grid(0, 0, 4, 4, 0.5)


def test_threads_read_the_same(pyramid):
    path, full, _ = pyramid
    start = threading.Barrier(4)
    with open_slide(path, mpp=0.5) as slide:

        def read(seed: int) -> bool:
            start.wait()
            rng = np.random.default_rng(seed)
            for _ in range(15):
                c, r = int(rng.integers(0, 700)), int(rng.integers(0, 500))
                got = slide.read_grid(c, r, 200, 200, 0.5)
                if not np.array_equal(got, full[r : r + 200, c : c + 200]):
                    return False
            return True

        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(read, range(4)))
