"""The pixels of a virtual stain: drawn block by block beside the GUI thread, what is seen first."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

from napari_past.engine import cores
from napari_past.errors import PastError
from napari_past.plugin.virtual_cells import NearCells, VirtualCells
from napari_past.stain.virtual import COARSE_MPP, not_analysed, virtual_stain
from napari_past.types import PixelGrid, Rect, Rgb, StainProfile

BLOCK_PX = 256
PATCH_SIDE = 3
"""Blocks along a patch, which is drawn in one go."""
KEPT = 480
"""Drawn blocks that are kept, about 95 MB: some screens."""
KEPT_PATCHES = 30
"""Patches of H&E, and the cells around them, so that another cut-off reads nothing again: 50 MB."""

Key = tuple[int, int, int]
"""Level, row and column of a block."""
_K = TypeVar("_K")
_T = TypeVar("_T")


class PixelLevel(Protocol):
    """One level of the H&E, (Y, X, 3) uint8; read from several threads."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, key: tuple[slice, slice]) -> Rgb: ...


@dataclass
class _Block:
    rgb: Rgb
    subject: str
    fresh: bool = True
    """Whether it shows the cells of now."""


class VirtualDrawing:
    """Draws levels of H&E as IHC. Every method may be called from any thread.

    Parameters
    ----------
    levels
        The H&E, (Y, X, 3) uint8 each, fine to coarse, in the slide's frame.
    mpp
        µm/px of the first one.
    profile
        The slide's stains.
    on_drawn
        Told from another thread when a block is drawn, or became outdated.
    """

    def __init__(
        self,
        levels: Sequence[PixelLevel],
        mpp: float,
        profile: StainProfile,
        on_drawn: Callable[[], None],
    ) -> None:
        self._levels, self._profile, self._on_drawn = tuple(levels), profile, on_drawn
        full = self._levels[0].shape
        self.mpp = tuple(
            mpp * math.sqrt(full[0] / level.shape[0] * full[1] / level.shape[1])
            for level in self._levels
        )
        """µm/px of each level."""
        self.drawn = 0
        """How many blocks were drawn beside so far."""
        self._cells: VirtualCells | None = None
        self._changes = 0
        self._blocks: OrderedDict[Key, _Block] = OrderedDict()
        self._read: OrderedDict[_Patch, Rgb] = OrderedDict()
        self._near: OrderedDict[_Patch, NearCells] = OrderedDict()
        self._wanted: list[Key] = []
        self._in_work: set[Key] = set()
        self._lock = threading.Condition()
        self._closed = False
        self._threads: list[threading.Thread] = []

    # ---- what is drawn -----------------------------------------------------------------------

    @property
    def cells(self) -> VirtualCells | None:
        return self._cells

    @property
    def busy(self) -> bool:
        """Whether blocks that were asked for are not drawn yet."""
        with self._lock:
            return bool(self._wanted or self._in_work)

    def shape(self, level: int) -> tuple[int, int]:
        """(height, width) in px."""
        height, width = self._levels[level].shape[:2]
        return height, width

    def __len__(self) -> int:
        """How many levels there are."""
        return len(self._levels)

    def set_cells(self, cells: VirtualCells) -> None:
        """Draw other cells, or the same ones otherwise; only blocks that change are drawn anew."""
        with self._lock:
            rects = cells.outdated(self._cells)
            self._cells = cells
            if rects == []:
                return
            self._changes += 1
            for key, block in self._blocks.items():
                if rects is None or any(self._rect(key).intersects(rect) for rect in rects):
                    block.fresh = False
        self._on_drawn()

    def glimpse(self, level: int, y0: int, y1: int, x0: int, x1: int) -> tuple[Rgb, np.ndarray]:
        """What is drawn of a window so far, at once, and where that is; the rest is drawn next.

        Returns
        -------
        Pixels (y1 − y0, x1 − x0, 3), and which of them are drawn (y1 − y0, x1 − x0). Blocks of
        another gene or model do not count as drawn, those of other cut-offs do until the new ones
        are there.
        """
        out = np.zeros((y1 - y0, x1 - x0, 3), np.uint8)
        there = np.zeros(out.shape[:2], np.bool_)
        missing: list[Key] = []
        with self._lock:
            subject = "" if self._cells is None else self._cells.subject
            for key in _covering(level, y0, y1, x0, x1):
                block = self._blocks.get(key)
                if block is None or not block.fresh:
                    missing.append(key)
                if block is not None and block.subject == subject:
                    self._blocks.move_to_end(key)
                    _paste(out, block.rgb, key, y0, x0)
                    _paste(there, np.ones(block.rgb.shape[:2], np.bool_), key, y0, x0)
            middle = (y0 + y1) / 2 / BLOCK_PX - 0.5, (x0 + x1) / 2 / BLOCK_PX - 0.5
            missing.sort(key=lambda key: math.hypot(key[1] - middle[0], key[2] - middle[1]))
            self._wanted = [key for key in missing if key not in self._in_work]
            self._start()
            self._lock.notify_all()
        return out, there

    def read(self, level: int, y0: int, y1: int, x0: int, x1: int) -> Rgb:
        """All pixels of a window of a level, (y1 − y0, x1 − x0, 3), drawn here and now.

        Raises
        ------
        SlideError
            The H&E cannot be read.
        """
        out = np.empty((y1 - y0, x1 - x0, 3), np.uint8)
        left = set(_covering(level, y0, y1, x0, x1))
        while left:
            with self._lock:
                known = {k: b.rgb for k in left if (b := self._blocks.get(k)) and b.fresh}
            for key, rgb in known.items():
                _paste(out, rgb, key, y0, x0)
            left -= known.keys()
            if left:
                self._draw(_patch_around(min(left), left))
        return out

    def of(self, cells: VirtualCells) -> VirtualDrawing:
        """The same H&E with these cells, whatever is drawn here meanwhile: for files."""
        alone = VirtualDrawing(self._levels, self.mpp[0], self._profile, lambda: None)
        alone.set_cells(cells)
        return alone

    def close(self) -> None:
        """Draw nothing any more."""
        with self._lock:
            self._closed = True
            self._wanted = []
            self._lock.notify_all()

    # ---- work --------------------------------------------------------------------------------

    def _start(self) -> None:
        if self._threads or self._closed:
            return
        for _ in range(min(4, max(2, cores() - 1))):
            thread = threading.Thread(target=self._work, daemon=True)
            self._threads.append(thread)
            thread.start()

    def _work(self) -> None:
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._closed or self._wanted)
                if self._closed:
                    return
                patch = _patch_around(self._wanted[0], set(self._wanted))
                keys = set(patch.keys)
                self._wanted = [key for key in self._wanted if key not in keys]
                self._in_work |= keys
            try:
                self._draw(patch)
            except PastError:
                # The layer of the H&E tells it; here the place stays clear.
                pass
            finally:
                with self._lock:
                    self._in_work -= keys
                    self.drawn += 1
            if not self._closed:
                self._on_drawn()

    def _draw(self, patch: _Patch) -> None:
        with self._lock:
            cells, changes = self._cells, self._changes
        picture = self._picture(patch, cells)
        subject = "" if cells is None else cells.subject
        with self._lock:
            for key in patch.keys:
                y, x = (key[1] - patch.row) * BLOCK_PX, (key[2] - patch.column) * BLOCK_PX
                part = picture[y : y + BLOCK_PX, x : x + BLOCK_PX].copy()
                _keep(self._blocks, key, _Block(part, subject, changes == self._changes), KEPT)

    def _picture(self, patch: _Patch, cells: VirtualCells | None) -> Rgb:
        rgb = self._h_and_e(patch)
        shape = rgb.shape[0], rgb.shape[1]
        if cells is None:
            return not_analysed(rgb)
        mpp = self.mpp[patch.level]
        grid = PixelGrid(patch.column * BLOCK_PX * mpp, patch.row * BLOCK_PX * mpp, mpp)
        missing = cells.missing(grid, shape)
        if missing.all():
            return not_analysed(rgb)
        rect = Rect(grid.x0_um, grid.y0_um, shape[1] * mpp, shape[0] * mpp)
        with self._lock:
            before = self._near.get(patch)
        near = cells.near(rect, mpp <= COARSE_MPP, before)
        with self._lock:
            _keep(self._near, patch, near, KEPT_PATCHES)
        picture = virtual_stain(
            rgb, grid, near.cells, cells.density(near.index), cells.unreliable(near.index),
            cells.compartment, self._profile, near.shapes,
        )  # fmt: skip
        if missing.any():
            picture[missing] = not_analysed(rgb[missing])
        return picture

    def _h_and_e(self, patch: _Patch) -> Rgb:
        with self._lock:
            if patch in self._read:
                self._read.move_to_end(patch)
                return self._read[patch]
        rows = slice(patch.row * BLOCK_PX, (patch.row + patch.rows) * BLOCK_PX)
        columns = slice(patch.column * BLOCK_PX, (patch.column + patch.columns) * BLOCK_PX)
        rgb = self._levels[patch.level][rows, columns]
        with self._lock:
            _keep(self._read, patch, rgb, KEPT_PATCHES)
        return rgb

    def _rect(self, key: Key) -> Rect:
        side = BLOCK_PX * self.mpp[key[0]]
        return Rect(key[2] * side, key[1] * side, side, side)


