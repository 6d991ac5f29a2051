"""What is measured of a cell on a real IHC slide, and which of it is a marker's value.

A cell's *readings* are the mean DAB optical density of its nucleus, cytoplasm and membrane, and
that of each sector of the membrane. All numbers that are told come from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from napari_past.errors import MissingCutoffs, UnknownGene
from napari_past.genes import Resolved, markers, resolve
from napari_past.genes.marker import Marker
from napari_past.stain.compartments import COMPARTMENTS, RAYS, CellDensities, Compartment
from napari_past.stain.dab import DAB_CUTOFFS
from napari_past.stain.membrane import LEAST_SEEN, TOUCHED_SHARE, completeness, her2_classes
from napari_past.types import Cutoffs

Readings = npt.NDArray[np.float32]
"""(n, 27): nucleus, cytoplasm, membrane, then the 24 sectors; NaN where nothing is seen."""

READINGS = len(COMPARTMENTS) + RAYS
DAB_UNIT = "DAB optical density"
DAB_OF: dict[str, str] = {name: f"DAB {name}" for name in COMPARTMENTS}
"""Compartment to the name of its mean density."""
MEMBRANE_TOUCHED, COMPLETENESS, HER2_CLASS = (
    "DAB membrane (strongest tenth)", "Membrane completeness", "HER2 class",
)  # fmt: skip
UNITS = {
    **dict.fromkeys(DAB_OF.values(), DAB_UNIT),
    MEMBRANE_TOUCHED: DAB_UNIT,
    COMPLETENESS: f"share of the membrane from {DAB_CUTOFFS.weak:g} on",
    HER2_CLASS: "class by membrane completeness",
}
COLUMNS = tuple(UNITS)
"""Names of all that is told of a cell."""
NO_MARKER = "Name the marker to have its customary scores."
HER2_SCORE, TPS, CPS = "0/1+/2+/3+", "TPS", "CPS"
"""Scores that need a real stain, as the panel names them."""
_OTHER_KIND = {
    "membrane": "the slide's kind IHC (membrane) finds cells by their blue alone and fits better.",
    "nuclear": "the slide's kind IHC (nuclear) finds brown nuclei too and fits better.",
}
_HER2_CUTOFFS = Cutoffs(1, 2, 3, f"HER2 classes at DAB densities {DAB_CUTOFFS.values}")


def readings(densities: CellDensities, sectors: npt.NDArray[np.float32]) -> Readings:
    """The readings of n cells.

    Parameters
    ----------
    sectors
        (n, 24), `membrane_sectors`.
    """
    means = [densities.of(compartment) for compartment in COMPARTMENTS]
    return np.column_stack([*means, sectors]).astype(np.float32)


def measured_values(cells: npt.NDArray[np.floating], names: Sequence[str]) -> Readings:
    """Values (n, len(names)), float32, of columns and markers; NaN where nothing is seen.

    Parameters
    ----------
    cells
        (n, 27), `Readings`.
    names
        Of `COLUMNS`, or names of markers of the panel, whose value is that of their column.

    Raises
    ------
    UnknownGene
    """
    values = np.empty((len(cells), len(names)), np.float32)
    for k, name in enumerate(names):
        values[:, k] = _highest(cells, columns_of(name))
    return values


def columns_of(name: str) -> tuple[str, ...]:
    """The columns that a marker's value is the highest of; of a column itself.

    A marker with HER2's score has its class, one with TPS what the strongest tenth of the border
    reaches, so that a value >= a cut-off says what `membrane_positive` does; others the mean
    density of where their antibody stains.

    Raises
    ------
    UnknownGene
        Neither a marker of the panel nor a column.
    """
    if name in UNITS:
        return (name,)
    marker = next((m for m in markers() if m.name == name), None)
    if marker is None:
        raise UnknownGene(_unknown(name))
    if HER2_SCORE in marker.real_stain_only:
        return (HER2_CLASS,)
    if TPS in marker.real_stain_only:
        return (MEMBRANE_TOUCHED,)
    return tuple(DAB_OF[compartment] for compartment in marker.compartments)


def unit_of(name: str) -> str:
    """Of a marker's or a column's values."""
    return UNITS[columns_of(name)[0]]


def cutoffs_of(name: str) -> Cutoffs | None:
    """QuPath's for densities, 1, 2 and 3 for classes, none for shares."""
    if has_classes(name):
        return _HER2_CUTOFFS
    return None if columns_of(name) == (COMPLETENESS,) else DAB_CUTOFFS


