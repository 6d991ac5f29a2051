"""The layer of cell types, kept in step with the cells and the camera."""

from __future__ import annotations

from collections.abc import Callable

import napari
import numpy as np
import numpy.typing as npt
from napari.layers import Labels as LabelsLayer

from napari_past.engine import CellTable
from napari_past.plugin.cell_types import (
    Labels,
    ShownTypes,
    TypeColours,
    TypeKey,
    TypeSource,
    Typing,
    counts_of,
    fixed_labels,
    key_of,
)
from napari_past.plugin.outline_labels import drawing_mpp, drawn_cells, field_grid
from napari_past.plugin.type_labels import binned_labels, type_features, type_layer
from napari_past.plugin.viewport import canvas_mpp, drawn_field, view_rect
from napari_past.quality import QualityMask
from napari_past.types import PixelGrid

COARSEST_NUCLEI_MPP = 2.0
"""Of the canvas; beyond it a nucleus is three pixels, and bins are drawn."""
MOST_NUCLEI = 15_000
"""That are drawn one by one; where there are more in the field, bins are."""
MARGIN = 0.25
"""Of the field's size, drawn on each side beyond it, so that a small pan shows no edge."""

_Field = tuple[PixelGrid, tuple[int, int], int]
"""Where a drawing lies, its size, and how many cells it has: cells are only ever added."""


class TypeView:
    """Draws the field that is looked at, and no further."""

    def __init__(self, viewer: napari.Viewer) -> None:
        self._viewer = viewer
        self.layer: LabelsLayer | None = None
        self.shown: ShownTypes | None = None
        """As it was drawn last."""
        self._colours = TypeColours()
        self._source: TypeSource | None = None
        """What gave the types that have these colours."""
        self._field: _Field | None = None
        self._cells: npt.NDArray[np.intp] = np.arange(0)
        self._owner: npt.NDArray[np.int32] = np.zeros((0, 0), np.int32)
        """Which of `_cells` each pixel of the field belongs to."""

    def forget(self) -> None:
        """The cells are others."""
        self._field = self.shown = self._source = None
        self._colours = TypeColours()

    def draw(self, table: CellTable, typing: Typing, add: Callable) -> None:
        """Show the cells in view by their type.

        Parameters
        ----------
        typing
            Where the types come from, and which of them are sure enough.
        add
            Calls what adds a layer, and gives the layer its place.
        """
        if typing.source is not self._source:
            self._source, self._colours = typing.source, TypeColours()
        types, in_view = typing.source.types, table.in_rect(view_rect(self._viewer))
        if typing.fixed:
            label_of = fixed_labels(len(types.names))
        else:
            label_of = self._colours.assign(counts_of(types, in_view, typing.least_margin))
        self.shown = ShownTypes(types, typing.least_margin, label_of, typing.between)
        mpp = drawing_mpp(canvas_mpp(self._viewer))
        field, shape = drawn_field(self._viewer, mpp, MARGIN)
        grid, index = field_grid(field, mpp), table.in_rect(field)
        if canvas_mpp(self._viewer) <= COARSEST_NUCLEI_MPP and len(index) <= MOST_NUCLEI:
            if self._field != (grid, shape, len(index)):
                self._field, self._cells = (grid, shape, len(index)), index
                self._owner = drawn_cells(table.outlines, index, grid, shape, filled=True)
            labels = np.append(np.uint8(0), self.shown.labels(self._cells))[self._owner]
        else:
            centers_um = table.centers_um[index]
            labels = binned_labels(self.shown.labels(index), centers_um, grid, shape)
        self._show(labels, grid, self.shown, typing.layer_name, add)

    def key(self, table: CellTable, mask: QualityMask | None) -> TypeKey:
        """What the legend says of the cells in view, after `draw`.

        Parameters
        ----------
        mask
            Cells in it are not counted, as scores leave them out.
        """
        if self.shown is None:
            return TypeKey()
        index = table.in_rect(view_rect(self._viewer))
        unlike = table.unlike_training[index] > 1
        unscored = np.zeros(len(index), np.bool_)
        if mask is not None:
            unscored = mask.kind_at(table.centers_um[index]) > 0
        return key_of(self.shown, index, unlike, unscored)

    def _show(
        self, labels: Labels, grid: PixelGrid, shown: ShownTypes, name: str, add: Callable
    ) -> None:
        data, arguments, _ = type_layer(labels, grid, shown, name)
        layer = self.layer
        if layer is None or layer not in self._viewer.layers:
            self.layer = add(lambda: self._viewer.add_labels(data, **arguments))
            assert self.layer is not None, "it was added"
            self.layer.editable = False
            return
        # Each setter has napari work out all extents, whether or not something changes.
        if tuple(layer.scale) != arguments["scale"]:
            layer.scale = arguments["scale"]
        if tuple(layer.translate) != tuple(arguments["translate"]):
            layer.translate = arguments["translate"]
        features = type_features(shown)
        if not features.equals(layer.features):
            layer.features = features
        if layer.data.shape == data.shape:
            layer.data[:] = data
            layer.refresh(extent=False)
        else:
            layer.data = data
        layer.name = name
        layer.editable = False
