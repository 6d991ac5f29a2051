"""What the panel offers follows the kind of the slide: a model's genes, or a stain's markers."""

from __future__ import annotations

from napari.utils.notifications import show_error

from napari_past.engine import Assay, MeasuredStain
from napari_past.errors import PastError
from napari_past.model import Model
from napari_past.plugin.panel import Panel
from napari_past.plugin.session import Session
from napari_past.plugin.slide_kind import keep_kind, suggested


class KindSwitch:
    """Keeps the panel in step with what the slide in view is analysed as."""

    def __init__(self, panel: Panel) -> None:
        self._panel = panel

    def follow(self, session: Session) -> None:
        """Offer what a session can show."""
        look = session.look
        self._panel.slide.set_kind(session.kind, look.sentence, suggested(look, session.kind))
        self._offer(session.model, session.mismatch)

    def leave(self, model: Model) -> None:
        """There is no slide: offer what a model can show, and no choice of kinds."""
        self._panel.slide.set_kind("")
        self._offer(model, "")

    def _offer(self, assay: Assay, mismatch: str) -> None:
        panel = self._panel
        if assay is panel.gene.model:
            return
        panel.set_measured(isinstance(assay, MeasuredStain))
        panel.gene.set_model(assay)
        panel.second.set_model(assay)
        panel.types.set_model(None if isinstance(assay, MeasuredStain) else assay)
        panel.banner.set_model(assay, None, mismatch)

    def keep(self, session: Session, kind: str) -> None:
        """Remember what the user says of a slide."""
        try:
            keep_kind(session.slide.fingerprint, kind)
        except PastError as exc:
            show_error(str(exc))
