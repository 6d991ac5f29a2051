"""Data as they are laid out for the published PAST code: tokens instead of counts.

    <root>/…/<technology>/<species>_<tissue>_<Donor>_<sample>.h5     one file for each section
    <root>/…/<technology>/<donor>/<sample>/*he*.tif                  its H&E, one OME pyramid

A file holds ``X`` (token rows), ``modality``, ``assay``, ``specie`` (a token each), ``image_x``,
``image_y`` (column and row in the H&E), and maybe ``neighbor_indices`` (ragged) and ``idx``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from napari_past.hdf5 import open_hdf5
from napari_past.spatial.errors import BadPairing, BadSource
from napari_past.spatial.folder import checked_folder, reading
from napari_past.spatial.pixel_size import settled_mpp
from napari_past.spatial.section import TOKENS, MeasuredSection, section_name

PAD = 1
FIRST_GENE = 30
"""Tokens below are reserved for what a row says before its genes."""
ASSAYS = {7: "MERFISH", 8: "CosMx", 9: "Xenium"}
SPECIES = {5: "human", 6: "mouse"}
_PREFIX = ("modality", "assay", "specie")
"""In the order in which they begin a row."""
_NEEDED = ("X", *_PREFIX, "image_x", "image_y")

Tokens = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LayoutName:
    """What a file's name says: ``human_breast_Donor1_s1`` or ``human_lung_cancer_D2_a_b``."""

    species: str
    tissue: str
    """Parts between species and donor, with spaces."""
    donor: str
    """The first part that begins with a capital letter."""
    sample: str

    @staticmethod
    def parsed(stem: str) -> LayoutName:
        """The parts of a file's name without suffix.

        Raises
        ------
        BadSource
            No part begins with a capital letter, or one of the four is missing.
        """
        parts = stem.split("_")
        donor = next((i for i, p in enumerate(parts) if i > 0 and p[:1].isupper()), 0)
        if donor < 2 or donor == len(parts) - 1:
            raise BadSource(
                f"{stem}.h5 is not named <species>_<tissue>_<Donor>_<sample>.h5, where the donor "
                "is the first part with a capital letter; rename it."
            )
        return LayoutName(
            parts[0].lower(), " ".join(parts[1:donor]), parts[donor], "_".join(parts[donor + 1 :])
        )


def read_past_layout(
    root: str | Path, *, images: str | Path | None = None, mpp: float | None = None
) -> Iterator[MeasuredSection]:
    """The sections of a folder in the layout of the published PAST code, by file name.

    Parameters
    ----------
    root
        Holds the ``.h5`` files, at any depth.
    images
        Holds the H&E files, at any depth; default: `root`.
    mpp
        µm/px of every H&E; default: its own. The published code never reads it.

    Yields
    ------
    MeasuredSection
        With tokens and without counts. Rows that come without ``modality, assay, specie`` in front
        get them, and are cut to 300.

    Raises
    ------
    BadSource
        No files, a wrong name, a missing array, or no single H&E for a section.
    BadPairing
        The file's name and its tokens disagree, or neighbours do not exist.
    """
    cells = checked_folder(root, "data laid out for PAST", [])
    pictures = cells if images is None else checked_folder(images, "H&E images", [])
    files = sorted(cells.rglob("*.h5"))
    if not files:
        raise BadSource(
            f"{cells} holds no .h5 file; give the folder with "
            "<technology>/<species>_<tissue>_<Donor>_<sample>.h5."
        )
    found = sorted(pictures.rglob("*he*.tif"))
    for path in files:
        name = LayoutName.parsed(path.stem)
        yield _section(path, name, _picture(path, name, pictures, found), mpp)


