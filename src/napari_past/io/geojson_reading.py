"""The cells of QuPath GeoJSON, ours or of others, read a feature at a time into arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from anndata import AnnData

from napari_past.errors import BadTable
from napari_past.io.cell_ids import named_id, position_ids
from napari_past.io.empty_texts import EMPTY_TEXTS, with_empty_texts
from napari_past.io.file_columns import (
    FileColumn,
    columns_from_json,
    gene_names_from_json,
    restored,
    uns_from_json,
    var_from_json,
)
from napari_past.io.geojson_document import CELL_TYPES, Document, Feature, Geometry, open_document
from napari_past.io.geojson_names import (
    CENTROID,
    CLASSIFICATION,
    ORIGINAL_ID,
    gene_measurement,
    is_class,
    measurement,
)
from napari_past.io.growing import GrowingColumns, GrowingOutlines, GrowingTexts, joined
from napari_past.io.outlines import CELL_OUTLINE, OUTLINE
from napari_past.io.provenance import KEY, SCHEMA_VERSION, Provenance
from napari_past.space import um_from_level0_px
from napari_past.stain import CLASS_NAMES
from napari_past.types import RESEARCH_USE

_BATCH = 4096


def read_geojson(path: str | Path, mpp: float | None = None) -> AnnData:
    """The cells of a QuPath GeoJSON file, gzipped or not, read a feature at a time.

    Cells and detections are taken; in a file that has neither, every annotation is a cell, and each
    point of a multi-point one. The outline is that of the nucleus where there is one; that of the
    whole cell is then ``obsm["cell_outline_um"]``. A cell keeps its id; one without gets it from
    its position. In a file of ours the genes, columns and positions are restored; from other files,
    measurements and metadata become columns of ``obs`` and the class a column ``classification``.
    Holes, smaller parts and vertices above 256 of an outline are dropped.

    Parameters
    ----------
    path
        The file.
    mpp
        µm per level-0 pixel of the slide; what the file tells if omitted.

    Raises
    ------
    MissingPixelSize
        The file does not tell µm/px, and none is given.
    BadTable
        No such file, no GeoJSON, a geometry that is neither polygon nor point, or one id twice.
    """
    document = open_document(path)
    scale = document.require_mpp(mpp)
    try:
        read = _Read(document, scale)
        read.add(f for f in document.features() if f.object_type in CELL_TYPES)
        if not read.ids:
            read.add(f for f in document.features() if f.object_type == "annotation")
        return read.table()
    except (ArithmeticError, LookupError, TypeError, ValueError) as exc:
        raise BadTable(
            f"{document.source.name} holds what does not fit together ({exc}); export it again."
        ) from exc


class _Read:
    """What has been read of a file."""

    def __init__(self, document: Document, mpp: float) -> None:
        told = document.told
        self._document, self._mpp = document, mpp
        unit = Provenance.of(told).expression_unit
        genes = gene_names_from_json(told)
        if "columns" not in told:  # an early version named measurements by rule
            genes = tuple(gene_measurement(gene, unit) for gene in genes)
        self._columns = columns_from_json(told, measurement)
        measured = [c.name for c in self._columns if _is_number(c)] if told else []
        self._genes = GrowingColumns(genes, np.float32)
        self._numbers = GrowingColumns((*CENTROID, *measured) if told else None, np.float64)
        self._outlines, self._cell_outlines = GrowingOutlines(), GrowingOutlines()
        self._centers: list[npt.NDArray[np.float64]] = []
        self._areas: list[npt.NDArray[np.float64]] = []
        self._texts = GrowingTexts()
        self.ids: list[str | None] = []

    def add(self, features: Iterable[Feature]) -> None:
        cells = (cell for feature in features for cell in _cells(feature))
        while batch := list(islice(cells, _BATCH)):
            self._add_batch(batch)

    def _add_batch(self, cells: list[_Cell]) -> None:
        centers_px, areas_px = _places(cells)
        self._centers.append(um_from_level0_px(centers_px, self._mpp))
        self._areas.append(areas_px * self._mpp**2)
        # Of a file of ours: an outline that is not the nucleus's is the cell's.
        lone = [bool(self._document.told) and not c.has_nucleus for c in cells]
        outlines = [None if bare else c.ring for c, bare in zip(cells, lone, strict=True)]
        outer = [c.ring if bare else c.outer for c, bare in zip(cells, lone, strict=True)]
        self._outlines.add([None if r is None else r * self._mpp for r in outlines])
        self._cell_outlines.add([None if r is None else r * self._mpp for r in outer])
        measured = [c.measurements for c in cells]
        self._genes.add(measured)
        described = [self._described(c) for c in cells]
        if not self._numbers.add(measured) or not self._texts.add(described):
            names = len(self._numbers.names) + len(self._texts.names)
            raise BadTable(
                f"The cells of {self._document.source.name} have {names} different measurements, "
                "and each has few of them; export them with the same measurements."
            )
        self.ids += [c.id for c in cells]

    def _described(self, cell: _Cell) -> Mapping[str, str]:
        """The texts of a cell; of other people's files its class is one."""
        if self._document.told or not cell.classification:
            return cell.metadata
        return {**cell.metadata, CLASSIFICATION: cell.classification}

    def table(self) -> AnnData:
        """All of it, as one table.

        Raises
        ------
        BadTable
            Two cells have one id.
        """
        document, told = self._document, self._document.told
        centers_um = joined(self._centers, np.zeros((0, 2)))
        areas_um2 = joined(self._areas, np.zeros(0))
        ids = position_ids(centers_um) if None in self.ids else []
        ids = [ids[i] if given is None else given for i, given in enumerate(self.ids)]
        if len(set(ids)) < len(ids):
            raise BadTable(f"{document.source.name} has two cells with one id; export it again.")
        numbers = self._numbers.matrix()
        place = {name: i for i, name in enumerate(self._numbers.names)}
        if told:
            told_um = numbers[:, :2] * (self._mpp / (document.mpp or self._mpp))
            centers_um = np.where(np.isfinite(told_um), told_um, centers_um)
            obs = pd.DataFrame(
                {c.key: self._restored(c, numbers, place, ids) for c in self._columns}, index=ids
            )
            uns: dict[str, object] = uns_from_json(told)
        else:
            columns: dict[str, object] = {name: numbers[:, place[name]] for name in sorted(place)}
            columns["area_um2"] = areas_um2.astype(np.float32)
            for name in sorted(set(self._texts.names) - {ORIGINAL_ID}):
                given = pd.Series(self._texts.column(name), index=ids, dtype=object)
                columns[name] = given.astype("category") if name == CLASSIFICATION else given
            obs = pd.DataFrame(columns, index=ids)
            slide: dict[str, object] = {"mpp": self._mpp}
            uns = {"schema_version": SCHEMA_VERSION, "research_use": RESEARCH_USE, "slide": slide}
        obsm = {"spatial": centers_um, OUTLINE: self._outlines.padded()}
        if self._cell_outlines.any:
            obsm[CELL_OUTLINE] = self._cell_outlines.padded()
        expression = self._genes.matrix()
        return AnnData(X=expression, obs=obs, var=var_from_json(told), obsm=obsm, uns={KEY: uns})

    def _restored(
        self,
        column: FileColumn,
        numbers: npt.NDArray[np.floating],
        place: dict[str, int],
        ids: list[str],
    ) -> pd.Series:
        if not _is_number(column):
            texts = pd.Series(self._texts.column(column.name), index=ids, dtype=object)
            empty = self._document.told.get(EMPTY_TEXTS)
            if isinstance(empty, dict):  # an early version wrote them
                texts = with_empty_texts(texts, column, empty)
            return restored(texts.to_numpy(), column, ids)
        values = numbers[:, place[column.name]]
        if is_class(column):
            known = np.isfinite(values) & (values >= 0) & (values < len(CLASS_NAMES))
            codes = np.where(known, values, 0).astype(np.int64)
            return restored(
                [CLASS_NAMES[c] if k else None for c, k in zip(codes, known, strict=True)],
                column,
                ids,
            )
        return restored(values, column, ids)


