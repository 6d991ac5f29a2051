"""The child of `fuzz`: reads files that it is told, and says of each how that ended.

One line of JSON in, ``{"kind", "path"}``; one out, see `Outcome`. A file that ends the process, or
hangs, ends this process alone.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

READ, TOLD, FAULT, MEMORY, CODE = "read", "told", "fault", "memory", "code run"
MPP = 0.5
MEMORY_BOUND_MB = 1024
"""What a file may take beyond what the process has; seeds take under 50 MB."""
_EVENTS = frozenset(
    {"os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.system", "subprocess.Popen",
     "socket.connect", "webbrowser.open"}
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """How reading a file ended."""

    outcome: str
    """read, told (one sentence), fault (any other exception), memory, code run."""
    told: str
    """The sentence or the exception, one line."""
    cpu_s: float
    peak_mb: float
    """Memory beyond what the process had."""


def read_slide(path: Path) -> None:
    """What a viewer and a run do with a slide."""
    from napari_past.slide import open_slide

    with open_slide(path, mpp=MPP) as slide:
        _ = slide.fingerprint
        for mpp in (MPP, 4 * MPP):
            slide.read_region(0, 0, 60, 60, mpp)
        slide.tissue_mask()
        smallest = slide.display_levels[-1]
        assert max(smallest.shape) <= 1024, smallest.shape
        smallest.compute()


def read_table(path: Path) -> None:
    from napari_past.io import found_cells, read_cells, read_marker_table

    found_cells(read_cells(path, MPP))
    if path.suffix in (".h5ad", ".csv"):
        read_marker_table(path, "ERBB2")


def each(path: Path, *readers: Callable[[Path], object]) -> None:
    """Have every reader try, then raise what the first one told."""
    from napari_past.errors import PastError

    told: list[PastError] = []
    for reader in readers:
        try:
            reader(path)
        except PastError as exc:
            told.append(exc)
    if told:
        raise told[0]


def read_cells_of_others(path: Path) -> None:
    each(path, read_table, bring)


def read_geojson_regions(path: Path) -> None:
    from napari_past.io import read_regions, read_unscored

    each(path, lambda p: read_regions(p, MPP), lambda p: read_unscored(p, (150.0, 100.0), MPP))


def bring(path: Path) -> None:
    """Cells of others, laid on a slide."""
    from napari_past.brought import bring_cells

    bring_cells(path, _slide())


def _slide() -> Any:
    """The slide that cells are brought to, 150 x 100 µm."""
    from napari_past.slide import slide_of_array

    if not _kept:
        _kept.append(slide_of_array(np.full((200, 300, 3), 230, np.uint8), MPP, "drawn"))
    return _kept[0]


_kept: list[Any] = []


def read_labels(path: Path) -> None:
    each(path, bring, read_mask_file)


def read_mask_file(path: Path) -> None:
    from napari_past.quality import read_mask

    read_mask(path, (150.0, 100.0))


def read_model(path: Path) -> None:
    """Loads a model and asks it all that needs no image; then a tile of 64 px."""
    from napari_past.model import load_model
    from napari_past.types import PixelGrid

    model = load_model(str(path), "cpu")
    vectors = np.zeros((3, model.embed_dim), np.float16)
    model.expression(vectors, list(model.genes)[:3])
    model.unlike_training(vectors)
    for gene in list(model.genes)[:3]:
        _ = model.reliability(gene).label
    side = 64 + 2 * model.card.encoder.halo_px
    if side <= 1024:
        rgb = np.full((side, side, 3), 200, np.uint8)
        mpp = model.card.encoder.mpp
        origin = -model.card.encoder.halo_px * mpp
        model.encode_tile(rgb, PixelGrid(origin, origin, mpp), np.full((2, 2), 20.0 * mpp))


def read_bank_file(path: Path) -> None:
    from napari_past.model.bank import read_bank

    bank = read_bank(path)
    bank.values(bank.genes[:2])


def read_evidence(path: Path) -> None:
    from napari_past.model.lab_evidence import read_lab_evidence
    from napari_past.model.reliability import Reliability

    evidence = read_lab_evidence(path)
    _ = evidence.headline
    evidence.reliability(Reliability("ERBB2", True, False, 0.3, "card"))


def read_calibration_file(path: Path) -> None:
    from napari_past.calibration import predicted_value, read_calibration

    predicted_value(read_calibration(path), np.linspace(0, 1, 5))


def read_landmark_file(path: Path) -> None:
    from napari_past.spatial.landmarks import read_landmarks

    read_landmarks(path)


def read_marker_file(path: Path) -> None:
    from napari_past.errors import BadTable
    from napari_past.genes.panel_file import read_markers

    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as exc:  # as `genes.markers` tells it
        raise BadTable("no text") from exc
    read_markers(text, path.name, check_genes=True)


def read_picture(path: Path) -> None:
    from napari_past.spatial.picture import open_picture

    open_picture(path, MPP)


READERS: dict[str, Callable[[Path], None]] = {
    "slide (TIFF)": read_slide,
    "slide (OME-Zarr)": read_slide,
    "cells (GeoJSON)": read_cells_of_others,
    "regions (GeoJSON)": read_geojson_regions,
    "cells (CSV)": read_table,
    "cells (h5ad)": read_cells_of_others,
    "cells (Parquet)": read_table,
    "cells (SpatialData)": read_cells_of_others,
    "cells (npy)": bring,
    "labels (TIFF, PNG)": read_labels,
    "mask": read_mask_file,
    "model": read_model,
    "checkpoint (.pth)": read_model,
    "bank": read_bank_file,
    "validation file": read_evidence,
    "calibration file": read_calibration_file,
    "landmarks": read_landmark_file,
    "markers": read_marker_file,
    "picture": read_picture,
}


# ---- watching ----------------------------------------------------------------------------------


class Watch:
    """What a file had this process do: programs, connections, folders."""

    def __init__(self) -> None:
        self.on = False
        self.seen: list[str] = []
        sys.addaudithook(self._heard)

    def _heard(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.on and event in _EVENTS and not _is_our_own(event, arguments):
            self.seen.append(f"{event} {arguments!r}"[:120])

    @contextmanager
    def __call__(self) -> Iterator[None]:
        self.seen, self.on = [], True
        try:
            yield
        finally:
            self.on = False


def _is_our_own(event: str, arguments: tuple[object, ...]) -> bool:
    """Whether a program that is started is the one that looks through HDF5 files for us."""
    from napari_past.hdf5 import walk

    program = [sys.executable, "-P", walk.__file__]
    told = arguments[1] if event == "subprocess.Popen" else None
    return isinstance(told, list) and told[:3] == program


def outcome_of(kind: str, path: Path, watch: Watch) -> Outcome:
    """Read one file."""
    from napari_past.errors import PastError

    before_mb, began_s = _memory_mb("VmRSS"), time.process_time()
    _forget_peak()
    told, outcome = "", READ
    try:
        with watch():
            READERS[kind](path)
    except PastError as exc:
        told = str(exc)
        one_line = "\n" not in told.strip() and len(told) < 2000
        outcome = TOLD if one_line else FAULT
    except MemoryError as exc:
        told, outcome = f"MemoryError: {exc}", MEMORY
    except Exception as exc:  # every other exception is what is looked for
        told, outcome = f"{type(exc).__name__}: {exc} ({_place(exc)})", FAULT
    peak_mb = _memory_mb("VmHWM") - before_mb
    if watch.seen:
        told, outcome = "; ".join(watch.seen), CODE
    elif outcome in (READ, TOLD) and peak_mb > MEMORY_BOUND_MB:
        outcome = MEMORY
    cpu_s = time.process_time() - began_s
    return Outcome(outcome, " ".join(told.split())[:400], round(cpu_s, 2), round(peak_mb, 1))


def _place(error: BaseException) -> str:
    """The last line of ours that led to it."""
    trace, found = error.__traceback__, ""
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if "napari_past" in file:
            found = f"{Path(file).name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found


def _memory_mb(field: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return float(line.split()[1]) / 1024
    return 0.0


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def main() -> None:
    """Serve until the parent closes our standard input."""
    import logging
    import warnings

    import torch  # noqa: F401  # else the first model would pay for it

    import napari_past.hdf5.walk
    import napari_past.io
    import napari_past.slide  # noqa: F401

    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    watch = Watch()
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        outcome = outcome_of(order["kind"], Path(order["path"]), watch)
        print(json.dumps(asdict(outcome)), file=answers, flush=True)


if __name__ == "__main__":
    main()
