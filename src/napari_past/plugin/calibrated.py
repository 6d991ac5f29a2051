"""What the model's calibrations say of the regions in the table, told below it."""

from __future__ import annotations

from qtpy.QtCore import QObject

from napari_past.calibration.calibrated import CalibratedRow, calibrated_rows, calibrations_of
from napari_past.model import Model
from napari_past.model.calibration import Calibration
from napari_past.plugin.calibrated_box import CalibratedBox
from napari_past.plugin.desk import Desk
from napari_past.plugin.latest import Latest
from napari_past.plugin.region_scores import RegionScores


class Calibrated(QObject):
    """Keeps the box in step with the table; empty where the card has no calibration that fits."""

    def __init__(
        self, box: CalibratedBox, scores: RegionScores, desk: Desk, parent: QObject
    ) -> None:
        super().__init__(parent)
        self._box, self._scores, self._desk = box, scores, desk
        self._latest = Latest(self)
        self._latest.ready.connect(box.set_rows)
        scores.changed.connect(self._on_scored)

    @property
    def busy(self) -> bool:
        return self._latest.busy

    def _on_scored(self) -> None:
        session, shown = self._desk.session, self._desk.shown
        table, counted = self._scores.table, self._scores.counted
        fitting: tuple[Calibration, ...] = ()
        if session is not None and shown is not None and isinstance(session.model, Model):
            fitting = calibrations_of(session.model, shown.resolved)
        if not fitting or shown is None or table is None or counted is None:
            self._latest.drop()
            self._box.set_rows(())
            return
        values = shown.values
        if [row.region for row in counted.rows] != [row.region for row in table.rows]:
            return  # the table of what is counted now is on its way

        def work() -> tuple[CalibratedRow, ...]:
            return tuple(
                row
                for calibration in fitting
                for row in calibrated_rows(calibration, values, counted, table)
            )

        self._latest.ask(work)
