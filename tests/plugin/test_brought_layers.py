from __future__ import annotations

import numpy as np
import numpy.testing as npt
import pandas as pd
import pytest
from napari.layers import Labels, Points, Shapes

from napari_past.errors import BadTable, RegionError
from napari_past.plugin.brought_layers import bring_layer, sources
from napari_past.plugin.brought_rows import BroughtRows
from napari_past.plugin.own_layers import OWN
from napari_past.slide import open_slide

UM = ("um", "um")


@pytest.fixture(scope="module")
def slide(drawn):
    with open_slide(drawn.path) as slide:
        yield slide


def squares(shape: tuple[int, int], side: int = 10) -> np.ndarray:
    """Labels 3 and 7, at rows 40 and 100, columns 60 and 200 of their first pixels."""
    labels = np.zeros(shape, np.int32)
    labels[40 : 40 + side, 60 : 60 + side] = 3
    labels[100 : 100 + side, 200 : 200 + side] = 7
    return labels


PX_CENTRES = np.array([[65.0, 45.0], [205.0, 105.0]])
"""(x, y) of the squares' middles, in pixels from the corner."""


@pytest.mark.parametrize(
    ("where", "mpp", "corner_um"),
    [
        ({"scale": (0.5, 0.5), "translate": (0.25, 0.25), "units": UM}, 0.5, 0.0),
        ({"scale": (0.5, 0.5), "translate": (10.25, 10.25), "units": UM}, 0.5, 10.0),
        ({"scale": (5e-4, 5e-4), "translate": (2.5e-4, 2.5e-4), "units": ("mm", "mm")}, 0.5, 0.0),
        ({}, 0.5, 0.0),
        ({"translate": (20, 20)}, 0.5, 10.0),
        ({"scale": (0.25, 0.25), "translate": (0.125, 0.125)}, 0.25, 0.0),
    ],
    ids=["um", "um-moved", "mm", "no-units", "no-units-moved", "no-units-placed"],
)
def test_labels_lie_where_they_are_seen(slide, where, mpp, corner_um) -> None:
    layer = Labels(squares((300, 420)), name="nuclei", **where)
    cells = bring_layer(layer, slide)()
    npt.assert_allclose(cells.found.centers_um, PX_CENTRES * mpp + corner_um, atol=0.02)
    npt.assert_allclose(cells.found.areas_um2, 100 * mpp**2, rtol=0.02)
    assert cells.found.ids == ("3", "7")
    assert (cells.source, cells.kind) == ("nuclei", "labels layer")
    assert any("no units" in note for note in cells.notes) == ("units" not in where)


def test_labels_of_a_coarser_level_are_known_by_their_size(slide) -> None:
    level = slide.levels[1]
    shape = level.height_px, level.width_px
    cells = bring_layer(Labels(squares(shape), name="half"), slide)()
    factor = 0.5 * np.array([level.downsample_x, level.downsample_y])
    npt.assert_allclose(cells.found.centers_um, PX_CENTRES * factor, atol=0.05)


def test_multiscale_labels_give_their_finest_level_and_features(slide) -> None:
    fine = squares((300, 420))
    told = pd.DataFrame({"index": [7, 3], "kind": ["tumour", "stroma"]})
    layer = Labels([fine, fine[::2, ::2]], features=told, name="both")
    cells = bring_layer(layer, slide)()
    npt.assert_allclose(cells.found.centers_um, PX_CENTRES * 0.5, atol=0.02)
    assert list(cells.columns["kind"]) == ["stroma", "tumour"]


def test_points_and_what_is_told_of_them(slide) -> None:
    told = pd.DataFrame({"id": ["a", "b", "c"], "stage": [1.0, 2.0, 3.0]})
    places = np.array([[30.0, 20.0], [40.0, 50.0], [9000.0, 1.0]])
    cells = bring_layer(Points(places, features=told, units=UM, name="dots"), slide)()
    npt.assert_allclose(cells.found.centers_um, [[20, 30], [50, 40]])
    assert cells.found.ids == ("a", "b")
    npt.assert_array_equal(cells.columns["stage"], [1, 2])
    assert any("outside of the slide" in note for note in cells.notes)
    rows = BroughtRows(cells)
    assert rows.row(np.array([50.0, 40.0])) == 1
    assert rows.row(np.array([50.0, 41.0])) == -1
    assert (rows.id(1), rows.told(1)) == ("b", (("stage", "2"),))


def test_shapes_that_enclose_something(slide) -> None:
    box = np.array([[10.0, 10], [10, 30], [20, 30], [20, 10]])
    layer = Shapes(
        [box, box + 50, np.array([[0.0, 0], [5, 5]])],
        shape_type=["polygon", "ellipse", "line"],
        units=UM,
        name="drawn",
    )
    cells = bring_layer(layer, slide)()
    npt.assert_allclose(cells.found.centers_um, [[20, 15], [70, 65]], atol=1e-3)
    npt.assert_allclose(cells.found.areas_um2, [200, np.pi * 10 * 5], rtol=0.01)
    assert "Lines and paths, which enclose nothing, were left out: 1." in cells.notes


@pytest.mark.parametrize(
    ("layer", "error", "words"),
    [
        (Labels(squares((300, 420)), rotate=30, name="turned"), BadTable, "rotated or sheared"),
        (Points(ndim=2, name="none"), BadTable, "holds nothing yet"),
        (Points(np.full((3, 2), 9e5), units=UM, name="far"), RegionError, "None of the 3 cells"),
        (Shapes([np.eye(2)], shape_type="line", name="line"), BadTable, "enclose no cell"),
    ],
    ids=["rotated", "empty", "beside", "lines"],
)
def test_mistakes_are_one_sentence(slide, layer, error, words) -> None:
    with pytest.raises(error, match=words):
        bring_layer(layer, slide)()


def test_the_widgets_own_layers_are_no_source() -> None:
    regions = Shapes([np.eye(4)[:, :2]], features={"name": ["A"], "role": ["Tumour"]})
    own = Points(np.zeros((1, 2)), metadata=dict(OWN))
    volume = Labels(np.zeros((3, 4, 4), int))
    theirs = Points(np.zeros((1, 2)))
    assert sources([regions, own, volume, theirs]) == [theirs]
