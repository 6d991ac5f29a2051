"""A SpatialData folder (.zarr) with the H&E that lies open.

Read here are the files that SpatialData 0.1 to 0.7 documents, with anndata, zarr, pyarrow and
shapely: the spatialdata package would hold dask and distributed back and bring some thirty more.
Rows of a table name shapes, shapes lie in coordinate systems, and so do the images of the folder.
The H&E that lies open is known among these by the shape of its field, so positions lead through a
common system into its pixels; what was aligned in SpatialData stays aligned.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import zarr
from anndata import AnnData

from napari_past.spatial.anndata_slide import matrix_of, opened, texts_of
from napari_past.spatial.annotated_types import annotated_types
from napari_past.spatial.boundaries import as_ids
from napari_past.spatial.errors import BadPairing, BadSource
from napari_past.spatial.folder import existing, reading
from napari_past.spatial.gene_names import checked_species, gene_counts, named_species, species_of
from napari_past.spatial.lattice import DIAMETER_UM, VISIUM_STEP_UM, lattice_mpp
from napari_past.spatial.ngff import Matrix, systems
from napari_past.spatial.picture import picture_size
from napari_past.spatial.pixel_size import settled_mpp
from napari_past.spatial.section import (
    NO_TECHNOLOGY,
    UNKNOWN_PATIENT,
    MeasuredSection,
    Points,
    section_name,
)
from napari_past.spatial.shapes import Shapes, read_shapes

SAME_FIELD = 0.005
"""Of width by height: two pictures of one field differ by the rounding of a small copy."""
_TABLES = ("tables", "table")
"""Groups that hold tables, since SpatialData 0.1 and before."""
_ELEMENTS = ("shapes", "images", "labels", "points")
_PREFERRED = ("cell_circles", "cell_boundaries")
"""Shapes of cells that rows are looked for in, where they name labels."""
_NUCLEI = "nucleus_boundaries"


def is_spatialdata(folder: Path) -> bool:
    """Whether a folder is laid out as SpatialData writes it."""
    has_table = any((folder / name).is_dir() for name in _TABLES)
    return has_table and any((folder / name).is_dir() for name in _ELEMENTS)


def read_spatialdata(
    folder: str | Path,
    image: str | Path,
    mpp: float | None = None,
    *,
    section: str | None = None,
    unit: Literal["um", "px"] | None = None,
    layer: str | None = None,
    genes: str | None = None,
    ids: str | None = None,
    types: str | None = None,
    patient: str | None = None,
    spot_diameter_um: float | None = None,
    bin_um: int = 8,
    to_be_placed: bool = False,
) -> MeasuredSection:
    """The rows of one table, placed on the H&E through the folder's coordinate systems.

    Parameters
    ----------
    folder
        The ``.zarr``.
    image
        The H&E that lies open: the picture that one of the folder's images was made from, at any
        resolution.
    mpp
        Its µm/px; default: its own.
    section
        Name of the table, or of the region that it describes, where there are several.
    unit
        Where no image of the folder shows the H&E: of the positions as they are written, in µm or
        pixels of the H&E.
    layer, genes, ids, types
        As of `read_anndata`.
    spot_diameter_um
        Default: of Visium and Visium HD as known; else rows are single cells.
    bin_um
        Which bins of Visium HD.
    to_be_placed
        Positions that lead nowhere are given as they are written.

    Raises
    ------
    BadSource
        No SpatialData folder, a table or element that is missing or damaged, or no way to the H&E.
    BadPairing
        Rows without a shape.
    MissingPixelSize
        Nobody knows the H&E's.
    """
    store, picture = existing(folder, "The SpatialData folder"), existing(image, "The H&E")
    name, place = _chosen(_tables(store), store.name, section, bin_um)
    table = opened(place)
    region = _region(place, table, section)
    rows = _described_rows(table, region)
    table = table[rows]
    technology, diameter_um = _technology(region, spot_diameter_um)
    found = _positions(store, table, region)
    way = None if unit is not None else _way_to(store, found.systems, picture)
    if way is None and unit is None and not to_be_placed:
        raise BadSource(
            f"No image of {store.name} shows the field of {picture.name}, so nothing tells where "
            "its rows lie there; place them with --landmarks or --affine, or say with --unit that "
            "positions are um or px of the H&E."
        )
    scale, notes = settled_mpp(picture, mpp, *_derived_mpp(technology, table, found, way))
    notes += found.notes if way is None else (*found.notes, way.note)
    if technology == NO_TECHNOLOGY and diameter_um is None:
        notes += ("Rows are taken for single cells; of spots give --spot-diameter.",)

    def placed(points: Points) -> Points:
        if way is not None:
            return _through(way.matrix, points) * scale
        return points * scale if unit == "px" else points

    feature_ids = [str(v) for v in table.var["gene_ids"]] if "gene_ids" in table.var else None
    features = texts_of(table.var, genes, place, "var")
    species = species_of(feature_ids) if feature_ids else None
    kind, guessed = (checked_species(species), ()) if species else named_species(features)
    kinds = table.var.get("feature_types")
    counts, symbols, told = gene_counts(
        matrix_of(table, layer, place),
        features,
        kind,
        ids=feature_ids if genes is None else None,
        types=None if kinds is None else [str(v) for v in kinds],
    )
    annotated, typed = annotated_types(table.obs, types, place)
    return MeasuredSection(
        name=section_name(store.stem if name == "table" else f"{store.stem}-{name}"),
        patient=patient or UNKNOWN_PATIENT,
        species=kind,
        tissue="",
        technology=technology,
        image=picture,
        mpp=scale,
        ids=tuple(texts_of(table.obs, ids, place, "obs")),
        centers_um=placed(found.points),
        counts=counts,
        genes=symbols,
        spot_diameter_um=diameter_um,
        nuclei_um=None if found.nuclei is None else placed(found.nuclei),
        types=annotated,
        notes=notes + guessed + told + typed,
    )


@dataclass(frozen=True)
class _Region:
    """What a table's rows describe."""

    name: str
    region_key: str
    instance_key: str


