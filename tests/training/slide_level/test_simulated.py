"""The simulated cohorts of benchmarks/patients.py keep what its report says of them."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from past_training.slide_level.survival.concordance import concordance, harrell_pairs

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"
PATIENTS = 24


@pytest.fixture
def cohorts(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module of the simulation."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import patients_cohorts

    return patients_cohorts


@pytest.fixture
def pool(cohorts: ModuleType):
    """Two tissues of 1 mm x 1.3 mm with enough cells in every window."""
    from patients_tissue import Tissue

    rng = np.random.default_rng(0)
    return tuple(
        Tissue(
            name,
            rng.normal(size=(6000, 4)).astype(np.float16),
            rng.uniform(0, (1000, 1300), (6000, 2)),
        )
        for name in ("A", "B")
    )


def driver_of(name: str, pool):
    """A driver on cells that are told by their first number."""
    from patients_drivers import Driver

    first = np.concatenate([tissue.vectors[:, 0] for tissue in pool]).astype(np.float32)
    cells = first > (2.0 if name == "rare" else 0.5)
    composition = np.stack([first > 0, first < -1], axis=1).astype(np.float32)
    level = first if name == "marker" else cells.astype(np.float32)
    return Driver(name, level, cells, composition if name == "neighbourhood" else None, "")


@pytest.mark.parametrize("name", ["rare", "neighbourhood", "marker", None])
def test_no_cell_is_in_two_patients(name, cohorts, pool) -> None:
    driver = driver_of(name, pool) if name else None
    cohort = cohorts.simulated(pool, driver, PATIENTS, seed=1)

    used = np.concatenate(cohort.cells)
    assert len(used) == len(set(used.tolist()))
    vectors = np.concatenate([tissue.vectors for tissue in pool])
    for bag, cells in zip(cohort.data.bags, cohort.cells, strict=True):
        np.testing.assert_array_equal(bag.take(np.arange(bag.n)).vectors, vectors[cells])
    assert {len(bag.slides) for bag in cohort.data.bags} == {1, 2}


@pytest.mark.parametrize("name", ["rare", "neighbourhood", "marker"])
def test_hazard_hangs_on_the_driver_of_the_bags(name, cohorts, pool) -> None:
    driver = driver_of(name, pool)
    cohort = cohorts.simulated(pool, driver, PATIENTS, seed=1)

    value = cohorts.bag_driver(driver, cohort.cells)
    assert np.corrcoef(value, cohort.from_bags)[0, 1] == pytest.approx(1)
    assert cohorts.expected_concordance(cohort.log_hazard) == pytest.approx(0.75, abs=0.001)


def test_null_hazard_does_not_hang_on_bags(cohorts, pool) -> None:
    cohort = cohorts.simulated(pool, None, PATIENTS, seed=1)
    assert not cohort.from_bags.any()
    assert cohort.log_hazard.std() > 0


def test_neighbourhood_is_not_told_by_composition(cohorts, pool) -> None:
    driver = driver_of("neighbourhood", pool)
    cohort = cohorts.simulated(pool, driver, PATIENTS, seed=1)
    shares = np.stack([driver.composition[cells].mean(axis=0) for cells in cohort.cells])
    for share in shares.T:
        assert abs(np.corrcoef(share, cohort.from_bags)[0, 1]) < 1e-6


def test_times_follow_the_hazard_with_two_fifths_censored(cohorts) -> None:
    rng = np.random.default_rng(2)
    log_hazard = rng.normal(0, 1.2, 2000)
    time, event = cohorts.outcomes(log_hazard, rng)

    assert event.mean() == pytest.approx(1 - cohorts.CENSORED, abs=0.03)
    assert (time >= 1).all()
    np.testing.assert_array_equal(time, np.round(time))
    seen = concordance(harrell_pairs(time, event), log_hazard)
    # Comparable pairs hold more early events, whose hazards lie further apart.
    assert seen == pytest.approx(cohorts.expected_concordance(log_hazard), abs=0.03)


def test_concordance_of_two_patients_is_the_chance_of_their_order(cohorts) -> None:
    assert cohorts.expected_concordance(np.log([1.0, 3.0])) == pytest.approx(0.75)
