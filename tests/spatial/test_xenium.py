"""A run in Xenium's file format, placed on a turned and rescaled H&E."""

from __future__ import annotations

import gzip
import json
import shutil

import numpy as np
import pandas as pd
import pytest
import scanpy

from napari_past.errors import NotASlide
from napari_past.spatial.errors import BadPairing, BadSource
from napari_past.spatial.xenium import read_xenium


def change_table(path, change):
    change(pd.read_parquet(path)).to_parquet(path)


def change_json(path, **changes):
    values = json.loads(path.read_text())
    values.update(changes)
    path.write_text(json.dumps({k: v for k, v in values.items() if v is not None}))


def test_cells_lie_on_the_nuclei_that_were_drawn(xenium):
    folder, truth = xenium
    section = read_xenium(folder)
    assert section.ids == truth.ids
    np.testing.assert_allclose(section.centers_um, truth.centers_um, atol=1e-6)
    # The outlines, not the cells' centroids, say where the nuclei are.
    nearest = np.linalg.norm(
        section.nuclei_um[:, None] - truth.phantom.centers_um[None], axis=2
    ).min(axis=1)
    assert nearest.max() < 1e-6
    offset = np.linalg.norm(section.nuclei_um - section.centers_um, axis=1)
    assert 0.8 < np.sqrt((offset**2).mean() / 2) < 1.2


def test_counts_are_of_genes_alone(xenium):
    folder, truth = xenium
    section = read_xenium(folder)
    assert section.genes == ("EPCAM", "ERBB2", "PTPRC", "C1QTNF12", "MYGENE")
    assert section.counts.dtype == np.float32
    np.testing.assert_array_equal(section.counts.toarray(), truth.counts[:, :5])
    notes = " ".join(section.notes)
    assert "2 features that are no genes" in notes
    assert "1 of 5 genes have no HGNC symbol that is known here and keep their names (MYGENE)" in (
        notes
    )


def test_counts_are_those_that_scanpy_reads(xenium):
    folder, _ = xenium
    section = read_xenium(folder)
    table = scanpy.read_10x_h5(folder / "cell_feature_matrix.h5")
    assert list(table.obs_names) == list(section.ids)
    np.testing.assert_array_equal(
        table[:, ["EPCAM", "ERBB2", "PTPRC", "FAM132A", "MYGENE"]].X.toarray(),
        section.counts.toarray(),
    )


def test_facts(xenium):
    folder, _ = xenium
    section = read_xenium(folder, patient="P7")
    assert (section.name, section.patient, section.technology) == ("drawn", "P7", "Xenium")
    assert (section.species, section.tissue) == ("human", "breast")
    assert section.spot_diameter_um is None
    assert section.mpp == pytest.approx(0.5, rel=1e-6)
    assert section.image.name == "drawn_he_image.ome.tif"
    assert read_xenium(folder).patient == "unknown"
    assert read_xenium(folder, name="a b/c", tissue="lung").name == "a-b-c"


def test_pixel_size_by_the_alignment(xenium, plain_tiff):
    folder, truth = xenium
    section = read_xenium(folder, image=plain_tiff)
    assert section.mpp == pytest.approx(0.5, rel=1e-9)
    assert any("from the alignment" in note for note in section.notes)
    np.testing.assert_allclose(section.centers_um, truth.centers_um, atol=1e-6)


def test_a_given_pixel_size_rules_and_is_questioned(xenium):
    folder, truth = xenium
    section = read_xenium(folder, mpp=0.25)
    assert section.mpp == 0.25
    np.testing.assert_allclose(section.centers_um, truth.centers_um / 2, atol=1e-6)
    assert any("0.25 µm/px was given, though the alignment says 0.5" in n for n in section.notes)


def test_older_tables(xenium):
    folder, truth = xenium
    cells = pd.read_parquet(folder / "cells.parquet")
    (folder / "cells.parquet").unlink()
    with gzip.open(folder / "cells.csv.gz", "wt") as file:
        cells.to_csv(file, index=False)
    np.testing.assert_allclose(read_xenium(folder).centers_um, truth.centers_um, atol=1e-6)


