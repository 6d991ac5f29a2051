from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile

from napari_past.errors import CannotWrite
from napari_past.sample import Phantom, write_phantom
from napari_past.sample.ome_tiff import pyramid, write_pyramid

OME = "{http://www.openmicroscopy.org/Schemas/OME/2016-06}"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_phantom(tmp_path_factory.mktemp("sample") / "a.ome.tif", 1310, 902, 0.5, 3)


def test_levels_and_tiles(written: Path) -> None:
    with tifffile.TiffFile(written) as tif:
        assert tif.is_ome
        assert len(tif.series) == 1
        levels = tif.series[0].levels
        assert [level.shape for level in levels] == [(902, 1310, 3), (451, 655, 3), (225, 327, 3)]
        for level in levels:
            assert level.keyframe.tile == (256, 256)
            assert level.keyframe.compression == tifffile.COMPRESSION.JPEG
            assert level.dtype == np.uint8
        # Level 1 and 2 hang below the first page.
        assert len(tif.pages) == 1
        assert len(tif.pages[0].subifds) == 2


def test_physical_size(written: Path) -> None:
    with tifffile.TiffFile(written) as tif:
        pixels = ElementTree.fromstring(tif.ome_metadata).find(f".//{OME}Pixels")
        resolutions = [level.keyframe.resolution for level in tif.series[0].levels]
        unit = tif.pages[0].resolutionunit
    assert pixels is not None
    assert [float(pixels.attrib[k]) for k in ("PhysicalSizeX", "PhysicalSizeY")] == [0.5, 0.5]
    assert pixels.attrib["PhysicalSizeXUnit"] == pixels.attrib["PhysicalSizeYUnit"] == "µm"
    assert unit == tifffile.RESUNIT.CENTIMETER
    # 0.5, 1 and 2 µm/px.
    assert resolutions == [(20000, 20000), (10000, 10000), (5000, 5000)]


def test_pixels_are_close_to_those_drawn(written: Path, phantom: Phantom) -> None:
    for i, expected in enumerate(pyramid(phantom.rgb)):
        stored = tifffile.imread(written, series=0, level=i)
        error = np.abs(stored.astype(float) - expected)
        assert error.mean() < 4
        assert np.percentile(error, 99) < 20


def test_the_same_arguments_give_the_same_bytes(written: Path, tmp_path: Path) -> None:
    again = write_phantom(tmp_path / "other name.tif", 1310, 902, 0.5, 3)
    assert again == tmp_path / "other name.tif"
    assert again.read_bytes() == written.read_bytes()
    with tifffile.TiffFile(again) as tif:
        assert "DateTime" not in tif.pages[0].tags


def test_deflate_is_lossless_at_any_mpp(phantom: Phantom, tmp_path: Path) -> None:
    path = tmp_path / "b.ome.tif"
    write_pyramid(path, phantom.rgb, 0.321, "b", jpeg=False)
    with tifffile.TiffFile(path) as tif:
        levels = tif.series[0].levels
        assert all(
            level.keyframe.compression == tifffile.COMPRESSION.ADOBE_DEFLATE for level in levels
        )
        for level, expected in zip(levels, pyramid(phantom.rgb), strict=True):
            assert np.array_equal(level.asarray(), expected)
        assert 'PhysicalSizeX="0.321"' in tif.ome_metadata


def test_a_pyramid_halves_by_means_of_four() -> None:
    base = np.zeros((3, 515, 3), np.uint8)
    base[:2, :2, 0] = [[10, 20], [30, 41]]
    base[:2, 2:4, 2] = 255
    base[2] = 99
    levels = pyramid(base)
    assert [level.shape for level in levels] == [(3, 515, 3), (1, 257, 3)]
    # (10 + 20 + 30 + 41) / 4 = 25.25; the odd last row is left out.
    assert levels[1][0, :3].tolist() == [[25, 0, 0], [0, 0, 255], [0, 0, 0]]


def test_a_small_phantom_has_one_level(tmp_path: Path) -> None:
    path = write_phantom(tmp_path / "small.ome.tif", 300, 200, 0.5)
    with tifffile.TiffFile(path) as tif:
        assert [level.shape for level in tif.series[0].levels] == [(200, 300, 3)]


def test_an_existing_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "sample.ome.tif"
    path.write_text("old")
    write_phantom(str(path), 300, 200, 0.5)
    assert tifffile.imread(path).shape == (200, 300, 3)
    assert [p.name for p in tmp_path.iterdir()] == ["sample.ome.tif"]


def test_a_destination_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("")
    for path in (tmp_path, tmp_path / "missing" / "a.tif", tmp_path / "a file" / "a.tif"):
        with pytest.raises(CannotWrite, match=r"cannot be written to .* existing folder"):
            write_phantom(path, 300, 200)
    assert [p.name for p in tmp_path.iterdir()] == ["a file"]


def test_a_failure_while_writing_is_told_once(tmp_path: Path) -> None:
    """A name that is too long passes the early check and fails in the file system."""
    with pytest.raises(CannotWrite, match="name too long") as caught:
        write_pyramid(
            tmp_path / ("a" * 300), np.zeros((300, 200, 3), np.uint8), 0.5, "a", jpeg=False
        )
    assert isinstance(caught.value.__cause__, OSError)
    assert list(tmp_path.iterdir()) == []


def test_silly_sizes_write_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 200 whole pixels"):
        write_phantom(tmp_path / "a.tif", 10, 10)
    assert list(tmp_path.iterdir()) == []