@dataclass(frozen=True, eq=False)
class _Positions:
    """Of a table's rows, in the coordinates of an element."""

    points: Points
    systems: dict[str, Matrix]
    nuclei: Points | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _Way:
    """From an element's coordinates to pixels of the H&E, corner origin."""

    matrix: Matrix
    note: str


def _tables(store: Path) -> dict[str, Path]:
    found = [p for group in _TABLES for p in sorted((store / group).glob("*")) if p.is_dir()]
    tables = {p.name: p for p in found if (p / "obs").is_dir()}
    if not tables:
        raise BadSource(
            f"{store.name} holds no table of counts; give a SpatialData folder with one."
        )
    return tables


def _chosen(
    tables: dict[str, Path], store: str, section: str | None, bin_um: int
) -> tuple[str, Path]:
    """The table that is asked for, by its name, its region, or its bins."""
    wanted = [
        name
        for name, place in tables.items()
        if len(tables) == 1
        or section == name
        or (section is None and name.endswith(f"square_{bin_um:03d}um"))
        or (section is not None and section in _region_names(_attributes(place)))
    ]
    if len(wanted) != 1:
        raise BadSource(
            f"{store} holds {len(tables)} tables ({', '.join(tables)}); say which with section= or "
            "--section."
        )
    return wanted[0], tables[wanted[0]]


def _attributes(place: Path) -> dict[str, Any]:
    with reading(place, "a table"):
        return dict(zarr.open_group(place, mode="r").attrs)


def _region_names(attributes: dict[str, Any]) -> list[str]:
    region = attributes.get("region")
    return [region] if isinstance(region, str) else [str(v) for v in region or ()]


def _region(place: Path, table: AnnData, section: str | None) -> _Region:
    attributes = _attributes(place) | dict(table.uns.get("spatialdata_attrs", {}))
    names = [str(v) for v in np.atleast_1d(attributes.get("region", []))]
    region_key, instance_key = attributes.get("region_key"), attributes.get("instance_key")
    if not names or instance_key not in table.obs or region_key not in table.obs:
        raise BadSource(
            f"The table {place.name} does not say which shapes its rows are of (region, region_key "
            "and instance_key); write it with spatialdata.models.TableModel."
        )
    if section in names:
        names = [section]
    if len(names) > 1:
        raise BadSource(
            f"The table {place.name} describes {len(names)} regions ({', '.join(names)}); say "
            "which lies open with section= or --section."
        )
    return _Region(names[0], str(region_key), str(instance_key))


def _described_rows(table: AnnData, region: _Region) -> npt.NDArray[np.intp]:
    rows = np.flatnonzero((table.obs[region.region_key].astype(str) == region.name).to_numpy(bool))
    if not len(rows):
        raise BadSource(f"No row of the table is of {region.name}; say which with --section.")
    return rows


def _technology(region: _Region, spot_diameter_um: float | None) -> tuple[str, float | None]:
    """How tissue was measured, by the names that spatialdata-io gives, and the spots' diameter."""
    if region.instance_key == "spot_id":
        return "Visium", spot_diameter_um or DIAMETER_UM["Visium"]
    if region.instance_key == "location_id":
        side = region.name.rsplit("square_", 1)[-1].removesuffix("um")
        return "VisiumHD", spot_diameter_um or (float(side) if side.isdecimal() else 8.0)
    if region.name.startswith("cell_") and spot_diameter_um is None:
        return "Xenium", None
    return NO_TECHNOLOGY, spot_diameter_um