def test_counts_as_mex_files(xenium, write_mex):
    folder, truth = xenium
    (folder / "cell_feature_matrix.h5").unlink()
    write_mex(folder / "cell_feature_matrix", list(truth.ids), truth.counts)
    section = read_xenium(folder)
    assert section.ids == truth.ids
    np.testing.assert_array_equal(section.counts.toarray(), truth.counts[:, :5])


def test_ids_of_early_instruments_are_bytes_or_numbers(xenium, write_h5):
    folder, truth = xenium
    number = {cell: i + 1 for i, cell in enumerate(sorted(truth.ids))}
    change_table(
        folder / "cells.parquet", lambda t: t.assign(cell_id=t["cell_id"].map(number).astype("u4"))
    )
    change_table(
        folder / "nucleus_boundaries.parquet",
        lambda t: t.assign(cell_id=[str(number[c]).encode() for c in t["cell_id"]]),
    )
    write_h5(folder / "cell_feature_matrix.h5", [str(number[c]) for c in truth.ids], truth.counts)
    section = read_xenium(folder)
    assert section.ids == tuple(str(number[c]) for c in truth.ids)
    np.testing.assert_allclose(section.centers_um, truth.centers_um, atol=1e-6)


def test_without_outlines_the_centroids_stand_for_nuclei(xenium):
    folder, _ = xenium
    (folder / "nucleus_boundaries.parquet").unlink()
    assert read_xenium(folder).nuclei_um is None


def test_cells_without_a_transcript_of_a_gene_are_left_out(xenium, write_h5):
    folder, truth = xenium
    counts = truth.counts.copy()
    counts[[2, 5], :5] = 0
    counts[2, 5] = 3  # a control alone makes no profile
    write_h5(folder / "cell_feature_matrix.h5", list(truth.ids), counts)
    section = read_xenium(folder)
    kept = np.delete(np.arange(len(truth.ids)), [2, 5])
    assert section.ids == tuple(truth.ids[i] for i in kept)
    np.testing.assert_allclose(section.centers_um, truth.centers_um[kept], atol=1e-6)
    assert len(section.nuclei_um) == len(kept)
    assert any("2 cells without a transcript" in note for note in section.notes)


def test_he_beside_the_run_as_it_is_published(xenium):
    folder, truth = xenium
    outs = folder.parent / "Xenium_V1_X_outs"
    folder.rename(outs)
    for name in ("he_image.ome.tif", "he_imagealignment.csv"):
        (outs / f"drawn_{name}").rename(outs.parent / f"Xenium_V1_X_{name}")
        # Of another run, whose name only begins alike.
        shutil.copy(outs.parent / f"Xenium_V1_X_{name}", outs.parent / f"Xenium_V1_Xylem_{name}")
    section = read_xenium(outs)
    assert section.image.name == "Xenium_V1_X_he_image.ome.tif"
    np.testing.assert_allclose(section.centers_um, truth.centers_um, atol=1e-6)


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("experiment.xenium", "is not a Xenium run: it has no experiment.xenium"),
        ("drawn_he_image.ome.tif", r"no the H&E in .*; give image="),
        ("drawn_he_imagealignment.csv", r"no the H&E's alignment in .*; give alignment="),
        ("cells.parquet", "has no table of cells: cells.parquet or cells.csv.gz"),
        ("cell_feature_matrix.h5", "has no matrix of counts"),
    ],
)
def test_missing_file(xenium, file, said):
    folder, _ = xenium
    (folder / file).unlink()
    with pytest.raises(BadSource, match=said):
        read_xenium(folder)


