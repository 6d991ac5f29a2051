"""Cells from layers that somebody drew or computed in the viewer. Knows no Qt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from napari.layers import Labels, Layer, Points, Shapes

from napari_past.brought import cells_of_labels, cells_of_points, cells_of_polygons
from napari_past.cells.brought import BroughtCells
from napari_past.errors import BadTable
from napari_past.plugin.own_layers import is_own
from napari_past.plugin.pixel_size import UM, in_pixels
from napari_past.plugin.region_shapes import AREAS, ellipse_ring
from napari_past.slide import Slide
from napari_past.types import FloatArray

IDS = "id"
"""Column of a layer's features whose texts are the cells' ids."""
_LABEL = "index"
"""Column of a labels layer's features that says of which label a row tells."""

Bring = Callable[[], BroughtCells]
"""Makes the cells, in any thread."""
Columns = Mapping[str, npt.NDArray]


@dataclass(frozen=True)
class LayerPlace:
    """Where a layer's data lie: µm of slide space = (data + 0.5)·mpp + corner, along each axis."""

    mpp: tuple[float, float]
    """µm for a step of the data along (y, x)."""
    corner_um: tuple[float, float]
    """(y, x) of the outer corner of the first pixel."""
    note: str = ""
    """What was taken for granted of a layer that does not say where it lies."""

    def to_um(self, yx: FloatArray) -> npt.NDArray[np.float64]:
        """(…, 2), (x, y) in µm of positions (y, x) in the layer's data."""
        um = (np.asarray(yx, np.float64) + 0.5) * self.mpp + self.corner_um
        return um[..., ::-1]


def sources(layers: Iterable[Layer]) -> list[Layer]:
    """The layers that may hold somebody's cells: none that the widget drew, and no regions."""
    return [
        layer
        for layer in layers
        if isinstance(layer, Labels | Points | Shapes)
        and layer.ndim == 2
        and not is_own(layer.metadata)
        and not (isinstance(layer, Shapes) and "role" in layer.features)
    ]


def place_of(layer: Layer, slide: Slide) -> LayerPlace:
    """Where a layer lies on a slide whose pixel size is known.

    A layer with a unit of length lies as it is seen. One without has the slide's pixels, as
    ``viewer.add_labels(labels)`` leaves it; where its scale is not 1 somebody placed it on the
    slide, whose numbers are µm.

    Raises
    ------
    BadTable
        It is rotated or sheared.
    """
    affine = np.asarray(layer.affine.linear_matrix)
    turned = np.any(np.asarray(layer.rotate) != np.eye(2)) or np.any(np.asarray(layer.shear) != 0)
    if turned or np.any(affine != np.diag(np.diag(affine))):
        raise BadTable(
            f"Layer {layer.name} is rotated or sheared; resample it onto the slide and try again."
        )
    scale = np.asarray(layer.scale) * np.diag(affine)
    shift = np.asarray(layer.translate) * np.diag(affine) + np.asarray(layer.affine.translate)
    if not in_pixels(layer):
        um = float((1.0 * layer.units[-1]).to(UM).magnitude)
        return _placed(scale * um, (shift - scale / 2) * um)
    if np.any(scale != 1.0):
        note = f"Layer {layer.name} has no units: its numbers were taken for µm."
        return _placed(scale, shift - scale / 2, note)
    mpp = slide.require_mpp() * np.array(_downsample(layer, slide, shift))
    note = f"Layer {layer.name} has no units: it was laid on the slide's pixels."
    return _placed(mpp, shift * mpp, note)


def lay(layer: Layer, place: LayerPlace) -> None:
    """Put a layer without units where its cells were taken to lie: one such layer takes the units
    of all others away."""
    if in_pixels(layer):
        layer.affine = np.eye(3)
        layer.scale = place.mpp
        layer.translate = np.array(place.corner_um) + np.array(place.mpp) / 2
        layer.units = (UM, UM)


