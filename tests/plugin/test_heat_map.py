"""A heat map in the viewer: over its own slide, in place, told with its unit and its evidence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import numpy.testing as npt
import pytest
from napari.components import ViewerModel
from napari.layers import Image
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QObject

from napari_past.errors import BadTable, PastError
from napari_past.io.heat_map import BinSums, HeatAbout, HeatKind, HeatMap
from napari_past.io.heat_map_file import write_heat_map
from napari_past.plugin.heat import HeatMapBox, HeatMapView
from napari_past.plugin.heat.layer import add_layer, colours_of
from napari_past.plugin.heat.regions import top_regions
from napari_past.plugin.heat.scale import scale_of
from napari_past.plugin.heat.words import check_slide, evidence_line, what_line
from napari_past.plugin.jobs import Jobs
from napari_past.plugin.reader import METADATA_KEY, get_reader
from napari_past.plugin.viewport import view_rect
from napari_past.slide import open_slide
from napari_past.space import um_from_world, world_from_um
from napari_past.types import RESEARCH_USE

SIDE_UM = 16.0
CHANNELS = (
    ("attention", HeatKind.ATTENTION, "share of the attention"),
    ("log hazard", HeatKind.CONTRIBUTION, "log hazard"),
)
HOT_UM, COLD_UM = (411.0, 37.0), (90.0, 250.0)


def told(**changes: object) -> HeatAbout:
    about = HeatAbout(
        slide_name="drawn.ome.tif", slide_fingerprint="ab" * 32, slide_size_um=(450.0, 320.0),
        slide_mpp=0.5, tile_um=None, instances=6, looked_at=6, model="past-mini",
        model_sha256="0" * 64, network="network 12345678", network_sha256="1" * 64,
        pooling="attention", head="cox",
        fitted_on="Network 12345678 was fitted on 3 patients.", evidence="Evidence: none.",
        in_fit=True,
    )  # fmt: skip
    return HeatAbout.model_validate(about.model_dump() | changes)


def planted(about: HeatAbout) -> HeatMap:
    """Four cells in a hot square, one in a cold one, one elsewhere."""
    sums = BinSums(about.slide_size_um, 2, SIDE_UM)
    places = np.array([HOT_UM] * 4 + [COLD_UM, (300.0, 300.0)])
    attention = np.array([0.2, 0.2, 0.2, 0.1, 0.2, 0.1])
    sums.add(places, {0: attention, 1: np.array([2e-3, 1e-3, 0, 0, -9e-3, 1e-4])})
    return sums.heat_map(about, CHANNELS)


@pytest.fixture(scope="module")
def found() -> HeatMap:
    return planted(told())


def test_regions_are_those_with_the_largest_sums_of_either_sign(found: HeatMap) -> None:
    by_attention, by_gain = (top_regions(found, c, side_um=32.0) for c in found.channels)
    assert [round(r.value, 6) for r in by_attention] == [0.7, 0.2, 0.1]
    assert [round(r.cells_share, 3) for r in by_attention] == [0.667, 0.167, 0.167]
    assert [round(r.value, 6) for r in by_gain] == [-9e-3, 3e-3, 1e-4]
    hot = by_attention[0].rect
    assert hot.width_um == hot.height_um == 32
    assert hot.contains(np.array([HOT_UM])).all()
    assert not any(a.rect.intersects(b.rect) for a in by_gain for b in by_gain if a is not b)
    whole = top_regions(found, found.channels[0], side_um=1e6)
    assert [round(r.value, 6) for r in whole] == [1.0]


def test_values_are_told_in_a_unit_with_few_zeros(found: HeatMap) -> None:
    attention, gain = (scale_of(channel) for channel in found.channels)
    assert (attention.told(0.7), attention.unit) == ("70.0", "% of the attention")
    assert (gain.told(-9e-3), gain.told(1e-4)) == ("−9.00", "+0.100")
    assert gain.unit == "10⁻³ log hazard"
    assert gain.low == -gain.high < 0
    tiny = replace(found.channels[0], values=found.channels[0].values * np.float32(1e-6))
    assert scale_of(tiny).unit == "ppm of the attention"
    assert scale_of(tiny).told(7e-7) == "0.700"
    # A few strong squares of one direction leave the other direction its colour.
    skewed = np.concatenate([np.full(4, -1.0), np.full(96, 0.05)]).astype(np.float32)
    assert scale_of(replace(found.channels[1], values=skewed[None])).high == pytest.approx(0.05)
    nothing = replace(found.channels[1], values=np.zeros((3, 3), np.float32))
    assert scale_of(nothing).low < scale_of(nothing).high


def test_the_words_say_what_it_is_and_is_not(found: HeatMap) -> None:
    looked, gained = (what_line(found, channel) for channel in found.channels)
    assert "not why" in looked
    assert "names no cause" in gained
    line = evidence_line(found)
    for part in ("fitted on 3 patients", "Evidence: none", "no test of it", RESEARCH_USE):
        assert part in line
    of_some = planted(told(looked_at=4, pooling="mean", slides=2, in_fit=None, tile_um=16.0))
    line = what_line(of_some, of_some.channels[0])
    for part in ("patient's attention", "density", "a sample, 4 of 6 tiles"):
        assert part in line
    assert "not known" in evidence_line(of_some)


@pytest.mark.parametrize("eyes", ["normal", "protanopia", "deuteranopia", "tritanopia"])
def test_colours_are_told_apart_by_all_eyes(eyes: str, seen) -> None:
    shares = np.linspace(0, 1, 9)
    lightness = seen(colours_of(HeatKind.ATTENTION).map(shares)[None], eyes)[0, :, 0]
    assert (np.diff(lightness) > 3).all()
    low, middle, high = seen(colours_of(HeatKind.CONTRIBUTION).map([0.05, 0.5, 0.95])[None], eyes)[
        0
    ]
    for one, other in ((low, middle), (middle, high), (low, high)):
        assert np.linalg.norm(one - other) > 25
    assert middle[0] > max(low[0], high[0]) + 20


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ""),
        ({"slide_mpp": None}, ""),
        ({"slide_fingerprint": "cd" * 32}, "heat map of drawn.ome.tif, not of here.svs"),
        ({"slide_mpp": 0.25}, "0.25 µm/px, but the slide is open with 0.5"),
    ],
    ids=["its own", "µm/px not told", "another slide", "another size"],
)
def test_only_its_own_slide_is_covered(changes: dict, said: str) -> None:
    slide = SimpleNamespace(fingerprint="ab" * 32, name="here.svs", require_mpp=lambda: 0.5)
    found = planted(told(**changes))
    if not said:
        check_slide(found, slide, "a.heat.tif")
        return
    with pytest.raises(BadTable, match=said):
        check_slide(found, slide, "a.heat.tif")


@pytest.mark.gui
def test_without_a_slide_or_a_widget_a_sentence_says_so(qtbot, tmp_path: Path) -> None:
    path = tmp_path / "a.heat.tif"
    write_heat_map(path, planted(told()))
    with pytest.raises(PastError, match="is a heat map, which is laid over its slide: open"):
        get_reader(str(path))(str(path))
    viewer, parent, box = ViewerModel(), QObject(), HeatMapBox()
    qtbot.addWidget(box)
    desk = SimpleNamespace(session=None, view=None)
    view = HeatMapView(viewer, box, Jobs(parent), desk, parent)
    view.open(path)
    assert "open the slide first" in notification_manager.records[-1].message
    assert not viewer.layers
    view.close()
    assert not viewer.mouse_move_callbacks


def test_a_slide_that_was_opened_later_does_not_cover_it(found: HeatMap) -> None:
    viewer = ViewerModel()
    pixels = np.zeros((4, 4, 3), np.uint8)
    of_slide = {METADATA_KEY: {"path": "a.tif"}}
    first = viewer.add_image(pixels, visible=False, metadata=of_slide)
    viewer.add_points(np.zeros((1, 2)), visible=False)
    second = viewer.add_image(pixels, metadata=of_slide)
    cells = viewer.add_points(np.zeros((1, 2)))
    layers = viewer.layers
    for slide, other in ((second, first), (first, second)):
        slide.visible, other.visible = True, False
        layer = add_layer(viewer, found, found.channels[0])
        assert layers.index(slide) < layers.index(layer) < layers.index(cells)


@pytest.mark.gui
def test_it_lies_where_the_cells_are_and_leads_there(opened, drawn, qtbot, tmp_path: Path) -> None:
    viewer, widget = opened()
    slide, box = open_slide(drawn.path), widget.panel.heat
    about = told(slide_fingerprint=slide.fingerprint, slide_size_um=slide.size_um)
    path = tmp_path / "drawn.heat.tif"
    write_heat_map(path, planted(about))
    view = widget.view
    assert view.seen[0]
    # As it is dropped into the window.
    viewer.open(str(path), plugin="napari-past")
    qtbot.waitUntil(lambda: widget._heat.found is not None, timeout=20_000)
    layer = widget._heat.layer
    assert isinstance(layer, Image)
    # Two scales of colours in one place cannot be read.
    assert not view.seen[0]
    for place_um, square in ((HOT_UM, 0.7), (COLD_UM, 0.2)):
        world = world_from_um(np.array(place_um))
        index = tuple(np.round(layer.world_to_data(world)).astype(int))
        assert layer.data[index] == pytest.approx(square)
        assert layer.get_value(world, world=True) == pytest.approx(square)
        center = um_from_world(np.array(layer.data_to_world(index)))
        assert (np.abs(center - place_um) <= SIDE_UM / 2).all()
    assert [str(unit) for unit in layer.units] == ["micrometer", "micrometer"]
    assert viewer.layers.index(layer) < viewer.layers.index(view.points)

    widget._heat._on_move(viewer, SimpleNamespace(position=world_from_um(np.array(HOT_UM))))
    assert box.pointed.text() == "Under the pointer: 70.0 % · 4 cells"
    assert RESEARCH_USE in box.evidence.text()
    assert box.evidence.isVisibleTo(box)
    assert box.key.text() == "0 to 70.0 % of the attention"
    layer.contrast_limits = (0, 0.1)
    assert box.key.text() == "0 to ≥ 10.0 % of the attention"

    box.channels.activated.emit(1)
    assert layer.contrast_limits[0] == -layer.contrast_limits[1] < 0
    npt.assert_array_equal(layer.data, widget._heat.found.channels[1].values)
    box.opacity.setValue(30)
    assert layer.opacity == pytest.approx(0.3)
    assert box.table.item(0, 0).text() == "−9.00"
    box.table.cellDoubleClicked.emit(0, 0)
    shown = view_rect(viewer)
    assert shown.contains(np.array([COLD_UM])).all()
    assert shown.width_um < 450

    other = tmp_path / "other.heat.tif"
    write_heat_map(other, planted(told(slide_name="other.svs")))
    before = len(notification_manager.records)
    viewer.open(str(other), plugin="napari-past")
    qtbot.waitUntil(lambda: len(notification_manager.records) > before, timeout=20_000)
    assert "heat map of other.svs, not of drawn.ome.tif" in notification_manager.records[-1].message
    assert widget._heat.layer is layer

    box.remove.click()
    assert layer not in viewer.layers
    assert view.seen[0]
    assert not box.evidence.isVisibleTo(box)
