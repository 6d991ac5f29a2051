"""Files that are no slides or damaged ones: one sentence each, of the right class."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_past.errors import DamagedSlide, NotASlide, PastError
from napari_past.slide import open_slide
from napari_past.types import Rect


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.svs", b"Dear diary, this is text.\n" * 40, "no image"),
        ("a.tif", b"", "empty"),
        ("a.dcm", b"nothing", "no image"),
        ("b.tiff", b"II", "no image"),
    ],
)
def test_other_files(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(NotASlide, match=message):
        open_slide(tmp_path / name)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_pictures(tmp_path, draw, suffix):
    Image.fromarray(draw(30, 40)).save(tmp_path / f"a.{suffix}")
    with pytest.raises(NotASlide, match="vips"):
        open_slide(tmp_path / f"a.{suffix}")


def test_missing_file_and_plain_folder(tmp_path):
    with pytest.raises(NotASlide, match="does not exist"):
        open_slide(tmp_path / "none.svs")
    with pytest.raises(NotASlide, match="OME-Zarr"):
        open_slide(tmp_path)


@pytest.fixture
def jpeg_slide(tmp_path, draw, write_tiff):
    path = write_tiff(tmp_path / "j.tif", [draw(600, 500)], compression="jpeg", tile=256)
    with tifffile.TiffFile(path) as tif:
        page = tif.pages[0]
        return path, page.dataoffsets, page.databytecounts


@pytest.mark.parametrize("share", [0.0, 0.5, 0.97])
def test_tile_overwritten_with_zeros(jpeg_slide, share):
    """The end of a JPEG tile lost would be decoded as grey."""
    path, offsets, counts = jpeg_slide
    content = bytearray(path.read_bytes())
    start = offsets[0] + int(share * counts[0])
    content[start : offsets[0] + counts[0]] = bytes(offsets[0] + counts[0] - start)
    path.write_bytes(content)
    with open_slide(path) as slide:
        with pytest.raises(DamagedSlide, match="cannot be decoded"):
            slide.read_grid(0, 0, 100, 100, 0.5)
        with pytest.raises(DamagedSlide):
            slide.level_arrays[0][:10, :10].compute()
        assert slide.read_grid(260, 260, 100, 100, 0.5).shape == (100, 100, 3)


@pytest.mark.parametrize("tag", ["TileOffsets", "TileByteCounts"])
@pytest.mark.parametrize("value", [0, 2**31])
def test_tiles_that_lie_nowhere(jpeg_slide, tag, value):
    path, _, _ = jpeg_slide
    with tifffile.TiffFile(path, mode="r+") as tif:
        entry = tif.pages[0].tags[tag]
        entry.overwrite([value, *entry.value[1:]])
    with pytest.raises(DamagedSlide, match="1 of 6 tiles"):
        open_slide(path)


@pytest.fixture
def marred(tmp_path, draw, write_tiff):
    """A pyramid that lacks the second of 130 tiles of its first level and cannot decode the first
    of its second level."""
    levels = [draw(1250, 1600), draw(625, 800), draw(156, 200)]
    path = write_tiff(tmp_path / "m.tif", levels, compression="deflate", subifds=False)
    with tifffile.TiffFile(path, mode="r+") as tif:
        entry = tif.pages[0].tags["TileOffsets"]
        entry.overwrite([entry.value[0], 0, *entry.value[2:]])
        start, size = tif.pages[1].dataoffsets[0], tif.pages[1].databytecounts[0]
    content = bytearray(path.read_bytes())
    content[start : start + size] = bytes(size)
    path.write_bytes(content)
    return path, levels


def test_few_bad_tiles_are_shown_and_marked(marred):
    path, drawn = marred
    with open_slide(path) as slide:
        assert slide.faults == (
            "1 of 130 tiles of its level 1600 x 1250 are missing or lie behind the file's end: "
            "drawn hatched and reported as unreadable; copy the slide again",
        )
        with pytest.raises(DamagedSlide, match="missing"):
            slide.read_grid(0, 0, 300, 100, 0.5)
        np.testing.assert_array_equal(slide.read_grid(256, 0, 90, 90, 0.5), drawn[0][:90, 256:346])
        first, second = (array.compute() for array in slide.display_levels[:2])
        np.testing.assert_array_equal(first[128:], drawn[0][128:])
        grey = first[:128, 128:256]
        assert set(np.unique(grey)) == {104, 152}
        # the bad tile of the second level is made from the first, where that has pixels
        error = np.abs(second[:128, :64].astype(int) - drawn[1][:128, :64])[..., :2]
        assert error.max() <= 2
        np.testing.assert_array_equal(second[128:], drawn[1][128:])
        # what is not known must be planned, so that it is told as unreadable
        assert slide.tissue_mask().covers(Rect(70, 10, 40, 40))


def test_smaller_level_that_lacks_much_is_left_out(marred):
    path, _ = marred
    with tifffile.TiffFile(path, mode="r+") as tif:
        entry = tif.pages[2].tags["TileOffsets"]
        entry.overwrite([2**31, *entry.value[1:]])
    with open_slide(path) as slide:
        assert [level.height_px for level in slide.levels] == [1250, 625]
        assert "1 of 4 tiles of its level 200 x 156" in slide.faults[1]
        assert slide.display_levels[-1].shape[0] <= 1024


@pytest.mark.parametrize("compression", [None, "deflate", "jpeg", "lzw"])
@pytest.mark.parametrize("share", [0.01, 0.6, 0.95])
def test_truncated_files(tmp_path, draw, write_tiff, compression, share):
    path = write_tiff(tmp_path / "t.tif", [draw(600, 500), draw(300, 250)], compression=compression)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    # a smaller level that is cut off is left out and told; of the first nothing may be lost untold
    try:
        with open_slide(path) as slide:
            assert slide.faults
            assert slide.levels[0].height_px == 600
    except DamagedSlide:
        return
    if "500 x 600" in " ".join(slide.faults):
        with pytest.raises(DamagedSlide):
            _read_everything(path)
    else:
        _read_everything(path)


def _read_everything(path):
    with open_slide(path) as slide:
        for array in slide.level_arrays:
            array.compute()


@pytest.mark.parametrize("share", [0.1, 0.6, 0.9])
def test_truncated_svs(tmp_path, data_dir, share):
    content = (data_dir / "slides" / "CMU-1-Small-Region.svs").read_bytes()
    path = tmp_path / "cut.svs"
    path.write_bytes(content[: int(share * len(content))])
    if share > 0.6:  # what is lost are the label and the macro picture
        _read_everything(path)
    else:
        with pytest.raises(DamagedSlide, match=r"cut\.svs"):
            _read_everything(path)


def test_random_bytes_in_a_directory(tmp_path, draw, write_tiff):
    """Whatever a header says, the answer is an error of ours or a slide."""
    path = write_tiff(tmp_path / "r.tif", [draw(200, 150)], compression="deflate")
    content = path.read_bytes()
    rng = np.random.default_rng(11)
    with tifffile.TiffFile(path) as tif:
        first = tif.pages[0].offset
    for _ in range(60):
        damaged = bytearray(content)
        for place in rng.integers(first, first + 200, 3):
            damaged[place] = rng.integers(0, 256)
        path.write_bytes(damaged)
        try:
            with open_slide(path) as slide:
                slide.read_region(0, 0, 20, 20, 0.5)
        except PastError:
            pass


def test_damaged_zarr(tmp_path, draw, write_omezarr):
    path = write_omezarr(tmp_path / "a.zarr", [draw(300, 200)], "0.5")
    chunk = next(p for p in sorted(path.rglob("c/0/0/0")) if p.is_file())
    chunk.write_bytes(b"not a chunk")
    with open_slide(path) as slide, pytest.raises(DamagedSlide):
        slide.level_arrays[0].compute()
    (path / "0" / "zarr.json").write_text("{")
    with pytest.raises(DamagedSlide):
        open_slide(path)
