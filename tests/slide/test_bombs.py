"""Files that would fill memory or never end are refused in a sentence, before room is made."""

from __future__ import annotations

import gzip
import io
import json
import struct
import zlib

import imagecodecs
import numcodecs
import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from napari_past.errors import DamagedSlide, SlideError, UnsupportedPixels
from napari_past.slide import open_slide
from napari_past.slide.encoded_size import encoded_size

HUGE = 2**31


def _encoded(kind):
    picture = np.zeros((60, 90, 3), np.uint8)
    out = io.BytesIO()
    if kind in ("jpeg", "png", "webp"):
        Image.fromarray(picture).save(out, kind)
        return out.getvalue()
    if kind == "webp lossless":
        Image.fromarray(picture).save(out, "webp", lossless=True)
        return out.getvalue()
    if kind == "progressive":
        Image.fromarray(picture).save(out, "jpeg", progressive=True)
        return out.getvalue()
    if kind == "jpeg-ls":
        return imagecodecs.jpegls_encode(picture)
    if kind == "jpeg-xr":
        return imagecodecs.jpegxr_encode(picture)
    return imagecodecs.jpeg2k_encode(picture, codecformat=kind)


KINDS = ["jpeg", "progressive", "png", "webp", "webp lossless", "jpeg-ls", "j2k", "jp2"] + [
    "jpeg-xr"
]


@pytest.mark.parametrize("kind", KINDS)
def test_encoded_size(kind):
    assert encoded_size(_encoded(kind)) == (60, 90)


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xd8", b"\xff\xd8\xff\xc0\0\x11", b"II*\0", b"\0" * 99]
)
def test_no_encoded_size(data):
    assert encoded_size(data) is None


def test_codestream_of_jp2_is_not_hidden_by_a_box_before_it():
    jp2, small = _encoded("jp2"), _encoded("j2k")[:40]
    box = struct.pack(">I4s", 8 + len(small), b"free") + small
    large = jp2.replace(struct.pack(">II", 90, 60), struct.pack(">II", 900, 600))
    assert encoded_size(large[:12] + box + large[12:]) == (600, 900)


@pytest.mark.parametrize("kind", ["jpeg", "j2k", "jpeg-xr"])
def test_tile_that_holds_a_larger_picture(tmp_path, kind):
    """Decoders make room for the size that a stream states: 65,535 px squared are 13 GB."""
    tile = bytearray(_encoded(kind))
    if kind == "jpeg":
        place = tile.index(b"\xff\xc0")
        tile[place + 5 : place + 9] = struct.pack(">HH", 65535, 65535)
    elif kind == "j2k":
        place = tile.index(b"\xff\x4f\xff\x51")
        tile[place + 8 : place + 16] = struct.pack(">II", 65535, 65535)
    else:
        place = tile.index(b"WMPHOTO\0")
        tile[place + 12 : place + 16] = struct.pack(">HH", 65534, 65534)
    path = tmp_path / "b.tif"
    tifffile.imwrite(
        path,
        iter([bytes(tile)]),
        shape=(64, 96, 3),
        dtype=np.uint8,
        tile=(64, 96),
        photometric="rgb",
        compression={"jpeg": 7, "j2k": 33005, "jpeg-xr": 22610}[kind],
        metadata=None,
    )
    with (
        open_slide(path, mpp=0.5) as slide,
        pytest.raises(DamagedSlide, match="a tile of 96 x 64 px holds 65535 x 65535 px"),
    ):
        slide.read_grid(0, 0, 10, 10, 0.5)


@pytest.fixture
def tiff(tmp_path, draw, write_tiff):
    return write_tiff(tmp_path / "t.tif", [draw(200, 150)], compression="deflate")


def _overwrite(path, **tags):
    with tifffile.TiffFile(path, mode="r+") as tif:
        for name, value in tags.items():
            tif.pages[0].tags[name].overwrite(value)


@pytest.mark.parametrize(
    "tags",
    [
        {"ImageWidth": HUGE},
        {"ImageWidth": HUGE, "ImageLength": HUGE},
        {"TileWidth": 16, "TileLength": 16},
    ],
    ids=["wide", "huge", "small tiles"],
)
def test_sizes_that_the_tiles_do_not_fill(tiff, tags):
    _overwrite(tiff, **tags)
    with pytest.raises(DamagedSlide, match="are missing"):
        open_slide(tiff)


def test_tiles_of_gigabytes(tiff):
    _overwrite(tiff, TileWidth=2**16, TileLength=2**16)
    with pytest.raises(SlideError, match="too large to read in part"):
        open_slide(tiff)


def test_tile_that_unpacks_to_more_than_a_tile(tmp_path):
    tile = zlib.compress(bytes(2**26), 9)
    path = tmp_path / "z.tif"
    tifffile.imwrite(
        path,
        iter([tile]),
        shape=(64, 64, 3),
        dtype=np.uint8,
        tile=(64, 64),
        photometric="rgb",
        compression="deflate",
        metadata=None,
    )
    with open_slide(path, mpp=0.5) as slide, pytest.raises(DamagedSlide):
        slide.read_grid(0, 0, 10, 10, 0.5)


def test_directories_in_a_circle(tiff):
    with tifffile.TiffFile(tiff) as tif:
        offset = tif.pages[0].offset
        count = len(tif.pages[0].tags)
    with tiff.open("r+b") as file:
        file.seek(offset + 2 + 12 * count)
        file.write(struct.pack("<I", offset))
    with pytest.raises(DamagedSlide, match="more than 4096 directories"):
        open_slide(tiff)


