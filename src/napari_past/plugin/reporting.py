"""The report of the slide in view: asked for in a dialog, written beside the GUI thread."""

from __future__ import annotations

from pathlib import Path

from napari.utils.notifications import notification_manager
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QWidget

from napari_past.errors import Cancelled, PastError
from napari_past.genes import Resolved, markers
from napari_past.plugin.annotating import Annotating
from napari_past.plugin.colouring import Colouring
from napari_past.plugin.desk import Desk
from napari_past.plugin.job import Job
from napari_past.plugin.region_scores import RegionScores
from napari_past.plugin.report_dialog import ReportDialog
from napari_past.plugin.report_file import ReportRequest, write_slide_report
from napari_past.plugin.session import Session
from napari_past.plugin.unscored import Unscored
from napari_past.types import Cutoffs


class Reporting(QObject):
    """Makes one report at a time; keeps the case code of each slide while the window is open."""

    changed = Signal()
    """A report is begun, or ended."""
    _stepped = Signal(int, int, str)

    def __init__(
        self,
        colouring: Colouring,
        scores: RegionScores,
        annotating: Annotating,
        unscored: Unscored,
        desk: Desk,
        parent: QWidget,
    ) -> None:
        super().__init__(parent)
        self._scores, self._annotating, self._unscored = scores, annotating, unscored
        self._desk = desk
        self._session: Session | None = None
        self._looked: dict[str, Resolved] = {}
        """Markers with scores that were shown on this slide, by label."""
        self._codes: dict[str, str] = {}
        """Case codes by the slides' fingerprints."""
        self._job: Job | None = None
        self._request: ReportRequest | None = None
        self.dialog = ReportDialog(parent)
        self.dialog.wanted.connect(self.write)
        self.dialog.cancelled.connect(self.cancel)
        self.dialog.code_typed.connect(self._on_code)
        self._stepped.connect(self.dialog.working)
        colouring.changed.connect(self._on_coloured)

    @property
    def busy(self) -> bool:
        return self._job is not None

    def set_session(self, session: Session | None) -> None:
        """Another slide or model; the report of the former one is not written any more."""
        self.cancel()
        self._session = session
        self._looked = {}
        self._offer()

    def come_up(self) -> None:
        """Ask what the report is to hold."""
        if not self.busy:
            self._offer_markers()
        self.dialog.come_up()

    def write(self) -> None:
        """Write what the dialog says; a mistake is told there."""
        session = self._session
        if session is None or self.busy:
            return
        try:
            request = self.dialog.request()
        except PastError as exc:
            self.dialog.tell(str(exc))
            return
        cutoffs = {name: self._cutoffs(name, session) for name in request.markers}
        regions, mask = self._scores.regions(), self._unscored.used

        def work(job: Job) -> int:
            return write_slide_report(
                session.slide.ref, session.cells, cutoffs, regions, mask, request,
                self._stepped.emit, job.cancelled,
            )  # fmt: skip

        self._request = request
        self._job = Job(work)
        self._job.ended.connect(self._on_ended)
        self.dialog.working(0, 0, "Beginning")
        self._job.start()
        self.changed.emit()

    def cancel(self) -> None:
        """End at the next step; nothing is written."""
        if self._job is not None:
            self._job.cancel()

    def _offer(self) -> None:
        """Put the slide and its case code into the dialog."""
        session = self._session
        if session is None:
            self.dialog.set_slide("", "", "", "")
        else:
            slide = session.slide
            proposed = Path(slide.ref.path).with_name(f"{Path(slide.name).stem}-report.pdf")
            code = self._codes.get(slide.fingerprint, "")
            research_use = session.model.research_use
            self.dialog.set_slide(slide.name, slide.fingerprint, code, str(proposed), research_use)
        self._offer_markers()

    def _offer_markers(self) -> None:
        """Markers that were looked at or have cut-offs of the user's; the one in view ticked."""
        session, shown = self._session, self._desk.shown
        if session is None:
            self.dialog.set_markers([], [])
            return
        genes = [*self._looked.values(), *self._set_by_user(session)]
        choice = {gene.label: gene.name for gene in reversed(genes)}
        ticked = set(self.dialog.ticked)
        if shown is not None and shown.cutoffs is not None:
            ticked.add(choice.get(shown.resolved.label, ""))
        named = [(name, label) for label, name in reversed(choice.items())]
        self.dialog.set_markers(named, sorted(ticked))

    def _set_by_user(self, session: Session) -> list[Resolved]:
        """The panel's markers whose cut-offs the user set on this slide."""
        have = set(session.model.genes)
        known = [m.name for m in markers() if m.scorable and set(m.genes) <= have]
        genes = [session.model.resolve(name) for name in known]
        return [g for g in genes if self._annotating.cutoffs(session.model.name, g) is not None]

    def _cutoffs(self, name: str, session: Session) -> Cutoffs | None:
        """Those in view, else those the user set; None for the card's."""
        shown = self._desk.shown
        if shown is not None and shown.resolved.name == name:
            return shown.cutoffs
        gene = session.model.resolve(name)
        return self._annotating.cutoffs(session.model.name, gene)

    def _on_coloured(self) -> None:
        shown = self._desk.shown
        if shown is not None and shown.cutoffs is not None:
            self._looked[shown.resolved.label] = shown.resolved

    def _on_code(self, text: str) -> None:
        if self._session is not None:
            self._codes[self._session.slide.fingerprint] = text

    def _on_ended(self, error: BaseException | None) -> None:
        job, request = self._job, self._request
        self._job = self._request = None
        assert job is not None
        assert request is not None
        if error is None and job.cancelled():
            # The dialog may have turned to another slide meanwhile, whose file this is not.
            self.dialog.ended(f"{request.out} was written before it could be cancelled.")
        elif error is None:
            pages = f"{job.result} page" if job.result == 1 else f"{job.result} pages"
            self.dialog.ended(f"Saved {pages} to {request.out}.", request.out)
        elif isinstance(error, Cancelled):
            self.dialog.ended("Cancelled; nothing was written.")
        elif isinstance(error, PastError):
            self.dialog.ended(str(error))
        else:
            self.dialog.ended("The report could not be written; see the notification.")
            notification_manager.receive_error(type(error), error, error.__traceback__)
        self.changed.emit()
