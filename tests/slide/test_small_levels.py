"""Levels that the file does not have."""

from __future__ import annotations

import numpy as np
import pytest

from napari_past.slide import open_slide
from napari_past.slide.small_levels import display_windows


class Plane:
    """A plane of one value per 64 px square that counts the tiles which are decoded."""

    tile_px = (256, 256)

    def __init__(self, height_px: int, width_px: int) -> None:
        self.shape = (height_px, width_px, 3)
        self.tiles: set[tuple[int, int]] = set()
        self.largest_px = 0

    def read(self, y0_px: int, y1_px: int, x0_px: int, x1_px: int):
        assert 0 <= y0_px < y1_px <= self.shape[0]
        assert 0 <= x0_px < x1_px <= self.shape[1]
        self.largest_px = max(self.largest_px, (y1_px - y0_px) * (x1_px - x0_px))
        for i in range(y0_px // 256, (y1_px - 1) // 256 + 1):
            for j in range(x0_px // 256, (x1_px - 1) // 256 + 1):
                self.tiles.add((i, j))
        y, x = np.mgrid[y0_px:y1_px, x0_px:x1_px]
        grey = ((y // 64) * 37 + (x // 64) * 11) % 251
        return grey.astype(np.uint8)[..., np.newaxis].repeat(3, axis=2)


def test_sizes_halve_until_small():
    windows = display_windows((Plane(70_001, 99_999),))
    assert [w.shape[:2] for w in windows] == [
        (70_001, 99_999),
        (35_001, 50_000),
        (17_500, 25_000),
        (8_750, 12_500),
        (4_375, 6_250),
        (2_188, 3_125),
        (1_094, 1_562),
        (547, 781),
    ]


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([4096, 1024, 256], [4096, 1024, 256]),
        ([8192, 512], [8192, 4096, 2048, 512]),
        ([3000], [3000, 1500, 750]),
        ([1024], [1024]),
        ([20], [20]),
    ],
)
def test_gaps_over_four_are_filled(sizes, expected):
    windows = display_windows(tuple(Plane(n, n) for n in sizes))
    assert [w.shape[0] for w in windows] == expected


def test_a_chunk_touches_only_the_tiles_below_it():
    plane = Plane(70_001, 99_999)
    windows = display_windows((plane,))
    chunk = windows[2].read(1024, 2048, 512, 1536)
    assert plane.tiles == {(i, j) for i in range(16, 32) for j in range(8, 24)}
    assert plane.largest_px <= 1024**2
    # each 64 px square of the plane is 16 px here
    y, x = np.mgrid[1024:2048, 512:1536]
    np.testing.assert_array_equal(chunk[..., 0], ((y // 16) * 37 + (x // 16) * 11) % 251)
    plane.tiles.clear()
    windows[2].read(1100, 1200, 600, 700)
    assert plane.tiles == set()


def test_means_of_two_by_two(tmp_path, draw, write_tiff):
    drawn = draw(1301, 1055)
    with open_slide(write_tiff(tmp_path / "a.tif", [drawn])) as slide:
        assert [a.shape for a in slide.display_levels] == [(1301, 1055, 3), (651, 528, 3)]
        assert len(slide.levels) == 1
        built = slide.display_levels[1].compute().astype(float)
        even = drawn[:1300, :1054].astype(float)
        mean = even.reshape(650, 2, 527, 2, 3).mean(axis=(1, 3))
        np.testing.assert_allclose(built[:650, :527], mean, atol=0.51)
        np.testing.assert_allclose(built[650, 0], drawn[1300, :2].mean(axis=0), atol=0.51)
        assert slide.display_levels[1].chunksize[:2] == (651, 528)
