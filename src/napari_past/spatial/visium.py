"""A folder of Space Ranger, of Visium or Visium HD, with the H&E that it was run on.

Read here is what 10x Genomics documents for Space Ranger 1 to 4: the filtered feature-barcode
matrix, ``spatial/tissue_positions`` in its three forms (without header, with header, Parquet) and
``spatial/scalefactors_json.json``. The full-resolution image is an input of Space Ranger, which
leaves it where it was.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from napari_past.spatial.counts_10x import read_matrix
from napari_past.spatial.errors import BadPairing
from napari_past.spatial.folder import (
    checked_folder,
    existing,
    first_existing,
    json_object,
    number,
    reading,
    the_one_file,
)
from napari_past.spatial.gene_names import checked_species, gene_counts, species_of
from napari_past.spatial.lattice import DIAMETER_UM, VISIUM_STEP_UM, lattice_mpp
from napari_past.spatial.picture import picture_size, stated_mpp
from napari_past.spatial.pixel_size import settled_mpp
from napari_past.spatial.section import UNKNOWN_PATIENT, MeasuredSection, section_name

THEORETICAL_SPOT_UM = 65.0
"""What ``spot_diameter_fullres`` is the diameter of, as 10x Genomics describes the file."""

_COLUMNS = ("barcode", "in_tissue", "array_row", "array_col", "pxl_row", "pxl_col")
_POSITIONS = ("tissue_positions.parquet", "tissue_positions.csv", "tissue_positions_list.csv")
_MATRIX = "filtered_feature_bc_matrix"


def read_visium(
    folder: str | Path,
    *,
    image: str | Path | None = None,
    name: str | None = None,
    patient: str | None = None,
    tissue: str = "",
    species: str | None = None,
    mpp: float | None = None,
    bin_um: int = 8,
) -> MeasuredSection:
    """The spots under tissue of a Space Ranger run, or the bins of a Visium HD run.

    A picture that states no µm/px gets it from the spots, whose centres are 100 µm apart.

    Parameters
    ----------
    folder
        The folder ``outs``, or the one that holds it.
    image
        The full-resolution H&E that Space Ranger was run on. Default: the one
        ``*tissue_image.*`` or ``*he_image*.tif`` in the folder.
    name
        Of the section; default: the folder's.
    patient
        Default: unknown.
    species
        Default: by the genes' Ensembl ids.
    mpp
        µm/px of the image; default: its own, checked against the spots.
    bin_um
        Side of a bin of Visium HD: 2, 8 or 16, as far as Space Ranger wrote them.

    Returns
    -------
    MeasuredSection
        A position is taken as the centre of the pixel that it names. A bin of Visium HD counts as
        a spot whose diameter is the bin's side.

    Raises
    ------
    BadSource
        A file is missing or damaged.
    BadPairing
        Barcodes occur twice or have no position.
    """
    outs = Path(folder)
    outs = outs / "outs" if (outs / "outs").is_dir() else outs
    is_hd = (outs / "binned_outputs").is_dir()
    here = outs / "binned_outputs" / f"square_{bin_um:03d}um" if is_hd else outs
    needs = f"binned_outputs/{here.name}/spatial" if is_hd else "spatial"
    outs = checked_folder(outs, "the output of Space Ranger", [needs])
    picture = _picture(outs, image)
    positions = _positions(here / "spatial")
    derived, how = _derived_mpp(here / "spatial", positions, picture, is_hd)
    scale, notes = settled_mpp(picture, mpp, derived, how)

    matrix = read_matrix(here, _MATRIX)
    rows = _position_rows(matrix.barcodes, positions, outs.name)
    used = positions.iloc[rows]
    organism = species or species_of(matrix.feature_ids) or ""
    kind = checked_species(organism)
    counts, genes, told = gene_counts(
        matrix.counts,
        matrix.feature_names,
        kind,
        ids=matrix.feature_ids,
        types=matrix.feature_types,
    )
    under_tissue = used["in_tissue"].to_numpy(bool)
    seen = np.flatnonzero((np.diff(counts.indptr) > 0) & under_tissue)
    if len(seen) < len(rows):
        told += (f"{len(rows) - len(seen)} spots off the tissue or without counts were left out.",)
    centers_um = (used[["pxl_col", "pxl_row"]].to_numpy(np.float64) + 0.5) * scale
    default_name = outs.resolve().parent.name if outs.name == "outs" else outs.resolve().name
    return MeasuredSection(
        name=section_name(name or default_name),
        patient=patient or UNKNOWN_PATIENT,
        species=kind,
        tissue=tissue,
        technology="VisiumHD" if is_hd else "Visium",
        image=picture,
        mpp=scale,
        ids=tuple(matrix.barcodes[i] for i in seen),
        centers_um=centers_um[seen],
        counts=counts[seen],
        genes=genes,
        spot_diameter_um=float(bin_um) if is_hd else DIAMETER_UM["Visium"],
        notes=notes + told,
    )


def fullres_size(folder: Path) -> tuple[float, float] | None:
    """(width, height) in px of the picture that Space Ranger was run on, by its small copy.

    To within a pixel of that copy, under half a per cent; None where there is no copy.
    """
    outs = folder / "outs" if (folder / "outs").is_dir() else folder
    for spatial in (outs / "spatial", *sorted(outs.glob("binned_outputs/*/spatial"))):
        copy, facts = spatial / "tissue_hires_image.png", spatial / "scalefactors_json.json"
        if copy.exists() and facts.exists():
            factor = number(json_object(facts), "tissue_hires_scalef")
            width_px, height_px = picture_size(copy)
            return None if factor is None else (width_px / factor, height_px / factor)
    return None


def _picture(outs: Path, given: str | Path | None) -> Path:
    if given is not None:
        return existing(given, "The H&E")
    return the_one_file(
        [(outs, "*tissue_image.*"), (outs, "*he_image*.tif*")],
        "full-resolution H&E (Space Ranger does not copy it)",
        "image=",
    )


def _positions(spatial: Path) -> pd.DataFrame:
    """A line for each place of the array: `_COLUMNS`, whichever way it was written."""
    path = first_existing(spatial, _POSITIONS, "positions of spots")
    with reading(path, "positions of spots"):
        if path.suffix == ".parquet":
            table = pd.read_parquet(path)
        else:
            with path.open(encoding="utf-8") as file:
                has_header = file.readline().startswith("barcode")
            table = pd.read_csv(path, header=0 if has_header else None)
        if table.shape[1] != len(_COLUMNS):
            raise ValueError(f"6 columns were expected, not {table.shape[1]}")
        # The order is the same in every version; some write names of their own.
        table.columns = pd.Index(_COLUMNS)
        return table.astype({"barcode": str} | dict.fromkeys(_COLUMNS[1:], float))


def _position_rows(barcodes: tuple[str, ...], positions: pd.DataFrame, run: str) -> list[int]:
    """The line of `positions` for each barcode of the matrix."""
    row_of = {barcode: i for i, barcode in enumerate(positions["barcode"])}
    twice = len(barcodes) - len(set(barcodes)) + len(positions) - len(row_of)
    if twice:
        raise BadPairing(
            f"{run}: {twice} barcodes occur twice, but each spot needs its own; give the folder "
            "as Space Ranger wrote it."
        )
    missing = [b for b in barcodes if b not in row_of]
    if missing:
        raise BadPairing(
            f"{run}: {len(missing)} of {len(barcodes)} spots of the matrix have no position "
            f"({missing[0]}); matrix and positions must come from the same run."
        )
    return [row_of[b] for b in barcodes]


def _derived_mpp(
    spatial: Path, positions: pd.DataFrame, picture: Path, is_hd: bool
) -> tuple[float | None, str]:
    """µm/px of the full-resolution image by the measurement, and what it was taken from."""
    factors = json_object(first_existing(spatial, ["scalefactors_json.json"], "scale factors"))
    if is_hd:
        return number(factors, "microns_per_pixel"), "scalefactors_json.json"
    grid_um = positions[["array_col", "array_row"]].to_numpy(np.float64) * VISIUM_STEP_UM
    measured = lattice_mpp(grid_um, positions[["pxl_col", "pxl_row"]].to_numpy(np.float64))
    if measured is not None:
        return measured, "the pitch of the spots"
    spot_px = number(factors, "spot_diameter_fullres")
    if spot_px is None or stated_mpp(picture) is not None:
        return None, ""
    return THEORETICAL_SPOT_UM / spot_px, "spot_diameter_fullres"
