"""What the model's calibrations say of the regions in the table, told below it."""

from __future__ import annotations

from qtpy.QtCore import QObject

from napari_past.calibration.calibrated import (
    CalibratedRow,
    beyond_model,
    calibrated_rows,
    calibrations_of,
)
from napari_past.model import Model
from napari_past.model.calibration import Calibration
from napari_past.plugin.calibrated_box import CalibratedBox
from napari_past.plugin.latest import Latest
from napari_past.plugin.region_scores import RegionScores


class Calibrated(QObject):
    """Keeps the box in step with the table; empty where the card has no calibration that fits."""

    def __init__(self, box: CalibratedBox, scores: RegionScores, parent: QObject) -> None:
        super().__init__(parent)
        self._box, self._scores = box, scores
        self._latest = Latest(self)
        self._latest.ready.connect(box.set_rows)
        scores.changed.connect(self._on_scored)

    @property
    def busy(self) -> bool:
        return self._latest.busy

    def _on_scored(self) -> None:
        scored = self._scores.of_shown
        fitting: tuple[Calibration, ...] = ()
        if scored is not None and isinstance(scored.session.model, Model):
            model, resolved = scored.session.model, scored.shown.resolved
            fitting = calibrations_of(model, resolved)
        if not fitting or scored is None:
            self._latest.drop()
            self._box.set_rows(())
            return
        values, counted, table = scored.values, scored.counted, scored.table
        unlike = model.slide_unlike_sentence(scored.session.table.slide_unlike_training)
        beyond = beyond_model(model, resolved, unlike)

        def work() -> tuple[CalibratedRow, ...]:
            return tuple(
                row
                for calibration in fitting
                for row in calibrated_rows(calibration, values, counted, table, beyond)
            )

        self._latest.ask(work)
