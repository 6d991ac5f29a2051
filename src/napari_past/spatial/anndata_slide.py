"""Any AnnData table with a slide: the door for whatever has no reader of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import anndata
import numpy as np
import pandas as pd
import scipy.sparse
from anndata import AnnData
from scipy.sparse import csr_array

from napari_past.hdf5 import check_hdf5
from napari_past.sample.measurement import DRAWN
from napari_past.spatial.annotated_types import annotated_types
from napari_past.spatial.errors import BadSource
from napari_past.spatial.folder import existing, reading
from napari_past.spatial.gene_names import checked_species, gene_counts, named_species
from napari_past.spatial.pixel_size import settled_mpp
from napari_past.spatial.section import (
    TECHNOLOGIES,
    UNKNOWN_PATIENT,
    MeasuredSection,
    Points,
    section_name,
)

Unit = Literal["um", "px"]


def read_anndata(
    h5ad: str | Path,
    image: str | Path,
    mpp: float | None = None,
    *,
    unit: Unit,
    x: str | None = None,
    y: str | None = None,
    layer: str | None = None,
    genes: str | None = None,
    ids: str | None = None,
    types: str | None = None,
    name: str | None = None,
    patient: str | None = None,
    tissue: str = "",
    species: str | None = None,
    technology: str = "other",
    spot_diameter_um: float | None = None,
) -> MeasuredSection:
    """The rows of a table, placed on a slide.

    Parameters
    ----------
    h5ad
        Raw counts in ``X`` or a layer.
    image
        The H&E.
    mpp
        Its µm/px; default: its own.
    unit
        Of the positions; nothing in a file tells it. ``um``: µm of slide space. ``px``: level-0
        pixels, whose centres are integers.
    x, y
        Columns of ``obs`` that hold the *column* and the *row* in the picture; default:
        ``obsm["spatial"]`` as (x, y). Tables whose "x" is the row exist: give ``x="y_pixel",
        y="x_pixel"`` then.
    layer
        Default: ``X``.
    genes, ids
        Columns of ``var`` with the genes' names and of ``obs`` with the rows' ids; default: the
        index.
    types
        Column of ``obs`` with the annotated cell types; default: as `annotated_types` finds it.
    species
        Default: what the genes are named as.
    spot_diameter_um
        None: rows are single cells.

    Raises
    ------
    BadSource
        No such file, column or layer, or no AnnData file.
    MissingPixelSize
        Neither given nor in the picture.
    """
    path, picture = existing(h5ad, "The table"), existing(image, "The H&E")
    if technology not in TECHNOLOGIES:
        raise BadSource(
            f"technology must be one of {', '.join(TECHNOLOGIES)}, but got {technology!r}."
        )
    table = opened(path)
    xy = _positions(table, path, x, y)
    scale, notes = settled_mpp(picture, mpp, None, "")
    names = texts_of(table.var, genes, path, "var")
    kind, guessed = (checked_species(species), ()) if species else named_species(names)
    counts, symbols, told = gene_counts(matrix_of(table, layer, path), names, kind)
    annotated, typed = annotated_types(table.obs, types, path)
    return MeasuredSection(
        name=section_name(name or path.stem),
        patient=patient or UNKNOWN_PATIENT,
        species=kind,
        tissue=tissue,
        technology=technology,
        image=picture,
        mpp=scale,
        ids=tuple(texts_of(table.obs, ids, path, "obs")),
        centers_um=xy if unit == "um" else (xy + 0.5) * scale,
        counts=counts,
        genes=symbols,
        spot_diameter_um=spot_diameter_um,
        types=annotated,
        notes=_drawn(table, path) + notes + guessed + told + typed,
    )


def _drawn(table: AnnData, path: Path) -> tuple[str, ...]:
    if str(table.uns.get("made_by", "")) != DRAWN:
        return ()
    return (f"{path.name} was drawn for the sample: its numbers say nothing of any tissue.",)


def opened(path: Path) -> AnnData:
    """The table in a file, or in a zarr folder.

    Raises
    ------
    BadSource
        No AnnData file.
    """
    with reading(path, "an AnnData file"):
        try:
            if path.is_dir():
                return anndata.read_zarr(path)
            check_hdf5(path)
            return anndata.read_h5ad(path)
        except AttributeError as exc:  # an HDF5 file of something else
            raise ValueError("an HDF5 file without a table") from exc


def matrix_of(table: AnnData, layer: str | None, path: Path) -> csr_array:
    """``X`` or a layer as CSR.

    Raises
    ------
    BadSource
        There is none.
    """
    if layer is not None and layer not in table.layers:
        there = ", ".join(table.layers) or "none"
        raise BadSource(f"{path.name} has no layer {layer!r} (there are: {there}); give another.")
    values = table.X if layer is None else table.layers[layer]
    if values is None:
        raise BadSource(f"{path.name} has no X; give the layer of raw counts with layer=.")
    if scipy.sparse.issparse(values):
        return csr_array(values)
    return csr_array(np.asarray(values))


def _positions(table: AnnData, path: Path, x: str | None, y: str | None) -> Points:
    if (x is None) != (y is None):
        raise BadSource(f"x and y are given together, but only one of them was for {path.name}.")
    if x is not None and y is not None:
        for column in (x, y):
            if column not in table.obs:
                there = ", ".join(map(str, table.obs.columns[:12]))
                raise BadSource(
                    f"{path.name} has no column {column!r} in obs (there are: {there}); give the "
                    "names of the columns that hold x and y."
                )
        with reading(path, "positions"):
            return table.obs[[x, y]].to_numpy(np.float64)
    if "spatial" not in table.obsm or np.ndim(table.obsm["spatial"]) != 2:
        raise BadSource(
            f'{path.name} has no obsm["spatial"]; give the columns of obs that hold the positions '
            "with x= and y=, or --x and --y."
        )
    with reading(path, "positions"):
        return np.asarray(table.obsm["spatial"], np.float64)[:, :2]


def texts_of(frame: pd.DataFrame, column: str | None, path: Path, where: str) -> list[str]:
    """A column of ``obs`` or ``var``, by default the index, as texts.

    Raises
    ------
    BadSource
        No such column.
    """
    if column is None:
        return [str(v) for v in frame.index]
    if column not in frame:
        there = ", ".join(map(str, frame.columns[:12])) or "none"
        raise BadSource(
            f"{path.name} has no column {column!r} in {where} (there are: {there}); give another."
        )
    return [str(v) for v in frame[column]]
