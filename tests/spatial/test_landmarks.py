"""An affine map through landmarks."""

import numpy as np
import pytest

from napari_past.errors import BadTable
from napari_past.spatial.landmarks import COLUMNS, fitted_affine, read_landmarks

TURN = np.array([[0.0, -2.0], [2.0, 0.0]])
SHIFT = np.array([100.0, -50.0])
CORNERS = np.array([[0.0, 0], [1000, 0], [1000, 800], [0, 800]]) + 20_000


def test_a_known_map_is_found_and_used():
    affine = fitted_affine(CORNERS, CORNERS @ TURN.T + SHIFT, "marks")
    assert np.allclose(affine([[1.0, 2.0]]), [[100 - 4, -50 + 2]], atol=1e-6)
    assert affine.rms_um == pytest.approx(0, abs=1e-6)


def test_the_residual_is_told_in_um():
    # A square with one corner 8 µm off: least squares leaves 2 µm in each corner.
    off = CORNERS + np.array([[8.0, 0], [0, 0], [0, 0], [0, 0]])
    affine = fitted_affine(CORNERS, off, "marks")
    assert affine.rms_um == pytest.approx(2)
    assert affine.worst_um == pytest.approx(2)
    assert affine.sentence == "4 landmarks, off by 2.0 µm (root mean square), 2.0 µm at worst"


def test_three_landmarks_tell_no_residual():
    affine = fitted_affine(CORNERS[:3], CORNERS[:3], "marks")
    assert np.isnan(affine.rms_um)
    assert "give four" in affine.sentence


@pytest.mark.parametrize("marks", [CORNERS[:2], CORNERS[[0, 0, 1, 1]]], ids=["two", "one line"])
def test_too_few_are_refused(marks):
    with pytest.raises(BadTable, match="three that do not lie on one line"):
        fitted_affine(marks, marks, "marks.csv")


def test_files_are_checked(tmp_path):
    path = tmp_path / "marks.csv"
    path.write_text(",".join(COLUMNS) + "\n1,2,3\n")
    with pytest.raises(BadTable, match="without all four numbers"):
        read_landmarks(path)
    path.write_text("x,y\n1,2\n")
    with pytest.raises(BadTable, match="no column predicted_x_um"):
        read_landmarks(path)


def test_the_map_leads_where_it_is_asked_to(tmp_path):
    path = tmp_path / "marks.csv"
    rows = np.column_stack([CORNERS, CORNERS @ TURN.T + SHIFT])
    np.savetxt(path, rows, delimiter=",", header=",".join(COLUMNS), comments="")
    there, back = read_landmarks(path), read_landmarks(path, onto="predicted")
    assert np.allclose(there(CORNERS), CORNERS @ TURN.T + SHIFT, atol=1e-6)
    assert np.allclose(back(there(CORNERS)), CORNERS, atol=1e-6)
