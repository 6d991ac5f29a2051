"""One section of tissue as it was measured: what every reader gives, before any pixel is cut."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

TOKENS = 300
"""Token ids of a row in the published PAST layout."""
UNKNOWN_PATIENT = "unknown"
"""Sections of nobody in particular count as one patient, so that no split claims an unseen one."""
NO_TECHNOLOGY = "other"
TECHNOLOGIES = ("Xenium", "Visium", "VisiumHD", "ST", "MERFISH", "CosMx", NO_TECHNOLOGY)
"""How tissue was measured."""

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")

Points = npt.NDArray[np.float64]
"""(n, 2), (x, y) in µm of slide space or in px, as each user of it says."""


@dataclass(frozen=True, eq=False)
class MeasuredSection:
    """Measured profiles of one section and the H&E that they lie on.

    Rows are cells or spots. Only shapes are checked here; `napari_past.spatial.checks` looks at
    what the values mean.

    Raises
    ------
    ValueError
        Arrays whose shapes do not fit each other: a mistake of the reader's.
    """

    name: str
    """Unique in a dataset: letters, digits, ``.``, ``_`` and ``-``."""
    patient: str
    """`UNKNOWN_PATIENT` where nobody said."""
    species: str
    """"human" or "mouse"; empty where nobody said and the genes' names do not tell."""
    tissue: str
    """Such as "breast" or "lung"; may be empty."""
    technology: str
    """One of `TECHNOLOGIES`."""
    image: Path
    """The H&E; opened with `napari_past.spatial.picture.open_picture`."""
    mpp: float
    """µm/px of the image."""
    ids: tuple[str, ...]
    """(r,) of each row, unique."""
    centers_um: Points
    """(r, 2) float64, (x, y) in slide space: µm, origin at the outer corner of pixel (0, 0)."""
    counts: csr_array
    """(r, g) float32, raw counts."""
    genes: tuple[str, ...]
    """(g,) unique: HGNC symbols of human genes where they could be resolved."""
    spot_diameter_um: float | None
    """None: rows are single cells."""
    tokens: npt.NDArray[np.int64] | None = None
    """(r, 300) of the published PAST layout; counts may then have no columns."""
    neighbours: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]] | None = None
    """Starts (r + 1,) and row indices (k,) where the source names neighbours; row i's are
    ``index[start[i]:start[i + 1]]``."""
    nuclei_um: Points | None = None
    """(n, 2) nuclei of the source itself, in slide space; of single cells one for each row, in
    their order. None: the cells' centres, or what a detector finds in the spots."""
    types: tuple[str, ...] | None = None
    """(r,) cell types as somebody annotated them; empty where a row has none. None: nobody did."""
    notes: tuple[str, ...] = ()
    """What the reader decided or left out, a sentence each, for the user."""

    def __post_init__(self) -> None:
        rows = len(self.ids)
        wanted: list[tuple[str, tuple[int, ...], tuple[int, ...]]] = [
            ("centers_um", self.centers_um.shape, (rows, 2)),
            ("counts", self.counts.shape, (rows, len(self.genes))),
        ]
        if self.tokens is not None:
            wanted.append(("tokens", self.tokens.shape, (rows, TOKENS)))
        if self.nuclei_um is not None:
            wanted.append(("nuclei_um", self.nuclei_um.shape, (len(self.nuclei_um), 2)))
        if self.types is not None:
            wanted.append(("types", (len(self.types),), (rows,)))
        if self.neighbours is not None:
            start, index = self.neighbours
            wanted.append(("neighbours[0]", start.shape, (rows + 1,)))
            wanted.append(("neighbours[1]", index.shape, (int(start[-1]),)))
        for field, shape, expected in wanted:
            if shape != expected:
                raise ValueError(f"{field} of {rows} rows must be {expected}, but is {shape}.")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def row_kind(self) -> str:
        """What rows are called: "cells" or "spots"."""
        return "cells" if self.spot_diameter_um is None else "spots"


def section_name(text: str) -> str:
    """`text` with everything that cannot be in a section's name replaced by ``-``."""
    return _UNSAFE.sub("-", text).strip("-._") or "section"
