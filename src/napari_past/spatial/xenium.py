"""A Xenium output folder with its H&E.

Read here is what 10x Genomics documents for Xenium Onboard Analysis 1 to 4, which Xenium Ranger
writes too: ``experiment.xenium``, ``cell_feature_matrix.h5`` (or its MEX folder), ``cells.parquet``
(or ``cells.csv.gz``) and, where it is there, ``nucleus_boundaries.parquet``. The H&E is taken after
the run; Xenium Explorer aligns it and exports the matrix.
"""

from __future__ import annotations

import glob
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_past.spatial.alignment import MOST_STRETCH, Alignment, read_alignment
from napari_past.spatial.boundaries import as_ids, with_nucleus_centers
from napari_past.spatial.counts_10x import read_matrix
from napari_past.spatial.errors import BadPairing, BadSource
from napari_past.spatial.folder import (
    checked_folder,
    existing,
    first_existing,
    json_object,
    number,
    reading,
    text,
    the_one_file,
)
from napari_past.spatial.gene_names import checked_species, gene_counts, species_of
from napari_past.spatial.picture import stated_mpp
from napari_past.spatial.pixel_size import agree, settled_mpp
from napari_past.spatial.section import (
    UNKNOWN_PATIENT,
    MeasuredSection,
    Points,
    section_name,
)

_PICTURE, _ALIGNMENT = "he_image*.tif*", "imagealignment*.csv"
_CELLS = ("cells.parquet", "cells.csv.gz", "cells.csv")


def read_xenium(
    folder: str | Path,
    *,
    image: str | Path | None = None,
    alignment: str | Path | None = None,
    name: str | None = None,
    patient: str | None = None,
    tissue: str | None = None,
    species: str | None = None,
    mpp: float | None = None,
) -> MeasuredSection:
    """The cells of a Xenium run, placed on its H&E.

    Parameters
    ----------
    folder
        The output folder, which holds ``experiment.xenium``.
    image
        The H&E. Default: the one ``*he_image*.tif`` in the folder, or beside it with its name
        without ``_outs``, as 10x Genomics publishes its own.
    alignment
        3 x 3 matrix from H&E pixels to DAPI pixels, as Xenium Explorer exports it
        (``*_imagealignment.csv``); default: found like `image`. An H&E that was warped into the
        DAPI frame beforehand takes the unit matrix.
    name
        Of the section; default: the folder's.
    patient
        Default: unknown.
    tissue, species
        Default: what the panel was designed for.
    mpp
        µm/px of the H&E; default: its own, checked against the alignment.

    Returns
    -------
    MeasuredSection
        Cells with at least one transcript of a gene. `nuclei_um` are the centroids of the outlined
        nuclei, where there are outlines, else the cells'.

    Raises
    ------
    BadSource
        A file is missing or damaged.
    BadPairing
        Ids occur twice, or the alignment is the wrong way round.
    """
    run = checked_folder(folder, "a Xenium run", ["experiment.xenium"])
    about = json_object(run / "experiment.xenium")
    dapi_mpp = number(about, "pixel_size")
    if dapi_mpp is None:
        raise BadSource(
            f"{run.name}/experiment.xenium states no pixel_size, without which cells cannot be "
            "placed; copy the file again from the instrument (0.2125 is usual)."
        )
    picture = _companion(run, image, _PICTURE, "the H&E", "image=")
    where = _companion(run, alignment, _ALIGNMENT, "the H&E's alignment", "alignment=")
    affine = read_alignment(where, dapi_mpp)
    _check_direction(affine, where, picture)
    scale, notes = settled_mpp(picture, mpp, affine.mpp, "the alignment")
    if affine.stretch > MOST_STRETCH:
        notes += (
            f"{where.name} stretches one axis by {100 * (affine.stretch - 1):.0f} % against the "
            "other; check the alignment in Xenium Explorer.",
        )
    organ = text(about, "panel_tissue_type").lower() if tissue is None else tissue
    who = _Who(section_name(name or run.name), patient or UNKNOWN_PATIENT, organ, species)
    return _section(run, who, picture, scale, notes, lambda um: affine.he_px(um) * scale)


def read_unaligned_xenium(
    folder: str | Path,
    image: str | Path,
    *,
    patient: str | None = None,
    mpp: float | None = None,
) -> MeasuredSection:
    """The cells of a Xenium run in the instrument's µm, for a map that leads from there to the H&E.

    Parameters as those of `read_xenium`.

    Raises
    ------
    BadSource
        A file is missing or damaged.
    BadPairing
        Ids occur twice.
    MissingPixelSize
        Nobody knows the H&E's.
    """
    run = checked_folder(folder, "a Xenium run", ["experiment.xenium"])
    organ = text(json_object(run / "experiment.xenium"), "panel_tissue_type").lower()
    picture = existing(image, "The H&E")
    scale, notes = settled_mpp(picture, mpp, None, "")
    who = _Who(section_name(run.name), patient or UNKNOWN_PATIENT, organ, None)
    return _section(run, who, picture, scale, notes, lambda um: um)


def has_alignment(folder: Path) -> bool:
    """Whether a run has an alignment of its H&E, in its folder or beside it."""
    return bool(_found(folder, _ALIGNMENT))


