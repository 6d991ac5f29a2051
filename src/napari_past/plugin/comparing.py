"""Predicted beside measured regions: compared, calibrated and validated beside the GUI thread."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QWidget

from napari_past.calibration import is_pair_table, read_calibration, write_validation
from napari_past.calibration.comparison import Comparison
from napari_past.calibration.slide_pairs import read_pairs
from napari_past.engine.measured import MeasuredStain
from napari_past.errors import BadTable, PastError
from napari_past.model import Model
from napari_past.model.folder import MODEL_SUFFIX
from napari_past.plugin.compare_dialog import CompareDialog
from napari_past.plugin.compare_request import (
    CompareRequest,
    MeasuredFiles,
    MeasuredInView,
    Outcome,
    PairDraft,
    PredictedFiles,
    PredictedInView,
    RegionRows,
    compared,
    save_calibration,
)
from napari_past.plugin.desk import Desk
from napari_past.plugin.dialog_job import DialogJob
from napari_past.plugin.job import Job
from napari_past.plugin.region_scores import RegionScores
from napari_past.plugin.unscored import Unscored
from napari_past.report.document import check_suffix
from napari_past.stain.measured import DAB_UNIT


class Comparing(QObject):
    """Does what the dialog asks for, one thing at a time; emits `model_wanted` with the path of a
    calibrated model that is to be loaded."""

    changed = Signal()
    """Some work is begun, or ended."""
    model_wanted = Signal(str)

    def __init__(
        self, scores: RegionScores, unscored: Unscored, desk: Desk, parent: QWidget
    ) -> None:
        super().__init__(parent)
        self._scores, self._unscored, self._desk = scores, unscored, desk
        self._model: Model | None = None
        self._result: Comparison | None = None
        self._saved: Path | None = None
        """The model that was written, for loading."""
        self.dialog = dialog = CompareDialog(parent)
        self._work = DialogJob(dialog, self)
        self._work.changed.connect(self.changed)
        dialog.predicted.view_wanted.connect(self._on_predicted_view)
        dialog.measured.view_wanted.connect(self._on_measured_view)
        dialog.add_wanted.connect(self._on_add)
        dialog.table_given.connect(self.add_table)
        dialog.calibration_given.connect(self._on_calibration)
        dialog.compare_wanted.connect(self.compare)
        dialog.cancelled.connect(self.cancel)
        dialog.save_wanted.connect(self.save)
        dialog.report_wanted.connect(self.report)
        dialog.load_wanted.connect(self._on_load)

    @property
    def busy(self) -> bool:
        return self._work.busy

    @property
    def result(self) -> Comparison | None:
        """What was compared last."""
        return self._result

    def set_model(self, model: Model) -> None:
        """Compare the values of another model; what is shown was of the former one."""
        self.cancel()
        self._model, self._result, self._saved = model, None, None
        self.dialog.set_model(model.name, model.card.calibrations)
        self.dialog.set_result([], [])
        self.dialog.allow(save=False, report=False, load=False)

    def come_up(self) -> None:
        """Show the dialog, with the marker in view."""
        shown, session = self._desk.shown, self._desk.session
        predicted = session is not None and isinstance(session.model, Model)
        if shown is not None and predicted and not self.dialog.pairs.parts:
            self.dialog.marker.setText(shown.resolved.name)
        self.dialog.come_up()

    def add_table(self, path: str) -> None:
        """List what a table as `napari-past calibrate` takes it holds."""
        try:
            if not is_pair_table(path):
                self.dialog.pairs.add(RegionRows(Path(path)))
                return
            for files in read_pairs(path):
                self.dialog.pairs.add(
                    PairDraft(
                        files.patient,
                        PredictedFiles(
                            files.predicted_cells, files.predicted_rois, files.predicted_mpp
                        ),
                        MeasuredFiles(
                            files.measured_cells, files.measured_rois, files.landmarks,
                            files.measured_mpp,
                        ),
                        files.slide,
                    )
                )  # fmt: skip
        except PastError as exc:
            self.dialog.tell(str(exc))

    def compare(self) -> None:
        """Compare what is listed; a mistake is told in the dialog."""
        model, dialog = self._model, self.dialog
        if model is None or self.busy:
            return
        try:
            resolved = model.resolve(dialog.marker.text())
            resolved.require_scorable()
        except PastError as exc:
            dialog.tell(str(exc))
            return
        cells = any(isinstance(part, PairDraft) for part in dialog.pairs.parts)
        request = CompareRequest(
            model=model,
            resolved=resolved,
            parts=dialog.pairs.parts,
            quantity=dialog.chosen_quantity if cells else None,
            same_section=dialog.same_section.isChecked(),
            calibration=dialog.calibration,
            clone=dialog.clone.text(),
            scanner=dialog.scanner.text(),
        )
        self._run(lambda job: compared(request, job.cancelled), "Comparing …", self._on_compared)

    def save(self) -> None:
        """Write the calibration that was fitted."""
        model, result, dialog = self._model, self._result, self.dialog
        if model is None or result is None or result.calibration is None or self.busy:
            return
        try:
            target = dialog.saved_as.target()
        except PastError as exc:
            dialog.tell(str(exc))
            return
        calibration = result.calibration
        clone, scanner = dialog.clone.text(), dialog.scanner.text()

        def work(job: Job) -> Path:
            save_calibration(model, calibration, clone, scanner, target)
            return target

        self._run(work, f"Writing {target.name} …", self._on_saved, target)

    def report(self) -> None:
        """Write the report of the calibration that was held against the regions."""
        result, dialog = self._result, self.dialog
        if result is None or result.validation is None or self.busy:
            return
        validation = result.validation
        try:
            target = dialog.report_as.target()
            check_suffix(target)
        except PastError as exc:
            dialog.tell(str(exc))
            return
        self._run(
            lambda job: write_validation(validation, target),
            f"Writing {target.name} …",
            self._on_reported,
            target,
        )

    def cancel(self) -> None:
        """End at the next pair of slides."""
        self._work.cancel()

    # ---- slides in view ----------------------------------------------------------------------

    def _on_predicted_view(self) -> None:
        session, shown = self._desk.session, self._desk.shown
        taken = None
        if session is None or shown is None or not isinstance(session.model, Model):
            self.dialog.tell("No H&E slide with a shown gene is in view; choose one first.")
        else:
            n = len(shown.values)
            taken = PredictedInView(
                name=session.slide.name,
                resolved=shown.resolved,
                values=shown.values,
                centers_um=session.table.centers_um[:n],
                regions=self._scores.regions(),
                mask=self._unscored.used,
                sha256=session.model.sha256,
            )
            self.dialog.marker.setText(shown.resolved.name)
        text = "" if taken is None else _told(taken.name, len(taken.values), len(taken.regions))
        self.dialog.predicted.set_taken(taken, text)

    def _on_measured_view(self) -> None:
        session, shown = self._desk.session, self._desk.shown
        taken, text = None, ""
        if session is None or shown is None or not isinstance(session.model, MeasuredStain):
            self.dialog.tell(
                "No stained slide with measured cells is in view; open one, choose real IHC as its "
                "kind, and its marker."
            )
        elif session.model.unit_of(shown.resolved.symbols[0]) != DAB_UNIT:
            self.dialog.tell(
                f"{shown.resolved.label} is no DAB optical density; choose one of its compartments "
                "(DAB nucleus, DAB membrane, DAB cytoplasm) first."
            )
        else:
            n = len(shown.values)
            taken = MeasuredInView(
                name=session.slide.name,
                resolved=shown.resolved,
                values=shown.values,
                centers_um=session.table.centers_um[:n],
                regions=self._scores.regions(),
                mask=self._unscored.used,
            )
            text = f"{shown.resolved.label} · {_told(taken.name, n, len(taken.regions))}"
        self.dialog.measured.set_taken(taken, text)

    def _on_add(self) -> None:
        try:
            draft = self.dialog.draft()
            for side, box in (("predicted", self.dialog.predicted),
                              ("measured", self.dialog.measured)):  # fmt: skip
                if box.taken is None and not box.cells.text:
                    raise BadTable(f"No {side} cells are named; choose a file or a slide in view.")
            if self.dialog.predicted.taken is None and not self.dialog.predicted.regions.text:
                raise BadTable("No regions of the H&E slide are named; choose their file.")
        except PastError as exc:
            self.dialog.tell(str(exc))
            return
        self.dialog.pairs.add(draft)
        self.dialog.predicted.set_taken(None, "")
        self.dialog.measured.set_taken(None, "")
        self.dialog.tell("")

    def _on_calibration(self, path: str) -> None:
        try:
            self.dialog.add_calibration(read_calibration(path), Path(path).name)
        except PastError as exc:
            self.dialog.tell(str(exc))

    def _on_load(self) -> None:
        if self._saved is not None:
            self.model_wanted.emit(str(self._saved))

    # ---- work --------------------------------------------------------------------------------

    def _run(
        self,
        work: Callable[[Job], object],
        label: str,
        done: Callable[[object], None],
        target: Path | None = None,
    ) -> None:
        """Do some work beside the GUI thread, which writes `target` if any."""
        self._work.run(work, done, target)
        self.dialog.tell(label)

    def _on_compared(self, outcome: object) -> None:
        assert isinstance(outcome, Outcome)
        self._result = found = outcome.comparison
        self.dialog.set_result(found.figures, [*found.lines, *outcome.told])
        save = found.calibration is not None
        report = found.validation is not None and not save
        self.dialog.allow(save=save, report=report, load=self._saved is not None)

    def _on_saved(self, target: object) -> None:
        assert isinstance(target, Path)
        self.dialog.saved_as.written(target)
        in_model = target.suffix == MODEL_SUFFIX
        self._saved = target if in_model else self._saved
        self.dialog.allow(save=True, report=False, load=self._saved is not None)
        what = "The model with this calibration" if in_model else "The calibration"
        self.dialog.tell(f"{what} is written to {target}.")

    def _on_reported(self, files: object) -> None:
        assert isinstance(files, tuple)
        self.dialog.report_as.written(files[0])
        self.dialog.tell(f"The report is written to {files[0]}.")


def _told(name: str, cells: int, regions: int) -> str:
    return f"{name} · {cells:,} cells · {regions} regions"
