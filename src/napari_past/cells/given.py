"""Cells that are known already, through the same door as a detector's."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from itertools import product

import numpy as np
import numpy.typing as npt

from napari_past.cells.brought import BroughtCells
from napari_past.slide import Slide
from napari_past.types import FloatArray, FoundCells, PixelGrid, Rect, Rgb

CENTRE_DECIMALS = 6


def owned(rect: Rect, centers_um: FloatArray) -> npt.NDArray[np.bool_]:
    """Whether each centre (n, 2) belongs to a tile's rectangle, (n,): to one tile, never to two.

    Two tiles that see one nucleus agree on its centre but for the last bits, since each adds its
    own origin; on a seam those bits would decide. To 1e-6 µm they are equal.
    """
    return rect.contains(np.round(centers_um, CENTRE_DECIMALS))


@dataclass(frozen=True)
class GivenCells:
    """A detector that finds the cells it was given, whatever the pixels."""

    cells: FoundCells
    digest: str = field(default="")
    """Of all the cells it was made from; narrowing keeps it."""
    name: str = "given"
    mpp: float = 1.0
    halo_um: float = 0.0
    brought: BroughtCells | None = None
    """What came with the cells; workers need none of it."""

    @staticmethod
    def of(cells: FoundCells | BroughtCells) -> GivenCells:
        """A detector that finds these cells, and keeps what came with them."""
        if isinstance(cells, BroughtCells):
            return GivenCells(cells.found, brought=cells)
        return GivenCells(cells)

    def __post_init__(self) -> None:
        if not self.digest:
            outlines = self.cells.outlines
            digest = hashlib.sha256()
            for part in (
                self.cells.centers_um, outlines.vertices_um, outlines.offsets, self.cells.areas_um2,
            ):  # fmt: skip
                digest.update(f"{part.dtype}{part.shape}".encode())
                digest.update(np.ascontiguousarray(part).tobytes())
            object.__setattr__(self, "digest", digest.hexdigest())

    def identity(self) -> str:
        return f"{self.name} {self.digest}"

    def fitted(self, slide: Slide) -> GivenCells:
        """Itself: nothing of the slide matters."""
        return self

    def rows_of(self, centers_um: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
        """Which of the cells each of some is, (n,), told by the place (n, 2) to the last bit.

        Cells in one place keep their order through every step, so the first comes first.
        """
        theirs, ours = (
            np.ascontiguousarray(c).view(np.complex128)[:, 0]
            for c in (
                self.cells.centers_um,
                centers_um,
            )
        )
        their_order, our_order = np.argsort(theirs, kind="stable"), np.argsort(ours, kind="stable")
        sorted_theirs, sorted_ours = theirs[their_order], ours[our_order]
        repeat = np.arange(len(ours)) - np.searchsorted(sorted_ours, sorted_ours)
        rows = np.empty(len(ours), np.intp)
        rows[our_order] = their_order[np.searchsorted(sorted_theirs, sorted_ours) + repeat]
        return rows

    def narrowed(self, rect: Rect) -> GivenCells:
        """The cells that belong to `rect`, so that a worker is sent no others."""
        inside = self.cells.take(owned(rect, self.cells.centers_um))
        return GivenCells(inside, self.digest)

    def tiles_with_cells(self, size_um: float) -> frozenset[tuple[int, int]]:
        """(column, row) of the tiles of `size_um` to which a cell belongs."""
        place = np.round(self.cells.centers_um, CENTRE_DECIMALS) / size_um
        # The quotient may round across a seam where `owned` does not, so both sides of it count.
        sides = product((-1e-9, 1e-9), repeat=2)
        found = np.concatenate([np.unique(np.floor(place + side), axis=0) for side in sides])
        return frozenset((column, row) for column, row in found.astype(np.int64).tolist())

    def find(self, rgb: Rgb, grid: PixelGrid) -> FoundCells:
        """The cells within the block, or within a pixel of it: `cells_in` draws the line."""
        height_px, width_px = rgb.shape[:2]
        block = Rect(
            grid.x0_um - grid.mpp,
            grid.y0_um - grid.mpp,
            (width_px + 2) * grid.mpp,
            (height_px + 2) * grid.mpp,
        )
        return self.cells.take(block.contains(self.cells.centers_um))