@pytest.mark.parametrize("file", ["cells.parquet", "cell_feature_matrix.h5", "experiment.xenium"])
def test_damaged_file(xenium, file):
    folder, _ = xenium
    content = (folder / file).read_bytes()
    (folder / file).write_bytes(content[: len(content) // 2])
    with pytest.raises(BadSource, match=f"{file} cannot be read as"):
        read_xenium(folder)


def test_missing_image(xenium):
    folder, _ = xenium
    with pytest.raises(BadSource, match=r"The H&E .*gone.tif does not exist"):
        read_xenium(folder, image=folder / "gone.tif")
    (folder / "drawn_he_image.ome.tif").unlink()
    (folder / "drawn_he_image.ome.tif").symlink_to(folder / "gone.tif")
    with pytest.raises((BadSource, NotASlide)):
        read_xenium(folder)


def test_several_images(xenium):
    folder, _ = xenium
    (folder / "other_he_image.ome.tif").write_bytes(b"II*\0")
    with pytest.raises(BadSource, match=r"2 candidates for the H&E .*; give image="):
        read_xenium(folder)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fixedX,fixedY,alignmentX,alignmentY\n1,2,3,4\n", "list of keypoints"),
        ("1,0,0\n0,1,0\n", "no matrix of 3 x 3 numbers"),
        ("1,0,0\n0,one,0\n0,0,1\n", "no matrix of numbers"),
        ("1,0,0\n0,1,0\n5,7,1\n", r"\[5.0, 7.0, 1.0\], where an affine matrix has 0, 0, 1"),
        ("1,1,0\n1,1,0\n0,0,1\n", "cannot be inverted"),
    ],
    ids=["keypoints", "two lines", "a word", "transposed", "singular"],
)
def test_bad_alignment(xenium, text, said):
    folder, _ = xenium
    (folder / "drawn_he_imagealignment.csv").write_text(text)
    with pytest.raises(BadSource, match=said):
        read_xenium(folder)


def test_alignment_the_wrong_way_round(xenium):
    folder, _ = xenium
    path = folder / "drawn_he_imagealignment.csv"
    matrix = np.loadtxt(path, delimiter=",")
    np.savetxt(path, np.linalg.inv(matrix), delimiter=",")
    # 0.2125 / (0.5 / 0.2125) = 0.09031 µm/px is what this matrix makes of the H&E
    with pytest.raises(BadPairing, match=r"0\.09031 µm/px, but its inverse gives 0\.5,"):
        read_xenium(folder)


def test_stretched_alignment_is_told(xenium):
    folder, _ = xenium
    path = folder / "drawn_he_imagealignment.csv"
    matrix = np.loadtxt(path, delimiter=",")
    np.savetxt(path, matrix @ np.diag([1.2, 1 / 1.2, 1.0]), delimiter=",")
    assert any("stretches one axis by 44 %" in note for note in read_xenium(folder).notes)


def test_doubled_ids_in_the_table(xenium):
    folder, _ = xenium
    change_table(folder / "cells.parquet", lambda t: pd.concat([t, t.iloc[:3]]))
    with pytest.raises(BadPairing, match=r"3 cell ids of cells\.parquet occur twice"):
        read_xenium(folder)


def test_doubled_ids_in_the_matrix(xenium, write_h5):
    folder, truth = xenium
    ids = [*truth.ids[:-1], truth.ids[0]]
    write_h5(folder / "cell_feature_matrix.h5", ids, truth.counts)
    with pytest.raises(BadPairing, match="1 cell ids of the matrix occur twice"):
        read_xenium(folder)


def test_cells_of_another_run(xenium):
    folder, truth = xenium
    change_table(folder / "cells.parquet", lambda t: t.iloc[4:])
    said = f"4 of {len(truth.ids)} cells of the matrix have no position"
    with pytest.raises(BadPairing, match=said):
        read_xenium(folder)


def test_run_without_pixel_size(xenium):
    folder, _ = xenium
    change_json(folder / "experiment.xenium", pixel_size=None)
    with pytest.raises(BadSource, match="states no pixel_size"):
        read_xenium(folder)


def test_species_by_the_genes_where_the_run_does_not_say(xenium):
    folder, _ = xenium
    change_json(folder / "experiment.xenium", panel_organism="N/A", panel_tissue_type="")
    section = read_xenium(folder)
    assert (section.species, section.tissue) == ("human", "")
    change_json(folder / "experiment.xenium", panel_organism="Rat")
    with pytest.raises(BadSource, match="must be human or mouse, but got 'Rat'"):
        read_xenium(folder)
