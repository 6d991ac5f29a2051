"""One slide with one model: its plan, its finished tiles, their cells. Knows no viewer."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import replace

from napari_past.engine import Cells, Plan, Progress, Store, make_plan, part_of, run_plan
from napari_past.engine.plan import StoreKey
from napari_past.errors import RegionError
from napari_past.model import Model
from napari_past.slide import open_slide
from napari_past.types import Rect, Region, SlideRef, TileResult, TileSpec

SNAPSHOT_EVERY_S = 0.7
SNAPSHOT_SHARE = 0.1
"""At most this part of a run's time goes into showing cells before its end."""


class RememberedTiles(Store):
    """A store that keeps what it has read, so that a second field costs only its own tiles."""

    def __init__(self, key: StoreKey) -> None:
        super().__init__(key)
        self._results: dict[TileSpec, TileResult] = {}

    def has(self, tile: TileSpec) -> bool:
        return tile in self._results or super().has(tile)

    def read(self, tile: TileSpec) -> TileResult | None:
        result = self._results.get(tile) or super().read(tile)
        if result is not None:
            self._results[tile] = result
        return result

    def write(self, result: TileResult) -> None:
        super().write(result)
        if not result.unreadable:
            self._results[result.tile] = result


class Session:
    """Reads the slide when it is made: not in the GUI thread.

    Raises
    ------
    SlideError
        The slide cannot be opened, or has no µm/px.
    CannotWrite
        The cache cannot be written.
    """

    def __init__(self, ref: SlideRef, model: Model) -> None:
        self.slide = open_slide(ref.path, ref.mpp, ref.series)
        self.model = model
        try:
            self.whole: Plan = make_plan(self.slide, model)
            self.store = RememberedTiles(self.whole.key)
        except BaseException:
            self.slide.close()
            raise
        self.unreadable: set[TileSpec] = set()
        self.analysed_tiles = 0

    def cells(self) -> Cells:
        """The cells of every finished tile of the slide, of this session or an earlier one."""
        finished = tuple(tile for tile in self.whole.tiles if self.store.has(tile))
        self.analysed_tiles = len(finished)
        cells = Cells(replace(self.whole, tiles=finished), self.model, self.store).compute()
        cells.unreadable = tuple(sorted(self.unreadable, key=lambda t: (t.row, t.column)))
        # Both are needed for drawing and would otherwise be worked out in the GUI thread.
        _ = cells.ids, cells.unlike_training
        return cells

    def stain(
        self,
        executor: Executor | None,
        on_progress: Callable[[Progress], None],
        on_cells: Callable[[Cells], None],
        cancelled: Callable[[], bool],
        region: Rect | None = None,
        regions: Sequence[Region] = (),
    ) -> Cells:
        """Compute the missing tiles of a part of the slide; returns all finished cells.

        `on_cells` is told of the cells so far, from time to time. For other arguments and errors
        see `engine.run_plan`.

        Raises
        ------
        RegionError
            There is no tissue there.
        """
        plan = part_of(self.whole, self.slide, region, regions)
        if not plan.tiles:
            raise RegionError(
                f"No tissue was found there on {self.slide.name}; move to the tissue and try again."
            )
        due = time.monotonic() + SNAPSHOT_EVERY_S

        def on_tile(progress: Progress) -> None:
            nonlocal due
            on_progress(progress)
            began = time.monotonic()
            if progress.result is not None and began >= due and progress.done < progress.total:
                on_cells(self.cells())
                spent = time.monotonic() - began
                due = time.monotonic() + max(SNAPSHOT_EVERY_S, spent / SNAPSHOT_SHARE)

        unreadable = run_plan(plan, self.store, executor, on_tile, cancelled)
        self.unreadable -= set(plan.tiles)
        self.unreadable |= set(unreadable)
        return self.cells()

    def close(self) -> None:
        """Let go of the slide file."""
        self.slide.close()
