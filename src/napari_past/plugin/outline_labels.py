"""Outlines of the nuclei in view as one labels layer, drawn for the field and no further."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from napari.utils.colormaps import DirectLabelColormap
from PIL import Image, ImageDraw

from napari_past.plugin.own_layers import OWN
from napari_past.plugin.reader import LayerData
from napari_past.space import world_from_um
from napari_past.stain import CLASS_COLOURS
from napari_past.types import Outlines, PixelGrid, Rect

LAYER_NAME = "Nuclei outlines"
FINEST_MPP = 0.25
COARSEST_MPP = 1.0
"""Of the canvas; beyond it a nucleus is a few pixels, which its point covers."""
PLAIN = 5
"""Label of outlines that have no class; those of the classes 0 to 3 are 1 to 4."""
PLAIN_COLOUR = (0.13, 0.13, 0.16, 1.0)
"""Neutral: no colour map has it, so that an outline says nothing of a value."""


class OutlineDrawing:
    """Which cell's outline runs through each pixel of a field.

    Lines rather than filled nuclei with napari's contour: touching nuclei of one class stay apart.

    Parameters
    ----------
    outlines
        Of all cells.
    cells
        Indices (m,) of those to draw.
    field
        What to cover, µm.
    mpp
        µm/px of the drawing.
    shape
        (height, width) of the drawing, px, from the field's corner; what the field needs if None.
    """

    def __init__(
        self,
        outlines: Outlines,
        cells: npt.NDArray[np.intp],
        field: Rect,
        mpp: float,
        shape: tuple[int, int] | None = None,
    ) -> None:
        self.grid = field_grid(field, mpp)
        self.cells = cells
        """Indices of those that were drawn."""
        self._owner = drawn_cells(outlines, cells, self.grid, shape or field_shape(field, mpp))

    def labels(self, classes: npt.NDArray[np.int8] | None) -> npt.NDArray[np.uint8]:
        """(Y, X), 1 to 4 for the classes 0 to 3 and 5 without one; ``None`` draws all plain.

        Parameters
        ----------
        classes
            (m,), of the cells that were drawn.
        """
        table = np.full(len(self.cells) + 1, PLAIN, np.uint8)
        table[0] = 0
        if classes is not None:
            table[1:][classes >= 0] = classes[classes >= 0] + 1
        return table[self._owner]


def drawn_cells(
    outlines: Outlines,
    cells: npt.NDArray[np.intp],
    grid: PixelGrid,
    shape: tuple[int, int],
    filled: bool = False,
) -> npt.NDArray[np.int32]:
    """Which of some cells each pixel belongs to, (Y, X): its place among them and one, else 0.

    Parameters
    ----------
    outlines
        Of all cells.
    cells
        Indices (m,) of those to draw.
    filled
        Whether whole nuclei are drawn rather than lines around them.
    """
    image = Image.new("I", (shape[1], shape[0]), 0)
    draw = ImageDraw.Draw(image)
    chosen = outlines.take(cells)
    yx = np.round(grid.to_px(chosen.vertices_um)).astype(int)
    xy = yx[:, ::-1].ravel().tolist()
    bounds = (2 * chosen.offsets).tolist()
    for k in range(len(cells)):
        ring = xy[bounds[k] : bounds[k + 1]]
        if len(ring) < 6:
            continue
        if filled:
            draw.polygon(ring, fill=k + 1)
        else:
            draw.line(ring + ring[:2], fill=k + 1, width=1)
    return np.asarray(image)


def field_grid(field: Rect, mpp: float) -> PixelGrid:
    """Whole pixels of the slide's grid at `mpp`, so that a drawing does not move with the field."""
    return PixelGrid(math.floor(field.x_um / mpp) * mpp, math.floor(field.y_um / mpp) * mpp, mpp)


def field_shape(field: Rect, mpp: float) -> tuple[int, int]:
    """(height, width) in pixels that a field needs on its grid."""
    x0, y0 = math.floor(field.x_um / mpp), math.floor(field.y_um / mpp)
    return math.ceil(field.y1_um / mpp) - y0, math.ceil(field.x1_um / mpp) - x0


def placement(grid: PixelGrid) -> dict[str, object]:
    """Where a drawing lies in napari's world, as arguments of its layer."""
    return {
        "scale": (grid.mpp, grid.mpp),
        # napari places the centre of the first pixel.
        "translate": world_from_um(np.array([[grid.x0_um, grid.y0_um]]) + grid.mpp / 2)[0],
        "units": ("um", "um"),
    }


def drawing_mpp(canvas_mpp: float) -> float:
    """µm/px at which outlines are drawn for a canvas: the next power of two, at least 0.25."""
    return max(FINEST_MPP, 2.0 ** math.ceil(math.log2(canvas_mpp) - 1e-9))


def outline_layer(drawing: OutlineDrawing, classes: npt.NDArray[np.int8] | None) -> LayerData:
    """The drawing as a labels layer in µm."""
    arguments = {
        "name": LAYER_NAME,
        "opacity": 1.0,
        "colormap": outline_colours(),
        "metadata": dict(OWN),
        **placement(drawing.grid),
    }
    return drawing.labels(classes), arguments, "labels"


def outline_colours() -> DirectLabelColormap:
    """QuPath's colours of the classes, a calm one for outlines without class."""
    clear = (0.0, 0.0, 0.0, 0.0)
    table: dict[int | None, tuple[float, ...]] = {None: clear, 0: clear}
    for label, rgb in enumerate(CLASS_COLOURS, start=1):
        table[label] = (*(c / 255 for c in rgb), 1.0)
    table[PLAIN] = PLAIN_COLOUR
    return DirectLabelColormap(color_dict=table)
