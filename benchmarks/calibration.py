"""Calibrations on simulated patients, where the true map is known.

    OMP_NUM_THREADS=1 python benchmarks/calibration.py [--out docs/figures/calibration.md]

A patient has six matched regions. Its predicted values lie around a level of its own; the true
optical density is a saturating function of them (or a straight line), and what is measured is off
by an error of the patient (SD 0.05) and one of each region (SD 0.03). Each calibration meets 100
regions of other patients. The errors: *normal*; *skewed*, exponential between patients; *heavy
tails*, Student's t with 3 degrees of freedom between patients; *proportional*, 20 % of the density
between patients and 10 % within them. For H-scores, cells have an error of their own (SD 0.1),
normal or exponential.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from common import add_outputs, report, table
from scipy.optimize import isotonic_regression

from napari_past.calibration import (
    CalibratedBy,
    Calibration,
    Matched,
    fit_calibration,
    predicted_h_score,
    predicted_value,
)
from napari_past.calibration.monotone import mapped
from napari_past.errors import BadTable
from napari_past.model.calibration import Quantity
from napari_past.stain import classes, h_score
from napari_past.stain.dab import DAB_CUTOFFS

FloatArray = npt.NDArray[np.float64]
Rng = np.random.Generator
BY = CalibratedBy("ESR1 (ER)", "ER", ("ESR1",), "simulated", "1", "0" * 64, "simulated")
PATIENTS, REGIONS = (3, 5, 10, 30), 6
CALIBRATIONS, NEW = 300, 100
CELL_CALIBRATIONS, CELL_NEW, CELLS = 40, 50, 100
BETWEEN, WITHIN, CELL_SD = 0.05, 0.03, 0.1
IDEAL = 2 * 1.96 * math.hypot(BETWEEN, WITHIN)


def saturating(x: FloatArray) -> FloatArray:
    return 0.8 * x**2 / (x**2 + 0.35) + 0.05 * x


def straight(x: FloatArray) -> FloatArray:
    return 0.5 * x


def normal(rng: Rng, truth: FloatArray) -> FloatArray:
    k = len(truth)
    return truth + rng.normal(0, BETWEEN, (k, 1)) + rng.normal(0, WITHIN, truth.shape)


def skewed(rng: Rng, truth: FloatArray) -> FloatArray:
    patient = BETWEEN * (rng.exponential(1, (len(truth), 1)) - 1)
    return truth + patient + rng.normal(0, WITHIN, truth.shape)


def heavy(rng: Rng, truth: FloatArray) -> FloatArray:
    patient = BETWEEN * rng.standard_t(3, (len(truth), 1)) / math.sqrt(3)
    return truth + patient + rng.normal(0, WITHIN, truth.shape)


def proportional(rng: Rng, truth: FloatArray) -> FloatArray:
    patient = rng.normal(0, 0.2, (len(truth), 1))
    return truth * (1 + patient + rng.normal(0, 0.1, truth.shape))


ERRORS: dict[str, Callable[[Rng, FloatArray], FloatArray]] = {
    "normal": normal,
    "skewed": skewed,
    "heavy tails": heavy,
    "proportional": proportional,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_outputs(parser)
    options = parser.parse_args()
    coverage_lines, coverage = covered()
    score_lines, scores = h_scores()
    map_lines, maps = recovered()
    lines = [*coverage_lines, "", *score_lines, "", *map_lines]
    report(options, lines, {"coverage": coverage, "h_score": scores, "map": maps})


def patients(
    rng: Rng,
    k: int,
    regions: int,
    error: Callable[[Rng, FloatArray], FloatArray] = normal,
    true_map: Callable[[FloatArray], FloatArray] = saturating,
) -> tuple[FloatArray, FloatArray]:
    """Predicted values and measured densities, (k, regions) each."""
    level = rng.uniform(0.2, 1.4, (k, 1))
    x = np.clip(level + rng.normal(0, 0.2, (k, regions)), 0.02, None)
    return x, np.clip(error(rng, true_map(x)), 0, None)


def matched(x: FloatArray, y: FloatArray, quantity: Quantity = "od") -> Matched:
    k, m = x.shape
    return Matched(
        patients=tuple(f"p{i}" for i in range(k) for _ in range(m)),
        regions=tuple(f"r{j}" for _ in range(k) for j in range(m)),
        predicted=x.ravel(),
        measured=y.ravel(),
        quantity=quantity,
    )


def calibrations(
    k: int, error: Callable[[Rng, FloatArray], FloatArray]
) -> list[tuple[Calibration, FloatArray, FloatArray]]:
    """Calibrations of k patients, each with regions of other patients."""
    rng = np.random.default_rng(k)
    made = []
    for _ in range(CALIBRATIONS):
        try:
            calibration = fit_calibration(matched(*patients(rng, k, REGIONS, error)), BY)
        except BadTable:  # densities that do not rise with predictions: none is made
            continue
        x, y = patients(rng, NEW, 1, error)
        made.append((calibration, x[:, 0], y[:, 0]))
    return made


def covered() -> tuple[list[str], dict[str, dict[str, float]]]:
    """How often the prediction interval holds what is measured in a region of a new patient."""
    rows, numbers = [], {}
    for name, error in ERRORS.items():
        for k in PATIENTS:
            parts, widths, beyond = [], [], []
            for calibration, x, y in calibrations(k, error):
                found = [predicted_value(calibration, [v]) for v in x]
                low, high = (np.array([getattr(f, end) for f in found]) for end in ("low", "high"))
                given = ~np.isnan(low)
                beyond.append(float(1 - given.mean()))
                if given.any():
                    parts.append(float(((low <= y) & (y <= high))[given].mean()))
                    widths.append(float(np.median((high - low)[given])))
            told = {
                "coverage": float(np.mean(parts)),
                "worst twentieth": float(np.quantile(parts, 0.05)),
                "width": float(np.median(widths)),
                "beyond": float(np.mean(beyond)),
            }
            numbers[f"{name}, {k} patients"] = told
            rows.append(
                [
                    name,
                    k,
                    f"{100 * told['coverage']:.1f} %",
                    f"{100 * told['worst twentieth']:.0f} %",
                    f"{told['width']:.2f}",
                    f"{100 * told['beyond']:.0f} %",
                ]
            )
    head = [
        "errors",
        "patients",
        "95 % interval holds",
        "of the worst twentieth of calibrations, at most",
        "median width, OD",
        "no interval: beyond what was calibrated",
    ]
    note = (
        f"{CALIBRATIONS} simulated calibrations a line, {NEW} new patients each. With the true map "
        f"and the true spread known, normal errors would need a width of {IDEAL:.2f}."
    )
    return [*table(head, rows), "", note], numbers


def h_scores() -> tuple[list[str], dict[str, dict[str, float]]]:
    """H-scores of new regions whose cells are negative and positive ones: from H-scores of regions,
    and from matched cells."""
    rows, numbers = [], {}
    for name, skewed_cells in (("normal", False), ("skewed", True)):
        for k in PATIENTS:
            rng = np.random.default_rng(k)
            told: dict[str, list[float]] = {}
            for _ in range(CELL_CALIBRATIONS):
                x, y = cells(rng, k, skewed_cells)
                new_x, new_y = cells(rng, CELL_NEW, skewed_cells)
                new = [(new_x[i, 0], h_of(new_y[i, 0])) for i in range(CELL_NEW)]
                scores = np.array([[h_of(region) for region in patient] for patient in y])
                for kind, rows_of in (
                    ("regions", matched(x.mean(axis=2), scores, quantity="h-score")),
                    ("cells", matched_cells(x, y)),
                ):
                    calibration = fit_calibration(rows_of, BY)
                    for values, true in new:
                        found = predicted_h_score(calibration, values, DAB_CUTOFFS)
                        told.setdefault(f"{kind} bias", []).append(found.value - true)
                        if not math.isnan(found.low):
                            told.setdefault(kind, []).append(found.low <= true <= found.high)
                            told.setdefault(f"{kind} width", []).append(found.high - found.low)
            means = {key: float(np.mean(values)) for key, values in told.items()}
            numbers[f"{name}, {k} patients"] = means
            line: list[object] = [name, k]
            for kind in ("regions", "cells"):
                line += [
                    f"{100 * means[kind]:.0f} %",
                    f"{means[f'{kind} width']:.0f}",
                    f"{means[f'{kind} bias']:+.1f}",
                ]
            rows.append(line)
    head = ["errors of cells", "patients"]
    for kind in ("H-scores of regions", "matched cells"):
        head += [f"{kind}: interval holds", "width", "bias"]
    note = (
        f"H-scores at {', '.join(f'{c:g}' for c in DAB_CUTOFFS.values)}; a region has "
        f"{CELLS} cells, of which 10 to 90 % are positive. {CELL_CALIBRATIONS} calibrations a "
        f"line, {CELL_NEW} new patients each."
    )
    return [*table(head, rows), "", note], numbers


def cells(rng: Rng, k: int, skewed_cells: bool) -> tuple[FloatArray, FloatArray]:
    """Predicted values and densities of matched cells, (k, 4, CELLS) each."""
    shape = (k, 4, CELLS)
    positive = rng.random(shape) < rng.uniform(0.1, 0.9, (k, 4, 1))
    x = np.clip(np.where(positive, rng.normal(1.0, 0.25, shape), rng.normal(0.2, 0.1, shape)), 0, 3)
    error = rng.normal(0, BETWEEN, (k, 1, 1)) + rng.normal(0, WITHIN, (k, 4, 1))
    own = rng.exponential(1, shape) - 1 if skewed_cells else rng.normal(0, 1, shape)
    return x, np.clip(saturating(x) + error + CELL_SD * own, 0, None)


def h_of(densities: FloatArray) -> float:
    return h_score(np.bincount(classes(densities, DAB_CUTOFFS), minlength=4))


def matched_cells(x: FloatArray, y: FloatArray) -> Matched:
    k, m, n = x.shape
    return Matched(
        patients=tuple(f"p{i}" for i in range(k) for _ in range(m * n)),
        regions=tuple(f"r{j}" for _ in range(k) for j in range(m) for _ in range(n)),
        predicted=x.ravel(),
        measured=y.ravel(),
        quantity="od",
        of_cells=True,
    )


def recovered() -> tuple[list[str], dict[str, float]]:
    """Root mean squared error of three monotone maps, between the 5th and 95th percentile of x."""
    rows, numbers = [], {}
    for name, true_map in (("saturating", saturating), ("straight line", straight)):
        for k in PATIENTS:
            rng = np.random.default_rng(k)
            errors: dict[str, list[float]] = {"centred": [], "steps": [], "line": []}
            for _ in range(CALIBRATIONS):
                x, y = patients(rng, k, REGIONS, true_map=true_map)
                places = np.linspace(*np.quantile(x, (0.05, 0.95)), 60)
                true = true_map(places)
                try:
                    knots = fit_calibration(matched(x, y), BY).knots
                except BadTable:
                    continue
                order = np.argsort(x.ravel())
                steps = isotonic_regression(y.ravel()[order]).x
                at = np.searchsorted(x.ravel()[order], places, side="right") - 1
                line = np.polyval(np.polyfit(x.ravel(), y.ravel(), 1), places)
                for kind, found in (
                    ("centred", mapped(knots, places)),
                    ("steps", steps[np.maximum(at, 0)]),
                    ("line", line),
                ):
                    errors[kind].append(float(np.sqrt(np.mean((found - true) ** 2))))
            means = {kind: float(np.mean(values)) for kind, values in errors.items()}
            numbers |= {f"{name}, {k} patients, {kind}": v for kind, v in means.items()}
            rows.append([name, k, *(f"{v:.3f}" for v in means.values())])
    head = ["true map", "patients", "centred isotonic", "isotonic steps", "straight line"]
    note = "Root mean squared error of the map, OD."
    return [*table(head, rows), "", note], numbers


if __name__ == "__main__":
    main()
