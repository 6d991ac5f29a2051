"""Reading sections and cutting their spots."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from napari_past.errors import PastError
from past_training.spatial_transcriptomics import read_section
from past_training.spots import spot_set


@pytest.fixture
def folder(drawn_data, tmp_path):
    for path in (drawn_data / "drawn").glob("S1*"):
        shutil.copy(path, tmp_path / path.name)
    return tmp_path


def rewrite(path, change):
    table = pd.read_csv(path, sep="\t")
    change(table).to_csv(path, sep="\t", index=False)


def test_section(folder):
    section = read_section(folder, "S1", "P", 0.5)
    assert section.rgb.shape == (520, 600, 3)
    assert section.counts.shape == (9, 5)
    np.testing.assert_allclose(section.spots_um[0], [70, 60], atol=0.26)
    np.testing.assert_allclose(section.spots_um[-1], [230, 200], atol=0.26)
    assert section.fingerprint == hashlib.sha256((folder / "S1.jpg").read_bytes()).hexdigest()
    assert min(section.background) > 200


def test_spots_are_joined_by_name_and_dropped_without_counts(folder):
    rewrite(folder / "S1.tsv.gz", lambda t: t.iloc[[8, 1, 0, 3, 4, 5, 6, 7]])  # the third is gone
    rewrite(folder / "S1_selection.tsv", lambda t: t.iloc[::-1])
    section = read_section(folder, "S1", "P", 0.5)
    assert list(section.counts.index) == [f"{10 + i}x{20 + i}" for i in (8, 7, 6, 5, 4, 3, 1, 0)]
    np.testing.assert_allclose(section.spots_um[-1], [70, 60], atol=0.26)


@pytest.mark.parametrize("name", ["S1.jpg", "S1.tsv.gz", "S1_selection.tsv"])
def test_missing_file(folder, name):
    (folder / name).unlink()
    with pytest.raises(PastError, match=f"lacks {name}"):
        read_section(folder, "S1", "P", 0.5)


def test_tables_that_do_not_fit(folder):
    rewrite(folder / "S1_selection.tsv", lambda t: t.assign(x=t["x"] + 500))
    with pytest.raises(PastError, match="No spot"):
        read_section(folder, "S1", "P", 0.5)
    rewrite(folder / "S1.tsv.gz", lambda t: t.assign(VIM=-1))
    with pytest.raises(PastError, match="negative"):
        read_section(folder, "S1", "P", 0.5)


def test_nuclei_of_a_spot_lie_in_it(folder):
    section = read_section(folder, "S1", "P", 0.5)
    spots = spot_set(section, 0.5, 248, 60.0)
    assert spots.crops.shape == (len(spots), 248, 248, 3)
    assert (np.diff(spots.spot_of_cell) >= 0).all()
    assert set(spots.spot_of_cell) == set(range(len(spots)))
    from_centre_um = np.linalg.norm(spots.yx_px - (248 - 1) / 2, axis=1) * 0.5
    assert from_centre_um.max() <= 30
    # The crop is the picture around the spot: the same pixels, to within a half-pixel shift.
    x_px, y_px = np.round(section.spots_um[spots.rows[0]] / 0.5).astype(int)
    shown = section.rgb[max(y_px - 20, 0) : y_px + 20, x_px - 20 : x_px + 20].mean(axis=(0, 1))
    np.testing.assert_allclose(spots.crops[0, 104:144, 104:144].mean(axis=(0, 1)), shown, atol=2)


def test_section_without_nuclei(folder):
    section = read_section(folder, "S1", "P", 0.5)
    blank = replace(section, rgb=np.full_like(section.rgb, 240))
    with pytest.raises(PastError, match="No spot of section S1 holds a nucleus"):
        spot_set(blank, 0.5, 248, 60.0)
