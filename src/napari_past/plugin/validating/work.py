"""Validation on the measured tissue in the viewer: asked for in a dialog, done beside the GUI."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QWidget

from napari_past.engine import Workers
from napari_past.errors import PastError
from napari_past.model import Model
from napari_past.model.lab_evidence import LabEvidence, read_lab_evidence
from napari_past.plugin.desk import Desk
from napari_past.plugin.dialog_job import DialogJob
from napari_past.plugin.job import Job
from napari_past.plugin.measured.tissue import Measured, OnSlide
from napari_past.plugin.niceness import give_way
from napari_past.plugin.validating.dialog import ValidatingDialog
from napari_past.plugin.validating.request import (
    Found,
    ValidateRequest,
    back_to_own,
    badges_rest_on,
    check_free,
    held_against,
    is_used,
    told_of,
    use_as_evidence,
    validated,
)
from napari_past.report.document import check_suffix
from napari_past.types import Region
from napari_past.validation.page import write_validation
from napari_past.validation.predictor import Watch
from napari_past.validation.seen import SeenTissue

NO_TISSUE = "No measured tissue lies on this slide; open it first."
NO_MODEL = "This slide is analysed as IHC, so no model predicts on it."
_STEP = 0.01
"""Of a step's work between two tellings."""


class Validating(QObject):
    """Does what the dialog asks for, one thing at a time.

    A result stays until the next one, whatever slide or model is chosen meanwhile: it names both.
    """

    changed = Signal()
    """Some work is begun, or ended."""
    evidence_changed = Signal()
    """Badges of the model rest on something else."""
    gene_wanted = Signal(str)
    """That is to be shown in the viewer."""
    residual_wanted = Signal()
    """What is left between predicted and measured is to be shown on the slide."""
    _stepped = Signal(str, float)

    def __init__(
        self,
        measured: Measured,
        regions: Callable[[], Sequence[Region]],
        workers: Workers,
        desk: Desk,
        parent: QWidget,
    ) -> None:
        super().__init__(parent)
        self._measured, self._regions, self._workers = measured, regions, workers
        self._desk = desk
        self._model: Model | None = None
        self._result: Found | None = None
        self._of: OnSlide | None = None
        """The tissue, as it lay, that the result is of."""
        self._of_next: OnSlide | None = None
        self._proposed = ""
        """Where the page goes unless the user named another place."""
        self._candidate: LabEvidence | None = None
        """That badges may rest on."""
        self._source = ""
        """Where that is from, as a sentence begins."""
        self.dialog = dialog = ValidatingDialog(parent)
        self._work = DialogJob(dialog, self, self._on_mistake)
        self._work.changed.connect(self.changed)
        dialog.validate_wanted.connect(self.validate)
        dialog.cancelled.connect(self.cancel)
        dialog.save_wanted.connect(self.save)
        dialog.file_given.connect(self.open_file)
        dialog.use_wanted.connect(self.use)
        dialog.own_wanted.connect(self.use_own)
        dialog.residual_wanted.connect(self.residual_wanted)
        dialog.pane.gene_wanted.connect(self.gene_wanted)
        self._stepped.connect(self._on_step)
        measured.changed.connect(self._on_tissue)

    @property
    def busy(self) -> bool:
        return self._work.busy

    @property
    def result(self) -> Found | None:
        """What was found last."""
        return self._result

    def set_model(self, model: Model) -> None:
        """Validate another model from now on."""
        self._model = model
        self._offer_result()
        self._on_tissue()

    def come_up(self) -> None:
        """Show the dialog, with the tissue in view."""
        self._tell_facts()
        self._tell_badges()
        self.dialog.come_up()

    def validate(self) -> None:
        """Hold predicted values against measured ones; a mistake is told in the dialog."""
        here, model = self._measured.here, self._model
        if here is None or here.tissue is None or model is None or self.busy:
            return
        dialog, shown = self.dialog, self._desk.shown
        self._tell_facts()
        try:
            request = ValidateRequest(
                section=here.section,
                ref=here.ref,
                fingerprint=here.tissue.fingerprint,
                model=model,
                instead=dialog.instead,
                regions=tuple(self._regions()),
                asked=() if shown is None else tuple(shown.resolved.symbols),
                allow_seen=dialog.all_the_same.isChecked(),
            ).checked()
        except PastError as exc:
            dialog.tell(str(exc))
            return
        self._of_next = here

        def work(job: Job) -> Found:
            give_way()
            return validated(request, self._workers, self._watch(job))

        self._run(work, "Beginning", self._on_validated)

    def save(self) -> None:
        """Write the page with its table and its validation file."""
        result, dialog = self._result, self.dialog
        if result is None or self.busy:
            return
        try:
            target = dialog.saved_as.target()
            check_suffix(target)
            check_free(target)
        except PastError as exc:
            dialog.tell(str(exc))
            return
        validation = result.validation
        self._run(
            lambda job: write_validation(validation, target),
            f"Writing {target.name}",
            self._on_saved,
            target,
        )

    def open_file(self, path: str) -> None:
        """Read a validation file, to be used."""
        if not self.busy:
            name = Path(path).name
            self._run(lambda job: read_lab_evidence(path), f"Reading {name}", self._on_read)

    def use(self) -> None:
        """Let badges rest on the validation that was made or read last."""
        model, candidate = self._model, self._candidate
        if model is not None and candidate is not None and not self.busy:
            self._run(
                lambda job: use_as_evidence(candidate, model), "Keeping it", self._on_used
            )  # fmt: skip

    def use_own(self) -> None:
        """Let badges rest on the model's card again."""
        model = self._model
        if model is None or self.busy:
            return
        try:
            back_to_own(model)
        except PastError as exc:
            self.dialog.tell(str(exc))
            return
        self._tell_badges()
        self.dialog.tell("")
        self.evidence_changed.emit()

    def cancel(self) -> None:
        """End at the next step."""
        self._work.cancel()

    # ---- what is in view ---------------------------------------------------------------------

    def _on_tissue(self) -> None:
        """Another tissue, slide or model; what was found stays."""
        self.dialog.refuse(False)
        self._tell_result()
        if self.dialog.isVisible():
            self._tell_facts()

    def _tell_facts(self) -> None:
        here, model, session = self._measured.here, self._model, self._desk.session
        name = "" if model is None else model.name
        if model is None or here is None or here.tissue is None:
            why_not = NO_TISSUE if here is None or not here.why_not else here.why_not
            self.dialog.set_facts(name, (), why_not)
            return
        if session is not None and not isinstance(session.model, Model):
            self.dialog.set_facts(name, (), NO_MODEL)
            return
        self.dialog.set_facts(name, held_against(here.tissue, model, self._regions()))

    def _tell_badges(self) -> None:
        model = self._model
        if model is None:
            return
        text, has_own = badges_rest_on(model)
        self.dialog.set_badges(text, has_own)
        offered = self._candidate
        used = offered is None or is_used(offered, model)
        text = "" if used or offered is None else f"{self._source}: {told_of(offered)}."
        self.dialog.set_candidate(text)

    def _tell_result(self) -> None:
        here, result = self._measured.here, self._result
        residual = result is not None and result.evidence is not None and here is self._of
        self.dialog.allow(save=result is not None, residual=residual and self._is_of(result))

    def _is_of(self, result: Found | None) -> bool:
        """Whether a result is about the model in use."""
        model = self._model
        return (
            result is not None
            and model is not None
            and result.validation.model_sha256 in model.known_sha256
        )

    def _offer(self, evidence: LabEvidence | None, source: str) -> None:
        """What badges may rest on; None takes the offer back."""
        self._candidate, self._source = evidence, source
        self._tell_badges()

    def _offer_result(self) -> None:
        """Offer what was found to the model's badges, where it is about the model."""
        result = self._result
        mine = result is not None and self._is_of(result)
        self._offer(result.evidence if result is not None and mine else None, "The result shown")

    # ---- work --------------------------------------------------------------------------------

    def _watch(self, job: Job) -> Watch:
        told = _Told(self._stepped.emit)
        return Watch(told.on_step, told.on_share, job.cancelled)

    def _on_step(self, text: str, share: float) -> None:
        if self.busy:
            self.dialog.working(text, share)

    def _run(
        self,
        work: Callable[[Job], object],
        label: str,
        done: Callable[[object], None],
        target: Path | None = None,
    ) -> None:
        """Do some work beside the GUI thread, which writes `target` if any."""
        self._work.run(work, done, target)
        self.dialog.working(label, -1.0)

    def _on_mistake(self, error: PastError) -> None:
        if isinstance(error, SeenTissue):
            # Unless something else is in view by now, which nobody has agreed to.
            self.dialog.refuse(self._measured.here is self._of_next)
        self.dialog.tell(str(error))

    def _on_validated(self, found: object) -> None:
        assert isinstance(found, Found)
        self._result, self._of = found, self._of_next
        self._propose_page()
        self.dialog.refuse(False)
        self.dialog.pane.set_result(found)
        self._tell_result()
        self._offer_result()

    def _propose_page(self) -> None:
        """A page beside the slide, unless the user named another; an earlier one stays."""
        field, of = self.dialog.saved_as, self._of
        if of is not None and field.text in ("", self._proposed):
            slide = Path(of.ref.path)
            name = f"{slide.name.partition('.')[0]}-validation.html"
            self._proposed = str(slide.with_name(name))
            field.set_text(self._proposed)
        else:
            field.set_text(field.text)

    def _on_saved(self, files: object) -> None:
        assert isinstance(files, tuple)
        self.dialog.saved_as.written(files[0])
        self.dialog.tell(f"Written: {', '.join(str(file) for file in files)}.")

    def _on_read(self, evidence: object) -> None:
        assert isinstance(evidence, LabEvidence)
        self._offer(evidence, "The file")

    def _on_used(self, kept: object) -> None:
        self._tell_badges()
        self.evidence_changed.emit()


class _Told:
    """Tells of progress, from any thread, not more often than can be seen."""

    def __init__(self, emit: Callable[[str, float], None]) -> None:
        self._emit, self._text, self._share = emit, "", -1.0

    def on_step(self, text: str) -> None:
        self._text, self._share = text, 0.0
        self._emit(text, -1.0)

    def on_share(self, share: float) -> None:
        if share - self._share >= _STEP:
            self._share = share
            self._emit(self._text, share)
