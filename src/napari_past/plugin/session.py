"""One slide with one model: its plan, its finished tiles, their cells. Knows no viewer."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from napari_past.cells import (
    BroughtCells,
    Detector,
    GivenCells,
    StainLogDetector,
    get_detector,
)
from napari_past.engine import (
    Assay,
    Cells,
    CellTable,
    MeasuredStain,
    Plan,
    Store,
    analysed,
    look_of,
    make_plan,
    mismatch,
    part_of,
)
from napari_past.errors import Cancelled, RegionError
from napari_past.model import Model
from napari_past.plugin.brought_rows import BroughtRows
from napari_past.plugin.slide_kind import DETECTORS, IHC_MEMBRANE, kept_kind
from napari_past.slide import Slide, open_slide
from napari_past.stain.slide_kind import H_AND_E
from napari_past.types import Rect, Region, SlideRef, StainProfile, TileResult, TileSpec


class Session:
    """Reads the slide and the store when it is made: not in the GUI thread.

    Parameters
    ----------
    model
        For H&E; a slide that is IHC has its stain measured in its place.
    kind
        Of `KINDS`; None for the one that the user gave this slide before, else H&E.
    brought
        Somebody's cells in place of found ones.

    Raises
    ------
    SlideError
        The slide cannot be opened, or has no µm/px.
    CannotWrite
        The cache cannot be written.
    Cancelled
    """

    def __init__(
        self,
        ref: SlideRef,
        model: Model,
        cancelled: Callable[[], bool] = lambda: False,
        kind: str | None = None,
        brought: BroughtCells | None = None,
    ) -> None:
        self.slide = open_slide(ref.path, ref.mpp, ref.series)
        self.asked_model = model
        """For slides that are H&E, whether or not this one is."""
        self.kind = kind or kept_kind(self.slide.fingerprint)
        self.brought = brought
        """Where the cells come from; None for found ones."""
        self.unreadable: set[TileSpec] = set()
        self._rects = np.zeros((0, 4))
        try:
            self.brought_rows = None if brought is None else BroughtRows(brought)
            assay, detector = _chosen(self.kind, model, brought)
            self.whole: Plan = make_plan(self.slide, assay, detector)
            stain = self.whole.model
            self.model: Assay = stain if isinstance(stain, MeasuredStain) else model
            """What gives the cells their values."""
            self.profile = _profile(self.whole.detector, self.slide, measured=self.kind != H_AND_E)
            """The stains of an H&E slide; None of others."""
            self.look = look_of(self.slide)
            """What the slide's colours speak for."""
            self.store = Store(self.whole.key)
            self.table = CellTable(self.model, self.slide.fingerprint)
            for tile in self.whole.tiles:
                if cancelled():
                    raise Cancelled("The slide was not opened.")
                result = self.store.read(tile)
                if result is not None:
                    self.table.append([result])
        except BaseException:
            self.slide.close()
            raise
        self._by_place = {(tile.column, tile.row): tile for tile in self.whole.tiles}

    def add(self, results: Sequence[TileResult]) -> int:
        """Take in tiles that were finished; returns how many cells came with them."""
        self.unreadable |= {result.tile for result in results if result.unreadable}
        whole = [result for result in results if not result.unreadable]
        self.unreadable -= {result.tile for result in whole}
        return self.table.append(whole)

    @property
    def mismatch(self) -> str:
        """Told where the slide looks like another kind than it is analysed as; else empty."""
        return mismatch(self.look, self.kind != H_AND_E)

    @property
    def analysed_tiles(self) -> int:
        return len(self.table.tiles)

    def finished(self, tile: TileSpec) -> bool:
        """Whether a tile needs no more work: done, or found unreadable."""
        return tile in self.table or tile in self.unreadable

    def tiles_in(self, rect: Rect) -> list[TileSpec]:
        """Tiles with tissue that touch a rectangle, those nearest to its centre first."""
        if not self.whole.tiles:
            return []
        size_um = self.whole.tiles[0].size_um
        columns = range(math.floor(rect.x_um / size_um), math.ceil(rect.x1_um / size_um))
        rows = range(math.floor(rect.y_um / size_um), math.ceil(rect.y1_um / size_um))
        if len(columns) * len(rows) > len(self._by_place):
            found = [tile for tile in self.whole.tiles if tile.rect.intersects(rect)]
        else:
            places = ((column, row) for row in rows for column in columns)
            found = [self._by_place[place] for place in places if place in self._by_place]
        x = (rect.x_um + rect.x1_um) / (2 * size_um) - 0.5
        y = (rect.y_um + rect.y1_um) / (2 * size_um) - 0.5
        return sorted(found, key=lambda tile: math.hypot(tile.column - x, tile.row - y))

    def ring_around(self, rect: Rect) -> list[TileSpec]:
        """Tiles with tissue beside those of a rectangle: where the eye may go next."""
        if not self.whole.tiles:
            return []
        size_um = self.whole.tiles[0].size_um
        wider = Rect(
            rect.x_um - size_um,
            rect.y_um - size_um,
            rect.width_um + 2 * size_um,
            rect.height_um + 2 * size_um,
        )
        inside = set(self.tiles_in(rect))
        return [tile for tile in self.tiles_in(wider) if tile not in inside]

    def tiles_of(self, region: Rect | None, regions: Sequence[Region]) -> list[TileSpec]:
        """Tiles with tissue of a part of the slide, or of all of it.

        Raises
        ------
        RegionError
            There is no tissue there.
        """
        plan = part_of(self.whole, self.slide, region, regions)
        if not plan.tiles:
            told = "No tissue was found" if self.brought is None else "No cells were brought"
            raise RegionError(f"{told} there on {self.slide.name}; move to some and try again.")
        return list(plan.tiles)

    def tile_rects(self) -> np.ndarray:
        """(m, 4), x, y, width and height in µm of the finished tiles."""
        tiles = self.table.tiles
        if len(tiles) != len(self._rects):
            new = [tile.rect for tile in tiles[len(self._rects) :]]
            added = [[r.x_um, r.y_um, r.width_um, r.height_um] for r in new]
            self._rects = np.concatenate([self._rects, np.array(added).reshape(-1, 4)])
        return self._rects

    @property
    def done(self) -> Plan:
        """The plan of what is finished."""
        return replace(self.whole, tiles=tuple(t for t in self.whole.tiles if t in self.table))

    @property
    def part(self) -> str:
        """Which part of the slide its cells stand for, one line."""
        return analysed(replace(self.whole, tiles=tuple(self.table.tiles)))

    def cells(self) -> Cells:
        """The finished cells in the plan's order, as files have them. Reads the store."""
        cells = Cells(self.done, self.model, self.store).compute()
        cells.unreadable = tuple(sorted(self.unreadable, key=lambda t: (t.row, t.column)))
        return cells

    def close(self) -> None:
        """Let go of the slide file."""
        self.slide.close()


def _chosen(kind: str, model: Model, brought: BroughtCells | None) -> tuple[Assay | None, Detector]:
    """What gives cells their values, None leaving it to the detector; and the detector."""
    if brought is None:
        return model if kind == H_AND_E else None, get_detector(DETECTORS[kind])
    given = GivenCells.of(brought)
    if kind == H_AND_E:
        return model, given
    return MeasuredStain(compartment="membrane" if kind == IHC_MEMBRANE else "nucleus"), given


def _profile(detector: Detector, slide: Slide, measured: bool) -> StainProfile | None:
    """Of the detector, or what it would have been where somebody else found the cells."""
    if measured:
        return None
    if isinstance(detector, GivenCells):
        detector = get_detector(DETECTORS[H_AND_E]).fitted(slide)
    return detector.stains if isinstance(detector, StainLogDetector) else None
