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

from past_training.sources.errors import BadPairing, BadSource
from past_training.sources.folder import checked_folder, first_existing, reading
from past_training.sources.gene_names import checked_species, gene_counts, named_species
from past_training.sources.lattice import DIAMETER_UM, PITCH_UM, lattice_mpp
from past_training.sources.pixel_size import settled_mpp
from past_training.sources.section import UNKNOWN_PATIENT, MeasuredSection, section_name

_SUFFIX = "_selection.tsv"
_PICTURES = (".jpg", ".jpeg", ".png", ".tif", ".tiff")


def read_st(
    folder: str | Path,
    section: str,
    patient: str | None = None,
    mpp: float | None = None,
    *,
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
        No spot has counts, or a spot has two lines.
    """
    place = checked_folder(folder, "sections of Spatial Transcriptomics", [])
    picture = first_existing(place, [section + s for s in _PICTURES], f"picture of {section}")
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
    names = list(sections) or sorted(
        p.name.removesuffix(_SUFFIX) for p in place.glob(f"*{_SUFFIX}")
    )
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
