"""The layers that show one slide's cells: a map from afar, points and outlines from near."""

from __future__ import annotations

from typing import Any

import napari
import numpy as np
import numpy.typing as npt
from napari.layers import Image, Labels, Layer, Points, Shapes

from napari_past.engine import CellTable
from napari_past.plugin.active_layer import keeping_active
from napari_past.plugin.cell_points import (
    COARSEST_POINTS_MPP,
    MOST_OUT_OF_VIEW,
    MOST_POINTS,
    NEAR_MPP,
    NEAR_SIZE_UM,
    SIZE_UM,
    add_points,
    layer_name,
    point_layer,
    update_points,
)
from napari_past.plugin.cell_types import Typing
from napari_past.plugin.gene_map import GeneMap
from napari_past.plugin.outline_labels import (
    COARSEST_MPP,
    OutlineDrawing,
    drawing_mpp,
    outline_layer,
)
from napari_past.plugin.staining import Staining, extended
from napari_past.plugin.type_view import MARGIN, TypeView
from napari_past.plugin.viewport import canvas_mpp, drawn_field, view_rect, widened
from napari_past.types import Rect


class SlideView:
    """Keeps the layers in step with cells, gene and camera; layers that were removed come back.

    Only what the level of detail needs is kept up to date: the map while it is shown, the points
    while they are.
    """

    def __init__(self, viewer: napari.Viewer, size_um: tuple[float, float]) -> None:
        self._viewer = viewer
        self._size_um = size_um
        self.points: Points | None = None
        self.map: Image | None = None
        self.outlines: Labels | None = None
        self.table: CellTable | None = None
        self.shown: Staining | None = None
        self.drawn: npt.NDArray[np.intp] = np.arange(0)
        """Which cells the points layer holds."""
        self.from_afar = False
        """Whether the map is shown in place of points."""
        self.types = TypeView(viewer)
        self.typing: Typing | None = None
        """How cells are shown by type; None shows them in a gene's colours."""
        self._map: GeneMap | None = None
        self._mapped = 0
        """Cells on the map, in the colours of `_mapped_as`."""
        self._mapped_as: Staining | None = None
        self._pointed_as: Staining | None = None
        """What the points show."""
        self._pointed_um = SIZE_UM
        """Their size."""
        self._drawing: OutlineDrawing | None = None
        self._outlined: tuple[Rect, int, float] | None = None
        self._plain = False
        """Whether the outlines are drawn without classes."""
        self._visible = True
        self._lines_visible = True
        self._showing: Layer | None = None
        """The layer of the cells' colours that is in use."""
        self._hidden: list[Layer] = []

    # ---- what is shown -----------------------------------------------------------------------

    def show(self, table: CellTable, shown: Staining | None) -> None:
        """Show cells in a gene's colours; without one, by type where that is asked."""
        if table is not self.table:
            self._map = self._mapped_as = self._outlined = self._pointed_as = None
            self._mapped = 0
            self.types.forget()
        self.table, self.shown = table, shown
        for layer in self._hidden:
            layer.visible = True
        self._hidden = []
        self._draw()

    def grow(self) -> None:
        """Show the cells that were added to the table, and the values that came, since."""
        if self.table is None or self.shown is None:
            self._draw()
            return
        before, self.shown = self.shown, extended(self.shown, self.table)
        # The same colours for the same values: what is painted stays.
        if self._mapped_as is before:
            self._mapped_as = self.shown
        if self._pointed_as is before:
            self._pointed_as = self.shown
        self._draw()

    def follow_camera(self) -> None:
        """Draw what came into view, as near or as far as the camera is."""
        self._draw()

    def hide(self) -> None:
        """Show no cells, until some are shown again."""
        self.table = self.shown = None
        # Nobody may have shown those again that were hidden before.
        self._hidden += [layer for layer in self._layers() if layer.visible]
        for layer in self._hidden:
            layer.visible = False

    def remove(self) -> None:
        """Take the layers out of the viewer."""
        for layer in self._layers():
            self._viewer.layers.remove(layer)

    def toggle_stain(self) -> None:
        """Hide or show the cells' colours, near and far."""
        if self.table is not None:
            self.set_seen(not self.seen[0], self.seen[1])

    def toggle_outlines(self) -> None:
        if self.outlines is not None:
            self.set_seen(self.seen[0], not self.seen[1])

    @property
    def seen(self) -> tuple[bool, bool]:
        """Whether the cells' colours, and the outlines, are seen where there are any."""
        self._take_note_of_eye()
        return self._visible, self._lines_visible

    def set_seen(self, colours: bool, outlines: bool) -> None:
        """Hide or show the cells' colours, near and far, and the outlines."""
        self._take_note_of_eye()
        self._visible, self._lines_visible = colours, outlines
        self._set_visible()
        if self.outlines is not None and self.outlines.visible != outlines:
            self.outlines.visible = outlines

    # ---- drawing -----------------------------------------------------------------------------

    def _draw(self) -> None:
        table, shown = self.table, self.shown
        if table is None or (len(table) == 0 and self.points is None):
            return
        self._take_note_of_eye()
        if self.typing is not None:
            self.types.draw(table, self.typing, self._added)
        elif shown is not None:
            self._draw_gene(table, shown)
        else:
            return
        self._set_visible()
        self._draw_outlines(table, shown)

    def _draw_gene(self, table: CellTable, shown: Staining) -> None:
        n = len(shown.values)
        if n == 0 and self.points is None:
            return
        view = view_rect(self._viewer)
        few = n <= min(MOST_OUT_OF_VIEW, MOST_POINTS)
        in_view = np.arange(n) if few else _up_to(table.in_rect(view), n)
        coarse = canvas_mpp(self._viewer) > COARSEST_POINTS_MPP and len(in_view) > 0
        self.from_afar = coarse or len(in_view) > MOST_POINTS
        if self.from_afar:
            self._draw_map(table, shown)
            return
        if not few:
            near = _up_to(table.in_rect(widened(view, MARGIN)), n)
            in_view = near if len(near) <= MOST_POINTS else in_view
        self._draw_points(table, shown, in_view)

    def _draw_points(self, table: CellTable, shown: Staining, index: npt.NDArray[np.intp]) -> None:
        points = self.points if self.points in self._viewer.layers else None
        size_um = NEAR_SIZE_UM if canvas_mpp(self._viewer) <= NEAR_MPP else SIZE_UM
        drawn = points is not None and self._pointed_as is shown and self._pointed_um == size_um
        if drawn and np.array_equal(index, self.drawn):
            return
        self.drawn, self._pointed_as, self._pointed_um = index, shown, size_um
        layer_data = point_layer(table, shown, index, size_um)
        if points is not None:
            update_points(points, layer_data)
        else:
            self.points = self._added(lambda: add_points(self._viewer, layer_data))

    def _draw_map(self, table: CellTable, shown: Staining) -> None:
        if self._map is None:
            self._map = GeneMap(self._size_um)
        n = len(shown.values)
        if self._mapped_as is not shown:
            self._map.show(table, shown)
        elif self._mapped < n:
            self._map.grow(table, shown)
        changed = self._mapped_as is not shown or self._mapped < n
        self._mapped, self._mapped_as = n, shown
        name = f"{layer_name(table, shown)} (map)"
        if self.map is None or self.map not in self._viewer.layers:
            pictures, arguments, _ = self._map.layer(name)
            self.map = self._added(lambda: self._viewer.add_image(pictures, **arguments))
        elif self.map.data[0] is not self._map.pictures[0]:
            self.map.data = self._map.pictures
        elif changed:
            self.map.refresh(extent=False, thumbnail=False)
        self.map.name = name

    def _draw_outlines(self, table: CellTable, shown: Staining | None) -> None:
        present = self.outlines is not None and self.outlines in self._viewer.layers
        if canvas_mpp(self._viewer) > COARSEST_MPP:
            if present and self.outlines is not None and self._outlined is not None:
                self._outlined = None
                self._redraw_outlines(np.zeros_like(self.outlines.data))
            return
        mpp = drawing_mpp(canvas_mpp(self._viewer))
        field, shape = drawn_field(self._viewer, mpp, MARGIN)
        index = table.in_rect(field)
        # Cells are only ever added, so as many are the same ones.
        asked = (field, len(index), mpp)
        anew = self._outlined != asked or self._drawing is None
        if self._drawing is None or anew:
            self._drawing = OutlineDrawing(table.outlines, index, field, mpp, shape)
            self._outlined = asked
        of_gene = shown if self.typing is None else None
        plain = of_gene is None or not of_gene.as_classes
        if present and not anew and self._plain and plain:
            return
        self._plain, classes = plain, None
        if of_gene is not None and not plain:
            cells, n = self._drawing.cells, len(of_gene.values)
            classes = np.full(len(cells), -1, np.int8)
            classes[cells < n] = of_gene.classes_of(of_gene.values[_up_to(cells, n)])
        labels, arguments, _ = outline_layer(self._drawing, classes)
        if self.outlines is None or not present:
            arguments["visible"] = self._lines_visible
            self.outlines = self._added(lambda: self._viewer.add_labels(labels, **arguments))
            return
        if anew:
            # Each setter has napari work out all extents, whether or not something changes.
            if tuple(self.outlines.scale) != arguments["scale"]:
                self.outlines.scale = arguments["scale"]
            self.outlines.translate = arguments["translate"]
        self._redraw_outlines(labels)

    def _redraw_outlines(self, labels: npt.NDArray[np.uint8]) -> None:
        """Other lines in the layer; in its own array where that has the size."""
        assert self.outlines is not None
        if self.outlines.data.shape == labels.shape:
            self.outlines.data[:] = labels
            self.outlines.refresh(extent=False)
        else:
            self.outlines.data = labels

    # ---- order and visibility ----------------------------------------------------------------

    def _layers(self) -> list[Layer]:
        """Those that are in the viewer."""
        layers = (self.points, self.map, self.outlines, self.types.layer)
        return [layer for layer in layers if layer is not None and layer in self._viewer.layers]

    def _take_note_of_eye(self) -> None:
        """The eye in the layer list counts, also for the layer that takes the place of another."""
        if self._showing is not None and self._showing in self._viewer.layers:
            self._visible = self._showing.visible
        if self.outlines is not None and self.outlines in self._viewer.layers:
            self._lines_visible = self.outlines.visible

    def _set_visible(self) -> None:
        if self.typing is not None:
            self._showing = self.types.layer
        else:
            self._showing = self.map if self.from_afar else self.points
        for layer in (self.points, self.map, self.types.layer):
            if layer is None:
                continue
            wanted = layer is self._showing and self._visible
            if layer.visible != wanted:
                layer.visible = wanted

    def _added(self, add: Any) -> Any:
        """Add a layer without taking the tool out of the user's hand; regions stay on top."""
        layers = self._viewer.layers
        with keeping_active(self._viewer):
            added: Layer = add()
            for layer in [layer for layer in layers if isinstance(layer, Shapes)]:
                layers.move(layers.index(layer), len(layers))
            lines = self.outlines
            if isinstance(added, Labels) and lines in layers and added is not lines:
                # Lines keep nuclei apart that touch.
                layers.move(layers.index(added), layers.index(lines))
        return added


def _up_to(index: npt.NDArray[np.intp], n: int) -> npt.NDArray[np.intp]:
    """Those of some cells, ascending, that come before the n-th."""
    return index[: np.searchsorted(index, n)]
