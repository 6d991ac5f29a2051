"""Grids as QuPath GeoJSON, a TMA core for each position.

QuPath (0.4 to 0.6) writes ``objectType`` "tmaCore", ``isMissing``, the name, and metadata with the
case as "Case ID" ("Unique ID" before 0.5); the outline is a polygon that a member ``isEllipse``
says to be the circle in its bounding box.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import shapely
from shapely.geometry import mapping

from napari_past.errors import BadTable
from napari_past.files import atomic_write
from napari_past.io.cell_ids import named_id
from napari_past.io.geojson_document import TMA_CORE_TYPES, Feature, open_document
from napari_past.io.provenance import KEY, SCHEMA_VERSION
from napari_past.space import level0_px_from_um
from napari_past.tma.grid import TmaCore, TmaGrid, in_order, position_of
from napari_past.tma.lattice import find_axes, fit_lattice
from napari_past.types import RESEARCH_USE

CASE, OLD_CASE = "Case ID", "Unique ID"
"""QuPath's names for the case among a core's metadata."""
_ROW, _COLUMN, _FRACTION = "TMA row", "TMA column", "Tissue fraction"
_DECIMALS_PX = 2
_MOST_LINES = 200
"""Rows or columns of a file that is believed: needles of 0.6 mm fill a slide with less than 100."""


def write_tma(grid: TmaGrid, path: str | Path, mpp: float) -> None:
    """Write every position, the missing ones marked, in level-0 pixels of `mpp` µm.

    Measurements have the row and the column, from 1, and the share of the disc that is tissue;
    metadata the case and the spreadsheet's further columns. The same grid gives the same bytes.

    Raises
    ------
    CannotWrite
        The folder is missing or read-only, or the disk is full.
    """
    document = {
        "type": "FeatureCollection",
        KEY: {
            "schema_version": SCHEMA_VERSION,
            "research_use": RESEARCH_USE,
            "mpp": mpp,
            "rows": grid.rows,
            "columns": grid.columns,
        },
        "features": [_feature(core, mpp) for core in grid.cores],
    }
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    with atomic_write(path) as unfinished:
        unfinished.write_text(text + "\n", encoding="utf-8", newline="\n")


def _feature(core: TmaCore, mpp: float) -> dict[str, object]:
    disc_px = shapely.transform(
        core.disc_um, lambda um: level0_px_from_um(um, mpp).round(_DECIMALS_PX)
    )
    measurements: dict[str, float] = {_ROW: core.row + 1, _COLUMN: core.column + 1}
    if not math.isnan(core.tissue_fraction):
        measurements |= {_FRACTION: round(core.tissue_fraction, 3)}
    properties: dict[str, object] = {
        "objectType": "tmaCore",
        "name": core.name,
        "isMissing": core.is_missing,
        "measurements": measurements,
    }
    metadata = {**({CASE: core.case} if core.case else {}), **core.columns}
    if metadata:
        properties["metadata"] = metadata
    return {
        "type": "Feature",
        "id": named_id(f"core {core.name} {disc_px.wkt}"),
        "geometry": {**mapping(disc_px), "isEllipse": True},
        "properties": properties,
    }


def read_tma(path: str | Path, mpp: float | None = None) -> TmaGrid:
    """The grid of a QuPath GeoJSON file, gzipped or not.

    A core's position is what the file says of it (ours do), else what its name says ("A-1", "A1"),
    else where it lies among the others. What is no TMA core is passed over.

    Parameters
    ----------
    mpp
        µm per level-0 pixel of the slide; what the file tells if omitted.

    Raises
    ------
    MissingPixelSize
        The file does not tell µm/px, and none is given.
    BadTable
        No such file, no GeoJSON, no TMA core in it, or cores that form no grid.
    RegionError
        Two cores of one name or at one position.
    """
    document = open_document(path)
    found = [f for f in document.features() if f.object_type in TMA_CORE_TYPES]
    if not found:
        raise BadTable(
            f"{document.source.name} holds no TMA core; export the cores from QuPath, or find them "
            "with `napari-past tma`."
        )
    scale = document.require_mpp(mpp)
    places = [_circle_um(feature, scale) for feature in found]
    positions = _positions(found, [center for center, _ in places], document.source.name)
    return TmaGrid(in_order([
        _core(feature, *position, *place)
        for feature, position, place in zip(found, positions, places, strict=True)
    ]))  # fmt: skip


def grid_in(path: str | Path, mpp: float | None = None) -> TmaGrid | None:
    """The grid of a GeoJSON file as `read_tma` gives it; None where it holds no TMA core.

    Raises
    ------
    MissingPixelSize, BadTable, RegionError
        As `read_tma`.
    """
    document = open_document(path)
    if all(feature.object_type not in TMA_CORE_TYPES for feature in document.features()):
        return None
    return read_tma(path, mpp)


def _core(
    feature: Feature, row: int, column: int, center_um: tuple[float, float], diameter_um: float
) -> TmaCore:
    told = dict(feature.metadata)
    case = told.pop(CASE, "") or told.pop(OLD_CASE, "")
    told.pop(OLD_CASE, None)
    return TmaCore(
        feature.name or f"Core {feature.number}",
        row,
        column,
        center_um,
        diameter_um,
        is_missing=feature.is_missing,
        tissue_fraction=feature.measurements.get(_FRACTION, math.nan),
        case=case,
        columns=told,
    )


def _circle_um(feature: Feature, mpp: float) -> tuple[tuple[float, float], float]:
    """Centre and diameter of the circle in a core's bounding box."""
    geometry = feature.geometry
    if geometry is None or geometry.is_empty:
        raise BadTable(
            f"Core {feature.name or feature.number} of {feature.source} has no outline; export it "
            "again."
        )
    x0, y0, x1, y1 = (mpp * value for value in geometry.bounds)
    return ((x0 + x1) / 2, (y0 + y1) / 2), ((x1 - x0) + (y1 - y0)) / 2


def _positions(
    features: list[Feature], centers_um: list[tuple[float, float]], source: str
) -> list[tuple[int, int]]:
    told = [_told(feature) for feature in features]
    if _all_once(told):
        return [position for position in told if position is not None]
    named = [position_of(feature.name or "") for feature in features]
    if _all_once(named):
        return [position for position in named if position is not None]
    centers = np.array(centers_um)
    if len(centers) == 1:
        return [(0, 0)]
    axes = find_axes(centers)
    lattice = None if axes is None else fit_lattice(centers, np.ones(len(centers)), axes)
    if lattice is None or len(lattice.index) < len(centers):
        raise BadTable(
            f"The cores of {source} have no names like A-1 and lie in no rows and columns; name "
            "them in QuPath (TMA > Relabel TMA grid) and export them again."
        )
    return [(int(row), int(column)) for row, column in lattice.row_column]


def _told(feature: Feature) -> tuple[int, int] | None:
    row, column = (feature.measurements.get(name, math.nan) for name in (_ROW, _COLUMN))
    known = 1 <= row <= _MOST_LINES and 1 <= column <= _MOST_LINES
    return (int(row) - 1, int(column) - 1) if known else None


def _all_once(positions: Iterable[tuple[int, int] | None]) -> bool:
    known = list(positions)
    return None not in known and len(set(known)) == len(known)
