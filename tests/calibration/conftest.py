"""Simulated patients whose map from predicted to measured is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_past.calibration import CalibratedBy, Matched, write_region_table


class Simulation:
    """Tables whose truth is known, and their files."""

    by = CalibratedBy(
        "ESR1 (ER)", "ER", ("ESR1",), "past-mini", "2", "a" * 64, "log1p", clone="SP1"
    )

    @staticmethod
    def true_density(x):
        """Saturating, as optical density does."""
        return 0.8 * x**2 / (x**2 + 0.35) + 0.05 * x

    @classmethod
    def patients(cls, k, regions=6, *, seed=0, between=0.05, within=0.03) -> Matched:
        """`k` patients, each off by an error of its own, each region by another."""
        rng = np.random.default_rng(seed)
        x = np.clip(rng.uniform(0.2, 1.4, (k, 1)) + rng.normal(0, 0.2, (k, regions)), 0.02, None)
        error = rng.normal(0, between, (k, 1)) + rng.normal(0, within, x.shape)
        y = np.clip(cls.true_density(x) + error, 0, None)
        return cls.matched(x, y, [f"s{seed}p{i}" for i in range(k)])

    @classmethod
    def matched(cls, x, y, patients, *, of_cells=False, quantity="od") -> Matched:
        """A table of arrays (patients, regions)."""
        k, m = np.shape(x)
        return Matched(
            patients=tuple(p for p in patients for _ in range(m)),
            regions=tuple(f"r{j}" for _ in range(k) for j in range(m)),
            predicted=np.asarray(x, float).ravel(),
            measured=np.asarray(y, float).ravel(),
            quantity=quantity,
            of_cells=of_cells,
        )


@pytest.fixture(scope="session")
def sim() -> type[Simulation]:
    return Simulation


@pytest.fixture
def table(tmp_path) -> Callable[..., Path]:
    """``table(name, matched)``: the rows as `write_region_table` writes them."""

    def write(name: str, rows: Matched) -> Path:
        write_region_table(rows, tmp_path / name)
        return tmp_path / name

    return write
