"""A JPEG becomes a slide that can be opened again by its path, pixel for pixel."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from napari_past.errors import NotASlide
from napari_past.sample import write_phantom
from napari_past.slide import open_slide
from napari_past.spatial.picture import open_picture
from napari_past.validation.picture_slide import encodable_slide


def test_a_jpeg_keeps_its_pixels(tmp_path, cache_dir):
    rgb = np.random.default_rng(0).integers(0, 255, (301, 417, 3), dtype=np.uint8)
    Image.fromarray(rgb).save(tmp_path / "C5.jpg", quality=80)
    with encodable_slide(tmp_path / "C5.jpg", 0.7) as slide:
        shown = np.asarray(Image.open(tmp_path / "C5.jpg").convert("RGB"))
        np.testing.assert_array_equal(slide.level_arrays[0], shown)
        assert slide.name == "C5.jpg"
        assert slide.mpp == 0.7
        again = open_slide(slide.ref.path, slide.ref.mpp)
    (copy,) = (cache_dir / "pictures").rglob("C5.ome.tif")
    before = copy.stat().st_mtime_ns
    with encodable_slide(tmp_path / "C5.jpg", 0.5) as slide:
        assert slide.mpp == 0.5
        assert slide.fingerprint == again.fingerprint
    assert copy.stat().st_mtime_ns == before
    again.close()
    with open_picture(tmp_path / "C5.jpg", 0.7) as slide:
        assert slide.name == "C5.jpg"


def test_a_slide_is_opened_as_it_is(tmp_path):
    path = write_phantom(tmp_path / "p.ome.tif", 256, 256)
    with encodable_slide(path, 0.6) as slide:
        assert slide.ref.path == str(path)
    with pytest.raises(NotASlide):
        encodable_slide(tmp_path / "nowhere.jpg", 0.5)
