"""Windows of slides in which a student learns: pixels, cells, and the teacher's vectors of them.

Shapes: B windows of S x S pixels, N cells, D numbers of a vector.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_past.errors import DamagedSlide
from napari_past.types import PixelGrid, Rect, Rgb
from past_training.dataset.prefetch import ahead
from past_training.release.distill_cells import Index, TaughtCells, grouped

READY = 2
"""Batches that are read while the loop computes."""


@dataclass(frozen=True)
class ViewBatch:
    """Some windows."""

    image: Tensor
    """uint8 (B, S, S, 3)."""
    where: Tensor
    """float32 (N, 3): window in the batch, y, x in px, pixel centres at integers."""
    teacher: Tensor
    """float32 (N, D)."""


@dataclass(frozen=True)
class _Window:
    cells: TaughtCells
    index: Index
    column_px: int
    row_px: int


class Views:
    """Batches of windows without end; every pass over the slides shows every cell once.

    Each pass cuts the slides along another grid, so that a cell lies elsewhere in its window. The
    cells of a window lie in its middle, and the student sees as much around them as it will later.

    Parameters
    ----------
    mpp
        µm/px of the student.
    core_px, margin_px
        Side of the middle that holds the cells, and what is shown around it.
    windows
        In a batch.
    seed
        The same seed gives the same batches.
    """

    def __init__(
        self,
        cells: Sequence[TaughtCells],
        mpp: float,
        core_px: int,
        margin_px: int,
        windows: int,
        seed: int,
    ) -> None:
        self._cells = [part for part in cells if len(part)]
        self._mpp = mpp
        self._core_px, self._margin_px = core_px, margin_px
        self._windows, self._seed = windows, seed

    def batches(self) -> Generator[ViewBatch, None, None]:
        """The batches, one pass after the other."""
        with closing(ahead(self._works(), 1, READY)) as batches:
            for batch in batches:
                if len(batch.where):
                    yield batch

    def _works(self) -> Generator[Callable[[], ViewBatch], None, None]:
        number = 0
        while True:
            rng = np.random.default_rng([self._seed, number])
            windows = [w for part in self._cells for w in self._cut(part, rng)]
            order = rng.permutation(len(windows))
            for start in range(0, len(order), self._windows):
                chosen = [windows[k] for k in order[start : start + self._windows]]
                yield partial(self._read, chosen)
            number += 1

    def _cut(self, cells: TaughtCells, rng: np.random.Generator) -> list[_Window]:
        core_px = self._core_px
        shift_px = rng.integers(0, core_px, 2)
        at_px = np.floor(cells.found.centers_um / self._mpp).astype(np.int64)
        place = (at_px + shift_px) // core_px
        windows = []
        for index in grouped(place):
            column_px, row_px = (place[index[0]] * core_px - shift_px - self._margin_px).tolist()
            windows.append(_Window(cells, index, column_px, row_px))
        return windows

    def _read(self, windows: Sequence[_Window]) -> ViewBatch:
        images, where, teacher = [], [], []
        for window in windows:
            grid = PixelGrid(window.column_px * self._mpp, window.row_px * self._mpp, self._mpp)
            centers_um = window.cells.found.centers_um[window.index]
            try:
                images.append(self._pixels(window, grid))
            except DamagedSlide:
                # The teacher's tiles lie otherwise, so that it may have read these cells.
                continue
            yx_px = grid.to_px(centers_um)
            where.append(np.column_stack([np.full(len(yx_px), len(images) - 1), yx_px]))
            teacher.append(window.cells.teacher(window.index).astype(np.float32))
        if not images:
            nothing = torch.zeros(0, 3)
            return ViewBatch(torch.zeros(0, dtype=torch.uint8), nothing, nothing)
        return ViewBatch(
            torch.from_numpy(np.stack(images)),
            torch.from_numpy(np.concatenate(where).astype(np.float32)),
            torch.from_numpy(np.concatenate(teacher)),
        )

    def _pixels(self, window: _Window, grid: PixelGrid) -> Rgb:
        slide, side_px = window.cells.slide, self._core_px + 2 * self._margin_px
        rgb = slide.read_grid(window.column_px, window.row_px, side_px, side_px, self._mpp)
        if window.cells.area is None:
            return rgb
        seen = _within(window.cells.area, grid, side_px)
        return np.where(seen[:, :, None], rgb, np.array(slide.background, np.uint8))


def _within(area: Rect, grid: PixelGrid, side_px: int) -> npt.NDArray[np.bool_]:
    """Which pixels (S, S) of a window lie in an area, whole."""
    edges_px = np.arange(side_px + 1)
    x_um, y_um = grid.x0_um + edges_px * grid.mpp, grid.y0_um + edges_px * grid.mpp
    columns = (x_um[:-1] >= area.x_um) & (x_um[1:] <= area.x1_um)
    rows = (y_um[:-1] >= area.y_um) & (y_um[1:] <= area.y1_um)
    return np.asarray(rows[:, None] & columns[None, :])
