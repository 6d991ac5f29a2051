"""The baseline to beat: ridge regression on the colours around each row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from napari_past.errors import Cancelled
from napari_past.model.traces import NO_TRACES, TrainingTraces
from napari_past.validation.colour import STATISTICS, WINDOW_UM, colour_statistics, fixed_stains
from napari_past.validation.fold_ridge import FoldRidge
from napari_past.validation.predictor import TissueFold, Watch
from napari_past.validation.tissue import MEASURED_UNIT, Tissue

_MPP = 0.69
"""At which published figures were measured."""


class ColourRidge:
    """Ridge regression on `colour_statistics` of the square of H&E around each row.

    With Ruifrok's stain vectors, so that an amount of haematoxylin means the same on every slide.
    """

    name = f"ridge on {STATISTICS} colour statistics"
    unit: str | None = MEASURED_UNIT
    field_um = WINDOW_UM
    sha256 = ""
    fitted_here = True
    traces: TrainingTraces = NO_TRACES

    def __init__(self) -> None:
        self._ridge = FoldRidge(row_colours)

    def genes(self, measured: Sequence[str]) -> tuple[str, ...]:
        """All of them."""
        return tuple(measured)

    def predict(
        self,
        tissues: Sequence[Tissue],
        folds: Sequence[TissueFold],
        genes: Sequence[str],
        watch: Watch,
    ) -> list[npt.NDArray[np.float32]]:
        """Values (k, G) from read-outs that were fitted on each fold's training rows."""
        return self._ridge.predict(tissues, folds, genes, watch)


def row_colours(tissue: Tissue, watch: Watch) -> npt.NDArray[np.float32]:
    """Colour statistics (k, 40) of the square of `WINDOW_UM` around each row of a tissue.

    At 0.69 µm/px, or at the slide's own µm/px where that is coarser.

    Raises
    ------
    Cancelled
    """
    slide = tissue.slide
    mpp = max(_MPP, slide.require_mpp())
    side_px = int(WINDOW_UM / mpp)
    red, green, blue = slide.background
    background = (float(red), float(green), float(blue))
    stains = fixed_stains(background)
    result = np.empty((len(tissue), STATISTICS), np.float32)
    corners_px = np.rint(tissue.row_um / mpp - side_px / 2).astype(int).tolist()
    for row, (column_px, row_px) in enumerate(corners_px):
        if watch.cancelled():
            raise Cancelled("The validation was stopped.")
        window = slide.read_grid(column_px, row_px, side_px, side_px, mpp)
        result[row] = colour_statistics(window[None], side_px, background, stains)[0]
        watch.on_share((row + 1) / len(tissue))
    return result
