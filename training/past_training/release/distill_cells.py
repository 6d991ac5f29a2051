"""Cells of slides that nobody measured, each with the vector that a teacher gives it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_past.cells import DEFAULT_DETECTOR, Detector, GivenCells
from napari_past.engine import Cells, Progress, Store, Workers, make_plan
from napari_past.errors import PastError
from napari_past.files import atomic_write
from napari_past.model import Model
from napari_past.slide import Slide
from napari_past.status_line import StatusLine
from napari_past.types import FoundCells, Rect

HELD_OUT_SHARE = 0.25
"""Of the cells of a slide of which a part is held out."""
_SEED = 20240229

Index = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class TaughtCells:
    """Some cells of one slide with the teacher's vectors."""

    slide: Slide
    found: FoundCells
    vectors: npt.NDArray[np.float16]
    """(m, d), the teacher's, of all cells of the slide; on disk."""
    rows: Index
    """(n,), which of `vectors` is each cell's."""
    area: Rect | None = None
    """Pixels beyond it are not for a student to see; None: it may see the whole slide."""

    def __len__(self) -> int:
        return len(self.rows)

    def teacher(self, index: Index | slice = slice(None)) -> npt.NDArray[np.float16]:
        """The teacher's vectors (k, d) of some of the cells, in memory."""
        return np.asarray(self.vectors[self.rows[index]])

    def take(self, index: Index, area: Rect | None = None) -> TaughtCells:
        """Some of the cells."""
        found, rows = self.found.take(index), self.rows[index]
        return TaughtCells(self.slide, found, self.vectors, rows, area or self.area)


def taught(
    slide: Slide, teacher: Model, folder: Path, store: Path, workers: Workers | None = None
) -> TaughtCells:
    """The cells that are found on a slide, encoded by the teacher as the plugin would.

    Parameters
    ----------
    folder
        That exists; the vectors are put there, since those of some slides are more than memory.
    store
        Root of the tiles that were encoded before, and of those that are now.

    Raises
    ------
    PastError
        No cell is found.
    CannotWrite
        The disk is full.
    """
    cells = _encoded(slide, teacher, DEFAULT_DETECTOR, store, workers)
    if not len(cells):
        raise PastError(
            f"No cell was found on {slide.name}, so there is nothing to learn from it; give slides "
            f"with H&E tissue, and check that {slide.mpp:g} µm/px is theirs."
        )
    path = folder / f"{cells.plan.key.digest}.npy"
    with atomic_write(path) as unfinished:
        np.save(unfinished, cells.embeddings)
    vectors = np.load(path, mmap_mode="r")
    return TaughtCells(slide, cells.found, vectors, np.arange(len(vectors)))


def vectors_of(
    student: Model, cells: TaughtCells, store: Path, workers: Workers | None = None
) -> tuple[Index, npt.NDArray[np.float16]]:
    """Which of the cells a student could encode, (k,), and its vectors of these, (k, d)."""
    found = cells.found
    named = FoundCells(
        found.centers_um, found.outlines, found.areas_um2, tuple(map(str, range(len(found))))
    )
    encoded = _encoded(cells.slide, student, GivenCells(named), store, workers)
    # Tiles of the student are not the teacher's: its cells come in another order.
    index = np.array(encoded.ids, np.intp)
    order = np.argsort(index)
    return index[order], encoded.embeddings[order]


def halves(cells: TaughtCells, sees_um: float) -> tuple[TaughtCells, TaughtCells]:
    """A slide held out of itself: the cells to train on, and those of its far end.

    The far end is the last quarter along the longer side of the tissue (right, or bottom). No pixel
    that a student sees around a held-out cell is in the area of the others.

    Parameters
    ----------
    sees_um
        How far from a cell a student sees.

    Raises
    ------
    PastError
        The slide is too small.
    """
    centers_um = cells.found.centers_um
    axis = int(np.argmax(np.ptp(centers_um, axis=0)))
    along_um = centers_um[:, axis]
    cut_um = float(np.quantile(along_um, 1 - HELD_OUT_SHARE))
    train = np.flatnonzero(along_um < cut_um - 2 * sees_um)
    held = np.flatnonzero(along_um >= cut_um)
    if len(train) < len(held):
        raise PastError(
            f"{cells.slide.name} is too small to hold a part of it out: {len(train)} cells would "
            f"be left to learn from beside {len(held)} held out, with {2 * sees_um:.0f} µm between "
            f"them; give another slide with --held-out."
        )
    whole, end_um = cells.slide.bounds, cut_um - sees_um
    area = (
        Rect(whole.x_um, whole.y_um, end_um - whole.x_um, whole.height_um)
        if axis == 0
        else Rect(whole.x_um, whole.y_um, whole.width_um, end_um - whole.y_um)
    )
    return cells.take(train, area), cells.take(held)


def by_tile(cells: TaughtCells, size_um: float) -> list[Index]:
    """The cells of each tile of a grid that has some, tile by tile."""
    return grouped(np.floor(cells.found.centers_um / size_um).astype(np.int64))


def grouped(place: npt.NDArray[np.int64]) -> list[Index]:
    """Positions of the rows of `place` (n, 2) that are alike, group by group."""
    if not len(place):
        return []
    _, group = np.unique(place, axis=0, return_inverse=True)
    group = group.ravel()
    order = np.argsort(group, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(group[order])) + 1)


def drawn(cells: Sequence[TaughtCells], most: int, size_um: float) -> list[TaughtCells]:
    """About `most` of the cells of each slide at most, in whole tiles drawn by lot."""
    chosen = []
    for part in cells:
        tiles = by_tile(part, size_um)
        order = np.random.default_rng(_SEED).permutation(len(tiles))
        counted = np.cumsum([len(tiles[k]) for k in order])
        kept = order[: int(np.searchsorted(counted, most)) + 1]
        chosen.append(part.take(np.sort(np.concatenate([tiles[k] for k in kept]))))
    return chosen


def _encoded(
    slide: Slide, model: Model, detector: str | Detector, store: Path, workers: Workers | None
) -> Cells:
    plan = make_plan(slide, model, detector)
    line = StatusLine()

    def tell(progress: Progress) -> None:
        if line.due():
            line.tell(f"{model.name} on {slide.name}: tile {progress.done}/{progress.total}")

    try:
        return Cells(plan, model, Store(plan.key, store)).compute(tell, workers=workers)
    finally:
        line.close()
