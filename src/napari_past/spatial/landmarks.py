"""From one slide to another of the same tissue: an affine map through landmarks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from napari_past.errors import BadTable
from napari_past.files import existing_file
from napari_past.io.csv_table import csv_frame, numbers

COLUMNS = ("predicted_x_um", "predicted_y_um", "measured_x_um", "measured_y_um")
LEAST = 3


@dataclass(frozen=True)
class Affine:
    """(x, y) in µm of one slide → (x, y) in µm of another, such as the H&E and a stained one."""

    matrix: tuple[tuple[float, float, float], tuple[float, float, float]]
    landmarks: int
    """That it was fitted to; 0: it comes from elsewhere."""
    rms_um: float
    """Of the landmarks' distances from where the map puts them; NaN with three, which it meets
    whatever they are."""
    worst_um: float

    def __call__(self, xy_um: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """(n, 2) → (n, 2)."""
        given = np.asarray(xy_um, np.float64)
        matrix = np.array(self.matrix)
        return given @ matrix[:, :2].T + matrix[:, 2]

    @property
    def sentence(self) -> str:
        """How well the landmarks agree, one line."""
        if not np.isfinite(self.rms_um):
            return f"{self.landmarks} landmarks: how far off they are is not known; give four"
        return (
            f"{self.landmarks} landmarks, off by {self.rms_um:.1f} µm (root mean square), "
            f"{self.worst_um:.1f} µm at worst"
        )


def read_landmarks(path: str | Path, onto: Literal["measured", "predicted"] = "measured") -> Affine:
    """The affine map with the least squares over the landmark pairs of a CSV file.

    Columns: ``predicted_x_um,predicted_y_um`` on the H&E slide, ``measured_x_um,measured_y_um`` of
    the same place on the stained one, or among measured cells or spots.

    Parameters
    ----------
    path
        The file.
    onto
        Where the map leads: from the H&E onto what was measured, or from there onto the H&E. How
        far landmarks are off is told in µm of where it leads.

    Raises
    ------
    BadTable
        No such file, a column or number missing, under three pairs, or all on one line.
    """
    source = existing_file(path)
    frame = csv_frame(source)
    for column in COLUMNS:
        if column not in frame:
            raise BadTable(
                f"{source.name} has no column {column}; landmarks need {', '.join(COLUMNS)}."
            )
    pairs = numbers(frame[list(COLUMNS)], source)
    if not np.isfinite(pairs).all():
        raise BadTable(f"{source.name} has a landmark without all four numbers; fill it in.")
    on_he, on_measured = pairs[:, :2], pairs[:, 2:]
    if onto == "measured":
        return fitted_affine(on_he, on_measured, source.name)
    return fitted_affine(on_measured, on_he, source.name)


def fitted_affine(
    from_um: npt.NDArray[np.float64], to_um: npt.NDArray[np.float64], where: str
) -> Affine:
    """The affine map of (n, 2) to (n, 2) with the least squared distances."""
    n = len(from_um)
    # Centred, so that distant origins cost no precision.
    middle = from_um.mean(axis=0) if n else np.zeros(2)
    design = np.column_stack([from_um - middle, np.ones(n)])
    if n < LEAST or np.linalg.matrix_rank(design, tol=1.0) < LEAST:
        raise BadTable(
            f"{where} has {n} landmarks; three that do not lie on one line are needed, and a "
            "fourth to tell how far off they are."
        )
    solved = np.linalg.lstsq(design, to_um, rcond=None)[0].T
    away = np.linalg.norm(design @ solved.T - to_um, axis=1)
    solved[:, 2] -= solved[:, :2] @ middle
    (a, b, c), (d, e, f) = solved.tolist()
    spare = n > LEAST
    return Affine(
        matrix=((a, b, c), (d, e, f)),
        landmarks=n,
        rms_um=float(np.sqrt(np.mean(away**2))) if spare else float("nan"),
        worst_um=float(away.max()) if spare else float("nan"),
    )
