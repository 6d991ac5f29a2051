"""The measured row under the pointer, in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import napari
import numpy as np
from qtpy.QtCore import QObject, Signal
from qtpy.QtGui import QCursor
from qtpy.QtWidgets import QToolTip

from napari_past.plugin.measured.tissue import OnSlide
from napari_past.plugin.measured.values import RowsShown
from napari_past.plugin.pointer import REACH_CANVAS_PX, REACH_UM
from napari_past.space import um_from_world
from napari_past.types import Region
from napari_past.validation.row_cells import RowCells
from napari_past.validation.tissue import MEASURED_UNIT


class RowPointer(QObject):
    """Follows the pointer while it is on; emits `hovered` with the row, −1 for none."""

    hovered = Signal(int)

    def __init__(self, viewer: napari.Viewer, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._here: OnSlide | None = None
        self._tell: Callable[[int], str] = lambda row: ""
        self._last = -1

    def begin(self, here: OnSlide, tell: Callable[[int], str]) -> None:
        """Tell rows of a section.

        Parameters
        ----------
        tell
            What is known of a row.
        """
        if self._here is None:
            self._viewer.mouse_move_callbacks.append(self._on_move)
        self._here, self._tell, self._last = here, tell, -1

    def end(self) -> None:
        """Leave the viewer's callbacks as they were."""
        if self._here is not None:
            self._here = None
            self._viewer.mouse_move_callbacks.remove(self._on_move)

    def row_at(self, xy_um: np.ndarray) -> int:
        """The row at a place on the slide; −1 for none."""
        here = self._here
        if here is None:
            return -1
        near_um = max(REACH_UM, REACH_CANVAS_PX / float(self._viewer.scene.camera.zoom))
        diameter_um = here.section.spot_diameter_um
        reach_um = near_um if diameter_um is None else max(diameter_um / 2, near_um)
        away_um, row = here.tree.query(xy_um, distance_upper_bound=reach_um)
        return int(row) if np.isfinite(away_um) else -1

    def _on_move(self, viewer: napari.Viewer, event: Any) -> None:
        row = self.row_at(um_from_world(np.asarray(event.position[-2:], np.float64)))
        if row == self._last:
            return
        self._last = row
        if row >= 0:
            QToolTip.showText(QCursor.pos(), self._tell(row))
        else:
            QToolTip.hideText()
        self.hovered.emit(row)


def row_text(
    row: int,
    here: OnSlide,
    shown: RowsShown | None,
    cells: RowCells | None,
    model: str,
    regions: Sequence[Region],
) -> str:
    """One row in a line: "spot 10x13 · ERBB2 measured 2.31, predicted 1.87 (past-mini) …".

    Parameters
    ----------
    shown
        The gene in view; None where it was not measured.
    cells
        That were predicted on; None where none are.
    """
    section, place = here.section, int(here.place_in_tissue[row])
    kind = "cell" if section.spot_diameter_um is None else "spot"
    told = [f"{kind} {section.ids[row]}"]
    if shown is not None:
        measured, predicted = shown.raw
        line = f"{shown.name} measured {_number(measured[row])}"
        if predicted is None or place < 0:
            line += f" {MEASURED_UNIT}"
        elif shown.predicted_unit == MEASURED_UNIT:
            line += f", predicted {_number(predicted[place])} ({model}) {MEASURED_UNIT}"
        else:
            line += f" {MEASURED_UNIT}, predicted {_number(predicted[place])} ({model}) "
            line += shown.predicted_unit
        told.append(line)
    if cells is not None and place >= 0 and kind == "spot":
        n = int(np.searchsorted(cells.row, place, "right") - np.searchsorted(cells.row, place))
        told.append("1 cell" if n == 1 else f"{n} cells")
    if section.types is not None:
        told.append(section.types[row])
    at = section.centers_um[row : row + 1]
    told += [region.name for region in regions if region.contains(at)[0]]
    return " · ".join(part for part in told if part)


def _number(value: float) -> str:
    return "no value" if np.isnan(value) else f"{value:.2f}"
