"""The one door for cells that others found: whatever the file or folder, by its content."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import shapely

from napari_past.brought import cellpose, imagej, label_files, spatialdata, stardist, xenium
from napari_past.brought.choice import Choice
from napari_past.brought.label_files import LabelFile
from napari_past.brought.label_zarr import zarr_labels
from napari_past.brought.layers import cells_of_polygons
from napari_past.brought.outlined_labels import labelled_cells
from napari_past.brought.qupath import qupath_cells
from napari_past.brought.reason import reason_of
from napari_past.brought.tables import anndata_cells, csv_cells, own_table_cells
from napari_past.cells.brought import BroughtCells
from napari_past.errors import BadTable
from napari_past.io.geojson_document import open_document
from napari_past.slide import Slide

_HDF5_MARK, _PARQUET_MARK, _GZIP_MARK, _JPEG_MARK = (
    b"\x89HDF",
    b"PAR1",
    b"\x1f\x8b",
    b"\xff\xd8\xff",
)
_ZARR_SIGNS = ("zarr.json", ".zgroup", ".zarray", ".zattrs")
_WANTED = (
    "QuPath GeoJSON, a label image (TIFF, PNG, .npy, OME-Zarr), .h5ad, SpatialData, CSV, Parquet, "
    "or what StarDist, Cellpose or InstanSeg wrote"
)


def bring_cells(path: str | Path, slide: Slide, *, key: str | None = None) -> BroughtCells:
    """The cells of a file or a folder, on a slide.

    Parameters
    ----------
    path
        QuPath GeoJSON, a label image, AnnData, SpatialData, a table of positions, a Xenium folder,
        or results of StarDist, Cellpose and InstanSeg; docs/cells.md has them all. What it is, is
        told by its content.
    slide
        The one on which they were found, with a µm/px.
    key
        Which of several tables, elements, planes or labels; ``unit=um`` or ``unit=px`` where a
        table does not tell; ``mpp=0.5`` where a label image does not.

    Returns
    -------
    BroughtCells
        Those whose centre lies on the slide. Its notes tell what was mended or left out.

    Raises
    ------
    BadTable
        Nothing of the kind, or damaged. `SeveralCells`, with the choices, where a key is needed.
    RegionError
        No cell lies on the slide.
    MissingPixelSize
    """
    slide.require_mpp()
    place, choice = Path(path), Choice.of(key)
    if not place.exists():
        raise BadTable(f"There is no file {place}; check the path of the cells.")
    found = _of_folder(place, slide, choice) if place.is_dir() else _of_file(place, slide, choice)
    return found.on_slide(slide)


def is_folder_of_cells(folder: Path) -> bool:
    """Whether a folder is itself what `bring_cells` reads: Xenium, SpatialData or OME-Zarr."""
    return xenium.is_xenium(folder) or any((folder / sign).is_file() for sign in _ZARR_SIGNS)


def _of_folder(folder: Path, slide: Slide, choice: Choice) -> BroughtCells:
    if xenium.is_xenium(folder):
        return xenium.xenium_cells(folder, slide)
    if spatialdata.is_spatialdata(folder):
        return spatialdata.spatialdata_cells(folder, slide, choice)
    if any((folder / sign).is_file() for sign in _ZARR_SIGNS):
        labels, name, kind = zarr_labels(folder, choice)
        return labelled_cells(labels, slide, choice, folder.name, kind, name)
    raise BadTable(
        f"{folder.name} is a folder without cells that are known; give a file or folder of "
        f"{_WANTED}."
    )


def _of_file(path: Path, slide: Slide, choice: Choice) -> BroughtCells:
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError as exc:
        raise BadTable(
            f"{path.name} cannot be read ({exc.strerror or exc}); check its permissions."
        ) from exc
    if not head:
        raise BadTable(f"{path.name} is an empty file; export the cells again.")
    if head.startswith(label_files.TIFF_MARKS):
        return _of_image(label_files.open_label_tiff(path), path, slide, choice)
    if head.startswith(label_files.PNG_MARK):
        return _of_image(label_files.open_label_png(path), path, slide, choice)
    if head.startswith(label_files.NPY_MARK):
        return _of_npy(path, slide, choice)
    if head.startswith(_HDF5_MARK):
        return anndata_cells(path, slide, choice)
    if head.startswith(_PARQUET_MARK):
        return own_table_cells(path, slide, "Parquet")
    if head.startswith(imagej.ROI_MARK) or zipfile.is_zipfile(path):
        return _of_archive(path, slide)
    if head.startswith(_JPEG_MARK):
        raise BadTable(
            f"{path.name} is a JPEG picture, which cannot hold labels; save the labels as TIFF or "
            "PNG."
        )
    return _of_text(path, _unpacked(path, head), slide)


def _of_image(
    opened: AbstractContextManager[LabelFile], path: Path, slide: Slide, choice: Choice
) -> BroughtCells:
    with opened as labels:
        return labelled_cells(labels, slide, choice, path.name, "label image", path.name)


def _of_npy(path: Path, slide: Slide, choice: Choice) -> BroughtCells:
    array = label_files.open_npy(path)
    kind = "label image"
    if array is None:
        array, kind = cellpose.seg_masks(path), "Cellpose"
    labels = label_files.npy_planes(array, path.name)
    return labelled_cells(labels, slide, choice, path.name, kind, path.name)


def _of_archive(path: Path, slide: Slide) -> BroughtCells:
    """ROIs of ImageJ, or arrays of NumPy."""
    names = _names_in(path)
    if names and all(name.endswith(".npy") for name in names):
        return _of_npz(path, slide)
    rois = imagej.read_rois(path)
    notes = []
    if rois.left_out:
        what = "1 ROI is" if rois.left_out == 1 else f"{rois.left_out} ROIs are"
        notes.append(f"{what} neither area nor point and left out.")
    return _in_pixels(rois.shapes, rois.names, {}, path, rois.kind, slide, notes)


def _names_in(path: Path) -> list[str]:
    """Of a .zip; none of another file."""
    if not zipfile.is_zipfile(path):
        return []
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except Exception as exc:  # zipfile raises many types on damaged directories
        raise BadTable(
            f"{path.name} cannot be unpacked ({reason_of(exc, path)}); copy it again from where it "
            "came from."
        ) from exc


def _of_npz(path: Path, slide: Slide) -> BroughtCells:
    arrays = label_files.open_npz(path)
    if stardist.is_stardist(arrays):
        polygons, columns = stardist.star_polygons(arrays, path.name)
        return _in_pixels(polygons.tolist(), None, columns, path, "StarDist", slide, [])
    labels = [name for name in ("labels", "masks") if name in arrays]
    if not labels:
        raise BadTable(
            f"{path.name} holds the arrays {', '.join(arrays) or 'none'}, but neither StarDist's "
            "coord nor labels or masks; save one of these."
        )
    planes = label_files.npy_planes(arrays[labels[0]], path.name)
    return labelled_cells(planes, slide, Choice(), path.name, "label image", path.name)


def _of_text(path: Path, head: bytes, slide: Slide) -> BroughtCells:
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith((b"{", b"[")):
        if open_document(path).told:
            return own_table_cells(path, slide, "QuPath GeoJSON")
        return qupath_cells(path, slide.require_mpp())
    if cellpose.is_outline_text(start):
        polygons = cellpose.outline_polygons(path)
        return _in_pixels(polygons, None, {}, path, "Cellpose", slide, [])
    if b"\0" not in head and b"\n" in head and any(s in head for s in (b",", b"\t", b";")):
        return csv_cells(path, slide)
    raise BadTable(f"{path.name} is no file of cells that is known; give {_WANTED}.")


def _unpacked(path: Path, head: bytes) -> bytes:
    if not head.startswith(_GZIP_MARK):
        return head
    try:
        with gzip.open(path) as file:
            return file.read(4096)
    except (OSError, EOFError, zlib.error) as exc:
        raise BadTable(
            f"{path.name} cannot be unpacked ({reason_of(exc, path)}); copy it again from where it "
            "came from."
        ) from exc


def _in_pixels(
    shapes_px: list[shapely.Geometry | None],
    names: list[str] | None,
    columns: dict[str, np.ndarray],
    path: Path,
    kind: str,
    slide: Slide,
    notes: list[str],
) -> BroughtCells:
    """Cells whose vertices are level-0 pixels, corner origin."""
    mpp = slide.require_mpp()
    moved = shapely.transform(np.array(shapes_px, dtype=object), lambda xy: xy * mpp)
    return cells_of_polygons(moved.tolist(), names, columns, path.name, kind, notes=notes)
