"""What the panel offers follows the kind of the slide: a model's genes, or a stain's markers."""

from __future__ import annotations

from napari.utils.notifications import show_error

from napari_past.engine import MeasuredStain
from napari_past.errors import PastError
from napari_past.plugin.panel import Panel
from napari_past.plugin.session import Session
from napari_past.plugin.slide_kind import keep_kind, suggested


class KindSwitch:
    """Keeps the panel in step with what the slide in view is analysed as."""

    def __init__(self, panel: Panel) -> None:
        self._panel = panel

    def follow(self, session: Session | None) -> None:
        """Offer what a session can show; nothing is known of the kind without one."""
        panel = self._panel
        if session is None:
            panel.slide.set_kind("")
            return
        look, assay = session.look, session.model
        panel.slide.set_kind(session.kind, look.sentence, suggested(look, session.kind))
        if assay is panel.gene.model:
            return
        measured = isinstance(assay, MeasuredStain)
        panel.set_measured(measured)
        panel.gene.set_model(assay)
        panel.second.set_model(assay)
        panel.types.set_model(None if isinstance(assay, MeasuredStain) else assay)
        panel.banner.set_model(assay, None, session.mismatch)

    def keep(self, session: Session, kind: str) -> None:
        """Remember what the user says of a slide."""
        try:
            keep_kind(session.slide.fingerprint, kind)
        except PastError as exc:
            show_error(str(exc))
