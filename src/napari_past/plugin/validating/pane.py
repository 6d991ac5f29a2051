"""The result of a validation: the comparison, genes, groups, figures, and what to know of them."""

from __future__ import annotations

from html import escape

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QLabel, QScrollArea, QTabWidget, QVBoxLayout, QWidget

from napari_past.plugin.figure_pane import FigurePane
from napari_past.plugin.validating.maps import ValidationMaps
from napari_past.plugin.validating.request import Found
from napari_past.plugin.validating.rows import (
    GROUP_HEADS,
    GROUPS_TOLD,
    PREDICTOR_HEADS,
    doubt,
    gene_columns,
    group_lines,
    headline,
    notes,
    predictor_lines,
)
from napari_past.plugin.validating.tables import GeneTable, LineTable
from napari_past.plugin.wrapped_label import WrappedLabel

NOTHING_YET = "What is found is shown here, once predicted values are held against measured ones."
AMBER = "#f0b94a"
_NOTES_PX = 110


class ValidationPane(QWidget):
    """Emits `gene_wanted` with the gene whose line was double-clicked."""

    gene_wanted = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.headline = WrappedLabel(NOTHING_YET)
        self.headline.setStyleSheet("font-weight: 600;")
        self.doubt = WrappedLabel()
        self.doubt.setStyleSheet(f"font-weight: 600; color: {AMBER};")
        self.predictors = LineTable(PREDICTOR_HEADS)
        self.told = QLabel()
        self.told.setWordWrap(True)
        self.told.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.told.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.genes = GeneTable()
        self.groups = LineTable(GROUP_HEADS)
        self.figures = FigurePane()
        self._svgs: tuple[str, ...] = ()
        self.tabs = QTabWidget()
        self.tabs.addTab(self.genes, "Genes")
        within = QWidget()
        layout = QVBoxLayout(within)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.addWidget(self.groups)
        layout.addWidget(WrappedLabel(GROUPS_TOLD))
        layout.addStretch()
        self._within = self.tabs.addTab(within, "Within groups")
        self.maps = ValidationMaps()
        self._maps = self.tabs.addTab(self.maps, "Maps")
        self._figures = self.tabs.addTab(self.figures, "Figures")
        self._told = QScrollArea()
        self._told.setWidget(self.told)
        self._told.setWidgetResizable(True)
        self._told.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._told.setFrameShape(QScrollArea.Shape.NoFrame)
        self._told.setFixedHeight(_NOTES_PX)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.headline)
        layout.addWidget(self.doubt)
        layout.addWidget(self.predictors)
        layout.addWidget(self._told)
        layout.addWidget(self.tabs, 1)
        layout.addStretch()
        self.genes.chosen.connect(self.gene_wanted)
        self.genes.looked_at.connect(self.maps.choose)
        self.tabs.currentChanged.connect(self._on_tab)
        self.doubt.hide()
        self._arrange(False)

    def set_result(self, found: Found) -> None:
        """Show what was found in place of what was before."""
        validation = found.validation
        self.headline.setText(headline(validation))
        self.doubt.setText(doubt(validation))
        self.doubt.setVisible(bool(validation.seen))
        self.predictors.set_lines(predictor_lines(validation))
        self.told.setText(_sentences(found))
        self.genes.set_genes(validation.genes, gene_columns(validation))
        self.groups.set_lines(group_lines(validation))
        self.maps.set_result(validation)
        self.figures.set_figures([])
        self._svgs = found.figures
        self._on_tab(self.tabs.currentIndex())
        self.tabs.setTabVisible(self._within, bool(validation.groups))
        self.tabs.setTabVisible(self._maps, bool(validation.maps))
        self._arrange(True)

    def _on_tab(self, tab: int) -> None:
        """Draw what is looked at."""
        if tab == self._maps:
            self.maps.draw()
        elif tab == self._figures and not len(self.figures):
            self.figures.set_figures(self._svgs)

    def _arrange(self, known: bool) -> None:
        """Nothing is shown that has no meaning yet."""
        for widget in (self.predictors, self._told, self.tabs):
            widget.setVisible(known)


def _sentences(found: Found) -> str:
    """Warnings first, in their colour, then what figures cover; as Qt's labels draw them."""
    warnings = [text for text in found.validation.warnings if text not in found.notes]
    told = [
        *(f'<span style="color: {AMBER}">{escape(text)}</span>' for text in warnings),
        *map(escape, [*notes(found.validation), *found.notes]),
    ]
    return "".join(f'<p style="margin: 0 0 4px 0">{text}</p>' for text in told)
