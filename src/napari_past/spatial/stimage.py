"""A folder of STimage-1K4M (Chen et al. 2024, arXiv 2406.06393).

    <folder>/<ST|Visium|VisiumHD>/image/<slide>.png
                                  gene_exp/<slide>_count.csv      spots by genes
                                  coord/<slide>_coord.csv         yaxis, xaxis: row and column in px
    <folder>/meta/meta_all_gene.csv                               slide, species, tissue, tech …

The radius ``r`` of the coordinate files is that of a drawn spot and sets no scale: µm/px come from
the pitch of the spots.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse
from scipy.sparse import csr_array

from napari_past.spatial.errors import BadPairing, BadSource
from napari_past.spatial.folder import checked_folder, reading
from napari_past.spatial.gene_names import checked_species, gene_counts
from napari_past.spatial.lattice import DIAMETER_UM, PITCH_UM, lattice_mpp, pitch
from napari_past.spatial.pixel_size import settled_mpp
from napari_past.spatial.section import (
    UNKNOWN_PATIENT,
    MeasuredSection,
    Points,
    section_name,
)

_TECHNOLOGIES = ("ST", "Visium", "VisiumHD")
_COUNTS = "_count.csv"
_BLOCK_ROWS = 512
"""Rows of a table of counts that are parsed at once: files reach a gigabyte, mostly zeros."""
_ARRAY_PLACE = re.compile(r".*?(\d+)x(\d+)")
_STUDY = re.compile(r"(GSE\d+)_|(.+)_(?:ST|Visium|VisiumHD)(?:_|$)")


def read_stimage(
    folder: str | Path,
    *,
    slides: Sequence[str] = (),
    bin_um: float | None = None,
    mpp: float | None = None,
    species: str | None = None,
) -> Iterator[MeasuredSection]:
    """The slides of a STimage-1K4M folder, by technology and name.

    Parameters
    ----------
    folder
        The whole download, or the folder of one technology.
    slides
        Which, such as GSE144239_GSM4284316; default: all that have counts.
    bin_um
        Side of a bin of Visium HD, which the files do not state.
    mpp
        µm/px of every picture; default: by the pitch of the spots (ST 200 µm, Visium 100 µm).
    species
        Default: as ``meta_all_gene.csv`` has it.

    Yields
    ------
    MeasuredSection
        A slide's patient is not known: slides of one study count as one patient.

    Raises
    ------
    BadSource
        A file is missing or damaged.
    BadPairing
        No spot has both counts and a place.
    """
    place = checked_folder(folder, "a STimage-1K4M folder", [])
    homes = [place] if (place / "gene_exp").is_dir() else [place / t for t in _TECHNOLOGIES]
    tables = [p for home in homes for p in sorted((home / "gene_exp").glob(f"*{_COUNTS}"))]
    if slides:
        by_slide = {p.name.removesuffix(_COUNTS): p for p in tables}
        missing = [s for s in slides if s not in by_slide]
        if missing:
            raise BadSource(f"{place} has no gene_exp/{missing[0]}{_COUNTS}; download it.")
        tables = [by_slide[s] for s in slides]
    if not tables:
        raise BadSource(
            f"{place} holds no gene_exp/*{_COUNTS}; give the folder that holds ST, Visium or "
            "VisiumHD, or one of them."
        )
    for table in tables:
        yield _section(table, bin_um, mpp, species)


def _section(
    table: Path, bin_um: float | None, mpp: float | None, species: str | None
) -> MeasuredSection:
    home, slide = table.parent.parent, table.name.removesuffix(_COUNTS)
    picture, places = home / "image" / f"{slide}.png", home / "coord" / f"{slide}_coord.csv"
    for path in (picture, places):
        if not path.is_file():
            raise BadSource(f"Slide {slide} lacks {path.parent.name}/{path.name}; download it.")
    technology = home.name
    if technology not in _TECHNOLOGIES:
        raise BadSource(
            f"{home} should be named by its technology, one of {', '.join(_TECHNOLOGIES)}; rename "
            "it as it was downloaded."
        )
    if technology == "VisiumHD" and bin_um is None:
        raise BadSource(
            f"{slide} is Visium HD, whose files do not state the size of a bin; give it with "
            "bin_um= (2, 8 or 16)."
        )
    ids, genes, counts = _counts(table)
    with reading(places, "positions of spots"):
        coordinates = pd.read_csv(places, index_col=0)[["xaxis", "yaxis"]].astype(float)
        coordinates.index = coordinates.index.astype(str)
    twice = len(ids) - len(set(ids)) + len(coordinates) - coordinates.index.nunique()
    if twice:
        raise BadPairing(
            f"Slide {slide}: {twice} spots occur twice in its tables; download them again."
        )
    rows = [i for i, spot in enumerate(ids) if spot in coordinates.index]
    if not rows:
        raise BadPairing(f"No spot of {table.name} is in {places.name}; both must be of one slide.")
    kept = [ids[i] for i in rows]
    xy_px = coordinates.loc[kept].to_numpy(np.float64)
    scale, notes = settled_mpp(
        picture, mpp, _derived_mpp(technology, kept, xy_px, bin_um), "the pitch of the spots"
    )
    facts = _facts(home, slide)
    kind = checked_species(species or facts.get("species", ""))
    summed, symbols, told = gene_counts(counts[rows], genes, kind)
    seen = np.flatnonzero(np.diff(summed.indptr))
    if len(seen) < len(ids):
        told += (f"{len(ids) - len(seen)} spots without counts or a place were left out.",)
    study = _STUDY.match(slide)
    return MeasuredSection(
        name=section_name(slide),
        patient=f"{UNKNOWN_PATIENT} ({(study[1] or study[2]) if study else slide})",
        species=kind,
        tissue=facts.get("tissue", "").lower(),
        technology=technology,
        image=picture,
        mpp=scale,
        ids=tuple(kept[i] for i in seen),
        centers_um=(xy_px[seen] + 0.5) * scale,
        counts=summed[seen],
        genes=symbols,
        spot_diameter_um=bin_um if technology == "VisiumHD" else DIAMETER_UM[technology],
        notes=notes + told,
    )


def _counts(table: Path) -> tuple[list[str], list[str], csr_array]:
    """Spots, genes and counts, block by block."""
    ids: list[str] = []
    genes: list[str] = []
    parts: list[csr_array] = []
    with reading(table, "a table of spots by genes"):
        for block in pd.read_csv(table, index_col=0, chunksize=_BLOCK_ROWS):
            ids += [str(v) for v in block.index]
            genes = [str(v) for v in block.columns]
            parts.append(csr_array(block.to_numpy(np.float32)))
        if not parts:
            raise ValueError("it has no line")
    return ids, genes, csr_array(scipy.sparse.vstack(parts, format="csr"))


def _derived_mpp(
    technology: str, spots: Sequence[str], xy_px: Points, bin_um: float | None
) -> float | None:
    """By the spots' places on their array where their names tell it, else by their distances."""
    matches = [_ARRAY_PLACE.fullmatch(spot) for spot in spots]
    if technology == "ST" and all(matches):
        grid = np.array([[int(m[1]), int(m[2])] for m in matches if m is not None], np.float64)
        measured = lattice_mpp(grid * PITCH_UM["ST"], xy_px)
        if measured is not None:
            return measured
    away_px = pitch(xy_px)
    pitch_um = bin_um if technology == "VisiumHD" else PITCH_UM[technology]
    return pitch_um / away_px if away_px and pitch_um else None


def _facts(home: Path, slide: str) -> dict[str, str]:
    """The slide's line of ``meta/meta_all_gene.csv``, where that was downloaded."""
    path = home.parent / "meta" / "meta_all_gene.csv"
    if not path.is_file():
        return {}
    with reading(path, "the table of slides"):
        table = pd.read_csv(path, dtype=str).set_index("slide").fillna("")
    if slide not in table.index:
        return {}
    line = table.loc[slide]
    line = line.iloc[0] if isinstance(line, pd.DataFrame) else line
    return {str(k): str(v) for k, v in line.items()}
