"""A reference bank is built by the training package, in a process of its own."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from uuid import uuid4

import psutil
from qtpy.QtCore import QObject, QProcess, Signal

from napari_past.plugin.bank_request import BankRequest
from napari_past.plugin.line_buffer import LineBuffer
from napari_past.plugin.niceness import NICENESS

EXTRA = "napari-past[training]"
_PROGRESS = re.compile(r"([\d,]+) of ([\d,]+) cells")
_PREFIX = "past-train: "
_KEPT_LINES = 40
_KILL_MS = 5000


class BankBuild(QObject):
    """Runs ``past-train bank``; what is not finished is never seen under the name asked for.

    Parameters
    ----------
    command
        Starts the training package's command line.
    """

    progressed = Signal(int, int)
    """Cells that are encoded, and of how many."""
    built = Signal(str, str)
    """The folder, and what was said of the bank in it."""
    failed = Signal(str)
    """Why there is none, in a sentence."""
    cancelled = Signal()

    def __init__(
        self, parent: QObject, command: Sequence[str] = (sys.executable, "-m", "past_training")
    ) -> None:
        super().__init__(parent)
        self._command = tuple(command)
        self._process: QProcess | None = None
        self._request: BankRequest | None = None
        self._unfinished = Path()
        self._said: list[str] = []
        self._complained: list[str] = []
        self._out, self._err = LineBuffer(), LineBuffer()

    @property
    def running(self) -> bool:
        return self._process is not None

    def start(self, request: BankRequest) -> None:
        """Build what is asked for; one at a time.

        Raises
        ------
        PastError
            Something is missing.
        """
        assert self._process is None, "one at a time"
        request.check()
        # A name without a suffix, beside the folder: renaming it is one step.
        self._unfinished = request.folder.parent / f".{uuid4().hex[:12]}"
        self._request, self._said, self._complained = request, [], []
        self._out, self._err = LineBuffer(), LineBuffer()
        process = QProcess(self)
        process.setProgram(self._command[0])
        process.setArguments([*self._command[1:], *request.arguments(self._unfinished)])
        process.started.connect(self._on_started)
        process.readyReadStandardOutput.connect(self._on_said)
        process.readyReadStandardError.connect(self._on_complained)
        process.finished.connect(self._on_finished)
        process.errorOccurred.connect(self._on_error)
        self._process = process
        process.start()

    def cancel(self) -> None:
        """Kill the process; nothing is left of its work."""
        process = self._process
        if process is None:
            return
        self._process = None
        # With its window Qt takes the process away, too, and kills it.
        with contextlib.suppress(RuntimeError):
            process.blockSignals(True)
            process.kill()
            process.waitForFinished(_KILL_MS)
            process.deleteLater()
        self._clear_away()
        with contextlib.suppress(RuntimeError):
            self.cancelled.emit()

    def _on_started(self) -> None:
        # The viewer has the right of way.
        if self._process is not None and os.name == "posix":
            with contextlib.suppress(psutil.Error):
                psutil.Process(self._process.processId()).nice(NICENESS)

    def _on_said(self) -> None:
        if self._process is not None:
            self._said += self._out.lines(bytes(self._process.readAllStandardOutput().data()))

    def _on_complained(self) -> None:
        if self._process is not None:
            self._take(self._err.lines(bytes(self._process.readAllStandardError().data())))

    def _take(self, complaints: Iterable[str]) -> None:
        for line in complaints:
            found = _PROGRESS.search(line)
            if found:
                done, cells = (int(number.replace(",", "")) for number in found.groups())
                self.progressed.emit(done, cells)
            elif line.strip():
                self._complained = [*self._complained, line.strip()][-_KEPT_LINES:]

    def _on_error(self, error: QProcess.ProcessError) -> None:
        # Every other error is followed by `finished`.
        if error == QProcess.ProcessError.FailedToStart:
            self._end(f"{self._command[0]} cannot be started, so no bank can be built from here; "
                      f"use `past-train bank` in a terminal.")  # fmt: skip

    def _on_finished(self, code: int, status: QProcess.ExitStatus) -> None:
        self._on_said()
        self._on_complained()
        self._said += self._out.rest()
        self._take(self._err.rest())
        if status != QProcess.ExitStatus.NormalExit:
            self._end("The process that built the bank was lost, perhaps for want of memory; close "
                      "other programs and try again.")  # fmt: skip
        else:
            self._end(_why(code, self._complained) if code else "")

    def _end(self, why: str) -> None:
        request, process, self._process = self._request, self._process, None
        assert request is not None, "it was started"
        assert process is not None, "it ends once"
        process.deleteLater()
        if not why:
            try:
                os.rename(self._unfinished, request.folder)
            except OSError as exc:
                why = f"{request.folder} cannot be made ({exc.strerror or exc}); try another name."
        if why:
            self._clear_away()
            self.failed.emit(why)
        else:
            told = "\n".join(self._said).replace(str(self._unfinished), str(request.folder))
            self.built.emit(str(request.folder), told)

    def _clear_away(self) -> None:
        shutil.rmtree(self._unfinished, ignore_errors=True)


def _why(code: int, lines: Sequence[str]) -> str:
    """Why a run ended without a bank, by its exit code and what it wrote to stderr."""
    last = lines[-1] if lines else f"it ended with the code {code}"
    if any(EXTRA in line or "No module named past_training" in line for line in lines):
        return f"Building a bank needs the training extra: pip install '{EXTRA}'."
    if last.startswith(_PREFIX):
        return last.removeprefix(_PREFIX)
    return f"The bank could not be built: {last}"