@dataclass(frozen=True)
class _Patch:
    """Blocks that are drawn in one go: cells around them are looked for once."""

    level: int
    row: int
    column: int
    rows: int
    columns: int

    @property
    def keys(self) -> list[Key]:
        return [
            (self.level, row, column)
            for row in range(self.row, self.row + self.rows)
            for column in range(self.column, self.column + self.columns)
        ]


def _patch_around(key: Key, wanted: set[Key]) -> _Patch:
    """The largest patch around a block, of blocks that are wanted."""
    level, row, column = key
    patch = _Patch(level, row, column, 1, 1)
    grown = True
    while grown:
        grown = False
        for rows, columns in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            larger = _Patch(
                level,
                patch.row + min(rows, 0),
                patch.column + min(columns, 0),
                patch.rows + abs(rows),
                patch.columns + abs(columns),
            )
            small = max(larger.rows, larger.columns) <= PATCH_SIDE
            if small and wanted.issuperset(larger.keys):
                patch, grown = larger, True
    return patch


def _covering(level: int, y0: int, y1: int, x0: int, x1: int) -> list[Key]:
    """The blocks that hold a window."""
    rows = range(y0 // BLOCK_PX, -(-y1 // BLOCK_PX))
    columns = range(x0 // BLOCK_PX, -(-x1 // BLOCK_PX))
    return [(level, row, column) for row in rows for column in columns]


def _paste(out: np.ndarray, block: np.ndarray, key: Key, y0: int, x0: int) -> None:
    """Copy a block's part of a window that begins at (y0, x0)."""
    top, left = key[1] * BLOCK_PX - y0, key[2] * BLOCK_PX - x0
    rows = slice(max(top, 0), min(top + block.shape[0], out.shape[0]))
    columns = slice(max(left, 0), min(left + block.shape[1], out.shape[1]))
    out[rows, columns] = block[
        rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
    ]


def _keep(kept: OrderedDict[_K, _T], key: _K, new: _T, most: int) -> None:
    kept[key] = new
    kept.move_to_end(key)
    while len(kept) > most:
        kept.popitem(last=False)
