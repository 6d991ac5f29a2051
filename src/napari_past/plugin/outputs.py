"""What leaves the widget: files, the report, calibrated scores, the comparison with real IHC."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget

from napari_past.model import Model
from napari_past.plugin.annotating import Annotating
from napari_past.plugin.calibrated import Calibrated
from napari_past.plugin.classing.probing import Probing
from napari_past.plugin.colouring import Colouring
from napari_past.plugin.comparing import Comparing
from napari_past.plugin.desk import Desk
from napari_past.plugin.exporting import Exporting
from napari_past.plugin.jobs import Jobs
from napari_past.plugin.panel import Panel
from napari_past.plugin.region_scores import RegionScores
from napari_past.plugin.reporting import Reporting
from napari_past.plugin.session import Session
from napari_past.plugin.unscored import Unscored


class Outputs(QWidget):
    """Makes the parts and ties them to their buttons; never shown itself."""

    changed = Signal()
    """Some work is begun, or ended."""
    model_wanted = Signal(str)
    """A calibrated model is to be loaded."""

    def __init__(
        self,
        panel: Panel,
        jobs: Jobs,
        colouring: Colouring,
        scores: RegionScores,
        annotating: Annotating,
        unscored: Unscored,
        probing: Probing,
        desk: Desk,
        parent: QWidget,
    ) -> None:
        super().__init__(parent)
        self.hide()
        box = panel.export
        self.exporting = Exporting(box, jobs, scores, annotating, unscored, probing, desk, self)
        self.reporting = Reporting(colouring, scores, annotating, unscored, desk, self)
        self.calibrated = Calibrated(panel.regions.calibrated, scores, self)
        self.comparing = Comparing(scores, unscored, desk, self)
        box.report.clicked.connect(self.reporting.come_up)
        box.compare.clicked.connect(self.comparing.come_up)
        self.reporting.changed.connect(self.changed)
        self.comparing.changed.connect(self.changed)
        self.comparing.model_wanted.connect(self.model_wanted)

    @property
    def busy(self) -> bool:
        return self.reporting.busy or self.comparing.busy

    def set_session(self, session: Session | None) -> None:
        """Another slide or model, or none."""
        self.reporting.set_session(session)

    def set_model(self, model: Model) -> None:
        """Another model."""
        self.comparing.set_model(model)

    def cancel(self) -> None:
        """End what goes on."""
        self.reporting.cancel()
        self.comparing.cancel()
