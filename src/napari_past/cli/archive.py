"""Many slides of ``napari-past run`` into one folder: in parallel, told, and gone on with later."""

from __future__ import annotations

import os
import threading
import time
from argparse import Namespace
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from napari_past.cells import get_detector
from napari_past.cli.brought_file import brought_file
from napari_past.cli.destination import Destination, check_no_input, make_folder
from napari_past.cli.main import DEBUG
from napari_past.cli.progress import ArchiveProgress
from napari_past.cli.slide_record import (
    SlideRecord,
    Standing,
    beside_sha256,
    claimed,
    content_sha256,
    make_records,
    read_record,
    read_records,
    stamp,
    standing,
    write_record,
    written_to,
)
from napari_past.cli.slide_run import Places, analyse, asked_notes, job_of, opened, rois_of
from napari_past.cli.summary import (
    DONE,
    ELSEWHERE,
    FAILED,
    FILE,
    WAITING,
    SummaryRow,
    done_row,
    write_summary,
)
from napari_past.engine import Assay, cache_folder
from napari_past.engine.plan import STORE_SCHEMA
from napari_past.errors import Cancelled, CannotWrite, PastError
from napari_past.io import check_cells_writable
from napari_past.model.classifier import CellClassifier
from napari_past.slide.place import local_path

SHOWN_FAILURES = 20
SHOWN_OPTION = 60
ASK_S = 0.2
"""How often Ctrl-C is looked for; on Windows it does not end a wait."""
OTHER_RUN = "another run into this folder has it in hand"


