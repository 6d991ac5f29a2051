"""Sections of Spatial Transcriptomics (ST): a picture, spot positions, counts.

The layout of the HER2-positive breast cancer data of Andersson et al. 2021 (Nat Commun 12:6012):
``<section>.jpg``, ``<section>.tsv.gz`` (spots "XxY" by genes) and ``<section>_selection.tsv`` with
``x, y, pixel_x, pixel_y``, where pixel_x is the column and pixel_y the row in the picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from napari_past.spatial.errors import BadPairing, BadSource
from napari_past.spatial.folder import checked_folder, existing, first_existing, reading
from napari_past.spatial.gene_names import checked_species, gene_counts, named_species
from napari_past.spatial.lattice import DIAMETER_UM, PITCH_UM, lattice_mpp
from napari_past.spatial.picture import picture_size
from napari_past.spatial.pixel_size import settled_mpp
from napari_past.spatial.section import UNKNOWN_PATIENT, MeasuredSection, section_name

_SUFFIX = "_selection.tsv"
_PICTURES = (".jpg", ".jpeg", ".png", ".tif", ".tiff")


def read_st(
    folder: str | Path,
    section: str,
    patient: str | None = None,
    mpp: float | None = None,
    *,
    image: str | Path | None = None,
    spot_diameter_um: float = DIAMETER_UM["ST"],
    tissue: str = "",
    species: str | None = None,
) -> MeasuredSection:
    """One section; spots without counts are dropped.

    Parameters
    ----------
    folder
        Holds the files of its sections.
    section
        Begins their names: "C2".
    patient
        Default: unknown.
    mpp
        µm/px of the picture; default: its own, else by the pitch of the spots, 200 µm.
    image
        The picture that positions are in pixels of, in another file; default: the one in `folder`.
    species
        Default: what the genes are named as.

    Returns
    -------
    MeasuredSection
        A position is taken as the centre of the pixel that it names.

    Raises
    ------
    BadSource
        A file is missing or damaged.
    BadPairing
        No spot has counts, a spot has two lines, or `image` is not of the size of the picture in
        `folder`.
    """
    place = checked_folder(folder, "sections of Spatial Transcriptomics", [])
    picture = _picture(place, section, image)
    table = first_existing(
        place, [f"{section}.tsv.gz", f"{section}.tsv"], f"table of counts of {section}"
    )
    positions = first_existing(place, [section + _SUFFIX], f"table of positions of {section}")
    with reading(table, "a table of spots by genes"):
        counts = pd.read_csv(table, sep="\t", index_col=0)
        values = counts.to_numpy(np.float32)
    with reading(positions, "positions of spots"):
        where = pd.read_csv(positions, sep="\t")
        ids = where["x"].astype(str) + "x" + where["y"].astype(str)
        grid_um = where[["x", "y"]].to_numpy(np.float64) * PITCH_UM["ST"]
        xy_px = where[["pixel_x", "pixel_y"]].to_numpy(np.float64)
    twice = len(ids) - ids.nunique() + len(counts) - counts.index.nunique()
    if twice:
        raise BadPairing(
            f"Section {section}: {twice} spots have two lines in {positions.name} or {table.name}, "
            "but each needs one; remove the doubles."
        )
    row_of = {spot: row for row, spot in enumerate(counts.index) if (values[row] != 0).any()}
    kept = [i for i, spot in enumerate(ids) if spot in row_of]
    if not kept:
        raise BadPairing(
            f"No spot of {positions.name} has counts in {table.name}; both must be of one section, "
            "with spots named XxY by the columns x and y."
        )
    scale, notes = settled_mpp(picture, mpp, lattice_mpp(grid_um, xy_px), "the pitch of the spots")
    if len(kept) < len(ids):
        notes += (f"{len(ids) - len(kept)} spots without counts were left out.",)
    names = [str(name) for name in counts.columns]
    kind, guessed = (checked_species(species), ()) if species else named_species(names)
    matrix = csr_array(values[[row_of[ids[i]] for i in kept]])
    summed, genes, told = gene_counts(matrix, names, kind)
    return MeasuredSection(
        name=section_name(section),
        patient=patient or UNKNOWN_PATIENT,
        species=kind,
        tissue=tissue,
        technology="ST",
        image=picture,
        mpp=scale,
        ids=tuple(ids[i] for i in kept),
        centers_um=(xy_px[kept] + 0.5) * scale,
        counts=summed,
        genes=genes,
        spot_diameter_um=spot_diameter_um,
        notes=notes + guessed + told,
    )


def own_picture(folder: Path, section: str) -> Path | None:
    """The picture of a section that lies in its folder, or None."""
    found = (folder / f"{section}{suffix}" for suffix in _PICTURES)
    return next((path for path in found if path.exists()), None)


def section_names(folder: Path) -> tuple[str, ...]:
    """Names of the sections that have a table of positions, sorted."""
    return tuple(sorted(p.name.removesuffix(_SUFFIX) for p in folder.glob(f"*{_SUFFIX}")))


def section_of_file(path: Path) -> str | None:
    """The name of the section that a file is a table of, if its other table lies beside it."""
    for suffix in (_SUFFIX, ".tsv.gz", ".tsv"):
        if path.name.endswith(suffix) and path.is_file():
            name = path.name.removesuffix(suffix)
            return name if (path.parent / f"{name}{_SUFFIX}").exists() else None
    return None


def read_st_folder(
    folder: str | Path,
    *,
    sections: Sequence[str] = (),
    patient: str | None = None,
    mpp: float | None = None,
    spot_diameter_um: float = DIAMETER_UM["ST"],
    tissue: str = "",
    species: str | None = None,
) -> Iterator[MeasuredSection]:
    """The sections of a folder, of one patient, as `read_st` reads them.

    Parameters
    ----------
    sections
        Which; default: all that have a table of positions, by name.

    Raises
    ------
    BadSource
        There is none, or a file is missing or damaged.
    """
    place = checked_folder(folder, "sections of Spatial Transcriptomics", [])
    names = tuple(sections) or section_names(place)
    if not names:
        raise BadSource(f"{place} holds no section: no file *{_SUFFIX}; give the folder with them.")
    for name in names:
        yield read_st(
            place,
            name,
            patient,
            mpp,
            spot_diameter_um=spot_diameter_um,
            tissue=tissue,
            species=species,
        )


def _picture(folder: Path, section: str, given: str | Path | None) -> Path:
    """The picture whose pixels positions are in."""
    if given is None:
        return first_existing(folder, [section + s for s in _PICTURES], f"picture of {section}")
    picture, own = existing(given, "The H&E"), own_picture(folder, section)
    if own is None or own.samefile(picture):
        return picture
    size, wanted = picture_size(picture), picture_size(own)
    if size != wanted:
        raise BadPairing(
            f"{picture.name} is {size[0]} x {size[1]} px, but the spots of {section} lie in pixels "
            f"of {own.name}, {wanted[0]} x {wanted[1]}; open that picture, or place the spots with "
            "landmarks= or --landmarks."
        )
    return picture
