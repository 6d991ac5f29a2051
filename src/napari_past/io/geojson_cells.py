"""Cells as QuPath GeoJSON: one detection object of type "cell" each, outlines in level-0 pixels."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from anndata import AnnData

from napari_past.errors import BadTable, MissingPixelSize
from napari_past.files import atomic_write
from napari_past.io.cell_ids import named_id, position_ids
from napari_past.io.expression import expression_blocks
from napari_past.io.geojson_document import CELL_TYPES, Document, Feature, read_document
from napari_past.io.outlines import outline_array, padded, polygon
from napari_past.io.provenance import (
    CELL_TYPE,
    KEY,
    SCHEMA_VERSION,
    Provenance,
    obs_dtypes,
    to_json,
    typed,
    uns_from_json,
    var_from_json,
)
from napari_past.space import level0_px_from_um, um_from_level0_px
from napari_past.stain import CLASS_COLOURS, CLASS_NAMES
from napari_past.types import RESEARCH_USE

_CENTROID = ("Centroid X µm", "Centroid Y µm")
_QUPATH_NAMES = {
    "area_um2": "Nucleus: Area µm^2",
    "hematoxylin_od": "Nucleus: Hematoxylin OD mean",
}
_METADATA_TYPE = "Cell type"
_DECIMALS_PX = 2


def write_geojson(adata: AnnData, path: str | Path, mpp: float | None = None) -> None:
    """Write the cells for QuPath, one feature after the other.

    Each has its outline as ``geometry`` and ``nucleusGeometry`` (a point where it has none), the
    class of the first ``…_class`` column as classification, and as measurements the centroid in µm,
    the numeric columns of ``obs``, the number of every class and each gene's value with its unit; a
    missing number has no measurement. A cell's type is its metadata "Cell type", and its
    classification in a table without classes. Embeddings and other texts are left out. A foreign
    member ``napari_past`` tells µm/px, slide, model, evidence and the research-use sentence. The
    same table gives the same bytes.

    Parameters
    ----------
    adata
        The table; positions and outlines in µm of slide space.
    path
        The file; replaced when the new one is complete.
    mpp
        µm per level-0 pixel; the table's own if omitted.

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
    member = json.dumps({**to_json(adata), "mpp": mpp}, ensure_ascii=False, allow_nan=False)
    with atomic_write(path) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as f:
        f.write(f'{{"type":"FeatureCollection","{KEY}":{member},"features":[')
        for i, feature in enumerate(_features(adata, mpp)):
            f.write(",\n" if i else "\n")
            # json.dump would walk the feature in Python, several times slower.
            f.write(json.dumps(feature, ensure_ascii=False, allow_nan=False, separators=(",", ":")))
        f.write("\n]}\n")


def _features(adata: AnnData, mpp: float) -> Iterator[dict[str, object]]:
    unit = Provenance.of(adata.uns.get(KEY)).expression_unit
    gene_names = [_gene_measurement(str(gene), unit) for gene in adata.var_names]
    centers_um = np.asarray(adata.obsm["spatial"], dtype=np.float64)[:, :2]
    outlines_um = outline_array(adata)
    columns = {
        _measurement(str(c)): _numbers(adata.obs[c]).tolist()
        for c in adata.obs.columns
        if _is_class(c) or pd.api.types.is_numeric_dtype(adata.obs[c])
    }
    types = adata.obs[CELL_TYPE].astype(object).tolist() if CELL_TYPE in adata.obs else None
    first_class = next((_measurement(str(c)) for c in adata.obs.columns if _is_class(c)), None)
    ids = [str(name) for name in adata.obs_names]
    for rows, values in expression_blocks(adata):
        for i, expression in zip(range(rows.start, rows.stop), _shortest(values), strict=True):
            measured = dict(zip(_CENTROID, centers_um[i].tolist(), strict=True))
            measured |= {name: column[i] for name, column in columns.items()}
            measured |= dict(zip(gene_names, expression, strict=True))
            properties: dict[str, object] = {"objectType": "cell"}
            code = -1 if first_class is None else measured[first_class]
            if code >= 0:
                name, colour = CLASS_NAMES[int(code)], CLASS_COLOURS[int(code)]
                properties["classification"] = {"name": name, "color": colour}
            if types is not None and isinstance(types[i], str):
                # QuPath has its own colours for classes that it knows, and finds some for others.
                if first_class is None:
                    properties["classification"] = {"name": types[i]}
                properties["metadata"] = {_METADATA_TYPE: types[i]}
            properties["measurements"] = {k: v for k, v in measured.items() if math.isfinite(v)}
            feature: dict[str, object] = {"type": "Feature", "id": ids[i]}
            outline_um = polygon(outlines_um[i])
            if outline_um is None:
                xy_px = level0_px_from_um(centers_um[i], mpp).round(_DECIMALS_PX)
                feature["geometry"] = {"type": "Point", "coordinates": xy_px.tolist()}
            else:
                xy_px = level0_px_from_um(outline_um, mpp).round(_DECIMALS_PX)
                ring = [*xy_px.tolist(), xy_px[0].tolist()]
                feature["geometry"] = {"type": "Polygon", "coordinates": [ring]}
                feature["nucleusGeometry"] = feature["geometry"]
            feature["properties"] = properties
            yield feature


