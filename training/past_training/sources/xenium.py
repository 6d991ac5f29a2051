"""A Xenium output folder with its H&E.

Read here is what 10x Genomics documents for Xenium Onboard Analysis 1 to 4, which Xenium Ranger
writes too: ``experiment.xenium``, ``cell_feature_matrix.h5`` (or its MEX folder), ``cells.parquet``
(or ``cells.csv.gz``) and, where it is there, ``nucleus_boundaries.parquet``. The H&E is taken after
the run; Xenium Explorer aligns it and exports the matrix.
"""

from __future__ import annotations

import glob
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from past_training.sources.alignment import MOST_STRETCH, Alignment, read_alignment
from past_training.sources.boundaries import as_ids, with_nucleus_centers
from past_training.sources.counts_10x import read_matrix
from past_training.sources.errors import BadPairing, BadSource
from past_training.sources.folder import (
    checked_folder,
    existing,
    first_existing,
    json_object,
    number,
    reading,
    text,
    the_one_file,
)
from past_training.sources.gene_names import checked_species, gene_counts, species_of
from past_training.sources.picture import stated_mpp
from past_training.sources.pixel_size import agree, settled_mpp
from past_training.sources.section import (
    UNKNOWN_PATIENT,
    MeasuredSection,
    Points,
    section_name,
)

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
    picture = _companion(run, image, "he_image*.tif*", "the H&E", "image=")
    where = _companion(run, alignment, "imagealignment*.csv", "the H&E's alignment", "alignment=")
    affine = read_alignment(where, dapi_mpp)
    _check_direction(affine, where, picture)
    scale, notes = settled_mpp(picture, mpp, affine.mpp, "the alignment")
    if affine.stretch > MOST_STRETCH:
        notes += (
            f"{where.name} stretches one axis by {100 * (affine.stretch - 1):.0f} % against the "
            "other; check the alignment in Xenium Explorer.",
        )

    matrix = read_matrix(run, "cell_feature_matrix")
    row_of = _rows(matrix.barcodes, run.name)
    xenium_um = _centroids_um(run, row_of)
    organism = species or text(about, "panel_organism") or species_of(matrix.feature_ids) or ""
    kind = checked_species(organism)
    counts, genes, told = gene_counts(
        matrix.counts,
        matrix.feature_names,
        kind,
        ids=matrix.feature_ids,
        types=matrix.feature_types,
    )
    centers_um = affine.he_px(xenium_um) * scale
    outlines = run / "nucleus_boundaries.parquet"
    nuclei_um = None
    if outlines.exists():
        nuclei_um = affine.he_px(with_nucleus_centers(outlines, row_of, xenium_um)) * scale
    seen = np.flatnonzero(np.diff(counts.indptr))
    if len(seen) < len(row_of):
        told += (f"{len(row_of) - len(seen)} cells without a transcript were left out.",)
    return MeasuredSection(
        name=section_name(name or run.name),
        patient=patient or UNKNOWN_PATIENT,
        species=kind,
        tissue=text(about, "panel_tissue_type").lower() if tissue is None else tissue,
        technology="Xenium",
        image=picture,
        mpp=scale,
        ids=tuple(matrix.barcodes[i] for i in seen),
        centers_um=centers_um[seen],
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
    # "Xenium_V1_X_outs" lies beside "Xenium_V1_X_he_image.ome.tif".
    stem = run.resolve().name.removesuffix("_outs")
    return the_one_file(
        [(run, f"*{pattern}"), (run.parent, f"{glob.escape(stem)}_*{pattern}")], what, option
    )


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
