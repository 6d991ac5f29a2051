"""Cells of QuPath GeoJSON: cells, detections, or annotations that stand for cells.

Features are read one after the other and kept as numbers, so that a million of them fit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import shapely

from napari_past.brought.gathering import Gathered
from napari_past.brought.pairs import with_cells_around
from napari_past.cells.brought import BroughtCells
from napari_past.errors import BadTable
from napari_past.io.geojson_document import CELL_TYPES, Feature, Geometry, open_document
from napari_past.io.growing import GrowingColumns

_BATCH = 4096
_NUCLEI, _CELLS = "Nuclei", "Cells"
"""Classes by which InstanSeg's Python package tells its two outlines apart."""


def qupath_cells(path: Path, mpp: float) -> BroughtCells:
    """Cells and detections of a file; where it has none, its annotations.

    Of a cell with a nucleus, the nucleus is the outline and the cell's own goes along. What came
    with them are columns: measurements, "classification", "name" and metadata.

    Parameters
    ----------
    path
        GeoJSON, gzipped or not.
    mpp
        µm of a level-0 pixel.

    Raises
    ------
    BadTable
        No GeoJSON, or no cells in it.
    """
    document = open_document(path)
    read = _Read(mpp)
    read.add(f for f in document.features() if f.object_type in CELL_TYPES)
    notes = []
    if not read.ids:
        read.add(f for f in document.features() if f.object_type == "annotation")
        if read.ids:
            notes.append("The file holds annotations alone; each was taken for a cell.")
    return read.cells(path.name, notes)


class _Read:
    """What has been read of a file."""

    def __init__(self, mpp: float) -> None:
        self._mpp = mpp
        self._gathered = Gathered()
        self._numbers = GrowingColumns(None, np.float64)
        self._texts: dict[str, dict[int, str]] = {}
        self.ids: list[str] = []

    def add(self, features: Iterable[Feature]) -> None:
        cells = (cell for feature in features for cell in _cells(feature))
        while batch := list(islice(cells, _BATCH)):
            first = len(self.ids)
            self._gathered.add(self._um(g for _, g, _ in batch), self._um(g for _, _, g in batch))
            if not self._numbers.add([feature.measurements for feature, _, _ in batch]):
                raise BadTable(
                    f"The cells of {batch[0][0].source} have {len(self._numbers.names)} different "
                    "measurements, and each has few of them; export them with the same "
                    "measurements."
                )
            for i, (feature, _, _) in enumerate(batch, start=first):
                self.ids.append(feature.id or "")
                told = {"classification": feature.classification, "name": feature.name}
                for name, text in {**feature.metadata, **told}.items():
                    if text:
                        self._texts.setdefault(name, {})[i] = text

    def _um(self, geometries_px: Iterable[shapely.Geometry | None]) -> npt.NDArray[np.object_]:
        shapes = np.array(list(geometries_px), dtype=object)
        scaled: npt.NDArray[np.object_] = shapely.transform(shapes, lambda xy: xy * self._mpp)
        return scaled

    def cells(self, source: str, notes: list[str]) -> BroughtCells:
        n = len(self.ids)
        numbers = self._numbers.matrix()
        columns: dict[str, npt.NDArray] = {
            name: numbers[:, i] for i, name in enumerate(self._numbers.names)
        }
        for name, values in sorted(self._texts.items()):
            texts = np.full(n, "", dtype=object)
            texts[list(values)] = list(values.values())
            columns[name] = texts
        found = self._gathered.cells(
            ids=self.ids, columns=columns, source=source, kind="QuPath GeoJSON", notes=notes
        )
        return _paired(found)


def _cells(
    feature: Feature,
) -> Iterator[tuple[Feature, shapely.Geometry | None, shapely.Geometry | None]]:
    """The one cell of a feature, with the outlines of nucleus and cell, or each point of many."""
    geometry = _shape(feature, feature.nucleus or feature.outer)
    if geometry is not None and geometry.geom_type == "MultiPoint":
        for point in geometry.geoms:
            yield feature, point, None
        return
    both = feature.nucleus is not None and feature.outer != feature.nucleus
    yield feature, geometry, _shape(feature, feature.outer) if both else None


def _shape(feature: Feature, told: Geometry | None) -> shapely.Geometry | None:
    """None for a geometry that is damaged; how many these are is told."""
    try:
        return None if told is None else feature.shape(told)
    except BadTable:
        return None


def _paired(found: BroughtCells) -> BroughtCells:
    """Of InstanSeg's nuclei and cells, which are detections of two classes, the nuclei with the
    cells around them; a cell without nucleus stays."""
    classes = found.columns.get("classification")
    if classes is None or set(classes.tolist()) != {_NUCLEI, _CELLS}:
        return found
    return with_cells_around(found, np.asarray(classes == _NUCLEI))
