"""Cells as QuPath GeoJSON: one detection object of type "cell" each, outlines in level-0 pixels."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from anndata import AnnData

from napari_past.errors import MissingPixelSize
from napari_past.files import atomic_write
from napari_past.io.cell_ids import named_id
from napari_past.io.empty_texts import EMPTY_TEXTS, empty_texts
from napari_past.io.expression import OnRows, expression_blocks, no_step
from napari_past.io.file_columns import FileColumn, to_json
from napari_past.io.geojson_names import (
    CENTROID,
    ORIGINAL_ID,
    first_class,
    is_class,
    names_of,
    texts,
)
from napari_past.io.outlines import CELL_OUTLINE, OUTLINE
from napari_past.io.provenance import KEY, Provenance
from napari_past.io.settled import settled
from napari_past.space import level0_px_from_um
from napari_past.stain import CLASS_COLOURS, CLASS_NAMES

_DECIMALS_PX = 2
_ROWS = 512
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def write_geojson(
    adata: AnnData, path: str | Path, mpp: float | None = None, on_rows: OnRows = no_step
) -> None:
    """Write the cells for QuPath, one feature after the other.

    Each has the outline of its nucleus as ``nucleusGeometry`` and that of the whole cell as
    ``geometry``, where only one is known that one (a point where none is); the class of the first
    ``…_class`` column as classification, else the class it was brought with, else its type. Its
    measurements are the centroid in µm, the numeric columns of ``obs``, the number of every class
    and each gene's value with its unit; a number that is missing has no measurement. Its metadata
    are the texts of ``obs``, notes among them. An id that is no UUID becomes one, and stays as
    metadata "Original id". Embeddings are left out. A foreign member ``napari_past`` tells µm/px,
    axes, units, slide, model, evidence and the research-use sentence. The same table gives the
    same bytes.

    Parameters
    ----------
    adata
        The table; positions and outlines in µm of slide space.
    path
        The file; replaced when the new one is complete.
    mpp
        µm per level-0 pixel; the table's own if omitted.
    on_rows
        Called after every few thousand cells with the number written.

    Raises
    ------
    MissingPixelSize
        The table does not tell its slide's µm/px, and none is given.
    CannotWrite
        The folder is missing or read-only, or the disk is full.
    """
    if mpp is None:
        mpp = Provenance.of(adata.uns.get(KEY)).slide_mpp
    if mpp is None:
        raise MissingPixelSize(
            "GeoJSON is in pixels, but the table does not tell µm/px; give it with mpp=… or --mpp."
        )
    adata = settled(adata)
    columns, genes = names_of(adata)
    geometry = "geometry is in level-0 pixels of mpp µm, (x, y); centroids and areas are in µm"
    told = {
        **to_json(adata, columns, genes),
        EMPTY_TEXTS: empty_texts(adata, columns),
        "mpp": mpp,
        "geometry": geometry,
    }
    member = json.dumps(told, ensure_ascii=False, allow_nan=False)
    with atomic_write(path) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as f:
        f.write(f'{{"type":"FeatureCollection","{KEY}":{member},"features":[')
        for i, feature in enumerate(_features(adata, mpp, columns, genes, on_rows)):
            f.write(",\n" if i else "\n")
            f.write(feature)
        f.write("\n]}\n")


def _features(
    adata: AnnData,
    mpp: float,
    columns: tuple[FileColumn, ...],
    genes: tuple[str, ...],
    on_rows: OnRows,
) -> Iterator[str]:
    for rows, values in expression_blocks(adata, on_rows):
        # Lists of lists that live on together keep Python's garbage collector busy.
        for start in range(rows.start, rows.stop, _ROWS):
            part = slice(start, min(start + _ROWS, rows.stop))
            expression = values[part.start - rows.start : part.stop - rows.start]
            yield from _block(adata, part, expression, mpp, columns, genes)


def _block(
    adata: AnnData,
    rows: slice,
    values: npt.NDArray[np.float32],
    mpp: float,
    columns: tuple[FileColumn, ...],
    genes: tuple[str, ...],
) -> Iterator[str]:
    """The features of some rows as texts."""
    measured = [c for c in columns if is_class(c) or not c.is_text]
    described = [c for c in columns if c.is_text and not is_class(c)]
    classes = first_class(columns)
    ids = [str(name) for name in adata.obs_names[rows]]
    centers_um = np.asarray(adata.obsm["spatial"][rows], dtype=np.float64)[:, :2]
    numbers = [_numbers(adata, c, rows) for c in measured]
    lines = [texts(adata.obs[c.key].iloc[rows]) for c in described]
    kinds = None if classes is None else texts(adata.obs[classes.key].iloc[rows])
    nuclei = _polygons(adata, OUTLINE, rows, mpp)
    outer = _polygons(adata, CELL_OUTLINE, rows, mpp)
    points = level0_px_from_um(centers_um, mpp).round(_DECIMALS_PX).tolist()
    names = (*CENTROID, *(c.name for c in measured), *genes)
    table = zip(*centers_um.T.tolist(), *numbers, *_shortest(values.T), strict=True)
    for i, row in enumerate(table):
        properties: dict[str, object] = {"objectType": "cell"}
        kind = None if kinds is None else kinds[i]
        if kind:
            properties["classification"] = _classification(kind, classes)
        metadata = {} if _UUID.fullmatch(ids[i]) else {ORIGINAL_ID: ids[i]}
        for column, told in zip(described, lines, strict=True):
            text = told[i]
            if text:
                metadata[column.name] = text
        if metadata:
            properties["metadata"] = metadata
        properties["measurements"] = {
            name: v for name, v in zip(names, row, strict=True) if math.isfinite(v)
        }
        key = named_id(ids[i]) if ORIGINAL_ID in metadata else ids[i]
        geometry = outer[i] or nuclei[i]
        if geometry is None:
            geometry = _json({"type": "Point", "coordinates": points[i]})
        nucleus = "" if nuclei[i] is None else f'"nucleusGeometry":{nuclei[i]},'
        yield (
            f'{{"type":"Feature","id":{_json(key)},"geometry":{geometry},{nucleus}'
            f'"properties":{_json(properties)}}}'
        )


def _json(value: object) -> str:
    # json.dump would walk the value in Python, several times slower.
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _classification(kind: str, column: FileColumn | None) -> dict[str, object]:
    if column is not None and is_class(column):
        return {"name": kind, "color": CLASS_COLOURS[CLASS_NAMES.index(kind)]}
    # QuPath has its own colours for classes that it knows, and finds some for others.
    return {"names": kind.split(": ")} if ": " in kind else {"name": kind}


def _polygons(adata: AnnData, key: str, rows: slice, mpp: float) -> list[str | None]:
    """The outline of each cell as the text of a geometry, None where it has none."""
    if key not in adata.obsm:
        return [None] * (rows.stop - rows.start)
    outlines_um = np.asarray(adata.obsm[key][rows], dtype=np.float32)
    present = np.isfinite(outlines_um).all(axis=2)
    counts = present.sum(axis=1)
    xy_px = level0_px_from_um(outlines_um[present], mpp).round(_DECIMALS_PX).ravel().tolist()
    found: list[str | None] = []
    start = 0
    for count in (2 * counts).tolist():
        ring = xy_px[start : start + count]
        start += count
        # Formatted as a whole: a list for each vertex would take longer than all else.
        found.append(_polygon_form(count // 2) % (*ring, *ring[:2]) if count >= 6 else None)
    return found


@cache
def _polygon_form(vertices: int) -> str:
    """A polygon of so many vertices and the first again, to be filled with its numbers."""
    ring = ",".join(["[%r,%r]"] * (vertices + 1))
    return f'{{"type":"Polygon","coordinates":[[{ring}]]}}'


def _numbers(adata: AnnData, column: FileColumn, rows: slice) -> list[float]:
    """A column of ``obs`` as numbers; a class as 0 to 3; NaN where it is missing."""
    values = adata.obs[column.key].iloc[rows]
    if is_class(column):
        return [float(code) if code >= 0 else math.nan for code in values.cat.codes]
    if values.dtype == np.float32:
        return _shortest(values.to_numpy())
    return values.to_numpy(dtype=np.float64, na_value=math.nan).tolist()


def _shortest(values: npt.NDArray[np.floating]) -> list:
    """The values as Python floats that print as short as the float32 does: 0.7, not 0.699999988."""
    return values.astype(np.float32).astype("U16").astype(np.float64).tolist()
