from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.testing as npt
import pytest
import tifffile
from napari.utils import resize_dask_cache

from napari_past.errors import SlideError, UnsupportedPixels
from napari_past.plugin.reader import (
    PIECES_BYTES,
    get_reader,
    read_slides,
    slide_layer,
    slide_ref,
)
from napari_past.plugin.sample_data import PHANTOM_FILE, phantom
from napari_past.slide import open_slide
from napari_past.types import SlideRef


def test_layer_is_placed_in_micrometres(drawn) -> None:
    levels, arguments, kind = read_slides(str(drawn.path))[0]
    assert kind == "image"
    assert arguments["name"] == "drawn"
    assert arguments["scale"] == (0.5, 0.5)
    assert arguments["translate"] == (0.25, 0.25)
    assert arguments["units"] == ("um", "um")
    assert slide_ref(arguments["metadata"]) == SlideRef(str(drawn.path), None, None)
    npt.assert_array_equal(levels[0][100:140, 200:260], drawn.truth.rgb[100:140, 200:260])


def test_given_pixel_size_travels_with_the_layer(drawn) -> None:
    _, arguments, _ = slide_layer(open_slide(drawn.path, mpp=0.25))
    assert arguments["scale"] == (0.25, 0.25)
    assert slide_ref(arguments["metadata"]) == SlideRef(str(drawn.path), 0.25, None)


def test_without_pixel_size_the_layer_is_in_pixels(tmp_path: Path) -> None:
    path = tmp_path / "plain.tif"
    tifffile.imwrite(path, np.full((40, 60, 3), 200, np.uint8), photometric="rgb")
    _, arguments, _ = read_slides(path)[0]
    assert arguments["scale"] == (1.0, 1.0)
    assert arguments["translate"] == (0.5, 0.5)
    assert arguments["units"] == ("pixel", "pixel")


def test_several_paths_give_several_layers(drawn) -> None:
    assert len(read_slides([drawn.path, str(drawn.path)])) == 2


def test_folder_without_slide_is_left_to_other_readers(tmp_path: Path) -> None:
    assert get_reader(str(tmp_path)) is None


def test_16_bit_image_is_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "deep.tif"
    tifffile.imwrite(path, np.zeros((40, 60), np.uint16))
    reader = get_reader(str(path))
    assert reader is not None
    with pytest.raises(UnsupportedPixels, match=r"deep\.tif"):
        reader(str(path))


def test_metadata_of_others_is_no_slide() -> None:
    assert slide_ref({}) is None
    assert slide_ref({"napari_past": {"model": "x"}}) is None


@pytest.mark.gui
def test_svs_opens_as_drag_and_drop_does(make_napari_viewer_proxy, data_dir: Path) -> None:
    viewer = make_napari_viewer_proxy()
    path = data_dir / "slides" / "CMU-1-Small-Region.svs"
    (layer,) = viewer.open(str(path), plugin="napari-past")
    npt.assert_allclose(layer.scale, 0.499)
    npt.assert_allclose(layer.translate, 0.2495)
    assert [str(unit) for unit in layer.units] == ["micrometer", "micrometer"]
    assert layer.multiscale
    assert layer.rgb

    low, high = layer.extent.world
    npt.assert_allclose(low, 0.0, atol=0.3)
    npt.assert_allclose(high, np.array([2967, 2220]) * 0.499, atol=0.6)


@pytest.mark.gui
def test_pyramid_without_size_opens_in_pixels(make_napari_viewer_proxy, data_dir: Path) -> None:
    viewer = make_napari_viewer_proxy()
    path = data_dir / "slides" / "her2st_C5_pyramid.tif"
    (layer,) = viewer.open(str(path), plugin="napari-past")
    slide = open_slide(path)
    expected = 1.0 if slide.mpp is None else slide.mpp
    npt.assert_allclose(layer.scale, expected)
    assert len(layer.data) >= 5
    assert max(layer.data[-1].shape) <= 1024


@pytest.mark.gui
def test_bad_file_is_told_in_a_sentence(make_napari_viewer_proxy, data_dir: Path) -> None:
    viewer = make_napari_viewer_proxy()
    path = data_dir / "slides" / "edge" / "smalltif.tif"
    with pytest.raises(SlideError, match=r"smalltif\.tif"):
        viewer.open(str(path), plugin="napari-past")
    assert len(viewer.layers) == 0


def test_sample_that_is_in_the_cache_is_opened_from_it(cache_dir: Path, drawn) -> None:
    kept = cache_dir / "samples" / PHANTOM_FILE
    kept.parent.mkdir(exist_ok=True)
    kept.write_bytes(drawn.path.read_bytes())
    ((_, arguments, _),) = phantom()
    assert slide_ref(arguments["metadata"]) == SlideRef(str(kept), None, None)
    assert kept.read_bytes() == drawn.path.read_bytes()


def test_slides_do_not_fill_the_memory_with_pieces(drawn) -> None:
    resize_dask_cache(2**33)
    slide_layer(open_slide(drawn.path))
    assert resize_dask_cache().cache.available_bytes == PIECES_BYTES
    resize_dask_cache(2**20)  # the user's own, smaller choice
    slide_layer(open_slide(drawn.path))
    assert resize_dask_cache().cache.available_bytes == 2**20