def bring_layer(layer: Layer, slide: Slide) -> Bring:
    """Work that gives the cells of a layer, for another thread; call this one in the GUI thread.

    Points and shapes are copied; labels, which may fill the memory, are read as they are then.

    Raises
    ------
    BadTable
        The layer holds nothing, or is rotated or sheared.
    """
    place, name = place_of(layer, slide), layer.name
    if isinstance(layer, Labels):
        data = list(layer.data) if layer.multiscale else layer.data
        work = partial(_of_labels, data, place, name, layer.features.copy())
    else:
        if not len(layer.data):
            raise BadTable(
                f"Layer {name} holds nothing yet; draw cells in it first, or choose another."
            )
        ids, columns = _told(layer.features)
        if isinstance(layer, Points):
            places = place.to_um(np.asarray(layer.data))
            work = partial(cells_of_points, places, ids, columns, name)
        else:
            shapes = [np.array(corners) for corners in layer.data]
            work = partial(
                _of_shapes, shapes, list(map(str, layer.shape_type)), place, ids, columns, name
            )
    return lambda: _noted(work(), place.note).on_slide(slide)


def _placed(mpp: FloatArray, corner_um: FloatArray, note: str = "") -> LayerPlace:
    (y, x), (top, left) = mpp.tolist(), corner_um.tolist()
    return LayerPlace((y, x), (top, left), note)


def _downsample(layer: Layer, slide: Slide, shift: FloatArray) -> tuple[float, float]:
    """Of the slide's level that an image of labels was made of, by its size; else of level 0."""
    if isinstance(layer, Labels) and not np.any(shift):
        shape = (layer.data[0] if layer.multiscale else layer.data).shape
        for level in slide.levels:
            if shape == (level.height_px, level.width_px):
                return level.downsample_y, level.downsample_x
    return 1.0, 1.0


def _told(features: pd.DataFrame) -> tuple[list[str] | None, Columns]:
    """Ids, where they came with some, and what else a layer tells of each."""
    ids = [str(name) for name in features[IDS]] if IDS in features else None
    columns = {str(c): np.asarray(features[c]) for c in features.columns if c != IDS}
    return ids, columns


def _noted(cells: BroughtCells, note: str) -> BroughtCells:
    return replace(cells, notes=(note, *cells.notes)) if note else cells


def _of_labels(
    labels: object, place: LayerPlace, name: str, features: pd.DataFrame
) -> BroughtCells:
    (mpp_y, mpp_x), (y0_um, x0_um) = place.mpp, place.corner_um
    cells = cells_of_labels(labels, (mpp_x, mpp_y), x0_um, y0_um, name)
    if _LABEL not in features or len(features.columns) < 2:
        return cells
    told = features.drop_duplicates(_LABEL).set_index(features[_LABEL].astype(str))
    told = told.drop(columns=_LABEL).reindex(list(cells.found.ids))
    return replace(cells, columns={**_told(told)[1], **cells.columns})


def _of_shapes(
    shapes: list[npt.NDArray[np.floating]],
    kinds: list[str],
    place: LayerPlace,
    ids: list[str] | None,
    columns: Columns,
    name: str,
) -> BroughtCells:
    index = np.array([k for k, kind in enumerate(kinds) if kind in AREAS], np.intp)
    if not len(index):
        raise BadTable(
            f"Layer {name} holds only lines and paths, which enclose no cell; draw polygons, "
            "ellipses or rectangles."
        )
    rings = [
        ellipse_ring(shapes[k]) if kinds[k] == "ellipse" else shapes[k] for k in index.tolist()
    ]
    cells = cells_of_polygons(
        [shapely.Polygon(place.to_um(ring)) for ring in rings],
        None if ids is None else [ids[k] for k in index.tolist()],
        {column: values[index] for column, values in columns.items()},
        name,
    )
    left_out = len(kinds) - len(index)
    return _noted(
        cells,
        f"Lines and paths, which enclose nothing, were left out: {left_out}." if left_out else "",
    )
