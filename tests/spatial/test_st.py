"""Sections of Spatial Transcriptomics: drawn ones, and the real ones of one patient."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest

from napari_past.spatial.errors import BadPairing, BadSource
from napari_past.spatial.st import read_st, read_st_folder


@pytest.fixture
def folder(drawn_sections, tmp_path):
    for path in drawn_sections.glob("S*"):
        shutil.copy(path, tmp_path / path.name)
    return tmp_path


def rewrite(path, change):
    change(pd.read_csv(path, sep="\t")).to_csv(path, sep="\t", index=False)


def test_section(folder):
    section = read_st(folder, "S1", "P", 0.5, tissue="breast")
    assert section.ids == tuple(f"{10 + i}x{20 + i}" for i in range(9))
    # The fixture rounds places to whole pixels of 0.5 µm.
    np.testing.assert_allclose(section.centers_um[0], [70, 60], atol=0.26)
    np.testing.assert_allclose(section.centers_um[-1], [230, 200], atol=0.26)
    assert section.genes == ("EPCAM", "ERBB2", "ACTB", "VIM", "RARE")
    table = pd.read_csv(folder / "S1.tsv.gz", sep="\t", index_col=0)
    np.testing.assert_array_equal(section.counts.toarray(), table.to_numpy())
    assert (section.technology, section.spot_diameter_um) == ("ST", 100.0)
    assert (section.patient, section.species, section.image.name) == ("P", "human", "S1.jpg")


def test_spots_are_joined_by_name_and_dropped_without_counts(folder):
    rewrite(folder / "S1.tsv.gz", lambda t: t.iloc[[8, 1, 0, 3, 4, 5, 6, 7]])  # the third is gone
    rewrite(folder / "S1_selection.tsv", lambda t: t.iloc[::-1])
    section = read_st(folder, "S1", "P", 0.5)
    assert section.ids == tuple(f"{10 + i}x{20 + i}" for i in (8, 7, 6, 5, 4, 3, 1, 0))
    np.testing.assert_allclose(section.centers_um[-1], [70, 60], atol=0.26)
    assert any("1 spots without counts" in note for note in section.notes)


def test_sections_of_a_folder(folder):
    names = [s.name for s in read_st_folder(folder, patient="P", mpp=0.5)]
    assert names == ["S1", "S2", "S3"]
    some = list(read_st_folder(folder, sections=("S3", "S1"), patient="P", mpp=0.5))
    assert [s.name for s in some] == ["S3", "S1"]
    with pytest.raises(BadSource, match=r"holds no section: no file \*_selection.tsv"):
        list(read_st_folder(folder.parent, mpp=0.5))


@pytest.mark.parametrize("name", ["S1.jpg", "S1.tsv.gz", "S1_selection.tsv"])
def test_missing_file(folder, name):
    (folder / name).unlink()
    with pytest.raises(BadSource, match=f"of S1: {name}"):
        read_st(folder, "S1", "P", 0.5)


def test_tables_that_do_not_fit(folder):
    rewrite(folder / "S1_selection.tsv", lambda t: t.assign(x=t["x"] + 500))
    with pytest.raises(BadPairing, match="No spot"):
        read_st(folder, "S1", "P", 0.5)
    rewrite(folder / "S2_selection.tsv", lambda t: pd.concat([t, t.iloc[:2]]))
    with pytest.raises(BadPairing, match="2 spots have two lines"):
        read_st(folder, "S2", "P", 0.5)


def test_damaged_tables(folder):
    (folder / "S1.tsv.gz").write_bytes(b"no gzip")
    with pytest.raises(BadSource, match=r"S1\.tsv\.gz cannot be read as a table of spots"):
        read_st(folder, "S1", "P", 0.5)
    rewrite(folder / "S2_selection.tsv", lambda t: t.drop(columns="pixel_x"))
    with pytest.raises(BadSource, match=r"S2_selection\.tsv cannot be read as positions.*pixel_x"):
        read_st(folder, "S2", "P", 0.5)


def test_real_section(data_dir):
    section = read_st(data_dir / "her2st", "C2", "C")
    counts = pd.read_csv(data_dir / "her2st" / "C2.tsv.gz", sep="\t", index_col=0)
    where = pd.read_csv(data_dir / "her2st" / "C2_selection.tsv", sep="\t")
    assert 180 <= len(section) <= 187
    assert section.counts.sum() == counts.to_numpy().sum()
    # The pitch gives what is known of the picture: about 290 px = 200 µm.
    assert section.mpp == pytest.approx(0.69, abs=0.01)
    i = section.ids.index("25x13")
    line = where[(where["x"] == 25) & (where["y"] == 13)].iloc[0]
    np.testing.assert_allclose(
        section.centers_um[i] / section.mpp - 0.5, [line["pixel_x"], line["pixel_y"]]
    )
    totals = counts.loc["25x13"].sum()
    assert section.counts[[i]].sum() == totals
    assert "ERBB2" in section.genes
    assert "C1QTNF12" in section.genes  # FAM132A in the table
    erbb2 = section.counts[:, [section.genes.index("ERBB2")]].toarray().ravel()
    np.testing.assert_array_equal(erbb2, counts.loc[list(section.ids), "ERBB2"])
