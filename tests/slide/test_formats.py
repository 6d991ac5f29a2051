"""Each format gives the drawn pixels, µm/px and series."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from napari_past.errors import NotASlide, SlideError, UnsupportedPixels
from napari_past.slide import open_slide


@pytest.mark.parametrize(
    ("small_yx", "subifds"),
    [((311, 400), True), ((311, 400), False), ((388, 500), True), ((97, 125), False)],
    ids=["subifd 2.5x", "page 2.5x", "subifd 2x", "page 8x"],
)
def test_pyramids_of_any_factor(tmp_path, draw, write_tiff, small_yx, subifds):
    levels = [draw(777, 1001), draw(*small_yx)]
    path = write_tiff(tmp_path / "p.tif", levels, subifds=subifds)
    with open_slide(path) as slide:
        assert [a.shape for a in slide.level_arrays] == [(777, 1001, 3), (*small_yx, 3)]
        assert slide.series_names == ("image 0",)


def test_three_levels_of_jpeg(tmp_path, draw, write_tiff):
    levels = [draw(777, 1001), draw(311, 400), draw(124, 160)]
    path = write_tiff(tmp_path / "p.tif", levels, compression="jpeg", compressionargs={"level": 95})
    with open_slide(path) as slide:
        assert len(slide.levels) == 3
        for array, drawn in zip(slide.level_arrays, levels, strict=True):
            error = np.abs(array.compute().astype(int) - drawn)[..., :2]
            assert error.mean() < 2


def test_bigtiff_with_planar_channels(tmp_path, draw, write_tiff):
    drawn = draw(301, 203)
    planar = np.ascontiguousarray(drawn.transpose(2, 0, 1))
    path = tmp_path / "planar.tif"
    tifffile.imwrite(
        path, planar, photometric="rgb", planarconfig="separate", tile=(64, 64), bigtiff=True
    )
    with open_slide(path) as slide:
        np.testing.assert_array_equal(slide.level_arrays[0].compute(), drawn)


@pytest.mark.parametrize(
    ("size", "unit", "mpp"), [(0.25, "µm", 0.25), (250, "nm", 0.25), (0.0005, "mm", 0.5)]
)
def test_ome_tiff(tmp_path, draw, write_tiff, size, unit, mpp):
    levels = [draw(777, 1001), draw(388, 500)]
    metadata = {
        "axes": "YXS",
        "PhysicalSizeX": size,
        "PhysicalSizeXUnit": unit,
        "PhysicalSizeY": size,
        "PhysicalSizeYUnit": unit,
    }
    path = write_tiff(tmp_path / "p.ome.tif", levels, mpp=1.0, metadata=metadata)
    with open_slide(path) as slide:
        assert (slide.vendor, len(slide.levels)) == ("OME-TIFF", 2)
        assert slide.mpp == pytest.approx(mpp)
        np.testing.assert_array_equal(slide.level_arrays[1].compute(), levels[1])


def test_ome_tiff_with_channel_planes(tmp_path, draw):
    drawn = draw(301, 203)
    path = tmp_path / "planes.ome.tif"
    planes = np.ascontiguousarray(drawn.transpose(2, 0, 1))
    tifffile.imwrite(path, planes, photometric="minisblack", metadata={"axes": "CYX"})
    with open_slide(path) as slide:
        np.testing.assert_array_equal(slide.level_arrays[0].compute(), drawn)


def _ome_file_of(folder, k, pixels, images):
    """One file of a set whose OME-XML tells of all images; images: (mpp, channels, files)."""
    text = ""
    for n, (mpp, samples, files) in enumerate(images):
        data = "".join(
            f'<TiffData IFD="0" FirstC="{c}" PlaneCount="1"><UUID FileName="{f}.ome.tif">'
            f"urn:uuid:{f}</UUID></TiffData>"
            for c, f in enumerate(files)
        )
        channels = f'<Channel SamplesPerPixel="{samples}"/>' * (3 // samples)
        text += (
            f'<Image Name="image {n}"><Pixels DimensionOrder="XYCZT" Type="uint8" SizeX="320" '
            f'SizeY="256" SizeC="3" SizeZ="1" SizeT="1" PhysicalSizeX="{mpp}" '
            f'PhysicalSizeY="{mpp}">{channels}{data}</Pixels></Image>'
        )
    head = (
        f'<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/ome" UUID="urn:uuid:{k}">'
    )
    path = folder / f"{k}.ome.tif"
    tifffile.imwrite(
        path,
        pixels,
        description=f"{head}{text}</OME>",
        metadata=None,
        tile=(128, 128),
        photometric="rgb" if pixels.ndim == 3 else "minisblack",
    )
    return path


def test_ome_tiff_of_a_set_has_its_own_picture_and_size(tmp_path, draw):
    images = [(0.5, 3, [0]), (0.25, 3, [1])]
    for k, (mpp, _, _) in enumerate(images):
        with open_slide(_ome_file_of(tmp_path, k, draw(256, 320), images)) as slide:
            assert (slide.mpp, slide.series_names) == (mpp, (f"image {k}",))
            assert "other files (1)" in slide.faults[0]


def test_ome_tiff_whose_colours_lie_in_several_files_is_refused_as_such(tmp_path, draw):
    path = _ome_file_of(tmp_path, 0, draw(256, 320)[..., 0], [(0.5, 1, [0, 1, 2])])
    with pytest.raises(SlideError, match=r"one of 3 files .* `bfconvert"):
        open_slide(path)


@pytest.mark.parametrize("compression", [22610, 34934], ids=["NDPI", "TIFF"])
def test_jpeg_xr(tmp_path, draw, compression):
    """As Hamamatsu's scanners may write it."""
    drawn = draw(128, 256)
    halves = [drawn[:, :128], drawn[:, 128:]]
    path = tmp_path / "x.tif"
    tifffile.imwrite(
        path,
        iter([imagecodecs.jpegxr_encode(np.ascontiguousarray(h), level=1.0) for h in halves]),
        shape=drawn.shape,
        dtype=np.uint8,
        tile=(128, 128),
        compression=compression,
        photometric="rgb",
        metadata=None,
    )
    with open_slide(path, mpp=0.5) as slide:
        assert np.array_equal(slide.read_grid(0, 0, 256, 128, 0.5), drawn)