def test_directories_without_end(tmp_path):
    """One every six bytes, each pointing to the next."""
    n = 20_000
    path = tmp_path / "d.tif"
    links = b"".join(struct.pack("<HI", 0, 8 + 6 * (i + 1)) for i in range(n))
    path.write_bytes(b"II*\0" + struct.pack("<I", 8) + links)
    with pytest.raises(DamagedSlide, match=r"d\.tif"):
        open_slide(path)


def test_description_that_expands_itself(tmp_path, draw):
    bomb = '<?xml version="1.0"?><!DOCTYPE OME [<!ENTITY a "aaaaaaaa">'
    bomb += "".join(
        f'<!ENTITY {new} "{f"&{old};" * 10}">'
        for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    bomb += "]><OME><Image>&i;</Image></OME>"
    tifffile.imwrite(
        tmp_path / "x.ome.tif", draw(64, 64), photometric="rgb", description=bomb, metadata=None
    )
    with pytest.raises(DamagedSlide, match="entities"):
        open_slide(tmp_path / "x.ome.tif")


@pytest.fixture
def image(tmp_path, draw, write_omezarr):
    return write_omezarr(tmp_path / "a.zarr", [draw(300, 200)], "0.4", axes="yxc")


def _described(path, **changes):
    file = path / "0" / ".zarray"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.mark.parametrize(
    ("compressor", "chunk"),
    [
        ({"id": "zlib", "level": 9}, lambda raw: zlib.compress(raw, 9)),
        ({"id": "gzip", "level": 9}, lambda raw: gzip.compress(raw, 9)),
        ({"id": "zstd", "level": 1}, lambda raw: numcodecs.Zstd(1).encode(raw)),
        ({"id": "lz4", "acceleration": 1}, lambda raw: numcodecs.LZ4().encode(raw)),
        (numcodecs.Blosc("zstd").get_config(), lambda raw: numcodecs.Blosc("zstd").encode(raw)),
        (None, lambda raw: raw),
    ],
    ids=["zlib", "gzip", "zstd", "lz4", "blosc", "none"],
)
def test_chunk_that_unpacks_to_more_than_a_chunk(image, compressor, chunk):
    _described(image, compressor=compressor)
    pixels = np.full((128, 128, 1), 7, np.uint8)
    for file in (image / "0").glob("*.*.*"):
        file.write_bytes(chunk(pixels.tobytes()))
    with open_slide(image) as slide:
        assert (slide.read_grid(0, 0, 9, 9, 0.5) == 7).all()
        (image / "0" / "0.0.1").write_bytes(chunk(bytes(2**24)))
        with pytest.raises(DamagedSlide, match=r"unpacks to|more than"):
            slide.read_grid(0, 0, 9, 9, 0.5)


@pytest.mark.parametrize("gigabytes", [False, True])
def test_chunks_in_shards(tmp_path, draw, write_omezarr, gigabytes):
    path = write_omezarr(tmp_path / "s.zarr", [draw(300, 200)], "0.5", axes="yxc")
    drawn = draw(300, 200)
    zarr.open_group(path, mode="r+").create_array(
        "0", data=drawn, chunks=(64, 64, 3), shards=(128, 128, 3), overwrite=True
    )
    if gigabytes:
        bomb = numcodecs.Zstd(1).encode(bytes(2**24))
        index = struct.pack("<QQ", 0, len(bomb)) * 4
        check = struct.pack(
            "<I", imagecodecs.crc32c(index) if hasattr(imagecodecs, "crc32c") else 0
        )
        (path / "0" / "c" / "0" / "0" / "0").write_bytes(bomb + index + check)
    with open_slide(path) as slide:
        if gigabytes:
            with pytest.raises(DamagedSlide, match="unpacks to 16777216"):
                slide.read_grid(0, 0, 128, 128, 0.5)
        else:
            np.testing.assert_array_equal(slide.level_arrays[0].compute(), drawn)
            np.testing.assert_array_equal(slide.read_grid(10, 10, 9, 9, 0.5), drawn[10:19, 10:19])


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"chunks": [40000, 40000, 1]}, SlideError, "too large to read in part"),
        ({"shape": [10**9, 10**9, 3]}, SlideError, "which no slide has"),
        ({"compressor": {"id": "bz2", "level": 1}}, UnsupportedPixels, "with bz2"),
        ({"filters": [{"id": "delta", "dtype": "|u1"}]}, UnsupportedPixels, "with filters"),
    ],
    ids=["chunks", "shape", "compression", "filters"],
)
def test_arrays_that_are_refused(image, changes, error, message):
    _described(image, **changes)
    with pytest.raises(error, match=message):
        open_slide(image)


def test_levels_of_metres_are_refused(image):
    _described(image, shape=[60_000, 60_000, 3])
    with pytest.raises(SlideError, match="which no slide has"):
        open_slide(image, mpp=20)


def test_level_that_is_no_smaller_picture_is_left_out(tmp_path, draw, write_omezarr):
    path = write_omezarr(tmp_path / "a.zarr", [draw(300, 200), draw(150, 100)], "0.4")
    file = path / "1" / ".zarray"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"shape": [3, HUGE, 100]}))
    with open_slide(path) as slide:
        assert len(slide.levels) == 1
        assert "level 1 of 100 x 2147483648 px" in slide.faults[0]
        assert slide.tissue_mask().mask.shape == (19, 13)