def _is_number(column: FileColumn) -> bool:
    return is_class(column) or not column.is_text


@dataclass(frozen=True)
class _Cell:
    """One cell of a feature, whose lists of coordinates are given back at once."""

    id: str | None
    ring: npt.NDArray[np.float64] | None
    """(k, 2) px, the first vertex not repeated; None for a point."""
    outer: npt.NDArray[np.float64] | None
    """Likewise of the whole cell, where it has an outline beside that of its nucleus."""
    place: tuple[float, float, float] | None
    """Centroid and area in pixels, where the ring alone does not tell them; no area of a point."""
    has_nucleus: bool
    classification: str | None
    measurements: Mapping[str, float]
    metadata: Mapping[str, str]


def _cells(feature: Feature) -> Iterator[_Cell]:
    """The one cell of an object with its polygon or point, or the many of a multi-point one."""
    told = feature.nucleus or feature.outer
    ring = None if told is None else _plain_ring(told)
    if ring is not None:
        yield _cell(feature, ring)
        return
    geometry = feature.geometry
    if geometry is not None and not geometry.is_empty:
        geometry = _largest(geometry)
        if geometry.geom_type == "Polygon":
            x, y = geometry.centroid.x, geometry.centroid.y
            yield _cell(feature, _exterior(geometry), (x, y, geometry.area))
            return
        if geometry.geom_type == "Point":
            yield _cell(feature, place=(geometry.x, geometry.y, 0.0))
            return
        if geometry.geom_type == "MultiPoint":
            one = feature.id or f"object {feature.number}"
            for i, point in enumerate(geometry.geoms):
                id = named_id(f"{one}/{i}")
                alone = replace(feature, id=id, measurements={}, metadata={})
                yield _cell(alone, place=(point.x, point.y, 0.0))
            return
    kind = "no geometry" if geometry is None else f"the geometry {geometry.geom_type}"
    raise BadTable(
        f"Object {feature.number} of {feature.source} has {kind}; a cell needs a polygon or a "
        "point."
    )


