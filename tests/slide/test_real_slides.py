"""The real files, against OpenSlide where it reads them."""

from __future__ import annotations

import re
import shutil
import sys

import numpy as np
import pytest

from napari_past.errors import DamagedSlide, MissingExtra, UnsupportedPixels
from napari_past.slide import open_slide


@pytest.fixture(scope="module")
def slides(data_dir):
    return data_dir / "slides"


@pytest.mark.parametrize(
    ("name", "size", "n_levels", "mpp", "objective", "vendor"),
    [
        ("CMU-1-Small-Region.svs", (2220, 2967), 1, 0.499, 20.0, "Aperio"),
        ("her2st_C5_pyramid.tif", (9272, 9901), 5, 0.6902504, None, "TIFF"),
        ("tma_core.ome.tif", (1380, 1484), 1, 0.50008, None, "OME-TIFF"),
        ("edge/invalid_resolutions_tiff.tif", (1024, 1024), 1, None, None, "TIFF"),
        ("edge/small_HE_levels.tiff", (300, 250), 4, None, None, "TIFF"),
    ],
)
def test_facts(slides, name, size, n_levels, mpp, objective, vendor):
    with open_slide(slides / name) as slide:
        level = slide.levels[0]
        assert ((level.width_px, level.height_px), len(slide.levels)) == (size, n_levels)
        assert slide.mpp == (None if mpp is None else pytest.approx(mpp, rel=1e-5))
        assert (slide.objective, slide.vendor) == (objective, vendor)
        last = slide.display_levels[-1]
        assert max(last.shape) <= 1024
        assert last[:8, :8].compute().shape == (8, 8, 3)
        assert slide.level_arrays[0].dtype == np.uint8


@pytest.mark.parametrize(
    ("name", "found"), [("no_dzi.tif", "one channel"), ("smalltif.tif", "16-bit")]
)
def test_refused(slides, name, found):
    with pytest.raises(UnsupportedPixels, match=found):
        open_slide(slides / "edge" / name)


def test_aperio_series(slides):
    with open_slide(slides / "CMU-1-Small-Region.svs") as slide:
        assert slide.series_names == ("Baseline", "Thumbnail", "Label", "Macro")
    with open_slide(slides / "CMU-1-Small-Region.svs", series="thumbnail") as slide:
        assert (slide.levels[0].height_px, slide.levels[0].width_px) == (768, 574)


@pytest.mark.parametrize("name", ["CMU-1-Small-Region.svs", "her2st_C5_pyramid.tif"])
def test_pixels_equal_those_of_openslide(slides, name):
    openslide = pytest.importorskip("openslide")
    with open_slide(slides / name) as slide, openslide.OpenSlide(slides / name) as oracle:
        for level in range(len(slide.levels)):
            width, height = (min(n, 700) for n in oracle.level_dimensions[level])
            theirs = oracle.read_region((0, 0), level, (width, height)).convert("RGB")
            ours = slide.level_arrays[level][:height, :width].compute()
            assert np.abs(ours.astype(int) - np.asarray(theirs)).mean() < 0.5


def test_levels_of_a_pyramid_show_the_same_place(slides):
    """The same 400 µm read for 2.76 µm/px from level 2, and averaged from level 0."""
    with open_slide(slides / "her2st_C5_pyramid.tif") as slide:
        mpp = slide.require_mpp()
        coarse = slide.read_region(2500, 2500, 400, 400, 4 * mpp).astype(float)
        fine = slide.read_region(2500, 2500, 400, 400, mpp).astype(float)
        n = fine.shape[0] // 4
        mean = fine[: 4 * n, : 4 * n].reshape(n, 4, n, 4, 3).mean(axis=(1, 3))
        inner = mean[2:-2, 2:-2]
        aligned = np.corrcoef(inner.ravel(), coarse[2 : n - 2, 2 : n - 2].ravel())[0, 1]
        assert aligned > 0.9
        for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            moved = coarse[2 + dy : n - 2 + dy, 2 + dx : n - 2 + dx]
            assert np.corrcoef(inner.ravel(), moved.ravel())[0, 1] < aligned


