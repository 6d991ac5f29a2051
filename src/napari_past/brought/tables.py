"""Cells of tables: AnnData, CSV, Parquet and SpatialData of ours, and AnnData and CSV of others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from anndata import AnnData

from napari_past.brought.assembled import unique_ids
from napari_past.brought.choice import Choice, SeveralCells
from napari_past.brought.layers import cells_of_points
from napari_past.brought.reason import reason_of
from napari_past.cells.brought import BroughtCells
from napari_past.errors import BadTable
from napari_past.io import found_cells, read_cells, read_h5ad
from napari_past.io.csv_table import csv_header
from napari_past.io.outlines import CELL_OUTLINE
from napari_past.io.provenance import KEY
from napari_past.slide import Slide
from napari_past.types import Outlines

OWN = frozenset(
    (
        "area_um2",
        "hematoxylin_od",
        "dab_od",
        "unlike_training",
        "unscored",
        "regions",
        "ignored",
        "cell_type",
        "cell_type_margin",
        "cell_class",
        "cell_class_probability",
    )
)
"""Columns that an analysis makes anew: those of an earlier one would contradict it."""
_QUPATH_PLACE = ("Centroid X µm", "Centroid Y µm")
_PX_PLACE = ("x_px", "y_px")
_UM_PLACE = ("x_um", "y_um")
_SURE = 0.5
"""Where less than this share lies on the slide, positions are of another unit."""


def anndata_cells(path: Path, slide: Slide, choice: Choice) -> BroughtCells:
    """The cells of an ``.h5ad`` file, in the unit that it tells, or that the slide tells.

    Raises
    ------
    BadTable
        No table with positions; SeveralCells, where nothing tells the unit.
    """
    return table_cells(read_h5ad(path), slide, choice, path.name, "AnnData")


def own_table_cells(path: Path, slide: Slide, kind: str) -> BroughtCells:
    """The cells of a file whose positions are in µm: a CSV or Parquet file as `io` has them.

    Raises
    ------
    BadTable
    """
    return _of(read_cells(path, slide.mpp), path.name, kind, ())


def table_cells(
    adata: AnnData, slide: Slide, choice: Choice, source: str, kind: str
) -> BroughtCells:
    """The cells of a table with ``obsm["spatial"]``.

    Raises
    ------
    BadTable
        SeveralCells, where nothing tells the unit.
    """
    xy = np.asarray(adata.obsm["spatial"], np.float64)[:, :2]
    if KEY in adata.uns:
        return _of(adata, source, kind, ())
    factor, notes = um_per_place(xy, slide, choice, source)
    if factor != 1:
        for key in ("spatial", "outline_um", CELL_OUTLINE):
            if key in adata.obsm:
                adata.obsm[key] = np.asarray(adata.obsm[key])[..., :2] * factor
    return _of(adata, source, kind, notes)


def um_per_place(
    xy: npt.NDArray[np.float64], slide: Slide, choice: Choice, source: str
) -> tuple[float, tuple[str, ...]]:
    """What positions (n, 2) are to be multiplied with to be µm, and what to tell.

    The user's word counts, else where the cells would lie: where µm lead outside of the slide and
    pixels do not, they are pixels. Otherwise both fit, and it is asked.

    Raises
    ------
    SeveralCells
        Nothing tells.
    """
    mpp = slide.require_mpp()
    if choice.unit is not None:
        return (mpp if choice.unit == "px" else 1.0), ()
    inside = [float(slide.bounds.contains(xy * f).mean()) if len(xy) else 0.0 for f in (1.0, mpp)]
    if inside[0] < _SURE <= inside[1]:
        return mpp, (
            f"Positions in {source} were taken for level-0 pixels: as µm {1 - inside[0]:.0%} of "
            "them lie outside of the slide.",
        )
    if inside[1] < _SURE <= inside[0]:
        return 1.0, (
            f"Positions in {source} were taken for µm: as level-0 pixels {1 - inside[1]:.0%} of "
            "them lie outside of the slide.",
        )
    raise SeveralCells(
        f"{source} does not say in which unit its positions are: {inside[0]:.0%} of them lie on "
        f"{slide.name} as µm, {inside[1]:.0%} as level-0 pixels; give "
        "--cells-key unit=um or unit=px (key= in Python).",
        ("unit=um", "unit=px"),
    )


def csv_cells(path: Path, slide: Slide) -> BroughtCells:
    """The cells of a table in text: as we write it, or with positions as QuPath exports them.

    Raises
    ------
    BadTable
        No columns of positions that are known, or no table.
    """
    separator, decimal = _dialect(path)
    if separator == "," and set(_UM_PLACE) <= set(csv_header(path)):
        return own_table_cells(path, slide, "CSV")
    frame, notes = _frame(path, separator, decimal)
    if {*_UM_PLACE, "outline_um"} <= set(frame.columns):
        raise BadTable(
            f"{path.name} is a table of this program that a spreadsheet saved in another form; "
            "give the file as it was written, or save it with commas and decimal points."
        )
    for place in (_UM_PLACE, _QUPATH_PLACE, _PX_PLACE):
        if set(place) <= set(frame.columns):
            break
    else:
        raise BadTable(
            f"{path.name} has no columns x_um and y_um, nor QuPath's Centroid X µm and Y, nor x_px "
            "and y_px; name the columns of the positions like one of these."
        )
    xy = frame[list(place)].apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    if place == _PX_PLACE:
        xy *= slide.require_mpp()
    names = next((c for c in ("id", "Object ID") if c in frame), None)
    rest = frame.drop(columns=[*place, *([names] if names else [])])
    return cells_of_points(
        xy,
        None if names is None else frame[names].fillna("").astype(str).tolist(),
        columns_of(rest),
        path.name,
        "CSV",
        notes,
    )


def _frame(path: Path, separator: str, decimal: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The table, and a sentence where its letters are not UTF-8."""
    try:
        for encoding in ("utf-8-sig", "cp1252"):
            try:
                frame = pd.read_csv(
                    path, sep=separator, decimal=decimal, encoding=encoding, low_memory=False
                )
            except UnicodeDecodeError:
                if encoding == "cp1252":
                    raise
            else:
                break
    except (ValueError, OSError) as exc:
        raise BadTable(
            f"{path.name} cannot be read as a table ({reason_of(exc, path)}); give a "
            "comma-separated UTF-8 file with a header line."
        ) from exc
    told = f"{path.name} is not in UTF-8; its letters were read as those of Windows-1252."
    return frame, (told,) if encoding == "cp1252" else ()


