"""The same tissue is known again in another file; its neighbour is not taken for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_past.sample import draw_phantom
from napari_past.slide import open_slide, slide_of_array
from napari_past.slide.thumbprint import same_tissue, thumbprint


@pytest.fixture(scope="module")
def rgb() -> np.ndarray:
    return draw_phantom(700, 500, 1.0, seed=3).rgb


@pytest.fixture(scope="module")
def given(rgb) -> str:
    return thumbprint(slide_of_array(rgb, 1.0))


def test_other_files_of_it(rgb, given, tmp_path):
    Image.fromarray(rgb).save(tmp_path / "a.jpg", quality=60)
    compressed = np.asarray(Image.open(tmp_path / "a.jpg"))
    smaller = np.asarray(Image.fromarray(rgb).resize((350, 250), Image.Resampling.BOX))
    for other, mpp in ((compressed, 1.0), (rgb, 0.5), (smaller, 2.0)):
        assert same_tissue(given, thumbprint(slide_of_array(other, mpp)))


@pytest.mark.parametrize("turn", ["quarter", "half", "mirrored"])
def test_whichever_way_up(rgb, given, turn):
    turned = {"quarter": np.rot90(rgb), "half": rgb[::-1, ::-1], "mirrored": rgb[:, ::-1]}[turn]
    assert same_tissue(given, thumbprint(slide_of_array(np.ascontiguousarray(turned), 1.0)))


def test_other_tissue_is_another(given):
    other = thumbprint(slide_of_array(draw_phantom(700, 500, 1.0, 1).rgb, 1.0))
    assert not same_tissue(given, other)
    glass = thumbprint(slide_of_array(np.full((500, 700, 3), 240, np.uint8), 1.0))
    assert not same_tissue(glass, glass)


def test_a_pen_mark_does_not_hide_it(rgb, given):
    marked = rgb.copy()
    marked[40:60, 30:50] = 0
    assert same_tissue(given, thumbprint(slide_of_array(marked, 1.0)))


def test_stretched_it_is_the_same_and_half_of_it_is_another(rgb, given):
    stretched = np.asarray(Image.fromarray(rgb).resize((728, 500)))
    assert same_tissue(given, thumbprint(slide_of_array(stretched, 1.0)))
    half = np.ascontiguousarray(rgb[:, :350])
    assert not same_tissue(given, thumbprint(slide_of_array(half, 1.0)))


def test_what_is_none_is_refused():
    with pytest.raises(ValueError, match="1024 digits"):
        same_tissue("ab", "ab")


def test_the_bundled_model_knows_its_training_tissue_as_a_pyramid(data_dir: Path):
    from napari_past.model import load_model

    known = load_model("past-mini").card.training_thumbprints
    with open_slide(data_dir / "slides" / "her2st_C5_pyramid.tif") as slide:
        assert [same_tissue(thumbprint(slide), one) for one in known] == [False] * 3 + [True]
    with open_slide(data_dir / "slides" / "tma_core.ome.tif") as slide:
        assert not any(same_tissue(thumbprint(slide), one) for one in known)