def _cell(
    feature: Feature,
    ring: npt.NDArray[np.float64] | None = None,
    place: tuple[float, float, float] | None = None,
) -> _Cell:
    return _Cell(
        id=feature.metadata.get(ORIGINAL_ID, feature.id),
        ring=ring,
        outer=_outer_ring(feature),
        place=place,
        has_nucleus=feature.nucleus is not None,
        classification=feature.classification,
        measurements=feature.measurements,
        metadata=feature.metadata,
    )


def _outer_ring(feature: Feature) -> npt.NDArray[np.float64] | None:
    if feature.nucleus is None or feature.outer is None or feature.outer == feature.nucleus:
        return None
    ring = _plain_ring(feature.outer)
    if ring is not None:
        return ring
    shape = _largest(feature.shape(feature.outer))
    return None if shape.geom_type != "Polygon" or shape.is_empty else _exterior(shape)


def _largest(geometry: shapely.Geometry) -> shapely.Geometry:
    parts = geometry.geom_type == "MultiPolygon" and not geometry.is_empty
    return max(geometry.geoms, key=lambda part: part.area) if parts else geometry


def _exterior(polygon: shapely.Polygon) -> npt.NDArray[np.float64]:
    return shapely.get_coordinates(polygon.exterior)[:-1]


def _plain_ring(told: Geometry) -> npt.NDArray[np.float64] | None:
    """The vertices of a polygon without holes; None of anything else, damaged ones among them."""
    rings = told.get("coordinates")
    if told.get("type") != "Polygon" or not isinstance(rings, list) or len(rings) != 1:
        return None
    try:
        ring = np.array(rings[0], dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        return None
    if ring.ndim != 2 or len(ring) < 4 or ring.shape[1] != 2 or not np.isfinite(ring).all():
        return None
    return ring[:-1] if (ring[0] == ring[-1]).all() else ring


def _places(
    cells: list[_Cell],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Centroids (n, 2) and areas (n,) in pixels; NaN for the area of a point."""
    centers, areas = np.empty((len(cells), 2)), np.full(len(cells), np.nan)
    plain = [i for i, c in enumerate(cells) if c.ring is not None and c.place is None]
    if plain:
        rings = [cells[i].ring for i in plain]
        indices = np.repeat(np.arange(len(rings)), [len(r) for r in rings if r is not None])
        joint = np.concatenate([r for r in rings if r is not None])
        shapes = shapely.polygons(shapely.linearrings(joint, indices=indices))
        centers[plain] = shapely.get_coordinates(shapely.centroid(shapes))
        found = shapely.area(shapes)
        areas[plain] = np.where(found > 0, found, np.nan)
    for i, cell in enumerate(cells):
        if cell.place is not None:
            centers[i], areas[i] = cell.place[:2], cell.place[2] or np.nan
    return centers, areas