def own_picture(folder: Path) -> Path | None:
    """The H&E that lies in the folder of a run or beside it, where there is one only."""
    found = _found(folder, _PICTURE)
    return found[0] if len(found) == 1 else None


def _found(run: Path, pattern: str) -> list[Path]:
    return [p for place, like in _places(run, pattern) for p in place.glob(like) if p.is_file()]


@dataclass(frozen=True)
class _Who:
    """What a section is called and is of."""

    name: str
    patient: str
    tissue: str
    species: str | None


def _section(
    run: Path,
    who: _Who,
    picture: Path,
    mpp: float,
    notes: tuple[str, ...],
    placed: Callable[[Points], Points],
) -> MeasuredSection:
    """The cells with a transcript; `placed` leads from the instrument's µm to slide space."""
    about = json_object(run / "experiment.xenium")
    matrix = read_matrix(run, "cell_feature_matrix")
    row_of = _rows(matrix.barcodes, run.name)
    xenium_um = _centroids_um(run, row_of)
    organism = who.species or text(about, "panel_organism") or species_of(matrix.feature_ids) or ""
    kind = checked_species(organism)
    counts, genes, told = gene_counts(
        matrix.counts,
        matrix.feature_names,
        kind,
        ids=matrix.feature_ids,
        types=matrix.feature_types,
    )
    outlines = run / "nucleus_boundaries.parquet"
    nuclei_um = None
    if outlines.exists():
        nuclei_um = placed(with_nucleus_centers(outlines, row_of, xenium_um))
    seen = np.flatnonzero(np.diff(counts.indptr))
    if len(seen) < len(row_of):
        told += (f"{len(row_of) - len(seen)} cells without a transcript were left out.",)
    return MeasuredSection(
        name=who.name,
        patient=who.patient,
        species=kind,
        tissue=who.tissue,
        technology="Xenium",
        image=picture,
        mpp=mpp,
        ids=tuple(matrix.barcodes[i] for i in seen),
        centers_um=placed(xenium_um)[seen],
        counts=counts[seen],
        genes=genes,
        spot_diameter_um=None,
        nuclei_um=None if nuclei_um is None else nuclei_um[seen],
        notes=notes + told,
    )


def _companion(run: Path, given: str | Path | None, pattern: str, what: str, option: str) -> Path:
    """A file that is no part of the run: as given, in its folder, or beside it under its name."""
    if given is not None:
        return existing(given, f"{what[0].upper()}{what[1:]}")
    return the_one_file(_places(run, pattern), what, option)


def _places(run: Path, pattern: str) -> list[tuple[Path, str]]:
    # "Xenium_V1_X_outs" lies beside "Xenium_V1_X_he_image.ome.tif".
    stem = run.resolve().name.removesuffix("_outs")
    return [(run, f"*{pattern}"), (run.parent, f"{glob.escape(stem)}_*{pattern}")]


def _check_direction(affine: Alignment, where: Path, picture: Path) -> None:
    """An H&E's own µm/px tells a matrix that was written from DAPI to H&E."""
    stated = stated_mpp(picture)
    if stated is None or agree(stated, affine.mpp):
        return
    if agree(stated, affine.inverted().mpp):
        raise BadPairing(
            f"{where.name} gives the H&E {affine.mpp:.4g} µm/px, but its inverse gives "
            f"{affine.inverted().mpp:.4g}, as {picture.name} states; the matrix must lead from "
            "H&E pixels to DAPI pixels, so give its inverse."
        )


def _rows(barcodes: tuple[str, ...], run: str) -> dict[str, int]:
    row_of = {cell: row for row, cell in enumerate(barcodes)}
    if len(row_of) < len(barcodes):
        raise BadPairing(
            f"{run}: {len(barcodes) - len(row_of)} cell ids of the matrix occur twice, but each "
            "cell needs its own; give the folder as the instrument wrote it."
        )
    return row_of


def _centroids_um(run: Path, row_of: dict[str, int]) -> Points:
    """(r, 2) centroids of the matrix' cells in the instrument's µm."""
    path = first_existing(run, _CELLS, "table of cells")
    with reading(path, "a table of cells"):
        columns = ["cell_id", "x_centroid", "y_centroid"]
        if path.suffix == ".parquet":
            table = pd.read_parquet(path, columns=columns)
        else:
            table = pd.read_csv(path, usecols=columns, dtype={"cell_id": str})
        cells: npt.NDArray[np.object_] = as_ids(table["cell_id"])
        xy = table[columns[1:]].to_numpy(np.float64)
    if len(set(cells)) < len(cells):
        raise BadPairing(
            f"{run.name}: {len(cells) - len(set(cells))} cell ids of {path.name} occur twice, but "
            "each cell needs its own; give the folder as the instrument wrote it."
        )
    rows = np.array([row_of.get(cell, -1) for cell in cells], np.int64)
    found = np.full((len(row_of), 2), np.nan)
    found[rows[rows >= 0]] = xy[rows >= 0]
    missing = int(np.isnan(found).any(axis=1).sum())
    if missing:
        raise BadPairing(
            f"{run.name}: {missing} of {len(row_of)} cells of the matrix have no position in "
            f"{path.name}; both must come from the same run of the same software."
        )
    return found
