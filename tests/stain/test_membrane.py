"""HER2, TPS and CPS against hand numbers."""

from __future__ import annotations

import numpy as np
import pytest

from napari_past.stain.dab import DAB_CUTOFFS
from napari_past.stain.membrane import (
    Her2Score,
    PdL1Counts,
    completeness,
    her2_classes,
    her2_score,
    membrane_positive,
    pd_l1_counts,
)

NAN = np.nan


def sectors(*runs: tuple[int, float]) -> np.ndarray:
    """One cell's 24 sectors from (how many, density)."""
    row = np.concatenate([np.full(count, density) for count, density in runs])
    assert len(row) == 24
    return row[None]


@pytest.mark.parametrize(
    ("row", "share", "grade"),
    [
        (sectors((24, 0.05)), 0.0, 0),
        (sectors((2, 0.9), (22, 0.0)), 2 / 24, 0),
        (sectors((3, 0.3), (21, 0.0)), 3 / 24, 1),
        (sectors((19, 0.9), (5, 0.0)), 19 / 24, 1),
        (sectors((20, 0.3), (4, 0.0)), 20 / 24, 2),
        (sectors((24, 0.2)), 1.0, 2),
        (sectors((24, 0.59)), 1.0, 2),
        (sectors((24, 0.6)), 1.0, 3),
        (sectors((12, 0.9), (12, NAN)), 1.0, 3),
        (sectors((7, 0.9), (17, NAN)), NAN, -1),
        (sectors((24, NAN)), NAN, -1),
    ],
    ids=[
        "none", "a neighbour's", "touched", "strong but open", "closed and weak", "at the cut-off",
        "just not strong", "strong", "half hidden", "mostly hidden", "hidden",
    ],
)  # fmt: skip
def test_one_cell(row, share, grade):
    np.testing.assert_allclose(completeness(row, 0.2), [share], rtol=1e-6)
    np.testing.assert_allclose(completeness(row.astype(np.float32), 0.2), [share], rtol=1e-6)
    assert her2_classes(row.astype(np.float32), DAB_CUTOFFS).tolist() == [grade]
    assert membrane_positive(row, 0.2).tolist() == [bool(share >= 0.1)]


@pytest.mark.parametrize(
    ("counts", "score"),
    [
        ((90, 0, 0, 10), "0"),
        ((89, 0, 0, 11), "3+"),
        ((89, 0, 11, 0), "2+"),
        ((89, 0, 5, 6), "2+"),
        ((89, 5, 3, 3), "1+"),
        ((90, 10, 0, 0), "0"),
        ((0, 0, 0, 1), "3+"),
        ((0, 0, 0, 0), ""),
    ],
    ids=["ten of 100 are not more", "3+", "2+", "2+ of both", "1+ of all", "tie", "one", "none"],
)
def test_more_than_ten_per_cent(counts, score):
    found = np.repeat([0, 1, 2, 3, -1], [*counts, 4])
    region = her2_score(found)
    assert region == Her2Score(*counts)
    assert region.n == sum(counts)
    assert region.score == score


def test_tps_and_cps():
    counts = PdL1Counts(200, 30, 40, 10)
    assert (counts.tps, counts.cps) == (15.0, 40.0)
    assert PdL1Counts(100, 100, 50, 0).cps == 100
    assert PdL1Counts(100, 0).tps == PdL1Counts(100, 0).cps == 0
    assert counts.explanation == ""


def test_under_100_tumour_cells_nothing_is_scored():
    counts = PdL1Counts(99, 99, 3, 3)
    assert not counts.sufficient
    assert np.isnan([counts.tps, counts.cps]).all()
    assert counts.explanation.startswith("Insufficient: 99 viable tumour cells")


def test_roles_are_counted():
    roles = ["tumour"] * 3 + ["lymphocyte"] * 2 + ["macrophage", "other", "other"]
    positive = np.array([True, True, False, True, False, True, True, False])
    assert pd_l1_counts(positive, roles) == PdL1Counts(3, 2, 1, 1)
    with pytest.raises(ValueError, match="'plasma cell' is no role"):
        pd_l1_counts(positive, [*roles[:-1], "plasma cell"])
    with pytest.raises(ValueError, match="as many roles"):
        pd_l1_counts(positive, roles[:-1])


@pytest.mark.parametrize("counts", [(10, 11), (10, -1), (-1, 0)])
def test_counts_that_are_none(counts):
    with pytest.raises(ValueError, match="0 or more"):
        PdL1Counts(*counts)