def _section(path: Path, name: LayoutName, picture: Path, mpp: float | None) -> MeasuredSection:
    scale, notes = settled_mpp(picture, mpp, None, "")
    with reading(path, "data laid out for PAST"), open_hdf5(path) as file:
        missing = [key for key in _NEEDED if key not in file]
        if missing:
            raise BadSource(
                f"{path.name} has no {' and no '.join(missing)}; the published layout has the "
                f"arrays {', '.join(_NEEDED)}."
            )
        stated = np.column_stack([np.asarray(file[key][:], np.int64).ravel() for key in _PREFIX])
        tokens = _with_prefix(np.asarray(file["X"][:], np.int64), stated)
        xy_px = np.column_stack(
            [np.asarray(file[k][:], np.float64) for k in ("image_x", "image_y")]
        )
        ids = _ids(file["idx"]) if "idx" in file else tuple(map(str, range(len(tokens))))
        neighbours = _neighbours(file["neighbor_indices"]) if "neighbor_indices" in file else None
    species = _single(SPECIES, stated[:, 2], "species", path)
    if species != name.species:
        raise BadPairing(
            f"{path.name} is named {name.species}, but its tokens say {species}; rename it."
        )
    if neighbours is not None:
        _check_neighbours(neighbours, len(tokens), path)
    return MeasuredSection(
        name=section_name(path.stem),
        patient=name.donor,
        species=species,
        tissue=name.tissue,
        technology=_single(ASSAYS, stated[:, 1], "technology", path),
        image=picture,
        mpp=scale,
        ids=ids,
        centers_um=(xy_px + 0.5) * scale,
        counts=csr_array((len(tokens), 0), dtype=np.float32),
        genes=(),
        spot_diameter_um=None,
        tokens=tokens,
        neighbours=neighbours,
        notes=notes,
    )


def _picture(path: Path, name: LayoutName, images: Path, candidates: list[Path]) -> Path:
    """The one ``*he*.tif`` in ``<donor>/<sample>/``, or beside the file in ``<stem>/``."""
    wanted = (name.donor.lower(), name.sample.lower())
    found = [
        p
        for p in candidates
        if tuple(part.lower() for part in p.parent.parts[-2:]) == wanted
        or p.parent.name == path.stem
    ]
    if len(found) == 1:
        return found[0]
    how_many = "no file" if not found else f"{len(found)} files"
    raise BadSource(
        f"{path.name} has {how_many} {name.donor}/{name.sample}/*he*.tif below {images}, but one "
        "is needed: its H&E as an OME pyramid."
    )


def _with_prefix(rows: Tokens, stated: Tokens) -> Tokens:
    """Rows (n, 300) that begin with modality, assay and species; short ones are padded."""
    if rows.ndim != 2:
        raise ValueError(f"X must be (rows, tokens), but is {rows.shape}")
    if len(rows) != len(stated):
        raise ValueError(f"X has {len(rows)} rows, but modality has {len(stated)}")
    has_prefix = rows.shape[1] >= 3 and np.array_equal(rows[:, :3], stated)
    full = rows if has_prefix else np.column_stack([stated, rows])
    out = np.full((len(rows), TOKENS), PAD, np.int64)
    width = min(TOKENS, full.shape[1])
    out[:, :width] = full[:, :width]
    return out


def _ids(values: h5py.Dataset) -> tuple[str, ...]:
    return tuple(v.decode() if isinstance(v, bytes) else str(v) for v in values[:])


def _neighbours(values: h5py.Dataset) -> tuple[Tokens, Tokens]:
    """Starts (r + 1,) and indices of lists that are ragged, or padded with negative numbers."""
    lists = [np.asarray(row, np.int64).ravel() for row in values[:]]
    lists = [row[row >= 0] for row in lists]
    start = np.concatenate([[0], np.cumsum([len(row) for row in lists])]).astype(np.int64)
    index = np.concatenate(lists) if lists else np.zeros(0, np.int64)
    return start, index.astype(np.int64)


def _check_neighbours(neighbours: tuple[Tokens, Tokens], rows: int, path: Path) -> None:
    start, index = neighbours
    if len(start) != rows + 1:
        raise BadPairing(
            f"{path.name} has neighbours of {len(start) - 1} cells for {rows} cells; write them "
            "again."
        )
    if len(index) and int(index.max()) >= rows:
        raise BadPairing(
            f"{path.name} names the neighbour {int(index.max())}, but has {rows} cells, counted "
            "from 0; neighbor_indices are rows of the same file."
        )


def _single(names: dict[int, str], tokens: Tokens, what: str, path: Path) -> str:
    found = sorted(set(tokens.tolist()))
    if len(found) != 1 or found[0] not in names:
        known = ", ".join(f"{token} {name}" for token, name in names.items())
        raise BadPairing(
            f"{path.name} has the {what} tokens {found[:4]}, but one of {known} was expected for "
            "the whole file."
        )
    return names[found[0]]
