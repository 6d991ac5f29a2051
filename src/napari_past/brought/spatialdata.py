"""Cells of a SpatialData folder (.zarr): circles, polygons, points, or labels.

Positions lead through a coordinate system that they share with an image of the folder into pixels
of the slide, where one of the images shows the slide's field; else the unit is asked. The files
are those that SpatialData 0.1 to 0.7 documents, read with zarr, pyarrow and shapely.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
import zarr

from napari_past.brought.choice import Choice
from napari_past.brought.chunks import KeptChunks
from napari_past.brought.labels import cells_of_labels
from napari_past.brought.layers import cells_of_polygons
from napari_past.brought.reason import reason_of
from napari_past.brought.scale import SAME_FIELD, label_mpp
from napari_past.brought.tables import (
    columns_of,
    own_table_cells,
    table_cells,
    um_per_place,
)
from napari_past.cells.brought import BroughtCells
from napari_past.errors import BadTable, PastError
from napari_past.io.provenance import KEY
from napari_past.slide import Slide
from napari_past.spatial.anndata_slide import opened
from napari_past.spatial.boundaries import as_ids
from napari_past.spatial.errors import BadSource
from napari_past.spatial.ngff import Matrix, systems

_PREFERRED = ("nucleus_boundaries", "cell_boundaries", "cell_circles")
"""Elements of cells by the names that spatialdata-io gives, best first."""
_CIRCLE_POINTS = 8
"""A quarter of a circle."""


def is_spatialdata(folder: Path) -> bool:
    """Whether a folder is laid out as SpatialData writes it."""
    return any((folder / name).is_dir() for name in ("shapes", "tables", "table")) or (
        (folder / "labels").is_dir() and (folder / "images").is_dir()
    )


def spatialdata_cells(folder: Path, slide: Slide, choice: Choice) -> BroughtCells:
    """The cells of the element that is chosen, or of the only one.

    Raises
    ------
    BadTable
        No element of cells, several of which none was chosen, damaged, or no way to the slide.
    """
    try:
        return _cells(folder, slide, choice)
    except BadSource as exc:
        raise BadTable(str(exc)) from exc
    except PastError:
        raise
    except Exception as exc:  # zarr, pyarrow, shapely and malformed metadata raise many types
        reason = reason_of(exc, folder)
        raise BadTable(
            f"{folder.name} is a SpatialData folder that cannot be read ({reason}); copy it again "
            "from where it came from."
        ) from exc


def _cells(folder: Path, slide: Slide, choice: Choice) -> BroughtCells:
    tables = {p.name: p for g in ("tables", "table") for p in _groups(folder / g)}
    if choice.name is None:
        for place in tables.values():
            if (place / "uns" / KEY).is_dir():  # ours: all of it is in the table
                return own_table_cells(folder, slide, "SpatialData")
    shapes = [p.name for p in _groups(folder / "shapes")]
    labels = [p.name for p in _groups(folder / "labels")]
    names = shapes + [n for n in labels if n not in shapes]
    if not names:
        for place in tables.values():
            table = opened(place)
            if "spatial" in table.obsm:
                return table_cells(table, slide, choice, folder.name, "SpatialData table")
        raise BadTable(
            f"{folder.name} holds no shapes, no labels and no table with positions; give a "
            "SpatialData folder with cells."
        )
    preferred = [n for n in _PREFERRED if n in shapes]
    name = preferred[0] if choice.name is None and preferred else None
    name = name or choice.one_of(names, folder.name, "elements of cells")
    if name in shapes:
        found = _of_shapes(folder, name, slide, choice)
    else:
        found = _of_labels(folder, name, slide, choice)
    return _annotated(found, name, tables)


def _groups(folder: Path) -> list[Path]:
    return sorted(p for p in folder.glob("*") if p.is_dir() and not p.name.startswith("."))


def _of_shapes(folder: Path, name: str, slide: Slide, choice: Choice) -> BroughtCells:
    place = folder / "shapes" / name
    group = zarr.open_group(place, mode="r")
    attributes: Any = dict(group.attrs)
    ids, geometry = _geometries(place)
    matrix, notes = _to_um(
        systems(attributes["coordinateTransformations"]),
        shapely.get_coordinates(shapely.centroid(geometry)),
        folder,
        slide,
        choice,
    )
    moved = shapely.transform(geometry, lambda xy: _through(matrix, xy))
    return cells_of_polygons(
        moved.tolist(), ids, None, f"{folder.name}/{name}", "SpatialData shapes", notes=notes
    )


def _geometries(place: Path) -> tuple[list[str], npt.NDArray[np.object_]]:
    """Ids and polygons of an element; circles as polygons."""
    table = place / "shapes.parquet"
    if not table.exists():
        raise BadTable(
            f"{place.name} was written by an early version of SpatialData (0.1); read it with "
            "spatialdata and write it again."
        )
    frame = pd.read_parquet(table)
    values = frame["geometry"].to_numpy(object)
    if len(values) and not isinstance(values[0], bytes):
        raise ValueError("geometries are not written as WKB")
    geometry: npt.NDArray[np.object_] = np.asarray(shapely.from_wkb(values), object)
    if "radius" in frame and (shapely.get_type_id(geometry) == 0).all():
        radius = frame["radius"].to_numpy(np.float64)
        geometry = shapely.buffer(geometry, radius, quad_segs=_CIRCLE_POINTS)
    return as_ids(pd.Series(frame.index)).tolist(), geometry


def _of_labels(folder: Path, name: str, slide: Slide, choice: Choice) -> BroughtCells:
    group = zarr.open_group(folder / "labels" / name, mode="r")
    attributes: Any = dict(group.attrs)
    scales = attributes.get("ome", attributes)["multiscales"][0]
    array = group[scales["datasets"][0]["path"]]
    if not isinstance(array, zarr.Array) or array.ndim != 2:
        raise BadTable(f"{name} of {folder.name} is no plane of labels; give labels in y and x.")
    source = f"{folder.name}/{name}"
    way = _way_to(folder, systems(scales["coordinateTransformations"]), slide)
    corner_um, mpp_xy = (0.0, 0.0), None
    if way is not None and choice.mpp is None:
        matrix = way
        if abs(matrix[0, 1]) + abs(matrix[1, 0]) > 1e-6 or min(matrix[0, 0], matrix[1, 1]) <= 0:
            raise BadTable(
                f"{source} is turned or sheared against the slide; write its cells as shapes."
            )
        mpp_xy = (float(matrix[0, 0]), float(matrix[1, 1]))
        corner_um = (float(matrix[0, 2]), float(matrix[1, 2]))
    if mpp_xy is None:
        mpp_xy = label_mpp(array.shape[0], array.shape[1], slide, choice, source)
    return cells_of_labels(
        KeptChunks(array, (), source), mpp_xy, *corner_um, source, "SpatialData labels"
    )


def _to_um(
    elements: Mapping[str, Matrix],
    xy: npt.NDArray[np.float64],
    folder: Path,
    slide: Slide,
    choice: Choice,
) -> tuple[Matrix, tuple[str, ...]]:
    """What leads from an element's coordinates to µm of slide space."""
    way = _way_to(folder, elements, slide) if choice.unit is None else None
    if way is not None:
        return way, ()
    matrix = elements.get("global", next(iter(elements.values())))
    factor, notes = um_per_place(_through(matrix, xy), slide, choice, folder.name)
    return np.diag([factor, factor, 1.0]) @ matrix, notes


