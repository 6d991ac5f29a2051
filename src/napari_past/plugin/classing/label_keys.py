"""Keys that count only while cells are labelled."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QShortcut, QWidget

from napari_past.plugin.classing.labels import MOST_CLASSES


class LabelKeys:
    """The number of a class, and N; off until they are switched on.

    Qt's own: napari asks the active layer before the viewer, and its tools have the same numbers.

    Parameters
    ----------
    on_class
        Told the place of the class whose number was pressed.
    on_next
        Told of N.
    """

    def __init__(
        self, parent: QWidget, on_class: Callable[[int], None], on_next: Callable[[], None]
    ) -> None:
        self._keys = [
            self._key(parent, str(code + 1), partial(on_class, code))
            for code in range(MOST_CLASSES)
        ]
        self._keys.append(self._key(parent, "N", on_next))

    def switch(self, on: bool) -> None:
        """Have them count, or not."""
        for key in self._keys:
            key.setEnabled(on)

    def _key(self, parent: QWidget, text: str, action: Callable[[], None]) -> QShortcut:
        key = QShortcut(QKeySequence(text), parent)
        key.setContext(Qt.ShortcutContext.ApplicationShortcut)
        key.setEnabled(False)
        key.activated.connect(action)
        return key
