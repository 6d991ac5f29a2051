"""Models are loaded beside the GUI thread: a large bank takes seconds to read."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from qtpy.QtCore import QObject, Signal

from napari_past.errors import BadTable, PastError
from napari_past.model import Model, load_model
from napari_past.plugin.latest import Latest


class ModelLoading(QObject):
    """Of what is asked for only the last model is told."""

    loaded = Signal(object)
    """The `Model`, its bank opened where it has one."""
    failed = Signal(str)
    """Why there is no model."""
    ended = Signal()
    """Told after either of them: until then it is busy."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._latest = Latest(self)
        self._latest.ready.connect(self._on_ready)
        self.name = ""
        """What is being loaded; empty where nothing is."""

    @property
    def busy(self) -> bool:
        return bool(self.name)

    def load(self, path: str) -> None:
        """Load a model by name or path."""
        self.name = path
        self._latest.ask(partial(_loaded, path))

    def _on_ready(self, outcome: Model | PastError) -> None:
        name = self.name
        if isinstance(outcome, PastError):
            self.failed.emit(str(outcome))
        else:
            self.loaded.emit(outcome)
        if self.name is name:
            self.name = ""
        self.ended.emit()


def _loaded(path: str) -> Model | PastError:
    try:
        model = load_model(path)
        # Its bank is opened here, where a mistake can be told and nobody waits.
        if model.bank is not None:
            _ = model.genes, model.bank.knows_types
        with suppress(BadTable):  # it is told with each badge
            _ = model.lab_evidence
    except PastError as exc:
        return exc
    return model
