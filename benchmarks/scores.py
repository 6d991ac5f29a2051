"""Scores on simulated tissue, where the truth is known, and what they cost.

    OMP_NUM_THREADS=1 python benchmarks/scores.py bias     [--out docs/figures/score-bias.md]
    OMP_NUM_THREADS=1 python benchmarks/scores.py interval [--out docs/figures/score-interval.md]
    OMP_NUM_THREADS=1 python benchmarks/scores.py speed    [--out docs/figures/score-speed.md]

`bias`: cells have a stain y, standard normal, of which their picture tells r; the prediction is the
mean of y given the picture. H-scores of the cells, of their predicted means, and the sum of
exceedance probabilities, at cut-offs that are quantiles of y.

`interval`: how often the 95 % sampling interval holds the score of the tissue that a field was cut
from, over fields of cells that are alike over a length L: fixed blocks of 100 and 250 µm against
those that follow the range of likeness. A third of the fields has no noise of single cells, in
a third it is half, in a third nine tenths of the variance.

`speed`: 1e5 and 1e6 cells, 4,000 to a mm²; medians of five.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import shapely
from common import add_outputs, machine_line, report, table
from scipy.special import ndtri

from napari_past.genes import resolve
from napari_past.stain import (
    classes,
    count_cells,
    density_map,
    expected_classes,
    expected_h_score,
    h_score,
    hot_spot,
    rules_of,
    score_counted,
)
from napari_past.stain.interval import block_side_um, sampling_intervals
from napari_past.types import Cutoffs, Region

FloatArray = npt.NDArray[np.float64]
BIAS_CELLS = 1_000_000
QUANTILES = {
    "half negative, few 3+": (0.5, 0.75, 0.95),
    "mostly positive": (0.1, 0.3, 0.6),
    "mostly negative": (0.8, 0.9, 0.97),
    "as many weak as strong": (0.2, 0.5, 0.8),
}
FIELDS = 90
CELLS_PER_MM2 = 1200
STEP_UM = 20.0
INTERVAL_QUANTILES = (0.5, 0.75, 0.95)
SETTINGS = [
    (side_mm, kind, length)
    for side_mm, lengths in ((1.5, (40, 80)), (3.0, (50, 100, 200)), (6.0, (100, 200, 300)))
    for kind in ("exponential", "Gaussian")
    for length in lengths
]
NOISES = (0.0, 0.5, 0.9)
ROUNDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("bias", "interval", "speed"))
    add_outputs(parser)
    options = parser.parse_args()
    work = {"bias": bias, "interval": interval, "speed": speed}[options.what]
    lines, numbers = work()
    report(options, lines, numbers)


# ---- bias ----------------------------------------------------------------------------------------


def bias() -> tuple[list[str], dict[str, object]]:
    rng = np.random.default_rng(0)
    seen, unseen = rng.normal(size=(2, BIAS_CELLS))
    rows, numbers = [], {}
    for r in (0.3, 0.6, 0.9):
        stain, mean = r * seen + math.sqrt(1 - r**2) * unseen, r * seen
        deviation = math.sqrt(1 - r**2)
        for name, quantiles in QUANTILES.items():
            cutoffs = quantiles_of_normal(quantiles)
            true, counted = (np.bincount(classes(v, cutoffs), minlength=4) for v in (stain, mean))
            scores = {
                "true": h_score(true),
                "counted": h_score(counted),
                "exceedance": expected_h_score(mean, deviation, cutoffs),
                "deviation 20 % too small": expected_h_score(mean, 0.8 * deviation, cutoffs),
            }
            parts = (
                true / len(seen),
                counted / len(seen),
                expected_classes(mean, deviation, cutoffs),
            )
            numbers[f"r {r} {name}"] = {**scores, "classes": [list(p) for p in parts]}
            rows.append(
                [f"{r:g}", name, *(f"{v:.0f}" for v in scores.values())]
                + [" / ".join(f"{100 * part[k]:.0f}" for part in parts) for k in (0, 3)]
            )
    head = [
        "r", "cells", "H-score", "of counted means", "of exceedance", "deviation 20 % too small",
        "% of class 0: true / counted / expected", "% of class 3+",
    ]  # fmt: skip
    return [*table(head, rows), "", f"{BIAS_CELLS:,} simulated cells."], numbers


def quantiles_of_normal(quantiles: tuple[float, float, float]) -> Cutoffs:
    weak, moderate, strong = (float(ndtri(q)) for q in quantiles)
    return Cutoffs(weak, moderate, strong, "quantiles of the true stain")


# ---- interval ------------------------------------------------------------------------------------


def interval() -> tuple[list[str], dict[str, object]]:
    cutoffs = quantiles_of_normal(INTERVAL_QUANTILES)
    truth = 100 * sum(1 - q for q in INTERVAL_QUANTILES)
    names = ("100 µm", "250 µm", "ours")
    rows, numbers = [], {}
    total: dict[str, list[float]] = {name: [] for name in names}
    for side_mm, kind, length in SETTINGS:
        held: dict[str, list[float]] = {name: [] for name in names}
        sides = []
        for centers, values in fields(1000 * side_mm, kind, length):
            points = classes(values, cutoffs)
            ours = block_side_um(points, centers)
            sides.append(ours)
            for name, block_um in zip(names, (100.0, 250.0, ours), strict=True):
                ((low, high),) = sampling_intervals([points], centers, block_um)
                held[name].append(math.nan if math.isnan(low) else float(low <= truth <= high))
        shown = {name: 100 * float(np.nanmean(values)) for name, values in held.items()}
        none = int(np.isnan(held["ours"]).sum())
        for name in names:
            total[name] += held[name]
        numbers[f"{side_mm} mm {kind} {length} µm"] = {**shown, "none": none, "sides": sides}
        rows.append(
            [f"{side_mm:g} x {side_mm:g} mm", f"{kind}, {length} µm"]
            + [f"{v:.0f} %" for v in shown.values()]
            + [f"{np.median(sides):.0f} µm", f"{none} of {FIELDS}"]
        )
    means = {name: 100 * float(np.nanmean(values)) for name, values in total.items()}
    none = int(np.isnan(total["ours"]).sum())
    rows.append(
        ["all", "", *(f"{v:.1f} %" for v in means.values()), "", f"{none} of {len(total['ours'])}"]
    )
    head = ["field", "likeness, L", *(f"blocks of {n}" for n in names[:2]), "our blocks",
            "their side", "no interval"]  # fmt: skip
    return [*table(head, rows), "", f"{FIELDS} fields a line; nominal 95 %."], {**numbers, **means}


def fields(side_um: float, kind: str, length_um: float) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Centres (n, 2) and standard normal values (n,) that are alike over `length_um`."""
    rng = np.random.default_rng([int(side_um), int(length_um), len(kind)])
    n = int(2 * side_um / STEP_UM)  # a torus twice as wide: its other side is far
    away = np.minimum(np.arange(n), n - np.arange(n)) * STEP_UM
    distance = np.hypot(away[:, None], away) / length_um
    covariance = np.exp(-distance) if kind == "exponential" else np.exp(-(distance**2))
    power = np.sqrt(np.maximum(np.fft.fft2(covariance).real, 0))
    for k in range(FIELDS):
        noise = NOISES[k % len(NOISES)]
        field = np.fft.ifft2(np.fft.fft2(rng.normal(size=(n, n))) * power).real
        centers = rng.uniform(0, side_um, (rng.poisson(CELLS_PER_MM2 * side_um**2 / 1e6), 2))
        column, row = (centers / STEP_UM).astype(int).T
        own = rng.normal(size=len(centers))
        yield centers, math.sqrt(1 - noise) * field[row, column] + math.sqrt(noise) * own


