"""Rows moved onto the H&E by a map, and what is told about it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array

from napari_past.spatial import BadSource, MeasuredSection, placed, read_affine
from napari_past.spatial.landmarks import fitted_affine

CORNERS = np.array([[0.0, 0], [1000, 0], [1000, 800], [0, 800]])
QUARTER = np.array([[0.0, -1.0], [1.0, 0.0]])


@pytest.fixture
def section():
    return MeasuredSection(
        name="drawn",
        patient="P",
        species="human",
        tissue="",
        technology="Xenium",
        image=Path("he.tif"),
        mpp=0.5,
        ids=("a", "b"),
        centers_um=np.array([[10.0, 20.0], [30.0, 50.0]]),
        counts=csr_array(np.ones((2, 1), np.float32)),
        genes=("EPCAM",),
        spot_diameter_um=None,
        nuclei_um=np.array([[11.0, 20.0], [30.0, 52.0]]),
        notes=("read.",),
    )


def test_rows_and_nuclei_are_moved(section):
    affine = fitted_affine(CORNERS, CORNERS @ QUARTER.T + (900, 5), "marks.csv")
    found = placed(section, affine, "marks.csv")
    np.testing.assert_allclose(found.centers_um, [[880, 15], [850, 35]], atol=1e-6)
    np.testing.assert_allclose(found.nuclei_um, [[880, 16], [848, 35]], atol=1e-6)
    assert found.notes == (
        "read.",
        "Placed on the H&E by marks.csv: 4 landmarks, off by 0.0 µm (root mean square), 0.0 µm at "
        "worst.",
    )


def test_landmarks_that_disagree_are_told(section):
    # Least squares leaves a quarter of what one corner is off in each.
    off = CORNERS + np.array([[100.0, 0], [0, 0], [0, 0], [0, 0]])
    said = "marks.csv disagree by 25 µm (root mean square), more than the 20 µm"
    assert any(
        said in n for n in placed(section, fitted_affine(CORNERS, off, "m"), "marks.csv").notes
    )
    near = CORNERS + np.array([[60.0, 0], [0, 0], [0, 0], [0, 0]])
    notes = placed(section, fitted_affine(CORNERS, near, "m"), "marks.csv").notes
    assert not any("disagree" in n for n in notes)


@pytest.mark.parametrize(
    ("matrix", "said"),
    [
        ("0.2125 0 3\n0 0.2125 4", "makes lengths 0.212 times as long"),
        ("1.06 0 3\n0 0.98 4", "stretches one direction by 8 %"),
    ],
    ids=["pixels", "stretched"],
)
def test_maps_that_change_lengths_are_told(section, tmp_path, matrix, said):
    path = tmp_path / "map.txt"
    path.write_text(matrix)
    *_, last = placed(section, read_affine(path), "map.txt").notes
    assert said in last


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("map.csv", "0,-1,900\n1,0,5\n0,0,1\n"),
        ("map.txt", " 0 -1\t900\n\n1; 0; 5;\n"),
        ("map.json", "[[0, -1, 900], [1, 0, 5]]"),
        ("named.json", '{"matrix": [[0, -1, 900], [1, 0, 5], [0, 0, 1]]}'),
    ],
)
def test_files_of_maps(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    affine = read_affine(tmp_path / name)
    np.testing.assert_allclose(affine([[10, 20], [30, 50]]), [[880, 15], [850, 35]])


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("map.csv", "1,0\n0,1\n", "holds no matrix of 2 x 3 or 3 x 3 numbers; give"),
        ("map.csv", "1,0,0\n0,1,nan\n", "holds no matrix"),
        ("map.csv", "a,b,c\n", "cannot be read as an affine map"),
        ("map.csv", "1,0,0\n0,1\n", "cannot be read as an affine map"),
        ("map.csv", "1,0,0\n0,1,0\n5,5,1\n", r"ends with the line \[5.0, 5.0, 1.0\]"),
        ("map.csv", "1,2,0\n2,4,0\n", "cannot be inverted"),
        ("map.json", "{}", "cannot be read as an affine map"),
        ("gone.csv", None, "does not exist"),
    ],
)
def test_files_that_are_no_maps(tmp_path, name, text, said):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(BadSource, match=said):
        read_affine(tmp_path / name)
