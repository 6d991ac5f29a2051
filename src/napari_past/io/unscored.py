"""Masks of what must not be scored, from label images and from polygons."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import shapely

from napari_past.errors import BadTable
from napari_past.io.geojson_document import Feature, open_document
from napari_past.quality import UNSCORED_KINDS, QualityMask, kind_named, read_mask
from napari_past.space import um_from_level0_px

_MASK_MPP = 8.0
"""µm/px at which polygons are laid on a grid: one nucleus."""
_GEOJSON = (".geojson", ".json", ".gz")


def read_unscored(
    path: str | Path, slide_size_um: tuple[float, float], mpp: float | None = None
) -> QualityMask:
    """A mask from a label image (see `quality.read_mask`) or from polygons in GeoJSON.

    Polygons are annotations as QuPath and GrandQC write them, in level-0 pixels. Their class, or
    their name where they have none, gives the kind (see `quality.kind_named`); annotations whose
    class says that they are to be scored, as Tumor, are passed over, and so are cells. Where
    polygons overlap the later one counts.

    Parameters
    ----------
    path
        ``.tif``, ``.png``, ``.geojson``, ``.json`` or a gzipped one of the latter.
    slide_size_um
        (width, height) of the slide in µm.
    mpp
        µm per level-0 pixel of the slide, for polygons; what the file tells if omitted.

    Raises
    ------
    BadTable
        No such file, nothing in it that can be read, or nothing in it that lies on the slide.
    MissingPixelSize
        Polygons without µm/px.
    """
    if Path(path).suffix.lower() not in _GEOJSON:
        return read_mask(path, slide_size_um)
    document = open_document(path)
    scale = document.require_mpp(mpp)
    width_um, height_um = slide_size_um
    shape = (math.ceil(height_um / _MASK_MPP), math.ceil(width_um / _MASK_MPP))
    labels = np.zeros(shape, np.uint8)
    painted = False
    for feature in document.features():
        kind = kind_named(feature.classification or feature.name)
        polygon_um = _polygon_um(feature, scale)
        if kind is None or feature.object_type != "annotation" or polygon_um is None:
            continue
        painted |= _paint(labels, polygon_um, UNSCORED_KINDS.index(kind) + 1)
    if not painted:
        raise BadTable(
            f"{document.source.name} holds no polygon of something that must not be scored on this "
            "slide; export the annotations of this slide with their classes."
        )
    return QualityMask(labels, _MASK_MPP, document.source.name)


def _polygon_um(feature: Feature, mpp: float) -> shapely.Geometry | None:
    geometry = feature.geometry
    if not isinstance(geometry, (shapely.Polygon, shapely.MultiPolygon)) or geometry.is_empty:
        return None
    valid = geometry if geometry.is_valid else shapely.make_valid(geometry)
    return shapely.transform(valid, lambda px: um_from_level0_px(px, mpp))


def _paint(labels: np.ndarray, polygon_um: shapely.Geometry, label: int) -> bool:
    """Give the pixels whose centre lies inside a label; whether the polygon lies on the slide."""
    x0, y0, x1, y1 = polygon_um.bounds
    rows = slice(max(0, math.floor(y0 / _MASK_MPP)), min(len(labels), math.ceil(y1 / _MASK_MPP)))
    columns = slice(
        max(0, math.floor(x0 / _MASK_MPP)), min(labels.shape[1], math.ceil(x1 / _MASK_MPP))
    )
    part = labels[rows, columns]
    if part.size == 0:
        return False
    y, x = np.mgrid[rows, columns]
    shapely.prepare(polygon_um)
    inside = shapely.contains_xy(polygon_um, (x + 0.5) * _MASK_MPP, (y + 0.5) * _MASK_MPP)
    part[inside] = label
    return True
