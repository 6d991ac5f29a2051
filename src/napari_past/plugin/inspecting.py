"""The cell under the pointer and the one that was clicked, in words."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import napari
from qtpy.QtCore import QObject
from qtpy.QtGui import QCursor
from qtpy.QtWidgets import QToolTip

from napari_past.engine import CellTable
from napari_past.errors import Cancelled
from napari_past.model.retrieval import TypeVotes
from napari_past.plugin.annotating import Annotating
from napari_past.plugin.cell_details import CellDetails, CellFacts
from napari_past.plugin.classing.probing import Probing
from napari_past.plugin.desk import Desk
from napari_past.plugin.facts import facts_of
from napari_past.plugin.latest import Latest
from napari_past.plugin.niceness import give_way
from napari_past.plugin.pointer import Pointer
from napari_past.plugin.unscored import Unscored

MOST_KEPT = 5_000


class Inspecting(QObject):
    """Follows the pointer; what a bank says of a cell is looked up beside the GUI thread."""

    def __init__(
        self,
        viewer: napari.Viewer,
        box: CellDetails,
        annotating: Annotating,
        unscored: Unscored,
        probing: Probing,
        desk: Desk,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self.pointer = Pointer(viewer, self)
        self._box = box
        self._annotating, self._unscored, self._desk = annotating, unscored, desk
        self._probing = probing
        self._picked = self._told = -1
        """Cells; −1 for none."""
        self._asked = -1
        """The cell whose reference cells are being looked up; −1 for none."""
        self._votes: dict[int, str] = {}
        """What the nearest reference cells of a cell are, where it is known."""
        self.on = True
        """Whether cells are told beside the pointer, and picked; not while measured rows are seen
        in their place."""
        self.picks = True
        """Whether a click keeps a cell; not while it labels one."""
        self._stop = threading.Event()
        self._latest = Latest(self)
        self._latest.ready.connect(self._on_voted)
        self.pointer.hovered.connect(self._on_hovered)
        self.pointer.picked.connect(self._on_picked)

    def set_table(self, table: CellTable | None) -> None:
        """Turn to the cells of another slide or model; none of them is picked."""
        # First: a note that is being written is told now.
        self.pick(-1)
        self._drop()
        self._votes = {}
        self.pointer.table = table

    def pick(self, cell: int) -> None:
        """Keep a cell in view of the details; −1 lets it go."""
        self._picked = cell
        self.pointer.mark(cell)
        self._tell(cell)

    def tell_again(self) -> None:
        """Other facts are known of the cell that is told."""
        self._tell(self._told)

    def close(self) -> None:
        """Leave the viewer alone."""
        self._drop()
        self.pointer.disconnect_viewer()

    def _on_hovered(self, cell: int) -> None:
        facts = self._tell(cell if cell >= 0 else self._picked)
        if not self.on:
            return
        if cell >= 0 and facts is not None:
            QToolTip.showText(QCursor.pos(), facts.summary)
        else:
            QToolTip.hideText()

    def _on_picked(self, cell: int) -> None:
        if self.on and self.picks:
            self.pick(cell)

    def _tell(self, cell: int) -> CellFacts | None:
        self._told = cell
        facts = self._facts_of(cell)
        self._box.show_cell(facts)
        known = cell in self._votes or cell == self._asked
        if facts is not None and facts.cell_type and not known:
            self._ask(cell)
        return facts

    def _facts_of(self, cell: int) -> CellFacts | None:
        table, shown = self.pointer.table, self._desk.shown
        if cell < 0 or table is None or shown is None:
            return None
        notes, reference = self._annotating.cell_notes, self._votes.get(cell, "")
        session = self._desk.session
        brought = None if session is None else session.brought_rows
        own = self._probing.told(cell)
        return facts_of(cell, table, shown, self._unscored.mask, notes, reference, brought, own)

    def _ask(self, cell: int) -> None:
        table = self.pointer.table
        if table is not None:
            self._drop()
            self._asked, self._stop = cell, threading.Event()
            self._latest.ask(partial(_voted, cell, table.votes(cell), self._stop))

    def _drop(self) -> None:
        self._stop.set()
        self._latest.drop()
        self._asked = -1

    def _on_voted(self, outcome: tuple[int, str]) -> None:
        cell, text = outcome
        self._asked = -1
        if len(self._votes) >= MOST_KEPT:
            self._votes.clear()
        self._votes[cell] = text
        if cell == self._told:
            self._tell(cell)


def _voted(
    cell: int, work: Callable[[Callable[[float], None]], TypeVotes], stop: threading.Event
) -> tuple[int, str] | None:
    give_way()

    def on_share(share: float) -> None:
        if stop.is_set():
            raise Cancelled("Another cell is asked for.")

    try:
        votes = work(on_share)
    except Cancelled:
        return None
    code, share = int(votes.code[0]), float(votes.share[0])
    text = f"nearest reference cells: {votes.names[code]} {100 * share:.0f} %" if code >= 0 else ""
    return cell, text