def _is_class(column: object) -> bool:
    return str(column).endswith("_class")


def _measurement(column: str) -> str:
    """The measurement's name of a column of ``obs``."""
    if _is_class(column):
        return f"{column.removesuffix('_class')} class"
    return _QUPATH_NAMES.get(column, column)


def _gene_measurement(gene: str, unit: str | None) -> str:
    return f"{gene} (predicted)" if unit is None else f"{gene} (predicted, {unit})"


def _numbers(column: pd.Series) -> npt.NDArray[np.float64]:
    """A column of ``obs`` as numbers; a class as 0 to 3; NaN where it is missing."""
    if _is_class(column.name):
        codes = {name: float(code) for code, name in enumerate(CLASS_NAMES)}
        return np.array([codes.get(str(v), np.nan) for v in column], dtype=np.float64)
    values = column.to_numpy()
    return np.array(_shortest(values)) if values.dtype == np.float32 else values.astype(np.float64)


def _shortest(values: npt.NDArray[np.floating]) -> list:
    """The values as Python floats that print as short as the float32 does: 0.7, not 0.699999988."""
    return values.astype(np.float32).astype("U16").astype(np.float64).tolist()


def read_geojson(path: str | Path, mpp: float | None = None) -> AnnData:
    """The cells of a QuPath GeoJSON file, gzipped or not.

    Cells and detections are taken; in a file that has neither, every annotation is a cell, and each
    point of a multi-point one. The outline is that of the nucleus where there is one. A cell keeps
    its id; one without gets it from its position. In a file of ours the genes, columns and
    positions are restored; from other files, the measurements become columns of ``obs`` and the
    class a column ``classification``. Holes, smaller parts and vertices above 256 of an outline are
    dropped.

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
    document = read_document(path)
    scale = document.require_mpp(mpp)
    objects = [f for f in document.features if f.object_type in CELL_TYPES]
    if not objects:
        objects = [f for f in document.features if f.object_type == "annotation"]
    cells = [cell for feature in objects for cell in _cells(feature, document.source)]
    features = [feature for feature, _ in cells]
    shapes = [geometry for _, geometry in cells]
    centers_um = um_from_level0_px(_centroids_px(shapes), scale)
    areas_px = np.array([g.area if g.area > 0 else np.nan for g in shapes], dtype=np.float64)
    outlines_um = [um_from_level0_px(_ring_px(g), scale) for g in shapes]
    ids = position_ids(centers_um)
    ids = [given if f.id is None else f.id for f, given in zip(features, ids, strict=True)]
    if len(set(ids)) < len(ids):
        raise BadTable(f"{document.source.name} has two cells with one id; export it again.")
    var, expression = pd.DataFrame(index=pd.Index([], dtype=object)), np.zeros((len(ids), 0))
    if document.told:
        obs = _restored_obs(document, features, ids)
        var = var_from_json(document.told)
        unit = Provenance.of(document.told).expression_unit
        names = [_gene_measurement(str(gene), unit) for gene in var.index]
        expression = _table(features, names)
        told_um = _table(features, _CENTROID) * (scale / (document.mpp or scale))
        centers_um = np.where(np.isfinite(told_um), told_um, centers_um)
        uns: dict[str, object] = uns_from_json(document.told)
    else:
        obs = _foreign_obs(features, ids, areas_px * scale**2)
        slide: dict[str, object] = {"mpp": scale}
        uns = {"schema_version": SCHEMA_VERSION, "research_use": RESEARCH_USE, "slide": slide}
    return AnnData(
        X=expression.astype(np.float32),
        obs=obs,
        var=var,
        obsm={"spatial": centers_um, "outline_um": padded(outlines_um)},
        uns={KEY: uns},
    )


def _cells(feature: Feature, source: Path) -> list[tuple[Feature, shapely.Geometry]]:
    """The one cell of an object with its polygon or point, or the many of a multi-point one."""
    geometry = feature.geometry
    if geometry is not None and not geometry.is_empty:
        if geometry.geom_type in ("Polygon", "Point"):
            return [(feature, geometry)]
        if geometry.geom_type == "MultiPolygon":
            return [(feature, max(geometry.geoms, key=lambda part: part.area))]
        if geometry.geom_type == "MultiPoint":
            one = feature.id or f"object {feature.number}"
            return [
                (replace(feature, id=named_id(f"{one}/{i}")), point)
                for i, point in enumerate(geometry.geoms)
            ]
    kind = "no geometry" if geometry is None else f"the geometry {geometry.geom_type}"
    raise BadTable(
        f"Object {feature.number} of {source.name} has {kind}; a cell needs a polygon or a point."
    )


def _centroids_px(shapes: list[shapely.Geometry]) -> npt.NDArray[np.float64]:
    if not shapes:
        return np.zeros((0, 2))
    return shapely.get_coordinates(shapely.centroid(np.array(shapes, dtype=object)))


def _ring_px(geometry: shapely.Geometry) -> npt.NDArray[np.float64]:
    """The vertices (k, 2) of a polygon's outer ring, the first not repeated; none for a point."""
    if geometry.geom_type == "Point":
        return np.zeros((0, 2))
    return shapely.get_coordinates(geometry.exterior)[:-1]