@pytest.mark.parametrize("mpp", [0.5, 0.6902504137423473, 1.0])
def test_tiles_of_a_real_slide_agree(slides, mpp):
    with open_slide(slides / "her2st_C5_pyramid.tif") as slide:
        a = slide.read_grid(2000, 3000, 300, 300, mpp)
        b = slide.read_grid(2177, 3099, 300, 300, mpp)
        np.testing.assert_array_equal(a[99:, 177:], b[:201, :123])


def test_fingerprint_is_of_the_content(slides, tmp_path):
    with open_slide(slides / "CMU-1-Small-Region.svs") as slide:
        print_ = slide.fingerprint
    copy = tmp_path / "renamed.tif"
    shutil.copy(slides / "CMU-1-Small-Region.svs", copy)
    with open_slide(copy, mpp=0.3) as slide:
        assert slide.fingerprint == print_
        assert len(print_) == 64
        assert int(print_, 16) >= 0
    content = bytearray(copy.read_bytes())
    content[-1] ^= 1
    copy.write_bytes(content)
    with open_slide(copy) as slide:
        assert slide.fingerprint != print_


def test_fingerprint_of_a_folder(tmp_path, draw, write_omezarr):
    one = write_omezarr(tmp_path / "one.zarr", [draw(300, 200)], "0.5")
    shutil.copytree(one, tmp_path / "elsewhere" / "two.zarr")
    other = draw(300, 200)
    other[0, 0] ^= 1
    three = write_omezarr(tmp_path / "three.zarr", [other], "0.5")
    prints = []
    for path in (one, tmp_path / "elsewhere" / "two.zarr", three):
        with open_slide(path) as slide:
            prints.append(slide.fingerprint)
    assert prints[0] == prints[1] != prints[2]


def test_dicom_folder_equals_the_svs(slides):
    pytest.importorskip("openslide")
    folder = slides / "cmu1_dicom"
    with open_slide(folder) as dicom, open_slide(slides / "CMU-1-Small-Region.svs") as svs:
        assert dicom.vendor == "DICOM"
        assert dicom.mpp == pytest.approx(0.499)
        ours = dicom.read_grid(300, 500, 500, 400, 0.499).astype(int)
        # the DICOM file was compressed once more: alike, and nowhere more than at the same place
        error = np.abs(ours - svs.read_grid(300, 500, 500, 400, 0.499)).mean()
        assert error < 4
        for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            assert np.abs(ours - svs.read_grid(300 + dx, 500 + dy, 500, 400, 0.499)).mean() > error
        a = dicom.read_grid(100, 100, 300, 300, 0.7)
        b = dicom.read_grid(200, 150, 300, 300, 0.7)
        np.testing.assert_array_equal(a[50:, 100:], b[:250, :200])
        with open_slide(sorted(folder.iterdir())[0]) as one:
            assert one.fingerprint == dicom.fingerprint


def test_without_openslide_the_extra_is_named(slides, monkeypatch):
    monkeypatch.setitem(sys.modules, "openslide", None)
    with pytest.raises(MissingExtra, match=r"napari-past\[openslide\]"):
        open_slide(slides / "cmu1_dicom")


def test_dicom_with_a_bad_frame(tmp_path, data_dir):
    """OpenSlide gives up a handle at its first error; what else there is must still be read."""
    pytest.importorskip("openslide")
    source = data_dir / "slides" / "cmu1_dicom"
    folder = tmp_path / "dicom"
    shutil.copytree(source, folder)
    file = max(folder.iterdir(), key=lambda f: f.stat().st_size)
    content = bytearray(file.read_bytes())
    frames = [m.start() for m in re.finditer(rb"\xff\xd8\xff", content)]
    content[frames[0] : frames[0] + 100] = bytes(100)
    file.write_bytes(content)
    with open_slide(folder) as slide, open_slide(source) as sound:
        mpp = sound.require_mpp()
        for _ in range(2):
            with pytest.raises(DamagedSlide, match=r"dicom has pixels that cannot be decoded"):
                slide.read_grid(100, 100, 100, 100, mpp)
            there = (1200, 1200, 100, 100, mpp)
            np.testing.assert_array_equal(slide.read_grid(*there), sound.read_grid(*there))
        assert set(np.unique(slide.display_pixels[0].read(0, 9, 0, 9))) == {104, 152}