class Archive:
    """A folder of results and the slides that are wanted in it.

    A slide that is finished and unchanged is passed over; one that is half done goes on from the
    store. Any number of runs may work on one folder: each slide is claimed by one of them.

    Raises
    ------
    CannotWrite
        The folder holds slides that were analysed with other options.
    """

    def __init__(
        self,
        options: Namespace,
        wanted: Sequence[Destination],
        model: Assay,
        symbols: Sequence[str],
        classifier: CellClassifier | None = None,
    ) -> None:
        self.line = ArchiveProgress(len(wanted))
        self._options, self._wanted = options, wanted
        self._model, self._symbols, self._classifier = model, symbols, classifier
        self._folder: Path = options.out
        self._made_with = _made_with(options, model, symbols, classifier)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._rows = {self._name(d): SummaryRow(d.slide.name, WAITING) for d in wanted}
        self._failures: dict[str, tuple[str, PastError]] = {}
        self._unread: list[str] = []
        self._before = 0
        self._head: tuple[str, ...] = ()
        if not options.force:
            self._check_options()

    def run(self, places: Places) -> int:
        """Analyse what is not finished; returns the exit code.

        Raises
        ------
        Cancelled
            Ctrl-C; what is finished is kept.
        CannotWrite
            The folder cannot be made or written.
        PastError
            The one slide that was asked for failed.
        """
        started_s = time.monotonic()
        if len(self._wanted) == 1:  # a mistake is told before a folder is made
            with ExitStack() as stack:
                opened(self._options, self._wanted[0], stack)
        make_folder(self._folder)
        make_records(self._folder)
        self._write_summary()
        try:
            elsewhere = self._all(self._wanted, places)
            # What another run had in hand may be free, or finished, by now.
            self._all(elsewhere, places)
        except KeyboardInterrupt as exc:
            finished = sum(row.status == DONE for row in self._rows.values())
            kept = "finished tiles and slides are kept, and the same command goes on from there"
            raise Cancelled(
                f"cancelled; {finished} of {len(self._wanted)} slides are finished: {kept}."
            ) from exc
        finally:
            self.line.close()
            self._write_summary()
        if len(self._wanted) == 1 and self._failures:
            raise next(iter(self._failures.values()))[1]
        return self._told(time.monotonic() - started_s)

    # ---- all slides --------------------------------------------------------------------------

    def _all(self, wanted: Sequence[Destination], places: Places) -> list[Destination]:
        """Analyse slides, and return those that another run has in hand."""
        if not wanted:
            return []
        executor = ThreadPoolExecutor(self._options.jobs, "slide")
        futures = {executor.submit(self._turn, d, places): d for d in wanted}
        try:
            waiting = set(futures)
            while waiting:
                waiting = wait(waiting, ASK_S).not_done
        except KeyboardInterrupt:
            self._stop.set()
            executor.shutdown(wait=True, cancel_futures=True)
            raise
        executor.shutdown()
        return [d for future, d in futures.items() if not future.result()]

    def _turn(self, destination: Destination, places: Places) -> bool:
        """Analyse one slide in a thread; returns whether it was free."""
        name = self._name(destination)
        if self._stop.is_set():
            return True
        mine = True
        try:
            with claimed(self._folder, name) as mine:
                if not mine:
                    self._set(name, SummaryRow(destination.slide.name, ELSEWHERE, OTHER_RUN))
                    return False
                row = self._finished(destination)
                if row is None:
                    row = self._analysed(destination, places)
                else:
                    self._before += 1
                self._set(name, row)
        except Cancelled:
            pass
        except PastError as exc:
            self._failed(name, destination, exc)
        except Exception as exc:  # one slide that nobody thought of must not end a night's work
            if os.environ.get(DEBUG) == "1":
                raise
            told = f"{type(exc).__name__}: {exc}; report it where it comes back."
            self._failed(name, destination, PastError(told))
        finally:
            if mine:
                self.line.finished(destination.slide.name)
        if places.workers.failure is not None:  # the next slides would fail alike
            self._stop.set()
        return True

    def _failed(self, name: str, destination: Destination, error: PastError) -> None:
        with self._lock:
            self._failures[name] = (destination.slide.name, error)
        reason = self._without_folders(" ".join(str(error).split()), destination)
        self._set(name, SummaryRow(destination.slide.name, FAILED, reason))

    def _without_folders(self, text: str, destination: Destination) -> str:
        """A sentence for a file that is handed on: names of files, not where they lie."""
        folders = {path.parent for path in _inputs(self._options, destination)}
        folders |= {self._folder, cache_folder()}
        folders |= {folder.absolute() for folder in folders}
        # A folder before those that it lies in, or its own name would be left.
        for folder in sorted(folders - {Path()}, key=lambda folder: -len(str(folder))):
            text = text.replace(f"{folder}{os.sep}", "")
        return text.replace(str(Path.home()), "~")

    def _set(self, name: str, row: SummaryRow) -> None:
        with self._lock:
            self._rows[name] = row
        try:
            self._write_summary()
        except CannotWrite as exc:  # the slide's own file may be written all the same
            self.line.note(str(exc))

    def _write_summary(self) -> None:
        with self._lock:
            others = [r for r in read_records(self._folder) if r.file not in self._rows]
            rows = [row for name, row in self._rows.items()]
            rows += [done_row(r) for r in others if r.sha256 and (self._folder / r.file).exists()]
            write_summary(rows, self._folder)

    # ---- one slide ---------------------------------------------------------------------------

    def _name(self, destination: Destination) -> str:
        return destination.file.relative_to(self._folder).as_posix()

    def _finished(self, destination: Destination) -> SummaryRow | None:
        """The row of a slide that a run before finished; None where it is to be analysed.

        Raises
        ------
        CannotWrite
            What stands in its place is not, or no longer, what a run wrote.
        """
        file, slide = destination.file, destination.slide
        check_no_input(file, _inputs(self._options, destination))
        if self._options.force:
            return None
        record = read_record(self._folder, self._name(destination))
        there = [path for path in written_to(file) if os.path.lexists(path)]
        if record is None and there:
            raise CannotWrite(
                f"{there[0]} exists already, and it is not known how it was made; move it away, "
                "or give --force to overwrite it."
            )
        if record is None or not record.sha256:
            return None
        state = standing(record, file)
        if state is Standing.MISSING:
            gone = next(path for path in written_to(file) if path not in there)
            self.line.note(f"{slide.name}: {gone} was removed, and is written again.")
            return None
        if state is Standing.CHANGED:
            written = " or ".join(str(path) for path in there)
            raise CannotWrite(
                f"{written} was changed since it was written; move it away, or give --force to "
                "overwrite it."
            )
        now = self._digests(destination)
        changed = [what for what in now if record.inputs.get(what) != now[what]]
        if changed:
            self.line.note(
                f"{slide.name}: its {' and '.join(changed)} changed since it was analysed, so it "
                "is analysed again."
            )
            return None
        # Tiles that could not be read are tried again.
        return None if record.unreadable_tiles else done_row(record)

    def _digests(self, destination: Destination) -> dict[str, str]:
        """Of everything that is read for a slide."""
        with ExitStack() as stack:
            slide = opened(self._options, destination, stack)[0]
            digests = {"slide": slide.fingerprint}
        asked = destination.slide
        cells = brought_file(asked, self._options.cells)
        rois = rois_of(self._options, destination)
        for what, path in (("cells", cells), ("rois", rois)):
            digests[what] = "" if path is None else content_sha256(path)
        return digests

    def _analysed(self, destination: Destination, places: Places) -> SummaryRow:
        name, slide = self._name(destination), destination.slide
        progress = self.line.slide(slide.name)
        record = SlideRecord(
            slide=slide.name,
            file=name,
            inputs=self._digests(destination),
            options=self._options_of(destination),
        )
        make_folder(destination.file.parent)
        check_cells_writable(destination.file, destination.format)
        # From here on what lies in the place of the result is ours, however this run ends.
        write_record(self._folder, record)
        with ExitStack() as stack:
            outcome = analyse(
                job_of(self._options, destination, stack),
                self._options,
                self._model,
                self._symbols,
                places,
                progress,
                self._stop.is_set,
                classifier=self._classifier,
                alone=self._options.jobs == 1,
            )
        size_bytes, changed_ns = stamp(destination.file)
        record = replace(
            record,
            size_bytes=size_bytes,
            changed_ns=changed_ns,
            sha256=content_sha256(destination.file),
            beside_sha256=beside_sha256(destination.file),
            cells=outcome.cells,
            tiles=outcome.tiles,
            unreadable_tiles=outcome.unreadable_tiles,
            area_mm2=round(outcome.area_mm2, 4),
        )
        write_record(self._folder, record)
        with self._lock:
            self._unread += outcome.unread
            head = [] if outcome.head == self._head else outcome.head
            self._head = outcome.head
        self.line.say("\n".join([*head, *outcome.lines]))
        return done_row(record, " ".join(outcome.unread))

    # ---- options and what is told ------------------------------------------------------------

    def _options_of(self, destination: Destination) -> dict[str, str]:
        asked, options = destination.slide, self._options
        mpp = options.mpp if asked.mpp is None else asked.mpp
        series = options.series if asked.series is None else asked.series
        return {**self._made_with, "mpp": repr(mpp), "series": repr(series)}

    def _check_options(self) -> None:
        different: list[tuple[str, str]] = []
        for destination in self._wanted:
            record = read_record(self._folder, self._name(destination))
            if record is None or not record.sha256 or not destination.file.exists():
                continue
            now = self._options_of(destination)
            differing = [
                f"{key} {_short(record.options.get(key, ''))}, now {_short(value)}"
                for key, value in now.items()
                if record.options.get(key) != value
            ]
            if differing:
                different.append((destination.slide.name, "; ".join(differing)))
        if different:
            first, how = different[0]
            raise CannotWrite(
                f"{len(different)} of the {len(self._wanted)} slides, {first} first, were analysed "
                f"into {self._folder} with other options ({how}); give another --out, or --force "
                "to analyse them again."
            )

    def _told(self, seconds: float) -> int:
        rows = list(self._rows.values())
        counts = {
            s: sum(row.status == s for row in rows) for s in (DONE, FAILED, ELSEWHERE, WAITING)
        }
        if counts[DONE] > self._before:
            notes = asked_notes(self._model, self._options.genes)
            print("\n".join([*notes, f"  {self._model.research_use}"]), flush=True)
        failures = [_of_slide(*failure) for failure in self._failures.values()] + self._unread
        for failure in failures[:SHOWN_FAILURES]:
            self.line.note(" ".join(failure.split()))
        if len(failures) > SHOWN_FAILURES:
            more = len(failures) - SHOWN_FAILURES
            self.line.note(f"{more} more did not go well; {self._folder / FILE} lists them.")
        parts = [f"{counts[DONE] - self._before} analysed"]
        parts += [f"{self._before} finished before"] if self._before else []
        parts += [f"{counts[FAILED]} failed"] if counts[FAILED] else []
        parts += [f"{counts[ELSEWHERE]} in hand of another run"] if counts[ELSEWHERE] else []
        parts += [f"{counts[WAITING]} not begun"] if counts[WAITING] else []
        slides = "1 slide" if len(rows) == 1 else f"{len(rows)} slides"
        self.line.note(
            f"{slides}: {', '.join(parts)}, {seconds:.1f} s; {self._folder / FILE} tells of each."
        )
        return 1 if failures or counts[DONE] < len(rows) else 0


def _of_slide(name: str, error: PastError) -> str:
    """A sentence that tells of which slide it is."""
    told = str(error)
    return told if told.startswith(f"{name} ") else f"{name}: {told}"


def _short(text: str) -> str:
    return text if len(text) <= SHOWN_OPTION else f"{text[:SHOWN_OPTION]}…"


def _inputs(options: Namespace, destination: Destination) -> list[Path]:
    asked = destination.slide
    place = local_path(asked.place)
    given = [place, asked.rois or options.rois, asked.cells or options.cells]
    return [path for path in given if path is not None]


def _made_with(
    options: Namespace, model: Assay, symbols: Sequence[str], classifier: CellClassifier | None
) -> dict[str, str]:
    """What results depend on besides the slide, as far as a user chooses it."""
    return {
        "model": f"{model.name} {model.sha256}",
        "detector": get_detector(options.detector).identity(),
        "genes": ",".join(symbols),
        "classifier": "" if classifier is None else f"{classifier.card.name} {classifier.sha256}",
        "region": repr(options.region),
        "stain vectors": repr(options.stain_vectors),
        "cells key": repr(options.cells_key),
        "embedded image": repr(options.embed_image),
        "schema": str(STORE_SCHEMA),
    }