def _table(features: list[Feature], names: Sequence[str]) -> npt.NDArray[np.float64]:
    """(n, names) the named measurements of each cell; NaN where one is missing."""
    rows = [[f.measurements.get(name, np.nan) for name in names] for f in features]
    return np.array(rows, dtype=np.float64).reshape(len(features), len(names))


def _restored_obs(document: Document, features: list[Feature], ids: list[str]) -> pd.DataFrame:
    columns: dict[str, pd.Series] = {}
    for name, kind in obs_dtypes(document.told).items():
        values = pd.Series(
            _table(features, [_measurement(name)])[:, 0], index=ids, name=name, dtype=object
        )
        if _is_class(name):
            values = values.map(lambda v: None if np.isnan(v) else CLASS_NAMES[int(v)])
        elif name == CELL_TYPE:
            told = [f.metadata.get(_METADATA_TYPE) for f in features]
            columns[name] = typed(pd.Series(told, index=ids, name=name, dtype=object), kind)
            continue
        elif not kind.startswith(("float", "int", "uint", "bool")):
            continue
        columns[name] = typed(values, "category" if _is_class(name) else kind)
    return pd.DataFrame(columns, index=ids)


def _foreign_obs(
    features: list[Feature], ids: list[str], areas_um2: npt.NDArray[np.float64]
) -> pd.DataFrame:
    names = sorted({name for f in features for name in f.measurements})
    measured = dict(zip(names, _table(features, names).T, strict=True))
    # A slash would make a group of an HDF5 file.
    obs: Mapping[str, object] = {n.replace("/", " per "): v for n, v in measured.items()}
    frame = pd.DataFrame(obs, index=ids).assign(area_um2=areas_um2.astype(np.float32))
    if any(f.classification for f in features):
        frame["classification"] = pd.Categorical([f.classification for f in features])
    return frame
