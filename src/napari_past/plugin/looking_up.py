"""Cells are looked up in a model's bank beside the GUI thread, piece by piece, in their order."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from functools import partial

from qtpy.QtCore import QObject, Signal

from napari_past.engine import Answer, CellTable, Piece
from napari_past.errors import Cancelled, PastError
from napari_past.plugin.latest import Latest
from napari_past.plugin.niceness import give_way

_STEPS = 20
"""Of a piece: how often its share is told."""

Outcome = tuple[Piece, Answer | Exception]


class LookingUp(QObject):
    """Works out what a table's bank says of its cells: types always, values of the genes in view.

    Table and answers are touched in the GUI thread alone; a piece of work holds all it needs.
    """

    arrived = Signal()
    """More cells have a type, or values."""
    changed = Signal()
    """The work began, went on or ended."""
    failed = Signal(str)
    """Why nothing more is looked up, until something else is wanted."""
    _shared = Signal(object, float)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._table: CellTable | None = None
        self._genes: tuple[str, ...] = ()
        self._began_at = 0
        """Cells that were looked up when these genes were asked for."""
        self._piece: Piece | None = None
        self._share = 0.0
        self._stop = threading.Event()
        self._stopped = self._broken = False
        self._latest = Latest(self)
        self._latest.ready.connect(self._on_worked)
        self._shared.connect(self._on_share)

    @property
    def busy(self) -> bool:
        """Whether something that is wanted is being worked out."""
        return self._piece is not None

    @property
    def told(self) -> str:
        """What goes on, in words; empty where nothing does, or next to nothing."""
        table, piece = self._table, self._piece
        if table is None or piece is None or piece.kind == "types":
            return ""
        bank = table.model.bank
        title = "" if bank is None else f" in {bank.title}"
        return f"Looking up {self.total:,} cells{title}"

    @property
    def stopped_told(self) -> str:
        """That the user ended the look-up, with a link to go on; empty where that is not so."""
        if not self._stopped or not self.missing or self._table is None:
            return ""
        n = len(self._table)
        return (
            f"{n - self.missing:,} of {n:,} cells were looked up; the others are not shown. "
            f"<a href='#' style='color: #7fb2ff'>Go on</a>"
        )

    @property
    def total(self) -> int:
        """Cells that were not looked up when these genes were asked for."""
        return 0 if self._table is None else len(self._table) - self._began_at

    @property
    def done(self) -> int:
        """How many of them are looked up."""
        if self._table is None:
            return 0
        piece = self._piece
        part = 0 if piece is None or piece.kind != "neighbours" else int(self._share * len(piece))
        return self._table.found - self._began_at + part

    @property
    def missing(self) -> int:
        """Cells without values of the genes that are wanted."""
        table = self._table
        return 0 if table is None or not self._genes else len(table) - table.ready(self._genes)

    def want(self, table: CellTable | None, genes: Sequence[str] = ()) -> None:
        """Work for a table, and for these genes; what was wanted else is dropped.

        Asking for the same again goes on where the user stopped it.
        """
        if table is not self._table:
            self._drop()
        if table is not self._table or set(genes) != set(self._genes):
            self._table, self._genes = table, tuple(genes)
            self._began_at = 0 if table is None else table.found
        self._stopped = self._broken = False
        if self._piece is not None and not self._wanted(self._piece):
            self._drop()
        self._go_on()
        self.changed.emit()

    def grow(self) -> None:
        """Go on with the cells that were added to the table."""
        self._go_on()
        if self.busy:
            self.changed.emit()

    def stop(self) -> None:
        """Look up no more until something is wanted; what was found is kept."""
        if self._piece is None or self._piece.kind == "types":
            return
        self._stopped = True
        if self._piece.kind == "neighbours":
            self._drop()
        self._go_on()
        self.changed.emit()

    def close(self) -> None:
        """End the work; nothing is told any more."""
        self._table = None
        self._drop()

    def _wanted(self, piece: Piece) -> bool:
        """Whether a piece that is being worked at would be asked for now."""
        if piece.kind == "values":
            return set(piece.genes) <= set(self._genes)
        assert self._table is not None, "pieces are of a table"
        return piece.kind == "types" or self._table.model.needs_neighbours(self._genes)

    def _go_on(self) -> None:
        if self._piece is not None or self._table is None or self._broken:
            return
        piece = self._table.next_piece(self._genes)
        if piece is None or (self._stopped and piece.kind == "neighbours"):
            return
        self._piece, self._share, self._stop = piece, 0.0, threading.Event()
        self._latest.ask(partial(self._work, piece, self._stop))

    def _drop(self) -> None:
        """Forget the piece that is being worked at; its thread ends at the next block."""
        self._stop.set()
        self._latest.drop()
        self._piece = None

    def _work(self, piece: Piece, stop: threading.Event) -> Outcome | None:
        """In a thread of its own."""
        give_way()
        told = 0.0

        def on_share(share: float) -> None:
            nonlocal told
            if stop.is_set():
                raise Cancelled("It is no longer wanted.")
            if share - told >= 1 / _STEPS:
                told = share
                # The window may have been closed meanwhile, and this object with it.
                with contextlib.suppress(RuntimeError):
                    self._shared.emit(piece, share)

        try:
            return piece, piece.work(on_share)
        except Cancelled:
            return None
        except Exception as exc:  # it is told, or raised again, in the GUI thread
            return piece, exc

    def _on_share(self, piece: Piece, share: float) -> None:
        if piece is self._piece:
            self._share = share
            self.changed.emit()

    def _on_worked(self, outcome: Outcome) -> None:
        piece, answer = outcome
        if piece is not self._piece or self._table is None:
            return
        if isinstance(answer, Exception):
            self._piece, self._broken = None, True
            self.changed.emit()
            if not isinstance(answer, PastError):
                raise answer
            self.failed.emit(str(answer))
            return
        self._table.take(piece, answer)
        # Still busy: who hears of it must not take the work for done.
        self.arrived.emit()
        if piece is self._piece:
            self._piece = None
            self._go_on()
        self.changed.emit()
