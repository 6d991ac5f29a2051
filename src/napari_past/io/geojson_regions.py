"""Regions as QuPath annotations."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import shapely
from shapely.geometry import mapping

from napari_past.errors import BadTable
from napari_past.files import atomic_write
from napari_past.io.cell_ids import named_id
from napari_past.io.geojson_document import TMA_CORE_TYPES, Feature, open_document
from napari_past.io.provenance import KEY, SCHEMA_VERSION
from napari_past.space import level0_px_from_um, um_from_level0_px
from napari_past.types import IGNORE, INCLUDE, RESEARCH_USE, TUMOUR, Region

_QUPATH_CLASSES = {
    TUMOUR: ("Tumor", (200, 0, 0)),
    INCLUDE: (INCLUDE, (80, 120, 200)),
    IGNORE: (IGNORE, (180, 180, 180)),
}
"""Name and colour of each role's class, as QuPath has them where it has them."""


def write_regions(regions: Sequence[Region], path: str | Path, mpp: float) -> None:
    """Write the regions as annotations in level-0 pixels of `mpp` µm; the role is the class.

    Raises
    ------
    CannotWrite
        The folder is missing or read-only, or the disk is full.
    """
    features = []
    for number, region in enumerate(regions, start=1):
        polygon_px = shapely.transform(region.polygon_um, lambda um: level0_px_from_um(um, mpp))
        name, colour = _QUPATH_CLASSES[IGNORE if region.ignored else region.role]
        features.append(
            {
                "type": "Feature",
                "id": named_id(f"region {number} {region.name} {polygon_px.wkt}"),
                "geometry": mapping(polygon_px),
                "properties": {
                    "objectType": "annotation",
                    "name": region.name,
                    "classification": {"name": name, "color": colour},
                },
            }
        )
    document = {
        "type": "FeatureCollection",
        KEY: {"schema_version": SCHEMA_VERSION, "research_use": RESEARCH_USE, "mpp": mpp},
        "features": features,
    }
    with atomic_write(path) as unfinished:
        text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
        unfinished.write_text(text + "\n", encoding="utf-8", newline="\n")


def read_regions(path: str | Path, mpp: float | None = None) -> tuple[Region, ...]:
    """The annotations of a QuPath GeoJSON file as regions, in the file's order.

    The class gives the role: Tumor and Tumour are Tumour; Necrosis, Ignore… and every name that
    ends in ``*`` (QuPath's sign for what is not counted) are Ignore*; anything else, or none, is
    Include. Cores of a tissue microarray that are not missing are Include regions with their names.
    Cells and detections in the file are passed over. A region without a name is numbered.

    Parameters
    ----------
    path
        The file, gzipped or not.
    mpp
        µm per level-0 pixel of the slide; what the file tells if omitted.

    Raises
    ------
    MissingPixelSize
        The file does not tell µm/px, and none is given.
    BadTable
        No such file, no GeoJSON, only cells in it, or an annotation that is no polygon.
    RegionError
        An annotation without area.
    """
    document = open_document(path)
    scale = document.require_mpp(mpp)
    areas, others = [], 0
    for feature in document.features():
        core = feature.object_type in TMA_CORE_TYPES and not feature.is_missing
        if core or feature.object_type == "annotation":
            areas.append(feature)
        else:
            others += 1
    if others and not areas:
        raise BadTable(
            f"{document.source.name} holds {others} objects but no annotation; export the "
            "annotations from QuPath."
        )
    return tuple(
        Region(
            name=feature.name or f"Region {number}",
            role=_role(feature.classification),
            polygon_um=shapely.transform(
                _polygon_px(feature, document.source), lambda px: um_from_level0_px(px, scale)
            ),
        )
        for number, feature in enumerate(areas, start=1)
    )


def _role(classification: str | None) -> str:
    base = (classification or "").split(":")[0].strip()
    folded = base.casefold()
    if folded in ("tumor", "tumour"):
        return TUMOUR
    if folded == "necrosis" or folded.startswith("ignore") or base.endswith("*"):
        return IGNORE
    return INCLUDE


def _polygon_px(feature: Feature, source: Path) -> shapely.Polygon | shapely.MultiPolygon:
    geometry = feature.geometry
    if isinstance(geometry, shapely.GeometryCollection):
        geometry = _areas(geometry)
    if not isinstance(geometry, (shapely.Polygon, shapely.MultiPolygon)):
        kind = "no geometry" if geometry is None else f"the geometry {geometry.geom_type}"
        raise BadTable(
            f"Annotation {feature.name or feature.number} of {source.name} has {kind}; a region "
            "needs a polygon: draw it with an area or leave it out."
        )
    if geometry.is_valid:
        return geometry
    # A line drawn across itself: the loops count, stray edges do not.
    return _areas(shapely.make_valid(geometry)) or geometry


def _areas(geometry: shapely.Geometry) -> shapely.Polygon | shapely.MultiPolygon | None:
    """The polygons in a geometry as one; None where it has none."""
    parts = [p for p in shapely.get_parts(shapely.get_parts(geometry)) if p.geom_type == "Polygon"]
    return shapely.union_all(parts) if parts else None
