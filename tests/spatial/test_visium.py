"""The output of Space Ranger over a drawn H&E, in the forms that its versions write."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from napari_past.errors import MissingPixelSize
from napari_past.spatial.errors import BadPairing, BadSource
from napari_past.spatial.visium import read_visium

GENES = ("EPCAM", "ERBB2", "PTPRC", "C1QTNF12", "MYGENE")


def positions(folder):
    return pd.read_csv(folder / "spatial" / "tissue_positions.csv")


def change_factors(spatial, **changes):
    path = spatial / "scalefactors_json.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_spots(visium, he_png):
    folder, truth = visium
    section = read_visium(folder, image=he_png, patient="P1", tissue="breast")
    assert section.ids == truth.ids
    np.testing.assert_allclose(section.centers_um, truth.centers_um, atol=1e-6)
    assert section.genes == GENES
    np.testing.assert_array_equal(section.counts.toarray(), truth.counts[:, :5])
    assert (section.technology, section.spot_diameter_um) == ("Visium", 55.0)
    assert (section.name, section.patient, section.species) == ("sample7", "P1", "human")
    assert section.nuclei_um is None


def test_pixel_size_by_the_pitch(visium, he_png):
    folder, _ = visium
    # The spots are 100 µm apart whatever Space Ranger thinks their diameter is.
    change_factors(folder / "spatial", spot_diameter_fullres=999.0)
    section = read_visium(folder, image=he_png)
    assert section.mpp == pytest.approx(0.5, rel=1e-9)
    assert any("from the pitch of the spots" in note for note in section.notes)


def test_pixel_size_of_the_file_is_kept_where_the_spots_agree(visium, he_tiff):
    folder, _ = visium
    section = read_visium(folder, image=he_tiff)
    assert section.mpp == pytest.approx(0.5, rel=1e-6)
    assert not any("µm/px" in note for note in section.notes)


def test_pixel_size_of_the_file_is_overruled_where_they_do_not(visium, he_tiff):
    folder, truth = visium
    table = positions(folder)
    for column in ("pxl_row_in_fullres", "pxl_col_in_fullres"):
        table[column] *= 2
    table.to_csv(folder / "spatial" / "tissue_positions.csv", index=False)
    section = read_visium(folder, image=he_tiff)
    assert section.mpp == pytest.approx(0.25)
    assert any("states 0.5 µm/px, but the pitch of the spots says 0.25" in n for n in section.notes)
    assert len(section) == len(truth.ids)


def test_theoretical_spot_where_there_is_no_array(visium, he_png):
    folder, _ = visium
    table = positions(folder)
    table[["array_row", "array_col"]] = 0
    table.to_csv(folder / "spatial" / "tissue_positions.csv", index=False)
    assert read_visium(folder, image=he_png).mpp == pytest.approx(65 / 130)
    change_factors(folder / "spatial", spot_diameter_fullres=None)
    with pytest.raises(MissingPixelSize, match="give its µm/px with mpp="):
        read_visium(folder, image=he_png)
    assert read_visium(folder, image=he_png, mpp=0.3).mpp == 0.3


def test_positions_without_header(visium, he_png):
    folder, truth = visium
    table = positions(folder)
    (folder / "spatial" / "tissue_positions.csv").unlink()
    table.to_csv(folder / "spatial" / "tissue_positions_list.csv", index=False, header=False)
    section = read_visium(folder.parent, image=he_png)  # the folder above outs
    assert section.ids == truth.ids
    np.testing.assert_allclose(section.centers_um, truth.centers_um, atol=1e-6)


def test_counts_as_mex_files(visium, he_png, write_mex):
    folder, truth = visium
    (folder / "filtered_feature_bc_matrix.h5").unlink()
    write_mex(folder / "filtered_feature_bc_matrix", list(truth.ids), truth.counts)
    section = read_visium(folder, image=he_png)
    np.testing.assert_array_equal(section.counts.toarray(), truth.counts[:, :5])


def test_spots_off_the_tissue_are_left_out(visium, he_png):
    folder, truth = visium
    table = positions(folder)
    off = table["barcode"].isin(truth.ids[:2])
    table.loc[off, "in_tissue"] = 0
    table.to_csv(folder / "spatial" / "tissue_positions.csv", index=False)
    section = read_visium(folder, image=he_png)
    assert section.ids == truth.ids[2:]
    assert any("2 spots off the tissue" in note for note in section.notes)


@pytest.fixture
def visium_hd(visium, write_h5):
    """Bins of 8 µm in place of the spots."""
    folder, _ = visium
    here = folder / "binned_outputs" / "square_008um"
    (here / "spatial").mkdir(parents=True)
    row, column = np.divmod(np.arange(36), 6)
    ids = [f"s_008um_{r:05d}_{c:05d}-1" for r, c in zip(row, column, strict=True)]
    centers_um = np.stack([200 + 8.0 * column, 100 + 8.0 * row], axis=1)
    pd.DataFrame(
        {
            "barcode": ids,
            "in_tissue": 1,
            "array_row": row,
            "array_col": column,
            "pxl_row_in_fullres": centers_um[:, 1] / 0.5 - 0.5,
            "pxl_col_in_fullres": centers_um[:, 0] / 0.5 - 0.5,
        }
    ).to_parquet(here / "spatial" / "tissue_positions.parquet")
    (here / "spatial" / "scalefactors_json.json").write_text(
        json.dumps(
            {
                "spot_diameter_fullres": 16.0,
                "bin_size_um": 8.0,
                "microns_per_pixel": 0.5,
                "regist_target_img_scalef": 1.0,
            }
        )
    )
    counts = np.random.default_rng(0).poisson(2.0, (36, 7)) + 1
    write_h5(here / "filtered_feature_bc_matrix.h5", ids, counts)
    return folder, ids, centers_um, counts


def test_bins_of_visium_hd(visium_hd, he_png):
    folder, ids, centers_um, counts = visium_hd
    section = read_visium(folder, image=he_png)
    assert (section.technology, section.spot_diameter_um, section.mpp) == ("VisiumHD", 8.0, 0.5)
    assert section.ids == tuple(ids)
    np.testing.assert_allclose(section.centers_um, centers_um)
    np.testing.assert_array_equal(section.counts.toarray(), counts[:, :5])


def test_bins_that_are_not_there(visium_hd, he_png):
    folder, *_ = visium_hd
    with pytest.raises(BadSource, match="has no binned_outputs/square_016um/spatial"):
        read_visium(folder, image=he_png, bin_um=16)


def test_image_is_not_in_the_output(visium, he_png):
    folder, _ = visium
    with pytest.raises(BadSource, match=r"Space Ranger does not copy it.*give image="):
        read_visium(folder)
    (folder / "V1_tissue_image.png").symlink_to(he_png)
    assert read_visium(folder).image.name == "V1_tissue_image.png"


def test_no_space_ranger(tmp_path, he_png):
    with pytest.raises(BadSource, match="is not the output of Space Ranger: it has no spatial"):
        read_visium(tmp_path, image=he_png)


def test_positions_with_a_column_too_few(visium, he_png):
    folder, _ = visium
    path = folder / "spatial" / "tissue_positions.csv"
    positions(folder).drop(columns="array_row").to_csv(path, index=False)
    with pytest.raises(BadSource, match="6 columns were expected, not 5"):
        read_visium(folder, image=he_png)


def test_spots_without_a_position(visium, he_png):
    folder, truth = visium
    path = folder / "spatial" / "tissue_positions.csv"
    table = positions(folder)
    table[table["barcode"] != truth.ids[4]].to_csv(path, index=False)
    with pytest.raises(BadPairing, match=rf"1 of {len(truth.ids)} spots .*\({truth.ids[4]}\)"):
        read_visium(folder, image=he_png)


def test_doubled_barcodes(visium, he_png):
    folder, _ = visium
    path = folder / "spatial" / "tissue_positions.csv"
    table = positions(folder)
    pd.concat([table, table.iloc[:2]]).to_csv(path, index=False)
    with pytest.raises(BadPairing, match="2 barcodes occur twice"):
        read_visium(folder, image=he_png)


def test_species_by_the_genes(visium, he_png, write_h5):
    folder, truth = visium
    mouse = (
        ("ENSMUSG00000045394", "Epcam", "Gene Expression"),
        ("ENSMUSG00000062312", "Erbb2", "Gene Expression"),
    )
    path = folder / "filtered_feature_bc_matrix.h5"
    write_h5(path, list(truth.ids), truth.counts[:, :2], mouse)
    section = read_visium(folder, image=he_png)
    assert (section.species, section.genes) == ("mouse", ("Epcam", "Erbb2"))
    unknown = (("a", "x", "Gene Expression"), ("b", "y", "Gene Expression"))
    write_h5(path, list(truth.ids), truth.counts[:, :2], unknown)
    with pytest.raises(BadSource, match="give it with species="):
        read_visium(folder, image=he_png)
