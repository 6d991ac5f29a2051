"""Cells that lie beside their nuclei: how far is found, and nothing is told of cells in place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array

from napari_past import find_cells, open_slide
from napari_past.spatial import BadPairing, MeasuredAs, MeasuredSection, check, read_measured
from napari_past.spatial.offset import found_offset
from napari_past.spatial.picture import open_picture

WAYS = [(-20, 0), (0, 20), (14, -14)]


def cells_at(points, image, mpp):
    return MeasuredSection(
        name="cells",
        patient="P",
        species="human",
        tissue="",
        technology="other",
        image=image,
        mpp=mpp,
        ids=tuple(str(i) for i in range(len(points))),
        centers_um=points,
        counts=csr_array(np.ones((len(points), 1), np.float32)),
        genes=("EPCAM",),
        spot_diameter_um=None,
    )


@pytest.fixture(scope="module")
def drawn(phantom, he_tiff):
    inner = ((phantom.centers_um > 25) & (phantom.centers_um < (455, 295))).all(axis=1)
    return cells_at(phantom.centers_um[inner], he_tiff, 0.5)


@pytest.fixture(scope="module")
def drawn_slide(he_tiff):
    with open_slide(he_tiff) as slide:
        yield slide


def test_drawn_cells_in_place(drawn, drawn_slide):
    offset = found_offset(drawn, drawn_slide)
    assert (offset.dx_um, offset.dy_um) == (pytest.approx(0, abs=2), pytest.approx(0, abs=2))
    assert not offset.is_clear
    assert "the cells lie on the nuclei to within" in offset.sentence


@pytest.mark.parametrize("way", WAYS[-2:])
def test_drawn_cells_shifted(drawn, drawn_slide, way):
    shifted = replace(drawn, centers_um=drawn.centers_um + way)
    offset = found_offset(shifted, drawn_slide)
    assert offset.is_clear
    np.testing.assert_allclose((offset.dx_um, offset.dy_um), way, atol=4)


def test_cells_that_lie_off_in_several_ways(drawn, drawn_slide):
    ways = np.resize([(9, 9), (-9, 9), (9, -9), (-9, -9)], (len(drawn), 2))
    torn = replace(drawn, centers_um=drawn.centers_um + ways)
    assert found_offset(torn, drawn_slide) is None


def test_nuclei_of_the_source_count(drawn, drawn_slide):
    beside = replace(drawn, nuclei_um=drawn.centers_um, centers_um=drawn.centers_um + (8, 0))
    assert not found_offset(beside, drawn_slide).is_clear


def test_nothing_is_told_without_evidence(drawn, drawn_slide):
    places = np.random.default_rng(5).uniform((20, 20), (460, 300), (300, 2))
    assert found_offset(cells_at(places, drawn.image, 0.5), drawn_slide) is None
    few = cells_at(drawn.centers_um[:29] + (20, 0), drawn.image, 0.5)
    assert found_offset(few, drawn_slide) is None
    spots = replace(drawn, centers_um=drawn.centers_um + (20, 0), spot_diameter_um=55.0)
    assert found_offset(spots, drawn_slide) is None
    far = replace(drawn, centers_um=drawn.centers_um + (5000, 0))
    assert found_offset(far, drawn_slide) is None


@pytest.fixture(scope="module")
def lung(data_dir):
    """200 real cells; the table's x is the row."""
    folder = data_dir / "xenium_lung"
    asked = MeasuredAs(unit="px", x="y_pixel", y="x_pixel", mpp=2.0)
    return read_measured(folder / "NCBI858.h5ad", folder / "NCBI858.jpg", asked)


@pytest.fixture(scope="module")
def lung_slide(lung):
    with open_picture(lung.image, lung.mpp) as slide:
        yield slide


def test_real_cells_in_place(lung, lung_slide):
    assert not found_offset(lung, lung_slide).is_clear
    assert check(lung, lung_slide) == []
    assert check(lung, lung_slide.with_mpp(0.5)) == []  # the section's µm/px is what counts


@pytest.mark.parametrize("way", WAYS)
def test_real_cells_shifted(lung, lung_slide, way):
    shifted = replace(lung, centers_um=lung.centers_um + way)
    (said,) = check(shifted, lung_slide)
    offset = found_offset(shifted, lung_slide)
    assert said == offset.sentence
    np.testing.assert_allclose((offset.dx_um, offset.dy_um), way, atol=4)


def test_the_sentence_says_what_to_do(lung, lung_slide):
    shifted = replace(lung, centers_um=lung.centers_um + (20, 4))
    assert found_offset(shifted, lung_slide).sentence == (
        "NCBI858: the cells lie about 20 µm right of and 4 µm below the nuclei (haematoxylin "
        "contrast 0.12 OD there, 0.01 as placed); shift them by (−20, −4) µm, or check the "
        "alignment and the µm/px."
    )


def test_real_cells_beyond_reach_or_swapped(lung, lung_slide):
    far = replace(lung, centers_um=lung.centers_um + (60, 0))
    (said,) = check(far, lung_slide)
    assert "haematoxylin is hardly denser under the cells" in said
    swapped = replace(lung, centers_um=lung.centers_um[:, ::-1])
    with pytest.raises(BadPairing, match="x and y are swapped"):
        check(swapped, lung_slide)


@pytest.mark.parametrize(
    ("file", "region"),
    [
        ("tma_core.ome.tif", (300, 300, 160, 160)),
        ("CMU-1-Small-Region.svs", (500, 300, 200, 200)),
    ],
    ids=["tma", "skin"],
)
def test_detected_nuclei_of_real_slides(data_dir, file, region):
    with open_slide(data_dir / "slides" / file) as slide:
        nuclei_um = find_cells(slide, region=region).centers_um
        section = cells_at(nuclei_um, data_dir / "slides" / file, slide.mpp)
        assert not found_offset(section, slide).is_clear
        shifted = replace(section, centers_um=nuclei_um + (-12, 16))
        offset = found_offset(shifted, slide)
        assert offset.is_clear
        np.testing.assert_allclose((offset.dx_um, offset.dy_um), (-12, 16), atol=4)