@pytest.mark.parametrize(
    ("version", "axes"),
    [("0.4", "cyx"), ("0.4", "tczyx"), ("0.5", "yxc"), ("0.5", "zyxc"), ("0.5", "tczyx")],
)
def test_ome_zarr(tmp_path, draw, write_omezarr, version, axes):
    levels = [draw(777, 1001), draw(311, 400)]
    path = write_omezarr(tmp_path / "a.zarr", levels, version, axes)
    with open_slide(path) as slide:
        assert slide.mpp == 0.5
        assert slide.series_names == ("drawn",)
        for array, drawn in zip(slide.level_arrays, levels, strict=True):
            np.testing.assert_array_equal(array.compute(), drawn)


@pytest.mark.parametrize(
    ("unit", "scale", "mpp"),
    [
        ("nanometer", 250.0, 0.25),
        ("millimeter", 0.0005, 0.5),
        (None, 0.5, None),
        ("micrometer", 500.0, None),
    ],
)
def test_ome_zarr_units(tmp_path, draw, write_omezarr, unit, scale, mpp):
    path = write_omezarr(tmp_path / "a.zarr", [draw(64, 50)], "0.4", unit=unit, scale=scale)
    with open_slide(path) as slide:
        assert slide.mpp == (None if mpp is None else pytest.approx(mpp))


def test_collection_of_images_in_zarr(tmp_path, draw, write_omezarr):
    zarr.open_group(
        tmp_path / "c.zarr", mode="w", zarr_format=2, attributes={"bioformats2raw.layout": 3}
    )
    write_omezarr(tmp_path / "c.zarr" / "0", [draw(64, 50)], "0.4")
    write_omezarr(tmp_path / "c.zarr" / "1", [draw(128, 90)], "0.4")
    with open_slide(tmp_path / "c.zarr") as slide:
        assert slide.levels[0].height_px == 128
    with open_slide(tmp_path / "c.zarr", series=0) as slide:
        assert slide.levels[0].height_px == 64


def test_zarr_without_an_image_is_no_slide(tmp_path):
    zarr.open_group(tmp_path / "c.zarr", mode="w")
    with pytest.raises(NotASlide, match="multiscales"):
        open_slide(tmp_path / "c.zarr")