def _way_to(folder: Path, elements: Mapping[str, Matrix], slide: Slide) -> Matrix | None:
    """Into µm of the slide, through the largest image that shows its field and shares a system."""
    mpp = slide.require_mpp()
    level = slide.levels[0]
    best: tuple[int, Matrix] | None = None
    for place in _groups(folder / "images"):
        group = zarr.open_group(place, mode="r")
        attributes: Any = dict(group.attrs)
        scales = attributes.get("ome", attributes)["multiscales"][0]
        axes = [axis["name"] for axis in scales["axes"]]
        array = group[scales["datasets"][0]["path"]]
        shape = dict(zip(axes, array.shape, strict=True))  # type: ignore[union-attr]
        into = systems(scales["coordinateTransformations"])
        shared = [system for system in elements if system in into]
        x, y = level.width_px / shape["x"], level.height_px / shape["y"]
        if not shared or abs(x / y - 1) > SAME_FIELD:
            continue
        if best is not None and best[0] >= shape["x"]:
            continue
        matrix = np.linalg.inv(into[shared[0]]) @ elements[shared[0]]
        best = shape["x"], np.diag([x * mpp, y * mpp, 1.0]) @ matrix
    return None if best is None else best[1]


def _through(matrix: Matrix, xy: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(xy[:, :2] @ matrix[:2, :2].T + matrix[:2, 2], np.float64)


def _annotated(found: BroughtCells, name: str, tables: Mapping[str, Path]) -> BroughtCells:
    """With the columns of the table that annotates the element, where there is one."""
    for place in tables.values():
        attributes: Any = dict(zarr.open_group(place, mode="r").attrs)
        region = attributes.get("region")
        regions = [region] if isinstance(region, str) else list(region or ())
        if name not in regions:
            continue
        obs = opened(place).obs
        rows = obs[obs[attributes["region_key"]].astype(str) == name]
        ids = as_ids(rows[attributes["instance_key"]])
        drop = [attributes["region_key"], attributes["instance_key"]]
        rows = rows.drop(columns=drop).set_axis(ids.tolist(), axis=0)
        rows = rows[~rows.index.duplicated()]
        matched = rows.reindex(list(found.found.ids))
        missing = int((~pd.Index(found.found.ids).isin(rows.index)).sum())
        notes = found.notes
        if missing:
            notes = (*notes, f"{missing} of {len(found)} cells have no row in {place.name}.")
        return replace(found, columns=columns_of(matched), notes=notes)
    return found
