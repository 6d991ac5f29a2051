"""Finding the cores of drawn tissue microarrays: how many, how well placed, how well named.

    python benchmarks/tma.py [--seeds 20] [--only TEXT]

The seeds are others than those that the method was developed on (1000 and up), which are not used
here. A core is found within a quarter of its diameter; it is named right where it has the name of
its position as well. F1 counts both missed cores and cores where none is.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from napari_past.errors import PastError
from napari_past.sample.microarray import ArrayPlan, Microarray, draw_microarray
from napari_past.slide.tissue import tissue_mask
from napari_past.tma import TmaGrid
from napari_past.tma.find import grid_on

FIRST_SEED = 50_000
MPP = 16.0
GLASS = (244, 243, 244)
WITHIN = 0.25
PLANS = {
    "straight": ArrayPlan(),
    "turned by 5 degrees": ArrayPlan(rotation_deg=5),
    "turned by −12 degrees": ArrayPlan(rotation_deg=-12),
    "bent by 0.4 pitches": ArrayPlan(bend=0.4),
    "20 % missing": ArrayPlan(missing=0.2),
    "50 % missing": ArrayPlan(missing=0.5, jitter=0.05),
    "40 % torn": ArrayPlan(torn=0.4),
    "touching": ArrayPlan(pitch=1.05, jitter=0.02),
    "touching, 10 % missing, 40 % torn": ArrayPlan(pitch=1.05, jitter=0.02, missing=0.1, torn=0.4),
    "places off by 0.1 pitches": ArrayPlan(jitter=0.1, missing=0.1),
    "60 specks of dirt": ArrayPlan(dirt=60, missing=0.2),
    "0.6 mm, 15 x 20, all at once": ArrayPlan(
        15, 20, 600, missing=0.15, torn=0.2, rotation_deg=3, bend=0.3, jitter=0.05, dirt=20
    ),
    "1 mm, 8 x 12, all at once": ArrayPlan(
        missing=0.2, torn=0.2, rotation_deg=4, bend=0.3, jitter=0.06, dirt=20, pitch=1.3,
        row_stretch=1.1,
    ),
    "2 mm, 4 x 6, all at once": ArrayPlan(
        4, 6, 2000, missing=0.15, torn=0.2, rotation_deg=-4, bend=0.1, jitter=0.05, dirt=20
    ),
    "small: 3 x 4, 20 % missing": ArrayPlan(3, 4, missing=0.2),
}  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """How one array was read."""

    f1: float
    """Of cores that are there, by place."""
    named: float
    """F1 by place and name."""
    diameter: float
    """Estimated over true."""
    off_um: float
    """Median distance of found cores from their true centres."""


def judged(array: Microarray, grid: TmaGrid) -> Outcome:
    """The grid held against the truth. Rows and columns at the edge that have no core cannot be
    known of, so names are counted from the first that has one."""
    present = array.present
    top, left = (int(np.flatnonzero(present.any(axis=axis))[0]) for axis in (1, 0))
    truth = {(int(r) - top, int(c) - left): array.centers_um[r, c] for r, c in np.argwhere(present)}
    found = {(core.row, core.column): np.array(core.center_um) for core in grid.present}
    near = WITHIN * array.diameter_um
    away, _ = cKDTree(np.array(list(found.values()))).query(np.array(list(truth.values())))
    named = sum(k in found and np.hypot(*(found[k] - place)) < near for k, place in truth.items())
    both = len(truth) + len(found)
    hit = away < near
    off_um = float(np.median(away[hit])) if hit.any() else float("nan")
    ratio = grid.diameter_um / array.diameter_um
    return Outcome(2 * int(hit.sum()) / both, 2 * named / both, ratio, off_um)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--only", default="", help="arrays whose name holds this")
    options = parser.parse_args()
    seeds = options.seeds
    print(f"{seeds} arrays each, seeds from {FIRST_SEED}, mask at {MPP:g} µm/px")
    print(
        "| array | no grid | F1 of cores | F1 of names | worst | all right | diameter | off | s |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for name, plan in PLANS.items():
        if options.only not in name:
            continue
        outcomes, refused, spent = [], 0, 0.0
        for seed in range(FIRST_SEED, FIRST_SEED + seeds):
            array = draw_microarray(plan, MPP, seed)
            mask = tissue_mask(array.rgb, MPP, GLASS)
            started = time.process_time()
            try:
                outcomes.append(judged(array, grid_on(mask, "drawn")))
            except PastError:
                refused += 1
            spent += time.process_time() - started
        print(f"| {name} | {refused} | {_told(outcomes)} | {spent / seeds:.2f} |", flush=True)


def _told(outcomes: list[Outcome]) -> str:
    if not outcomes:
        return " | ".join(["–"] * 6)
    named = np.array([o.named for o in outcomes])
    return " | ".join(
        [
            f"{np.mean([o.f1 for o in outcomes]):.4f}",
            f"{named.mean():.4f}",
            f"{named.min():.3f}",
            f"{int((named == 1).sum())} of {len(named)}",
            f"{np.mean([o.diameter for o in outcomes]):.3f}",
            f"{np.mean([o.off_um for o in outcomes]):.0f} µm",
        ]
    )


if __name__ == "__main__":
    main()
