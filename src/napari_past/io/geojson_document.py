"""QuPath GeoJSON files: their features one after the other, and the µm/px of their slide.

Coordinates are level-0 pixels with corner origin, (x, y); `space` converts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import shapely
from shapely.errors import ShapelyError
from shapely.geometry import shape

from napari_past.errors import BadTable, MissingPixelSize
from napari_past.io.json_stream import JsonStream, json_stream
from napari_past.io.provenance import KEY, JsonObject, as_mapping, check_schema

CELL_TYPES = ("cell", "detection")
"""QuPath's object types that stand for a cell; an object without a type is an annotation."""

TMA_CORE_TYPES = ("tmacore", "tma_core", "tmacoreobject")
"""Of a core of a tissue microarray, as versions of QuPath have named it."""
_EARLY_TYPES = {
    "PathCellObject": "cell",
    "PathDetectionObject": "detection",
    "PathTileObject": "tile",
    "PathAnnotationObject": "annotation",
    "TMACoreObject": "tmacore",
    "PathRootObject": "root",
}
"""QuPath 0.2 wrote the type of an object as its id."""

Geometry = Mapping[str, object]
"""As GeoJSON has it."""


@dataclass(frozen=True)
class Feature:
    """One object of QuPath's."""

    source: str
    """Name of the file."""
    number: int
    """From 1, in the file's order."""
    id: str | None
    object_type: str
    name: str | None
    classification: str | None
    """Its full name, the parts of a derived one joined by ": "."""
    outer: Geometry | None
    """Its outline: of a cell with a nucleus, the cell's."""
    nucleus: Geometry | None
    """The outline of its nucleus, where it has one."""
    measurements: Mapping[str, float]
    metadata: Mapping[str, str]
    """Texts by name."""
    is_missing: bool = False
    """Of a core of a tissue microarray: that nothing is left of it."""

    @cached_property
    def geometry(self) -> shapely.Geometry | None:
        """In level-0 pixels; of a cell with a nucleus, that of the nucleus.

        Raises
        ------
        BadTable
            It is damaged.
        """
        told = self.nucleus or self.outer
        return None if told is None else self.shape(told)

    def shape(self, told: Geometry) -> shapely.Geometry:
        """One of its geometries.

        Raises
        ------
        BadTable
            It is damaged.
        """
        try:
            with np.errstate(invalid="ignore"):
                found = shape(told)
            finite = bool(np.isfinite(shapely.get_coordinates(found)).all())
        except (ShapelyError, ValueError, TypeError, KeyError, AttributeError, IndexError) as exc:
            raise self.damaged(str(exc)) from exc
        except (OverflowError, RecursionError, NotImplementedError) as exc:
            raise self.damaged(str(exc)) from exc
        if not finite:
            raise self.damaged("a coordinate is no finite number")
        return found

    def damaged(self, why: str) -> BadTable:
        """What to tell of a geometry that cannot be read."""
        return BadTable(
            f"Object {self.number} of {self.source} has a damaged geometry ({why}); export it "
            "again."
        )


@dataclass(frozen=True)
class Document:
    """A file whose features are read when they are asked for."""

    source: Path
    told: JsonObject
    """Our foreign member; empty in files of others."""

    @property
    def mpp(self) -> float | None:
        """µm per level-0 pixel as our foreign member tells it."""
        value = self.told.get("mpp")
        ok = isinstance(value, (int, float)) and not isinstance(value, bool)
        return float(value) if ok and isinstance(value, (int, float)) and 0 < value < 1e6 else None

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

    def features(self) -> Iterator[Feature]:
        """Every object in the file's order, one in memory at a time.

        Raises
        ------
        BadTable
            No GeoJSON.
        """
        with json_stream(self.source) as stream:
            items = (
                each for item in _objects(stream, self.source) for each in _with_children(item)
            )
            for number, item in enumerate(items, start=1):
                yield _feature(item, number, self.source)


def open_document(path: str | Path) -> Document:
    """A GeoJSON file, gzipped or not: a FeatureCollection, a list of features, or one feature.

    Raises
    ------
    BadTable
        No such file, no JSON, or written by a later version.
    """
    with json_stream(path) as stream:
        told = _foreign_member(stream) if stream.peek() == "{" else {}
    source = Path(path)
    check_schema(told, source)
    return Document(source, told)


def _foreign_member(stream: JsonStream) -> JsonObject:
    """Ours. It stands before the features wherever this software wrote the file, so a file that
    begins with them is somebody else's."""
    for name in stream.members():
        if name == "features" and stream.peek() == "[":
            return {}
        value = stream.value()
        if name == KEY:
            return value if isinstance(value, dict) else {}
    return {}


def _objects(stream: JsonStream, source: Path) -> Iterator[object]:
    if stream.peek() == "[":
        yield from stream.items()
        return
    one: dict[str, object] = {}
    for name in stream.members():
        if name == "features" and stream.peek() == "[":
            yield from stream.items()
            return
        one[name] = stream.value()
    if one.get("type") != "Feature":
        raise BadTable(
            f"{source.name} holds no features; export the objects from QuPath as GeoJSON again."
        )
    yield one


def _with_children(item: object) -> Iterator[object]:
    """An object, and those inside it where the hierarchy was exported."""
    yield item
    if isinstance(item, dict):
        properties = as_mapping(item.get("properties"))
        children = properties.get("childObjects", properties.get("children"))
        for child in children if isinstance(children, list) else ():
            yield from _with_children(child)


def _feature(item: object, number: int, source: Path) -> Feature:
    if not isinstance(item, dict):
        raise BadTable(f"Object {number} of {source.name} is no GeoJSON feature; export it again.")
    properties = as_mapping(item.get("properties"))
    name, key = properties.get("name"), item.get("id")
    early = _EARLY_TYPES.get(key, "annotation") if isinstance(key, str) else "annotation"
    object_type = properties.get("objectType", properties.get("object_type", early))
    outer, nucleus = item.get("geometry"), item.get("nucleusGeometry")
    feature = Feature(
        source=source.name,
        number=number,
        id=str(key) if isinstance(key, (str, int)) and key not in _EARLY_TYPES else None,
        object_type=str(object_type).lower(),
        name=name if isinstance(name, str) and name else None,
        classification=_classification(properties.get("classification")),
        outer=outer if isinstance(outer, dict) else None,
        nucleus=nucleus if isinstance(nucleus, dict) and nucleus else None,
        measurements=_measurements(properties.get("measurements")),
        metadata=_texts(properties.get("metadata")),
        is_missing=properties.get("isMissing") is True,
    )
    if outer is not None and feature.outer is None:
        raise feature.damaged(f"it is {type(outer).__name__}, no object")
    return feature


def _classification(value: object) -> str | None:
    if isinstance(value, dict):
        names = value.get("names")
        value = ": ".join(map(str, names)) if isinstance(names, list) else value.get("name")
    return value if isinstance(value, str) and value else None


def _measurements(value: object) -> Mapping[str, float]:
    if isinstance(value, list):  # QuPath before 0.4: [{"name": …, "value": …}]
        pairs = [(as_mapping(m).get("name"), as_mapping(m).get("value")) for m in value]
    else:
        pairs = list(as_mapping(value).items())
    return {str(name): _float(number) for name, number in pairs if isinstance(number, (int, float))}


def _float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        return float("nan")


def _texts(value: object) -> Mapping[str, str]:
    return {str(name): text for name, text in as_mapping(value).items() if isinstance(text, str)}
