"""Maps of one gene: measured, predicted and what is left over, drawn beside the GUI thread."""

from __future__ import annotations

from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_past.plugin.figure_pane import FigurePane
from napari_past.plugin.latest import Latest
from napari_past.plugin.wrapped_label import WrappedLabel
from napari_past.validation.result import Validation
from napari_past.validation.row_map import gene_maps
from napari_past.validation.tissue import in_measured_unit

CHOOSE = "Click a gene in the table of genes: its maps are drawn here."
TOLD = (
    "Residual: both standardised, predicted less measured. Red where too much is predicted for its "
    "place, blue where too little."
)
NOT_KEPT = (
    "Of so many genes maps are kept of the best, the worst and the most variable ones; {gene} is "
    "none of them, but the viewer shows it: double-click it."
)


class ValidationMaps(QWidget):
    """Draws what is asked for last, once it is looked at."""

    def __init__(self) -> None:
        super().__init__()
        self._validation: Validation | None = None
        self._gene = ""
        self._drawn = ""
        """The gene whose maps are shown."""
        self.words = WrappedLabel(CHOOSE)
        self.figures = FigurePane()
        self._latest = Latest(self)
        self._latest.ready.connect(self._on_drawn)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.addWidget(self.words)
        layout.addWidget(self.figures, 1)

    def set_result(self, validation: Validation) -> None:
        """Another validation: nothing is drawn of it yet."""
        self._latest.drop()
        self._validation, self._gene, self._drawn = validation, "", ""
        self.figures.set_figures([])
        self.words.setText(CHOOSE)

    def choose(self, gene: str) -> None:
        """Another gene; it is drawn when the maps are in view."""
        self._gene = gene
        if self.isVisible():
            self.draw()

    def draw(self) -> None:
        """Draw the gene that was chosen last, unless it is there."""
        validation, gene = self._validation, self._gene
        if validation is None or not gene or gene == self._drawn:
            return
        (maps, *_) = validation.maps
        column = maps.column(validation.genes.index(gene))
        if column is None:
            self._latest.drop()
            self._drawn = gene
            self.figures.set_figures([])
            self.words.setText(NOT_KEPT.format(gene=gene))
            return
        about = validation.about
        same_unit = in_measured_unit(validation.unit)
        self._latest.ask(lambda: (gene, gene_maps(maps, column, gene, about, same_unit)))

    def _on_drawn(self, found: tuple[str, str]) -> None:
        self._drawn, svg = found
        self.figures.set_figures([svg])
        self.words.setText(TOLD)