def _dialect(path: Path) -> tuple[str, str]:
    """What stands between columns, and in numbers: Excel writes ; and a comma in half of Europe."""
    with path.open("rb") as file:
        names, first = file.readline(1 << 20), file.readline(1 << 20)
    separator = max(",\t;", key=lambda s: names.count(s.encode()))
    return separator, "," if separator == ";" and b"," in first else "."


def columns_of(obs: pd.DataFrame) -> dict[str, npt.NDArray]:
    """The columns that go along: numbers as they are, all else as text, "" where it is missing."""
    columns: dict[str, npt.NDArray] = {}
    for name in obs.columns:
        key = str(name)
        if key in OWN or key.endswith("_class"):
            continue
        values = obs[name]
        if pd.api.types.is_bool_dtype(values) or pd.api.types.is_numeric_dtype(values):
            columns[key] = values.to_numpy()
        else:
            texts = values.astype(object)
            columns[key] = texts.where(texts.notna(), "").astype(str).to_numpy(object)
    return columns


def _of(adata: AnnData, source: str, kind: str, notes: tuple[str, ...]) -> BroughtCells:
    found = found_cells(adata)
    kept = np.flatnonzero(np.isfinite(found.centers_um).all(axis=1))
    if not len(kept):
        raise BadTable(f"{source} holds no cells with a position; check that it is the right one.")
    lost = len(found) - len(kept)
    if lost:
        cells = "1 cell has" if lost == 1 else f"{lost} cells have"
        notes = (*notes, f"{cells} no position and {'is' if lost == 1 else 'are'} left out.")
    brought = BroughtCells(
        found=found,
        source=source,
        kind=kind,
        columns=columns_of(adata.obs),
        notes=notes,
        cell_outlines=_whole(adata),
    )
    return _renamed(brought.take(kept) if lost else brought)


def _whole(adata: AnnData) -> Outlines | None:
    if CELL_OUTLINE not in adata.obsm:
        return None
    array = np.asarray(adata.obsm[CELL_OUTLINE], np.float32)
    present = np.isfinite(array).all(axis=2)
    offsets = np.concatenate([[0], np.cumsum(present.sum(axis=1))]).astype(np.int64)
    return Outlines(array[present], offsets)


def _renamed(cells: BroughtCells) -> BroughtCells:
    """With ids that differ, where a table has one twice."""
    ids, told = unique_ids(cells.found.ids, cells.found.centers_um)
    if not told:
        return cells
    return replace(cells, found=replace(cells.found, ids=ids), notes=(*cells.notes, told))