def _positions(store: Path, table: AnnData, region: _Region) -> _Positions:
    """Of the shapes that rows name; where they name labels, of shapes with the same ids."""
    candidates = [region.name, *_PREFERRED]
    for name in dict.fromkeys(candidates):
        if not (store / "shapes" / name).is_dir():
            continue
        shapes = read_shapes(store / "shapes" / name)
        for ids in _instance_ids(table, region):
            rows = shapes.rows_of(ids)
            if (rows >= 0).all():
                nuclei = _nuclei(store, ids, shapes, shapes.centers[rows])
                return _Positions(shapes.centers[rows], shapes.systems, nuclei)
        if name == region.name:
            missing = int((shapes.rows_of(next(_instance_ids(table, region))) < 0).sum())
            raise BadPairing(
                f"{store.name}: {missing} of {table.n_obs} rows have no shape in {name}; table and "
                "shapes must be of one measurement."
            )
    if "spatial" not in table.obsm:
        raise BadSource(
            f"{store.name} has no shapes {region.name} that tell where rows lie, and its table no "
            'obsm["spatial"]; write the shapes, too.'
        )
    points = np.asarray(table.obsm["spatial"], np.float64)[:, :2]
    note = f"Positions are those of obsm, since {store.name} has no shapes of {region.name}."
    return _Positions(points, {}, notes=(note,))


def _instance_ids(table: AnnData, region: _Region) -> Iterator[npt.NDArray[np.object_]]:
    """What rows may be called among shapes: by the key, by cell ids, by the table's index."""
    yield as_ids(table.obs[region.instance_key])
    if "cell_id" in table.obs:
        yield as_ids(table.obs["cell_id"])
    yield as_ids(pd.Series(table.obs_names))


def _nuclei(
    store: Path, ids: npt.NDArray[np.object_], cells: Shapes, centers: Points
) -> Points | None:
    """The nuclei of rows, where they are outlined in the coordinates of the cells."""
    if cells.name not in _PREFERRED or not (store / "shapes" / _NUCLEI).is_dir():
        return None
    nuclei = read_shapes(store / "shapes" / _NUCLEI)
    same = set(nuclei.systems) == set(cells.systems)
    if not same or not all(np.allclose(nuclei.systems[s], m) for s, m in cells.systems.items()):
        return None
    rows = nuclei.rows_of(ids)
    if not (rows >= 0).any():
        return None
    found = centers.copy()
    found[rows >= 0] = nuclei.centers[rows[rows >= 0]]
    return found


def _way_to(store: Path, elements: dict[str, Matrix], picture: Path) -> _Way | None:
    """Through the largest image that shows the field of the picture and shares a system."""
    width_px, height_px = picture_size(picture)
    best: tuple[int, _Way] | None = None
    for folder in sorted((store / "images").glob("*")):
        if not folder.is_dir():
            continue
        size, into = _image(folder)
        shared = [system for system in elements if system in into]
        if size is None or not shared:
            continue
        x, y = width_px / size[0], height_px / size[1]
        if abs(x / y - 1) > SAME_FIELD or (best is not None and best[0] >= size[0]):
            continue
        matrix = np.diag([x, y, 1.0]) @ np.linalg.inv(into[shared[0]]) @ elements[shared[0]]
        note = f"{picture.name} was taken for what {folder.name} of {store.name} shows."
        best = size[0], _Way(matrix, note)
    return None if best is None else best[1]


def _image(folder: Path) -> tuple[tuple[int, int] | None, dict[str, Matrix]]:
    """(width, height) of an RGB image's full resolution, else None, and its systems."""
    with reading(folder, "an image"):
        group = zarr.open_group(folder, mode="r")
        attributes: Any = dict(group.attrs)
        scales = attributes.get("ome", attributes)["multiscales"][0]
        axes = [axis["name"] for axis in scales["axes"]]
        shape = dict(zip(axes, group[scales["datasets"][0]["path"]].shape, strict=True))  # type: ignore[union-attr]
        size = (shape["x"], shape["y"]) if shape.get("c") == 3 else None
        return size, systems(scales["coordinateTransformations"])


def _derived_mpp(
    technology: str, table: AnnData, found: _Positions, way: _Way | None
) -> tuple[float | None, str]:
    """µm/px of the H&E by the measurement, and what it was taken from."""
    if way is None:
        return None, ""
    if technology == "Xenium":
        px_per_um = float(np.sqrt(abs(np.linalg.det(way.matrix[:2, :2]))))
        return 1 / px_per_um, "the alignment"
    if technology == "Visium" and {"array_row", "array_col"} <= set(table.obs):
        grid_um = table.obs[["array_col", "array_row"]].to_numpy(np.float64) * VISIUM_STEP_UM
        return lattice_mpp(grid_um, _through(way.matrix, found.points)), "the pitch of the spots"
    return None, ""


def _through(matrix: Matrix, points: Points) -> Points:
    return np.asarray(points @ matrix[:2, :2].T + matrix[:2, 2], np.float64)
