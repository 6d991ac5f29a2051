"""Outlines of cells as geometries, and as well-known text."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from napari_past.errors import BadTable
from napari_past.io.expression import ROWS
from napari_past.io.outlines import MOST_VERTICES, padded

_DECIMALS_UM = 3


def outline_shapes(outlines_um: npt.NDArray[np.floating]) -> npt.NDArray[np.object_]:
    """A polygon for each row of (n, K, 2), None where it has fewer than three vertices."""
    rows = np.asarray(outlines_um, dtype=np.float64)
    present = np.isfinite(rows).all(axis=2)
    present &= (present.sum(axis=1) >= 3)[:, None]
    shapes = np.full(len(rows), None, dtype=object)
    having = np.flatnonzero(present.any(axis=1))
    if len(having):
        indices = np.repeat(np.arange(len(having)), present[having].sum(axis=1))
        rings = shapely.linearrings(rows[present], indices=indices)
        shapes[having] = shapely.polygons(rings)
    return shapes


def outlines_of_shapes(shapes: npt.NDArray[np.object_]) -> npt.NDArray[np.float32]:
    """(n, K, 2), the vertices of each polygon's outer ring; all NaN for None and for points."""
    rings = shapely.get_exterior_ring(shapes)  # None of what is no polygon
    lengths = np.maximum(shapely.get_num_coordinates(rings) - 1, 0)
    xy, index = shapely.get_coordinates(rings, return_index=True)
    last = np.append(index[1:] != index[:-1], np.ones(min(len(index), 1), np.bool_))
    vertices = xy[~last]
    if lengths.max(initial=0) > MOST_VERTICES:
        return padded(np.split(vertices, np.cumsum(lengths)[:-1]))
    whole = np.full((len(lengths), max(int(lengths.max(initial=0)), 1), 2), np.nan, np.float32)
    whole[np.arange(whole.shape[1]) < lengths[:, None]] = vertices
    return whole


def outlines_of_blocks(blocks: Iterable[npt.NDArray[np.object_]]) -> npt.NDArray[np.float32]:
    """As `outlines_of_shapes`, of geometries in blocks: all at once as objects they would take
    several times the room of their vertices."""
    parts = [outlines_of_shapes(shapes) for shapes in blocks]
    width = max((part.shape[1] for part in parts), default=1)
    whole = np.full((sum(map(len, parts)), width, 2), np.nan, np.float32)
    stop = len(whole)
    while parts:
        part = parts.pop()
        whole[stop - len(part) : stop, : part.shape[1]] = part
        stop -= len(part)
    return whole


def outline_texts(outlines_um: npt.NDArray[np.floating]) -> list[str]:
    """Each row's polygon as well-known text in µm, to 1 nm; empty where it has none."""
    shapes = outline_shapes(outlines_um)
    texts = shapely.to_wkt(shapes, rounding_precision=_DECIMALS_UM, trim=True)
    return [text or "" for text in texts]


def outlines_of_texts(texts: pd.Series, source: Path) -> npt.NDArray[np.float32]:
    """(n, K, 2) of well-known texts; all NaN where one is empty or missing.

    Raises
    ------
    BadTable
        A text that is no geometry.
    """
    given = texts.where(texts.notna() & (texts != ""), None).to_numpy(dtype=object)
    try:
        return outlines_of_blocks(
            shapely.from_wkt(given[start : start + ROWS]) for start in range(0, len(given), ROWS)
        )
    except (shapely.errors.ShapelyError, TypeError, ValueError) as exc:
        raise BadTable(
            f"{source.name} has an outline that is no polygon as well-known text ({exc}); correct "
            f"or delete the column {texts.name}."
        ) from exc
