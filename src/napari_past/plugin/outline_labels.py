"""Outlines of nuclei as lazily drawn label pyramid: each block is drawn when it is looked at."""

from __future__ import annotations

import math
from dataclasses import dataclass
from uuid import uuid4

import dask.array as da
import numpy as np
import numpy.typing as npt
from napari.utils.colormaps import DirectLabelColormap
from PIL import Image, ImageDraw

from napari_past.engine import Cells
from napari_past.plugin.reader import LayerData
from napari_past.space import image_placement
from napari_past.stain import CLASS_COLOURS
from napari_past.types import Outlines

LAYER_NAME = "Nuclei outlines"
FINEST_MPP = 0.5
COARSEST_DRAWN_MPP = 2.0
"""On coarser levels a nucleus is a few pixels, which its point covers: nothing is drawn there."""
BLOCK_PX = 512
LARGEST_LAST_LEVEL_PX = 1024
PLAIN = 5
"""Label of outlines that have no class; those of the classes 0 to 3 are 1 to 4."""
PLAIN_COLOUR = (0.10, 0.55, 0.55, 1.0)
_BUCKET_UM = 128.0


@dataclass(frozen=True)
class OutlineDrawing:
    """Polygons sorted into squares of the slide, so that a block draws only its own."""

    outlines: Outlines
    labels: npt.NDArray[np.uint8]
    """(n,), 1 to 5."""
    buckets: dict[tuple[int, int], npt.NDArray[np.intp]]
    """(column, row) of a square → cells whose centre lies in it."""

    def block(self, y0_px: int, x0_px: int, shape: tuple[int, int], mpp: float) -> np.ndarray:
        """Labels (Y, X) uint8 of a block of the grid at `mpp` whose first pixel is (y0, x0)."""
        image = Image.new("L", (shape[1], shape[0]), 0)
        if mpp <= COARSEST_DRAWN_MPP:
            draw = ImageDraw.Draw(image)
            origin_um = np.array([x0_px, y0_px]) * mpp
            for i in self._near(origin_um, np.array([shape[1], shape[0]]) * mpp):
                vertices = self.outlines[i]
                if len(vertices) >= 3:
                    # PIL's pixel centres are integers; slide space has them at halves.
                    xy = (vertices - origin_um) / mpp - 0.5
                    ring = np.concatenate([xy, xy[:1]]).round().astype(int)
                    draw.line(ring.ravel().tolist(), fill=int(self.labels[i]), width=1)
        return np.asarray(image)

    def _near(self, origin_um: np.ndarray, size_um: np.ndarray) -> list[int]:
        c0, r0 = np.floor(origin_um / _BUCKET_UM).astype(int) - 1
        c1, r1 = np.floor((origin_um + size_um) / _BUCKET_UM).astype(int) + 1
        found = [
            self.buckets[key]
            for key in ((c, r) for r in range(r0, r1 + 1) for c in range(c0, c1 + 1))
            if key in self.buckets
        ]
        return np.concatenate(found).tolist() if found else []


def outline_layer(cells: Cells, classes: npt.NDArray[np.int8] | None) -> LayerData:
    """A labels layer with one-pixel outlines; ``None`` for classes draws them plain.

    Lines rather than filled nuclei with napari's contour: touching nuclei of one class stay apart.
    """
    labels = np.full(len(cells), PLAIN, np.uint8)
    if classes is not None:
        labels[classes >= 0] = classes[classes >= 0] + 1
    drawing = OutlineDrawing(cells.found.outlines, labels, _bucketed(cells.centers_um))
    width_um, height_um = (side * cells.plan.key.slide_mpp for side in cells.plan.slide_size_px)
    levels = [_level(drawing, width_um, height_um, mpp) for mpp in _level_mpps(width_um, height_um)]
    scale, translate = image_placement(FINEST_MPP)
    arguments = {
        "name": LAYER_NAME,
        "scale": scale,
        "translate": translate,
        "units": ("um", "um"),
        "multiscale": True,
        "opacity": 1.0,
        "colormap": outline_colours(),
        # Blocks are drawn anew for every gene: napari's cache would show the old ones.
        "cache": False,
    }
    return levels, arguments, "labels"


def outline_colours() -> DirectLabelColormap:
    """QuPath's colours of the classes, a calm one for outlines without class."""
    clear = (0.0, 0.0, 0.0, 0.0)
    table: dict[int | None, tuple[float, ...]] = {None: clear, 0: clear}
    for label, rgb in enumerate(CLASS_COLOURS, start=1):
        table[label] = (*(c / 255 for c in rgb), 1.0)
    table[PLAIN] = PLAIN_COLOUR
    return DirectLabelColormap(color_dict=table)


def _bucketed(centers_um: npt.NDArray[np.float64]) -> dict[tuple[int, int], npt.NDArray[np.intp]]:
    if len(centers_um) == 0:
        return {}
    place = np.floor(centers_um / _BUCKET_UM).astype(np.int64)
    order = np.lexsort((place[:, 0], place[:, 1]))
    changes = np.flatnonzero(np.any(np.diff(place[order], axis=0) != 0, axis=1)) + 1
    groups = np.split(order, changes)
    return {(int(place[g[0], 0]), int(place[g[0], 1])): g for g in groups}


def _level_mpps(width_um: float, height_um: float) -> list[float]:
    # napari takes a labels list of one level for a stack of rows: there are always two.
    mpps = [FINEST_MPP, 2 * FINEST_MPP]
    while max(width_um, height_um) / mpps[-1] > LARGEST_LAST_LEVEL_PX:
        mpps.append(mpps[-1] * 2)
    return mpps


def _level(drawing: OutlineDrawing, width_um: float, height_um: float, mpp: float) -> da.Array:
    # Sizes are those of the coarsest grid's pixels, so that ratios of sizes are powers of two.
    coarsest = _level_mpps(width_um, height_um)[-1]
    factor = round(coarsest / mpp)
    shape = tuple(math.ceil(side / coarsest) * factor for side in (height_um, width_um))

    def drawn(block_info: dict) -> np.ndarray:
        (y0, y1), (x0, x1) = block_info[None]["array-location"]
        return drawing.block(y0, x0, (y1 - y0, x1 - x0), mpp)

    chunks = da.core.normalize_chunks((BLOCK_PX, BLOCK_PX), shape)
    # Without a name dask hashes the closure, which holds every outline of the slide.
    array: da.Array = da.map_blocks(
        drawn,
        chunks=chunks,
        dtype=np.uint8,
        meta=np.empty((0, 0), np.uint8),
        name=f"outlines-{uuid4().hex}",
    )
    return array
