"""Which of a slide's cells count, told apart from those that were left out, by reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_past.engine import Plan, Store
from napari_past.files import atomic_write
from napari_past.quality import UNSCORED_KINDS, QualityMask
from napari_past.types import TileSpec
from past_training.slide_level.bags.stored_bag import ClearedCache

OUTSIDE, IN_IGNORED = "outside the regions", "in Ignore* regions"


@dataclass(frozen=True, eq=False)
class Kept:
    """The cells of some tiles, in their order."""

    sizes: tuple[int, ...]
    """(t,), cells of each tile."""
    rows: npt.NDArray[np.bool_]
    """(sum of sizes,), whether each counts."""
    left_out: dict[str, int]
    """How many do not, by reason; a cell has the first that holds."""


def kept_cells(plan: Plan, store: Store, tiles: Sequence[TileSpec], mask: QualityMask) -> Kept:
    """Those in the plan's area and regions, and where the slide can be scored; tile by tile.

    Raises
    ------
    ClearedCache
        A tile is gone.
    """
    sizes, rows = [], [np.zeros(0, np.bool_)]
    left_out: dict[str, int] = {}
    limits = [region for region in plan.regions if not region.ignored]
    ignored = [region for region in plan.regions if region.ignored]
    for tile in tiles:
        result = store.read(tile)
        if result is None:
            raise ClearedCache(plan.slide_name)
        places_um = result.cells.centers_um
        inside = plan.area.contains(places_um)
        if limits:
            inside &= np.logical_or.reduce([region.contains(places_um) for region in limits])
        reasons = {OUTSIDE: ~inside}
        if ignored:
            reasons[IN_IGNORED] = np.logical_or.reduce([r.contains(places_um) for r in ignored])
        kind = mask.kind_at(places_um)
        reasons |= {name: kind == i for i, name in enumerate(UNSCORED_KINDS, start=1)}
        kept = np.ones(len(places_um), np.bool_)
        for reason, these in reasons.items():
            left_out[reason] = left_out.get(reason, 0) + int((these & kept).sum())
            kept &= ~these
        sizes.append(len(places_um))
        rows.append(kept)
    told = {reason: count for reason, count in left_out.items() if count}
    return Kept(tuple(sizes), np.concatenate(rows), told)


def kept_file(folder: Path, stem: str) -> Path:
    """Where it is kept which cells count: one bit each."""
    return folder / f"{stem}.kept.npy"


def write_kept(kept: npt.NDArray[np.bool_], folder: Path, stem: str) -> None:
    """Keep it beside the copied bags.

    Raises
    ------
    CannotWrite
    """
    with atomic_write(kept_file(folder, stem)) as unfinished:
        np.save(unfinished, np.packbits(kept))


def read_kept(folder: Path, stem: str, n: int) -> npt.NDArray[np.bool_]:
    """As it was written, (n,).

    Raises
    ------
    OSError, ValueError
        There is no such file, or it is damaged.
    """
    return np.unpackbits(np.load(kept_file(folder, stem)), count=n).astype(np.bool_)