def test_aperio_jpeg2000_with_ycbcr(tmp_path, draw):
    """Compression 33003 stores YCbCr without saying so in the stream; OpenSlide is the oracle."""
    drawn = draw(512, 512)
    ycbcr = np.asarray(Image.fromarray(drawn).convert("YCbCr"))
    tiles = [
        imagecodecs.jpeg2k_encode(
            np.ascontiguousarray(ycbcr[i : i + 256, j : j + 256]),
            level=0,
            codecformat="j2k",
            mct=False,
        )
        for i in (0, 256)
        for j in (0, 256)
    ]
    path = tmp_path / "a.svs"
    tifffile.imwrite(
        path,
        iter(tiles),
        shape=drawn.shape,
        dtype=np.uint8,
        tile=(256, 256),
        compression=33003,
        photometric="ycbcr",
        subsampling=(1, 1),
        metadata=None,
        description="Aperio Image Library v1\r\nJ2K/YUV16|AppMag = 40|MPP = 0.2525|User = x",
    )
    with open_slide(path) as slide:
        assert (slide.vendor, slide.objective, slide.mpp) == ("Aperio", 40.0, 0.2525)
        pixels = slide.level_arrays[0].compute()
        assert "User" not in repr(slide.metadata)
    assert np.abs(pixels.astype(int) - drawn).max() <= 3
    openslide = pytest.importorskip("openslide")
    with openslide.OpenSlide(path) as oracle:
        other = np.asarray(oracle.read_region((0, 0), 0, (512, 512)).convert("RGB"))
    assert np.abs(pixels.astype(int) - other).max() <= 2


@pytest.mark.parametrize(
    ("resolution", "unit", "mpp"),
    [
        ((72, 72), "INCH", None),
        ((96, 96), "INCH", None),
        ((300, 300), "INCH", None),
        ((28.34, 28.34), "CENTIMETER", None),
        ((1, 1), "NONE", None),
        ((20_000, 20_000), "NONE", None),
        ((20_000, 20_000), "CENTIMETER", 0.5),
        ((50_800, 50_800), "INCH", 0.5),
        ((20_000, 20_100), "CENTIMETER", 0.49876),
    ],
)
def test_resolution_tags(tmp_path, draw, resolution, unit, mpp):
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, draw(64, 50), photometric="rgb", resolution=resolution, resolutionunit=unit
    )
    with open_slide(path) as slide:
        assert slide.mpp == (None if mpp is None else pytest.approx(mpp, rel=1e-4))


def test_pixels_that_are_not_square_need_mpp(tmp_path, draw):
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path,
        draw(64, 50),
        photometric="rgb",
        resolution=(20_000, 10_000),
        resolutionunit="CENTIMETER",
    )
    with pytest.raises(SlideError, match="mpp="):
        open_slide(path)
    with open_slide(path, mpp=0.5) as slide:
        assert slide.mpp == 0.5


@pytest.fixture
def file_of_four(tmp_path, draw):
    """A thumbnail, two scans and a label, as OME-TIFF."""
    path = tmp_path / "four.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as file:
        for name, height in (("thumbnail", 90), ("A", 200), ("B", 301), ("label image", 400)):
            file.write(draw(height, 203), photometric="rgb", metadata={"axes": "YXS", "Name": name})
    return path


@pytest.mark.parametrize(
    ("series", "height"),
    [(None, 301), (1, 200), ("1", 200), ("A", 200), ("b", 301), ("label image", 400)],
)
def test_series_is_chosen(file_of_four, series, height):
    with open_slide(file_of_four, series=series) as slide:
        assert slide.series_names == ("thumbnail", "A", "B", "label image")
        assert slide.levels[0].height_px == height


@pytest.mark.parametrize("series", [3, 0, 4, -1, "C"])
def test_label_only_by_name_and_no_unknown_series(file_of_four, series):
    with pytest.raises(SlideError, match=r"'A'.*'B'"):
        open_slide(file_of_four, series=series)


def _grey(drawn):
    return drawn[..., 0]


def _alpha(drawn):
    return np.concatenate([drawn, drawn[..., :1]], axis=-1)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda d: d.astype(np.uint16), "16-bit"),
        (lambda d: d.astype(np.float32), "32-bit"),
        (_grey, "one channel"),
        (_alpha, "4 channels, one of them alpha"),
    ],
    ids=["16-bit", "float", "grey", "alpha"],
)
def test_other_pixels_are_refused(tmp_path, draw, write_omezarr, change, found):
    pixels = change(draw(64, 50))
    kind = "rgb" if pixels.ndim == 3 else "minisblack"
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric=kind)
    with pytest.raises(UnsupportedPixels, match=f"{found}.*8-bit RGB.*vips"):
        open_slide(tmp_path / "a.tif")
    zarr_pixels = pixels if pixels.ndim == 3 else pixels[..., np.newaxis]
    path = write_omezarr(tmp_path / "a.zarr", [zarr_pixels], "0.5", "yxc")
    with pytest.raises(UnsupportedPixels, match=found):
        open_slide(path)
