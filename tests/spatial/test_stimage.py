"""A folder as STimage-1K4M lays it out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from napari_past.spatial.errors import BadPairing, BadSource
from napari_past.spatial.stimage import read_stimage

GENES = ["EPCAM", "ERBB2", "RARE1"]


def write_slide(root, picture, technology, slide, ids, xy_px, radius_px):
    home = root / technology
    for folder in ("image", "gene_exp", "coord"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    (home / "image" / f"{slide}.png").symlink_to(picture)
    counts = np.random.default_rng(2).poisson(4.0, (len(ids), 3)) + 1
    table = pd.DataFrame(counts, index=ids, columns=GENES)
    table.to_csv(home / "gene_exp" / f"{slide}_count.csv")
    pd.DataFrame({"yaxis": xy_px[:, 1], "xaxis": xy_px[:, 0], "r": radius_px}, index=ids).iloc[
        ::-1
    ].to_csv(home / "coord" / f"{slide}_coord.csv")
    return counts


@pytest.fixture
def st_slide(tmp_path, he_png):
    """Spots 200 µm apart on a picture of 0.5 µm/px, off their array by up to 15 µm."""
    rng = np.random.default_rng(6)
    row, column = np.divmod(np.arange(6), 3)
    xy_px = np.stack([90 + 400 * column, 100 + 400 * row], axis=1) + rng.uniform(-30, 30, (6, 2))
    slide = "Human_Breast_Andersson_10142021_ST_B3"
    ids = [f"{slide}_{c + 7}x{r + 9}" for r, c in zip(row, column, strict=True)]
    counts = write_slide(tmp_path, he_png, "ST", slide, ids, xy_px, 100.0)
    (tmp_path / "meta").mkdir()
    pd.DataFrame(
        {"slide": [slide, "x"], "species": ["human", "mouse"], "tissue": ["Breast", "Brain"]}
    ).to_csv(tmp_path / "meta" / "meta_all_gene.csv", index=False)
    return tmp_path, slide, ids, xy_px, counts


def test_st_slide(st_slide):
    root, slide, ids, xy_px, counts = st_slide
    (section,) = read_stimage(root)
    assert (section.name, section.technology, section.spot_diameter_um) == (slide, "ST", 100.0)
    assert (section.species, section.tissue) == ("human", "breast")
    assert section.patient == "unknown (Human_Breast_Andersson_10142021)"
    assert section.ids == tuple(ids)
    assert section.mpp == pytest.approx(0.5, rel=0.05)
    np.testing.assert_allclose(section.centers_um, (xy_px + 0.5) * section.mpp)
    np.testing.assert_array_equal(section.counts.toarray(), counts)
    assert any("RARE1" in note for note in section.notes)


def test_tables_longer_than_a_block(tmp_path, he_png):
    row, column = np.divmod(np.arange(1300), 40)
    xy_px = np.stack([10 + 20 * column, 12 + 20 * row], axis=1)
    ids = [f"GSE1_GSM2_{c}x{r}" for r, c in zip(row, column, strict=True)]
    counts = write_slide(tmp_path, he_png, "ST", "GSE1_GSM2", ids, xy_px, 5.0)
    (section,) = read_stimage(tmp_path, species="human", mpp=0.5)
    assert section.ids == tuple(ids)
    np.testing.assert_array_equal(section.counts.toarray(), counts)


def test_visium_slide(tmp_path, he_png):
    row, column = np.divmod(np.arange(8), 4)
    xy_px = np.stack([50 + 200 * column + 100 * row, 60 + 100 * np.sqrt(3) * row], axis=1)
    ids = [f"GSE1_GSM2_AAAC{i}-1" for i in range(8)]
    write_slide(tmp_path, he_png, "Visium", "GSE1_GSM2", ids, xy_px, 65.0)
    (section,) = read_stimage(tmp_path / "Visium", species="human")
    assert section.mpp == pytest.approx(0.5)
    assert (section.technology, section.spot_diameter_um) == ("Visium", 55.0)
    assert section.patient == "unknown (GSE1)"
    with pytest.raises(BadSource, match="give it with species="):
        list(read_stimage(tmp_path))


def test_visium_hd_slide(tmp_path, he_png):
    row, column = np.divmod(np.arange(9), 3)
    xy_px = np.stack([50 + 16 * column, 60 + 16 * row], axis=1)
    ids = [f"s_{i}" for i in range(9)]
    slide = "Human_Colon_10X_03252024_VisiumHD"
    write_slide(tmp_path, he_png, "VisiumHD", slide, ids, xy_px, 8.0)
    with pytest.raises(BadSource, match="give it with bin_um="):
        list(read_stimage(tmp_path, species="human"))
    (section,) = read_stimage(tmp_path, species="human", bin_um=8.0)
    assert (section.mpp, section.spot_diameter_um) == (0.5, 8.0)
    assert section.patient == "unknown (Human_Colon_10X_03252024)"


def test_chosen_slides(st_slide):
    root, slide, *_ = st_slide
    assert [s.name for s in read_stimage(root, slides=(slide,))] == [slide]
    with pytest.raises(BadSource, match=r"has no gene_exp/other_count\.csv"):
        list(read_stimage(root, slides=("other",)))


@pytest.mark.parametrize("part", ["image", "coord"])
def test_missing_file(st_slide, part):
    root, slide, *_ = st_slide
    next((root / "ST" / part).iterdir()).unlink()
    with pytest.raises(BadSource, match=f"Slide {slide} lacks {part}/{slide}"):
        list(read_stimage(root))


def test_tables_of_two_slides(st_slide):
    root, slide, *_ = st_slide
    path = root / "ST" / "coord" / f"{slide}_coord.csv"
    pd.read_csv(path, index_col=0).rename(index=lambda i: f"other_{i}").to_csv(path)
    with pytest.raises(BadPairing, match="both must be of one slide"):
        list(read_stimage(root))


def test_doubled_spots(st_slide):
    root, slide, *_ = st_slide
    path = root / "ST" / "coord" / f"{slide}_coord.csv"
    table = pd.read_csv(path, index_col=0)
    pd.concat([table, table.iloc[:2]]).to_csv(path)
    with pytest.raises(BadPairing, match="2 spots occur twice"):
        list(read_stimage(root))


def test_no_stimage_folder(tmp_path):
    with pytest.raises(BadSource, match=r"holds no gene_exp/\*_count\.csv"):
        list(read_stimage(tmp_path))
