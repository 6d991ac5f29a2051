"""Tiles of the slide that cannot be read, marked where they lie and told in a sentence."""

from __future__ import annotations

from collections.abc import Iterable

import napari
import numpy as np
import numpy.typing as npt
from napari.layers import Image
from qtpy.QtCore import QObject

from napari_past.plugin.active_layer import keeping_active
from napari_past.plugin.own_layers import OWN
from napari_past.plugin.reader import LayerData
from napari_past.plugin.session import Session
from napari_past.plugin.slide_box import SlideBox
from napari_past.types import TileSpec

LAYER_NAME = "Cannot be read"
_CELL_PX = 128
"""Of the drawing, for a tile."""
_MOST_PX = 4096
_PERIOD = 16
_INK, _PAPER = (110, 35, 35, 200), (205, 205, 205, 120)


class DamagedTiles(QObject):
    """Keeps a hatched layer and the sentence in step with what a session found unreadable."""

    def __init__(self, viewer: napari.Viewer, box: SlideBox, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer, self._box = viewer, box
        self._layer: Image | None = None
        self._marked: frozenset[TileSpec] = frozenset()

    @property
    def layer(self) -> Image | None:
        return self._layer

    def follow(self, session: Session | None) -> None:
        """Mark what cannot be read of a session's slide; None marks nothing."""
        tiles = frozenset(() if session is None else session.unreadable)
        self._box.tell_damage("" if session is None else damage_told(session))
        if tiles == self._marked:
            return
        self._marked = tiles
        if self._layer is not None and self._layer in self._viewer.layers:
            self._viewer.layers.remove(self._layer)
        self._layer = None
        if tiles:
            picture, arguments, _ = damage_layer(tiles)
            with keeping_active(self._viewer):
                self._layer = self._viewer.add_image(picture, **arguments)
                self._layer.editable = False


def damage_told(session: Session) -> str:
    """What the slide's file lacks, and which tiles of ours cannot be read; empty where all can."""
    n = len(session.unreadable)
    which, lies = ("1 tile", "It is") if n == 1 else (f"{n:,} tiles", "They are")
    ours = f"{which} cannot be analysed, since the slide's data there cannot be read. {lies} "
    ours += f"hatched on the slide, and {'its' if n == 1 else 'their'} cells are in no count."
    return "\n".join([*session.slide.faults, *([ours] if n else [])])


def damage_layer(tiles: Iterable[TileSpec]) -> LayerData:
    """Hatched squares over some tiles of one grid, as an image layer in µm."""
    tiles = list(tiles)
    place = np.array([(tile.row, tile.column) for tile in tiles])
    first, size_um = place.min(axis=0), tiles[0].size_um
    shape = place.max(axis=0) - first + 1
    cell_px = int(np.clip(_MOST_PX // shape.max(), 1, _CELL_PX))
    rgba = np.zeros((*(shape * cell_px), 4), np.uint8)
    hatch = _hatched(cell_px)
    for row, column in (place - first).tolist():
        y, x = row * cell_px, column * cell_px
        rgba[y : y + cell_px, x : x + cell_px] = hatch
    mpp = size_um / cell_px
    arguments = {
        "name": LAYER_NAME,
        "rgb": True,
        "scale": (mpp, mpp),
        "translate": tuple((first * size_um + mpp / 2).tolist()),
        "units": ("um", "um"),
        "interpolation2d": "linear",
        "metadata": dict(OWN),
    }
    return rgba, arguments, "image"


def _hatched(side_px: int) -> npt.NDArray[np.uint8]:
    """(side, side, 4): diagonal lines that go on from one tile to the next, within a frame."""
    y, x = np.mgrid[:side_px, :side_px]
    line = (x + y) % _PERIOD < max(1, _PERIOD // 10)
    if side_px >= _PERIOD:
        line |= (np.minimum(x, y) == 0) | (np.maximum(x, y) == side_px - 1)
    return np.where(line[..., None], np.array(_INK), np.array(_PAPER)).astype(np.uint8)
