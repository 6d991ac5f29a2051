"""Rows with their values, nuclei and pixels, against the arrays on disk read one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array

from napari_past.errors import PastError
from past_training.evaluation.rows import Nuclei, section_rows


def test_values_are_those_that_were_measured(dataset, drawn):
    rows = section_rows(dataset, "S2")
    counts = drawn[1].counts.toarray()
    by_id = {name: k for k, name in enumerate(drawn[1].ids)}
    chosen = [by_id[str(i)] for i in dataset.section("S2").row_id[:][rows.rows]]
    expected = np.log1p(counts / counts.sum(axis=1, keepdims=True) * 1e4)[chosen]
    np.testing.assert_allclose(
        rows.values(["N0003", "EPCAM"]), expected[:, [10, 0]], rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(rows.row_um, drawn[1].centers_um[chosen])


def test_rows_without_nucleus_or_count_are_left_out(tmp_path, draw, write):
    section = draw(tmp_path, "S9", 9)
    counts = section.counts.toarray()
    counts[:3] = 0
    near = np.linalg.norm(section.nuclei_um - section.centers_um[7], axis=1) < 18
    section = replace(section, counts=csr_array(counts), nuclei_um=section.nuclei_um[~near])
    dataset = write(tmp_path / "d.past", [section])
    rows = section_rows(dataset, "S9")
    ids = {str(i) for i in dataset.section("S9").row_id[:][rows.rows]}
    assert not ids & {"S9-0", "S9-1", "S9-2", "S9-7"}
    assert rows.usable == len(rows) <= 26
    assert rows.record.rows == 30
    empty = replace(section, counts=csr_array(np.zeros_like(counts)))
    with pytest.raises(PastError, match="both a nucleus and a count"):
        section_rows(write(tmp_path / "e.past", [empty]), "S9")


def test_some_rows_of_many(dataset):
    every = section_rows(dataset, "S1")
    some = section_rows(dataset, "S1", limit=10)
    assert len(some) == 10
    assert some.usable == every.usable == len(every)
    assert set(some.rows) < set(every.rows)
    assert (np.diff(some.rows) > 0).all()
    assert (some.rows == section_rows(dataset, "S1", limit=10).rows).all()
    place = np.searchsorted(every.rows, some.rows)
    np.testing.assert_array_equal(some.values(["EPCAM"]), every.values(["EPCAM"])[place])
    by_row = {r: every.nuclei.yx_px[every.nuclei.row == k] for k, r in enumerate(every.rows)}
    for k, row in enumerate(some.rows):
        np.testing.assert_array_equal(some.nuclei.yx_px[some.nuclei.row == k], by_row[row])


def test_rows_that_are_not_seen(dataset):
    every = section_rows(dataset, "S1")
    mask = np.arange(30) % 3 == 0
    view = dataset.with_rows({"S1": mask})
    rows = section_rows(view, "S1")
    assert rows.rows.tolist() == [r for r in every.rows.tolist() if mask[r]]
    assert (rows.seen, rows.usable, every.seen) == (10, len(rows), 30)
    place = np.searchsorted(every.rows, rows.rows)
    np.testing.assert_array_equal(rows.values(["EPCAM"]), every.values(["EPCAM"])[place])
    assert set(rows.nuclei.row) == set(range(len(rows)))
    assert len(rows.nuclei.row) == np.isin(every.nuclei.row, place).sum()
    assert len(section_rows(view, "S1", limit=4)) == 4
    assert section_rows(view, "S2").usable == section_rows(dataset, "S2").usable


@pytest.mark.parametrize("which", ["dataset", "regions"])
def test_nuclei_lie_where_they_were_drawn(which, request, drawn):
    """Patch corner and position in the patch give back the slide's µm; and each is in its spot."""
    rows = section_rows(request.getfixturevalue(which), "S1", limit=12)
    nuclei = rows.nuclei
    corner_um = rows.section.patch_um[:][nuclei.patch]
    places_um = corner_um + (nuclei.yx_px[:, ::-1] + 0.5) * rows.mpp
    away = np.linalg.norm(places_um[:, None] - drawn[0].nuclei_um, axis=2)
    assert away.min(axis=1).max() < 1e-3
    spot = np.linalg.norm(places_um - rows.row_um[nuclei.row], axis=1)
    assert spot.max() <= 18 + 1e-3
    assert set(nuclei.row) == set(range(12))


def test_windows_of_crops_are_their_centres(dataset):
    rows = section_rows(dataset, "S1", limit=15)
    patches = rows.section.patches[:]
    for side in (100, 101, 224, 500):
        windows = list(rows.windows(side))
        assert len(windows) == 15
        used = min(side, 224)
        margin = (224 - used) // 2
        for window, row in zip(windows, rows.rows, strict=True):
            expected = patches[row, margin : margin + used, margin : margin + used]
            np.testing.assert_array_equal(window, expected)


def test_windows_of_regions_lie_around_the_nuclei(regions):
    rows = section_rows(regions, "S1")
    patches = rows.section.patches[:]
    owner = np.searchsorted(rows.section.row_start[:], rows.rows, side="right") - 1
    assert len(np.unique(owner)) < len(rows)  # several rows share a patch
    for k, window in enumerate(rows.windows(61)):
        assert window.shape == (61, 61, 3)
        y, x = rows.nuclei.yx_px[rows.nuclei.row == k].mean(axis=0)
        y0, x0 = (int(np.clip(round(float(v)) - 30, 0, 420 - 61)) for v in (y, x))
        np.testing.assert_array_equal(window, patches[owner[k], y0 : y0 + 61, x0 : x0 + 61])


def test_means_over_the_nuclei_of_a_row():
    nuclei = Nuclei(
        np.array([0, 0, 2]), np.array([0, 0, 1]), np.zeros((3, 2), np.float32), np.arange(3)
    )
    values = np.array([[1, 2], [3, 6], [5, 5]], np.float16)
    with np.errstate(invalid="ignore"):
        means = nuclei.row_means(values, 3)
    assert means[[0, 2]].tolist() == [[2, 4], [5, 5]]
