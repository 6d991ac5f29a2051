"""Landmarks picked on the H&E and on the measurement, and the map that they make. No viewer."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_past.errors import BadTable
from napari_past.files import atomic_write
from napari_past.spatial.landmarks import COLUMNS, LEAST, Affine, fitted_affine
from napari_past.spatial.section import Points
from napari_past.types import Rect

WHERE = "picked landmarks"
FILL = 0.9
"""Of the slide's width or height that a measurement from elsewhere is shown to fill."""


@dataclass(frozen=True, eq=False)
class Landmarks:
    """Places picked so far; those of one number belong together.

    All in (x, y) µm: on the H&E, and where the measurement's own file has its rows.
    """

    on_slide_um: Points
    on_rows_um: Points

    @property
    def pairs(self) -> int:
        """Landmarks that were picked on both."""
        return min(len(self.on_slide_um), len(self.on_rows_um))

    @property
    def affine(self) -> Affine | None:
        """From the measurement onto the H&E; None with fewer than three pairs, or on one line."""
        n = self.pairs
        if n < LEAST:
            return None
        try:
            return fitted_affine(self.on_rows_um[:n], self.on_slide_um[:n], WHERE)
        except BadTable:
            return None

    @property
    def residuals_um(self) -> npt.NDArray[np.float64]:
        """(pairs,), how far each lies from where the map puts it; empty with fewer than four, which
        a map meets whatever they are."""
        n, affine = self.pairs, self.affine
        if affine is None or n <= LEAST:
            return np.zeros(0)
        away = affine(self.on_rows_um[:n]) - self.on_slide_um[:n]
        return np.asarray(np.linalg.norm(away, axis=1), np.float64)

    @property
    def sentence(self) -> str:
        """How far it got, and what to do next."""
        n, residuals = self.pairs, self.residuals_um
        if n < LEAST:
            return (
                f"{n} of at least {LEAST} pairs. Click one place at the left and the same place "
                "at the right; press and drag a number to move it."
            )
        if self.affine is None:
            return f"{n} pairs, all on one line: pick one beside it."
        if not len(residuals):
            return f"{self.affine.sentence}."
        each = " · ".join(f"{k}: {away:.1f}" for k, away in enumerate(residuals, 1))
        return f"{self.affine.sentence}.\nEach in µm: {each}"

    def with_place(self, on_slide: bool, xy_um: npt.NDArray[np.float64]) -> Landmarks:
        """One more on a side."""
        if on_slide:
            return replace(self, on_slide_um=np.vstack([self.on_slide_um, xy_um]))
        return replace(self, on_rows_um=np.vstack([self.on_rows_um, xy_um]))

    def without_last(self) -> Landmarks:
        """Without the one that was picked last, as far as that is known: the side that has more,
        else both of the last pair."""
        n_slide, n_rows = len(self.on_slide_um), len(self.on_rows_um)
        last = max(n_slide, n_rows) - 1
        return Landmarks(self.on_slide_um[: max(last, 0)], self.on_rows_um[: max(last, 0)])

    def write(self, path: str | Path) -> Path:
        """Write the pairs as `napari_past.spatial.landmarks.read_landmarks` reads them.

        Raises
        ------
        CannotWrite
            The folder is missing or read-only, or the disk full.
        """
        target, n = Path(path), self.pairs
        pairs = np.hstack([self.on_slide_um[:n], self.on_rows_um[:n]])
        with (
            atomic_write(target) as unfinished,
            unfinished.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            writer.writerows([f"{v:.3f}" for v in pair] for pair in pairs.tolist())
        return target


def no_landmarks() -> Landmarks:
    """Nothing is picked yet."""
    return Landmarks(np.zeros((0, 2)), np.zeros((0, 2)))


def shown_at(rows_um: Points, bounds: Rect) -> Affine:
    """Where a measurement is shown that is not in place yet: as it is where at least half of its
    rows lie on the slide, else scaled and moved so that it fills it."""
    unknown = float("nan")
    if bounds.contains(rows_um).mean() >= 0.5:
        return Affine(((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)), 0, unknown, unknown)
    low, high = rows_um.min(axis=0), rows_um.max(axis=0)
    width, height = np.maximum(high - low, 1.0)
    scale = FILL * min(bounds.width_um / width, bounds.height_um / height)
    x = bounds.x_um + bounds.width_um / 2 - scale * (low[0] + high[0]) / 2
    y = bounds.y_um + bounds.height_um / 2 - scale * (low[1] + high[1]) / 2
    return Affine(((scale, 0.0, float(x)), (0.0, scale, float(y))), 0, unknown, unknown)
