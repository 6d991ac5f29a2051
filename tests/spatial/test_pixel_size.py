"""Who is believed about the size of a pixel."""

from __future__ import annotations

import struct
import zlib

import pytest
from PIL import Image

from napari_past.errors import MissingPixelSize, NotASlide, SlideError
from napari_past.spatial.picture import open_picture, stated_mpp
from napari_past.spatial.pixel_size import settled_mpp


def test_the_user_is(he_tiff):
    assert settled_mpp(he_tiff, 0.3, None, "") == (0.3, ())
    value, notes = settled_mpp(he_tiff, 0.3, 0.5, "the alignment")
    assert value == 0.3
    assert "0.3 µm/px was given, though the alignment says 0.5" in notes[0]
    assert settled_mpp(he_tiff, 0.49, 0.5, "the alignment") == (0.49, ())


def test_the_file_is_unless_the_measurement_disagrees(he_tiff):
    assert settled_mpp(he_tiff, None, None, "") == (pytest.approx(0.5), ())
    assert settled_mpp(he_tiff, None, 0.51, "the spots") == (pytest.approx(0.5), ())
    value, notes = settled_mpp(he_tiff, None, 0.6, "the spots")
    assert value == 0.6
    assert "states 0.5 µm/px, but the spots says 0.6" in notes[0]


def test_the_measurement_is_where_the_file_is_silent(he_png, plain_tiff):
    for picture in (he_png, plain_tiff):
        value, notes = settled_mpp(picture, None, 0.42, "the spots")
        assert value == 0.42
        assert notes == (f"{picture.name}: 0.42 µm/px, from the spots.",)


def test_nobody_knows(he_png):
    with pytest.raises(MissingPixelSize, match=r"drawn\.png states no pixel size.*mpp="):
        settled_mpp(he_png, None, None, "")
    with pytest.raises(MissingPixelSize):
        settled_mpp(he_png, None, 250.0, "the spots")  # no slide has pixels of 250 µm
    with pytest.raises(SlideError, match=r"a number from 0\.02 to 20, but got 250"):
        settled_mpp(he_png, 250.0, None, "")


def test_pictures(he_png, he_tiff, phantom, tmp_path):
    assert stated_mpp(he_tiff) == pytest.approx(0.5)
    assert stated_mpp(he_png) is None
    with open_picture(he_png, 0.5) as flat, open_picture(he_tiff) as pyramid:
        assert flat.size_um == pyramid.size_um == (480.0, 320.0)
        left, right = (s.read_grid(100, 80, 60, 40, 0.5) for s in (flat, pyramid))
        assert (left == right).all()
        assert (left == phantom.rgb[80:120, 100:160]).all()


def test_pictures_that_are_none(tmp_path):
    for suffix in (".png", ".tif"):
        with pytest.raises(NotASlide, match="does not exist"):
            open_picture(tmp_path / f"gone{suffix}", 0.5)
        with pytest.raises(NotASlide, match="does not exist"):
            stated_mpp(tmp_path / f"gone{suffix}")
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 and no more")
    with pytest.raises(SlideError, match=r"broken\.jpg cannot be read as a picture"):
        open_picture(broken, 0.5)


def test_a_small_file_that_promises_a_huge_picture_is_not_unpacked(tmp_path):
    path = tmp_path / "bomb.png"
    Image.new("RGB", (8, 8)).save(path)
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack(">II", 50_000, 20_000)  # width and height in the header
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    path.write_bytes(content)
    with pytest.raises(SlideError, match="50000 x 20000 pixels, too many"):
        open_picture(path, 0.5)
