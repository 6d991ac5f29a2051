"""Layouts that panels and dialogs share."""

from __future__ import annotations

from qtpy.QtWidgets import QFrame, QHBoxLayout, QWidget


def row_of(*widgets: QWidget) -> QHBoxLayout:
    """Widgets beside each other."""
    row = QHBoxLayout()
    for widget in widgets:
        row.addWidget(widget)
    return row


def rule() -> QFrame:
    """The thin line below a heading."""
    line = QFrame()
    line.setFrameShape(QFrame.Shape.HLine)
    line.setFixedHeight(1)
    line.setStyleSheet("background: #5a626c;")
    return line