def has_classes(name: str) -> bool:
    """Whether the values of a marker or a column are HER2's classes, which are no densities: they
    have no other cut-offs than 1, 2 and 3, and no H-score.

    Raises
    ------
    UnknownGene
    """
    return columns_of(name) == (HER2_CLASS,)


def check_cutoffs(name: str, cutoffs: Cutoffs) -> None:
    """Raise `MissingCutoffs` where HER2's classes are given other cut-offs than their own."""
    if has_classes(name) and cutoffs.values != _HER2_CUTOFFS.values:
        raise MissingCutoffs(
            f"The values of {name} are classes 0 to 3 by the completeness of the membrane, for "
            f"which {', '.join(f'{v:g}' for v in cutoffs.values)} are no cut-offs; leave them out, "
            f"or score {DAB_OF['membrane']} with them."
        )


def resolve_measured(name: str) -> Resolved:
    """What a typed name means on a real stain: a marker of the panel, or a column.

    The symbol of a gene stands for the marker that has this gene alone.

    Raises
    ------
    UnknownGene, AmbiguousGene
    """
    typed = name.strip()
    column = next((c for c in COLUMNS if c.casefold() == typed.casefold()), None)
    if column is not None:
        return Resolved(column, column, (column,), None, NO_MARKER, measured=True)
    marker = resolve(typed, None).marker
    if marker is None:
        raise UnknownGene(_unknown(typed))
    found = columns_of(marker.name)
    label = f"{marker.name}: {' or '.join(found)}" + (", the higher" if len(found) > 1 else "")
    note = f"Customarily reported as {marker.score}."
    return Resolved(marker.name, label, (marker.name,), marker, note, measured=True)


def fits_kind(marker: Marker, compartment: Compartment) -> bool:
    """Whether cells that were found for stains of a compartment fit a marker.

    Where its brown surrounds nuclei, it must not be taken for them.
    """
    return ("nucleus" in marker.compartments) == (compartment == "nucleus")


def with_kind(found: Resolved, compartment: Compartment) -> Resolved:
    """`found`, with a note where cells found for stains of a compartment do not fit its marker."""
    marker = found.marker
    if marker is None or fits_kind(marker, compartment):
        return found
    told = _OTHER_KIND["membrane" if compartment == "nucleus" else "nuclear"]
    return replace(
        found, note=f"{found.note} {marker.name} stains the {marker.compartment}: {told}"
    )


def dab_of(cells: npt.NDArray[np.floating], compartment: Compartment) -> Readings:
    """Mean DAB density of one compartment, (n,)."""
    return np.asarray(cells[:, COMPARTMENTS.index(compartment)], np.float32)


def _highest(cells: npt.NDArray[np.floating], columns: tuple[str, ...]) -> npt.NDArray[np.floating]:
    found = _column(cells, columns[0])
    for column in columns[1:]:
        found = np.fmax(found, _column(cells, column))
    return found


def _column(cells: npt.NDArray[np.floating], column: str) -> npt.NDArray[np.floating]:
    sectors = cells[:, len(COMPARTMENTS) :]
    if column == MEMBRANE_TOUCHED:
        return _reached_by(sectors, TOUCHED_SHARE)
    if column == COMPLETENESS:
        return completeness(sectors, DAB_CUTOFFS.weak)
    if column == HER2_CLASS:
        found = her2_classes(sectors, DAB_CUTOFFS).astype(np.float32)
        return np.where(found < 0, np.float32(np.nan), found)
    return np.asarray(cells[:, list(DAB_OF.values()).index(column)])


def _reached_by(sectors: npt.NDArray[np.floating], share: float) -> npt.NDArray[np.floating]:
    """The highest density that a share of each cell's visible sectors reach, (n,)."""
    seen = np.isfinite(sectors).sum(axis=1)
    descending = -np.sort(-np.where(np.isfinite(sectors), sectors, -np.inf), axis=1)
    # `completeness` compares shares in float32; 8 to 24 sectors leave no room for doubt.
    needed = np.ceil(share * seen - 1e-6).astype(np.intp)
    found = np.take_along_axis(descending, np.maximum(needed - 1, 0)[:, None], axis=1)[:, 0]
    return np.where(seen >= LEAST_SEEN, found, np.nan).astype(sectors.dtype)


def _unknown(name: str) -> str:
    return (
        f"{name!r} is no marker of the panel, so nobody knows where its stain lies; choose a "
        f"marker, or one of {', '.join(COLUMNS)}."
    )