# ---- speed ---------------------------------------------------------------------------------------


def speed() -> tuple[list[str], dict[str, object]]:
    numbers: dict[str, dict[str, float]] = {}
    for n in (100_000, 1_000_000):
        for name, work in works(n).items():
            numbers.setdefault(name, {})[f"{n}"] = median_ms(work)
    rows = [
        [name, *(f"{ms:.1f}" if ms < 10 else f"{ms:.0f}" for ms in by_n.values())]
        for name, by_n in numbers.items()
    ]
    lines = table(["", "ms, 1e5 cells", "ms, 1e6 cells"], rows)
    return [*lines, "", f"Median of {ROUNDS}, one thread. {machine_line()}"], dict(numbers)


def works(n: int) -> dict[str, Callable[[], object]]:
    """What is timed, on `n` cells."""
    rng = np.random.default_rng(0)
    side = 1000 * math.sqrt(n / 4000)
    centers = rng.uniform(0, side, (n, 2))
    wave = np.sin(centers[:, 0] / 150) + np.cos(centers[:, 1] / 200)
    values = (wave + rng.normal(size=n)).astype(np.float32)
    cutoffs = Cutoffs(0.3, 1.0, 1.8, "given")
    found = classes(values, cutoffs)
    regions = [
        Region(f"r{i}", "Tumour", shapely.Point(*rng.uniform(0, side, 2)).buffer(side / 4, 250))
        for i in range(5)
    ]
    regions.append(Region("fold", "Ignore*", shapely.box(0, 0, side / 4, side / 4)))
    counted = count_cells(centers, regions, also_slide=True)
    whole, ki67 = count_cells(centers), rules_of(resolve("Ki67"))
    return {
        "which cells count: 5 regions and the slide": lambda: count_cells(
            centers, regions, also_slide=True
        ),
        "a cut-off is dragged: 5 regions and the slide": lambda: score_counted(
            counted, values, cutoffs, quick=True
        ),
        "range and intervals of the slide": lambda: score_counted(whole, values, cutoffs),
        "the same, and the hot spot of 0.25 mm²": lambda: score_counted(
            whole, values, cutoffs, ki67
        ),
        "hot spot of 1 mm² by density": lambda: hot_spot(
            found, centers, least_cells=500, area_mm2=1.0, by="density"
        ),
        "density map, σ 100 µm": lambda: density_map(centers, found > 0),
    }


def median_ms(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return 1000 * statistics.median(seconds)


if __name__ == "__main__":
    main()
