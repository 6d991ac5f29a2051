"""QuPath GeoJSON files: their features, their shapes, and the µm/px that leads to slide space.

Coordinates are level-0 pixels with corner origin, (x, y); `space` converts.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import shapely
from shapely.errors import ShapelyError
from shapely.geometry import shape

from napari_past.errors import BadTable, MissingPixelSize
from napari_past.files import existing_file
from napari_past.io.provenance import KEY, JsonObject, JsonValue, check_schema

CELL_TYPES = ("cell", "detection")
"""QuPath's object types that stand for a cell; an object without a type is an annotation."""


@dataclass(frozen=True)
class Feature:
    """One object of QuPath's."""

    number: int
    """From 1, in the file's order."""
    id: str | None
    object_type: str
    name: str | None
    classification: str | None
    """Its full name, the parts of a derived one joined by ": "."""
    geometry: shapely.Geometry | None
    """In level-0 pixels; of a cell with a nucleus, that of the nucleus."""
    measurements: Mapping[str, float]
    metadata: Mapping[str, str]
    """Texts by name."""


@dataclass(frozen=True)
class Document:
    """A whole file."""

    source: Path
    features: tuple[Feature, ...]
    told: JsonObject
    """Our foreign member; empty in files of others."""

    @property
    def mpp(self) -> float | None:
        """µm per level-0 pixel as our foreign member tells it."""
        value = self.told.get("mpp")
        ok = isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0
        return float(value) if ok and isinstance(value, (int, float)) else None

    def require_mpp(self, given: float | None) -> float:
        """`given`, else what the file tells, else `MissingPixelSize`."""
        if given is not None:
            return given
        if self.mpp is None:
            raise MissingPixelSize(
                f"{self.source.name} is in pixels and does not tell µm/px; give it with mpp=… or "
                "--mpp."
            )
        return self.mpp


def read_document(path: str | Path) -> Document:
    """A GeoJSON file, gzipped or not: a FeatureCollection, a list of features, or one feature.

    Raises
    ------
    BadTable
        No such file, no GeoJSON, or an object whose geometry is damaged.
    """
    source = existing_file(path)
    try:
        packed = source.read_bytes()
        content = gzip.decompress(packed) if packed[:2] == b"\x1f\x8b" else packed
        top = json.loads(content)
    except (OSError, EOFError, ValueError, zlib.error, RecursionError) as exc:
        raise BadTable(
            f"{source.name} cannot be read as GeoJSON ({exc}); export it again from QuPath."
        ) from exc
    told: JsonObject = {}
    objects: JsonValue = top
    if isinstance(top, dict):
        objects = top.get("features", [top] if top.get("type") == "Feature" else None)
        member = top.get(KEY)
        told = member if isinstance(member, dict) else {}
    if not isinstance(objects, list):
        raise BadTable(
            f"{source.name} holds no features; export the objects from QuPath as GeoJSON again."
        )
    check_schema(told, source)
    features = tuple(_feature(item, i, source) for i, item in enumerate(objects, start=1))
    return Document(source, features, told)


def _feature(item: JsonValue, number: int, source: Path) -> Feature:
    if not isinstance(item, dict):
        raise BadTable(f"Object {number} of {source.name} is no GeoJSON feature; export it again.")
    properties = _object(item.get("properties"))
    object_type = properties.get("objectType", properties.get("object_type", "annotation"))
    name, key = properties.get("name"), item.get("id")
    return Feature(
        number=number,
        id=str(key) if isinstance(key, (str, int)) else None,
        object_type=str(object_type).lower(),
        name=name if isinstance(name, str) and name else None,
        classification=_classification(properties.get("classification")),
        geometry=_geometry(item.get("nucleusGeometry") or item.get("geometry"), number, source),
        measurements=_measurements(properties.get("measurements")),
        metadata=_texts(properties.get("metadata")),
    )


def _geometry(value: JsonValue, number: int, source: Path) -> shapely.Geometry | None:
    if value is None:
        return None
    try:
        found = shape(value)
    except (ShapelyError, ValueError, TypeError, KeyError, AttributeError, IndexError) as exc:
        raise BadTable(
            f"Object {number} of {source.name} has a damaged geometry ({exc}); export it again."
        ) from exc
    return found


def _classification(value: JsonValue) -> str | None:
    if isinstance(value, dict):
        names = value.get("names")
        value = ": ".join(map(str, names)) if isinstance(names, list) else value.get("name")
    return value if isinstance(value, str) and value else None


def _measurements(value: JsonValue) -> dict[str, float]:
    if isinstance(value, list):  # QuPath before 0.4: [{"name": …, "value": …}]
        pairs = [(_object(m).get("name"), _object(m).get("value")) for m in value]
    else:
        pairs = list(_object(value).items())
    return {str(name): float(number) for name, number in pairs if isinstance(number, (int, float))}


def _texts(value: JsonValue) -> dict[str, str]:
    return {str(name): text for name, text in _object(value).items() if isinstance(text, str)}


def _object(value: JsonValue) -> JsonObject:
    return value if isinstance(value, dict) else {}
