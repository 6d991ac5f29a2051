"""A folder as HEST-1k lays it out."""

from __future__ import annotations

import json

import anndata
import numpy as np
import pandas as pd
import pytest

from napari_past.spatial.errors import BadSource
from napari_past.spatial.hest import read_hest

ABOUT = {
    "id": "TENX1",
    "species": "Homo sapiens",
    "organ": "Breast",
    "st_technology": "Visium",
    "patient": "Patient 1",
    "dataset_title": "A study",
    "pixel_size_um_estimated": 0.5,
    "pixel_size_um_embedded": None,
    "spot_diameter": 55.0,
    "inter_spot_dist": 100.0,
}
NAMES = ["EPCAM", "ENSG00000141736", "NegControlProbe_1", "BLANK_0069"]


def write_sample(root, he_tiff, sample="TENX1", pitch_px=200.0, **about):
    for folder in ("st", "wsis", "metadata"):
        (root / folder).mkdir(exist_ok=True)
    row, column = np.divmod(np.arange(6), 3)
    xy_px = np.stack([100 + pitch_px * column, 150 + pitch_px * row], axis=1).astype(float)
    counts = np.random.default_rng(1).poisson(5.0, (6, 4)).astype(np.uint16)
    data = anndata.AnnData(
        X=counts,
        obs=pd.DataFrame(index=[f"{r:03d}x{c:03d}" for r, c in zip(row, column, strict=True)]),
        var=pd.DataFrame(index=NAMES),
        obsm={"spatial": xy_px},
    )
    data.write_h5ad(root / "st" / f"{sample}.h5ad")
    (root / "metadata" / f"{sample}.json").write_text(json.dumps(ABOUT | {"id": sample} | about))
    (root / "wsis" / f"{sample}.tif").symlink_to(he_tiff)
    return xy_px, counts


def test_sample(tmp_path, he_tiff):
    xy_px, counts = write_sample(tmp_path, he_tiff)
    (section,) = read_hest(tmp_path)
    np.testing.assert_allclose(section.centers_um, (xy_px + 0.5) * section.mpp)
    assert section.mpp == pytest.approx(0.5, rel=1e-6)
    assert section.genes == ("EPCAM", "ERBB2")
    np.testing.assert_array_equal(section.counts.toarray(), counts[:, :2])
    assert (section.name, section.species, section.tissue) == ("TENX1", "human", "breast")
    assert (section.technology, section.spot_diameter_um) == ("Visium", 55.0)
    assert section.ids[0] == "000x000"


def test_patients_are_told_apart_by_study(tmp_path, he_tiff):
    write_sample(tmp_path, he_tiff, "A1")
    write_sample(tmp_path, he_tiff, "B1", dataset_title="B study")
    write_sample(tmp_path, he_tiff, "C1", patient=None)
    patients = [s.patient for s in read_hest(tmp_path)]
    assert patients == ["Patient 1 (A study)", "Patient 1 (B study)", "unknown (A study)"]


def test_pooled_samples_are_squares(tmp_path, he_tiff):
    write_sample(tmp_path, he_tiff, st_technology="Xenium", spot_diameter=float("nan"))
    (section,) = read_hest(tmp_path)
    # 200 px of 0.5 µm from centre to centre
    assert (section.technology, section.spot_diameter_um) == ("Xenium", 100.0)


def test_pixel_size_of_the_authors_rules(tmp_path, he_tiff):
    write_sample(tmp_path, he_tiff, pixel_size_um_estimated=0.4)
    (section,) = read_hest(tmp_path)
    assert section.mpp == 0.4
    assert any("states 0.5 µm/px, but pixel_size_um_estimated says 0.4" in n for n in section.notes)


def test_chosen_samples(tmp_path, he_tiff):
    write_sample(tmp_path, he_tiff, "A1")
    write_sample(tmp_path, he_tiff, "B1")
    (tmp_path / "wsis" / "A1.tif").unlink()
    assert [s.name for s in read_hest(tmp_path, ids=("B1",))] == ["B1"]
    with pytest.raises(BadSource, match=r"Sample A1 lacks wsis/A1\.tif in .*choose samples with"):
        list(read_hest(tmp_path))


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"st_technology": "Slide-seq"}, "states the technology 'Slide-seq'"),
        ({"species": "Danio rerio"}, "must be human or mouse, but got 'Danio rerio'"),
    ],
)
def test_samples_of_another_kind(tmp_path, he_tiff, about, said):
    write_sample(tmp_path, he_tiff, **about)
    with pytest.raises(BadSource, match=said):
        list(read_hest(tmp_path))


def test_no_hest_folder(tmp_path):
    with pytest.raises(BadSource, match="it has no st and no wsis and no metadata"):
        list(read_hest(tmp_path))
