"""What every reader gives: arrays that fit each other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array

from napari_past.spatial.section import MeasuredSection, section_name


@pytest.fixture
def section():
    return MeasuredSection(
        name="s",
        patient="p",
        species="human",
        tissue="",
        technology="other",
        image=Path("he.tif"),
        mpp=0.5,
        ids=("a", "b", "c"),
        centers_um=np.zeros((3, 2)),
        counts=csr_array(np.ones((3, 2), np.float32)),
        genes=("ERBB2", "EPCAM"),
        spot_diameter_um=None,
    )


def test_rows(section):
    assert (len(section), section.row_kind) == (3, "cells")
    assert replace(section, spot_diameter_um=55.0).row_kind == "spots"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"centers_um": np.zeros((3, 3))},
            r"centers_um of 3 rows must be \(3, 2\), but is \(3, 3\)",
        ),
        ({"ids": ("a", "b")}, r"centers_um of 2 rows must be \(2, 2\), but is \(3, 2\)"),
        ({"genes": ("ERBB2",)}, r"counts of 3 rows must be \(3, 1\), but is \(3, 2\)"),
        ({"tokens": np.zeros((3, 30), np.int64)}, r"tokens .* must be \(3, 300\)"),
        ({"nuclei_um": np.zeros((7, 3))}, r"nuclei_um .* must be \(7, 2\)"),
        ({"neighbours": (np.array([0, 1]), np.array([2]))}, r"neighbours\[0\] .* must be \(4,\)"),
        (
            {"neighbours": (np.array([0, 1, 1, 2]), np.array([2]))},
            r"neighbours\[1\] .* must be \(2,\)",
        ),
    ],
)
def test_shapes(section, change, said):
    with pytest.raises(ValueError, match=said):
        replace(section, **change)


def test_names():
    assert section_name("Run 7 (left)/α") == "Run-7-left"
    assert section_name("C2.b_1-x") == "C2.b_1-x"
    assert section_name("…") == "section"
