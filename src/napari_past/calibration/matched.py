"""Regions, or cells, in which a marker was predicted and measured."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from napari_past.errors import BadTable
from napari_past.model.calibration import MOST, UNITS, Quantity
from napari_past.model.patient import patient_digest

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Matched:
    """n regions, or n cells of the same section, predicted and measured."""

    patients: tuple[str, ...]
    """(n,), as they are named in the table."""
    regions: tuple[str, ...]
    """(n,), different on different slides of a patient; of a cell its region's."""
    predicted: FloatArray
    """(n,), in the model's unit."""
    measured: FloatArray
    """(n,), in the unit of `quantity`."""
    quantity: Quantity
    of_cells: bool = False
    """Rows are matched cells."""

    def __post_init__(self) -> None:
        n = len(self.patients)
        arrays = (self.predicted, self.measured)
        if len(self.regions) != n or any(a.shape != (n,) for a in arrays):
            raise ValueError(f"Every column must describe the same {n} rows.")

    def __len__(self) -> int:
        return len(self.patients)

    @cached_property
    def patient_names(self) -> tuple[str, ...]:
        """Each patient once, in the order of the digests, whatever the order of the rows."""
        return tuple(sorted(set(self.patients), key=patient_digest))

    @cached_property
    def patient_index(self) -> npt.NDArray[np.intp]:
        """(n,), of `patient_names`."""
        place = {name: i for i, name in enumerate(self.patient_names)}
        return np.array([place[name] for name in self.patients], np.intp)

    @cached_property
    def region_keys(self) -> tuple[tuple[str, str], ...]:
        """(patient, region) once each, in the order of the rows."""
        return tuple(dict.fromkeys(zip(self.patients, self.regions, strict=True)))

    @cached_property
    def region_index(self) -> npt.NDArray[np.intp]:
        """(n,), of `region_keys`."""
        place = {key: i for i, key in enumerate(self.region_keys)}
        pairs = zip(self.patients, self.regions, strict=True)
        return np.array([place[pair] for pair in pairs], np.intp)


def checked(matched: Matched, where: str, lines: bool = True) -> Matched:
    """`matched`, or the first mistake in it.

    Parameters
    ----------
    where
        The file's name.
    lines
        Rows are told by their line in it.

    Raises
    ------
    BadTable
    """
    if not len(matched):
        raise BadTable(f"{where} holds no rows; give one for each matched region.")
    most, unit = MOST[matched.quantity], UNITS[matched.quantity]
    columns = (("predicted", matched.predicted), ("measured", matched.measured))
    for i, (patient, region) in enumerate(zip(matched.patients, matched.regions, strict=True)):
        place = f"Line {i + 2}" if lines else f"Region {region} of patient {patient}"
        if not patient.strip() or not region.strip():
            raise BadTable(f"{place} of {where} names no patient or no region; fill it in.")
        for name, values in columns:
            if not np.isfinite(values[i]):
                raise BadTable(
                    f"{place} of {where} has no {name} value; fill it in or delete the row."
                )
        if matched.measured[i] < 0:
            raise BadTable(
                f"{place} of {where} has a measured {unit} of {matched.measured[i]:g}, which "
                "cannot be negative; check the background of the stained slide."
            )
        if matched.measured[i] > most:
            raise BadTable(
                f"{place} of {where} has a measured {unit} of {matched.measured[i]:g}, but it "
                f"ends at {most:g}; check the column."
            )
    pairs = Counter(zip(matched.patients, matched.regions, strict=True))
    twice = [pair for pair, rows in pairs.items() if rows > 1]
    if twice and not matched.of_cells:
        patient, region = twice[0]
        raise BadTable(
            f"{where} has region {region} of patient {patient} twice; give each a name of its own, "
            "or --same-section where rows are matched cells of one section stained again."
        )
    return matched
