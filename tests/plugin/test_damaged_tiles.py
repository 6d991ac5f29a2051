from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import QObject

from napari_past.plugin.damaged_tiles import LAYER_NAME, DamagedTiles, damage_layer
from napari_past.plugin.slide_box import SlideBox
from napari_past.types import TileSpec


@dataclass
class Slide:
    faults: tuple[str, ...] = ()


@dataclass
class Session:
    """What a session knows of damage."""

    unreadable: set[TileSpec]
    slide: Slide = field(default_factory=Slide)


TILES = [TileSpec(4, 2, 100.0), TileSpec(6, 3, 100.0)]


def test_tiles_are_hatched_where_they_lie() -> None:
    rgba, arguments, kind = damage_layer(TILES)
    assert kind == "image"
    mpp = arguments["scale"][0]
    top, left = np.array(arguments["translate"]) - mpp / 2
    assert (top, left) == (200.0, 400.0)
    assert rgba.shape[0] * mpp == pytest.approx(200)
    for x, y, marked in ((450, 250, True), (550, 250, False), (650, 350, True), (450, 350, False)):
        alpha = rgba[int((y - top) / mpp), int((x - left) / mpp), 3]
        assert (alpha > 0) == marked
    # A long row of tiles is drawn small enough for any graphics card.
    far, _, _ = damage_layer([TileSpec(0, 0, 100.0), TileSpec(900, 0, 100.0)])
    assert max(far.shape) <= 4096


def test_the_sentence_and_the_layer_come_and_go(qtbot) -> None:
    box, viewer, parent = SlideBox(), ViewerModel(), QObject()
    qtbot.addWidget(box)
    damage = DamagedTiles(viewer, box, parent)
    damage.follow(Session(set(TILES), Slide(("3 of 400 tiles are missing.",))))
    assert box.damage.text().startswith("3 of 400 tiles are missing.\n2 tiles cannot be analysed")
    assert [layer.name for layer in viewer.layers] == [LAYER_NAME]
    damage.follow(Session(set(TILES[:1])))
    assert box.damage.text().startswith("1 tile cannot be analysed")
    assert "It is hatched" in box.damage.text()
    damage.follow(Session(set()))
    assert len(viewer.layers) == 0
    assert not box.damage.isVisibleTo(box)
