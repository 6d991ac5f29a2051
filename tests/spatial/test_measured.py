"""Whatever was measured comes through one door, onto the H&E that lies open."""

from __future__ import annotations

import shutil

import anndata
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from napari_past.errors import MissingPixelSize
from napari_past.sample.ome_tiff import write_pyramid
from napari_past.spatial import BadPairing, BadSource, MeasuredAs, kind_of, read_measured
from napari_past.spatial.landmarks import COLUMNS


@pytest.fixture
def h5ad(phantom, tmp_path):
    data = anndata.AnnData(np.ones((10, 2), np.float32))
    data.var_names = ["EPCAM", "ERBB2"]
    data.obsm["spatial"] = phantom.centers_um[:10] / 0.5 - 0.5
    path = tmp_path / "cells.h5ad"
    data.write_h5ad(path)
    with anndata.settings.override(zarr_write_format=3):
        data.write_zarr(tmp_path / "cells.zarr")
    return path


def test_kinds_are_told_by_names(xenium, visium, drawn_sections, h5ad, he_tiff, tmp_path):
    run, _ = xenium
    outs, _ = visium
    assert kind_of(run) == kind_of(run / "experiment.xenium") == "xenium"
    assert kind_of(outs) == kind_of(outs.parent) == "visium"
    assert kind_of(drawn_sections) == "st"
    assert kind_of(drawn_sections / "S1.tsv.gz") == "st"
    assert kind_of(drawn_sections / "S1_selection.tsv") == "st"
    assert kind_of(h5ad) == kind_of(h5ad.with_suffix(".zarr")) == "anndata"
    for nothing in (drawn_sections / "S1.jpg", he_tiff, tmp_path, tmp_path / "gone"):
        assert kind_of(nothing) is None


@pytest.mark.parametrize("diameter_um", [float("nan"), float("inf"), -5.0, 0.0])
def test_a_diameter_is_a_length(h5ad, he_tiff, diameter_um):
    asked = MeasuredAs(unit="px", spot_diameter_um=diameter_um)
    with pytest.raises(BadSource, match=f"was given as {diameter_um:g} µm, but one above 0"):
        read_measured(h5ad, he_tiff, asked)


def test_xenium(xenium, he_tiff, tmp_path):
    run, truth = xenium
    other = tmp_path / "open.ome.tif"
    other.symlink_to(he_tiff)
    section = read_measured(run / "experiment.xenium", other, MeasuredAs(patient="P"))
    np.testing.assert_allclose(section.centers_um, truth.centers_um, atol=1e-3)
    assert (section.image, section.patient) == (other, "P")


def test_xenium_without_an_alignment(xenium, he_tiff, tmp_path):
    run, truth = xenium
    (matrix,) = run.glob("*imagealignment.csv")
    aligned = matrix.rename(tmp_path / "elsewhere.csv")
    with pytest.raises(BadSource, match=r"no alignment of its H&E .*--alignment, or .*--land"):
        read_measured(run, he_tiff)
    given = read_measured(run, he_tiff, MeasuredAs(alignment=aligned))
    np.testing.assert_allclose(given.centers_um, truth.centers_um, atol=1e-3)
    loose = read_measured(run, he_tiff, MeasuredAs(to_be_placed=True))
    assert not np.allclose(loose.centers_um, truth.centers_um, atol=50)
    # Landmarks: four cells, each with its place on the H&E.
    pairs = np.column_stack([truth.centers_um, loose.centers_um])[:: len(loose) // 4]
    marks = tmp_path / "marks.csv"
    np.savetxt(marks, pairs, delimiter=",", header=",".join(COLUMNS), comments="")
    placed = read_measured(run, he_tiff, MeasuredAs(landmarks=marks))
    np.testing.assert_allclose(placed.centers_um, truth.centers_um, atol=1e-3)
    assert "landmarks, off by 0.0 µm" in placed.notes[-1]


def test_visium(visium, he_png):
    outs, truth = visium
    section = read_measured(outs.parent, he_png)
    np.testing.assert_allclose(section.centers_um, truth.centers_um, atol=1e-3)


def test_pictures_of_another_size(visium, xenium, he_png, phantom, tmp_path):
    half = Image.fromarray(phantom.rgb).resize((480, 320))
    half.save(tmp_path / "half.png")
    outs, truth = visium
    half.save(outs / "spatial" / "tissue_hires_image.png")  # its scale factor is 0.5
    assert len(read_measured(outs, he_png)) == len(truth.ids)
    said = r"half.png is 480 x 320 px, but the spots lie in pixels of .* 960 x 640 px; open that"
    with pytest.raises(BadPairing, match=said):
        read_measured(outs, tmp_path / "half.png")
    loose = read_measured(outs, tmp_path / "half.png", MeasuredAs(mpp=1.0, to_be_placed=True))
    assert loose.mpp == 1.0
    np.testing.assert_allclose(loose.centers_um, truth.centers_um, atol=1e-3)
    run, truth = xenium
    said = r"but the alignment is of pixels of drawn_he_image.ome.tif, 960 x 640 px"
    with pytest.raises(BadPairing, match=said):
        read_measured(run, tmp_path / "half.png")
    loose = read_measured(run, tmp_path / "half.png", MeasuredAs(mpp=1.0, to_be_placed=True))
    apart = [np.linalg.norm(c[1] - c[0]) for c in (loose.centers_um, truth.centers_um)]
    assert apart[0] == pytest.approx(apart[1])


def test_sections_of_a_folder(drawn_sections):
    picture, asked = drawn_sections / "S2.jpg", MeasuredAs(mpp=0.5)
    section = read_measured(drawn_sections, picture, asked)
    assert (section.name, section.image, len(section)) == ("S2", picture, 9)
    table = read_measured(drawn_sections / "S3.tsv.gz", picture, asked)
    assert (table.name, table.image) == ("S3", picture)


def test_the_section_of_another_file_must_be_said(drawn_sections, phantom, tmp_path):
    slide = tmp_path / "scan.tif"
    write_pyramid(slide, np.ascontiguousarray(phantom.rgb[:520, :600]), 0.5, "scan", jpeg=False)
    with pytest.raises(BadSource, match=r"3 sections \(S1, S2, S3\); say which .*--section"):
        read_measured(drawn_sections, slide)
    section = read_measured(drawn_sections, slide, MeasuredAs(section="S2", mpp=0.5))
    assert (section.name, section.image) == ("S2", slide)
    np.testing.assert_allclose(section.centers_um[0], [70, 60], atol=0.26)


def test_a_picture_of_another_size(drawn_sections, phantom, tmp_path):
    # The spots' names are their places on an array of 200 µm: 160 px apart, so 1.25 µm/px.
    names = {f"{10 + i}x{20 + i}": f"{i % 3}x{i // 3}" for i in range(9)}
    counts = pd.read_csv(drawn_sections / "S1.tsv.gz", sep="\t", index_col=0)
    counts.rename(index=names).to_csv(tmp_path / "S1.tsv", sep="\t")
    spots = pd.read_csv(drawn_sections / "S1_selection.tsv", sep="\t")
    spots[["x", "y"]] = np.array([(i % 3, i // 3) for i in range(9)])
    spots["pixel_y"] = 100 + 160 * spots["y"]
    spots.to_csv(tmp_path / "S1_selection.tsv", sep="\t", index=False)
    shutil.copy(drawn_sections / "S1.jpg", tmp_path)
    # Another scan of it, coarser.
    slide = tmp_path / "coarse.tif"
    small = Image.fromarray(phantom.rgb[:520, :600]).resize((400, 347))
    write_pyramid(slide, np.asarray(small), 0.75, "coarse", jpeg=False)
    said = r"400 x 347 px, but the spots of S1 lie .* 600 x 520; open that .*--landmarks"
    with pytest.raises(BadPairing, match=said):
        read_measured(tmp_path, slide)
    affine = tmp_path / "map.csv"
    affine.write_text("1,0,7\n0,1,-3\n")
    section = read_measured(tmp_path, slide, MeasuredAs(affine=affine))
    assert (section.image, section.mpp) == (slide, pytest.approx(0.75))
    pixels = spots[["pixel_x", "pixel_y"]].to_numpy() + 0.5
    np.testing.assert_allclose(section.centers_um, pixels * 1.25 + (7, -3), atol=1e-6)


@pytest.mark.parametrize("suffix", [".h5ad", ".zarr"])
def test_anndata(h5ad, he_tiff, phantom, suffix):
    section = read_measured(h5ad.with_suffix(suffix), he_tiff, MeasuredAs(unit="px"))
    np.testing.assert_allclose(section.centers_um, phantom.centers_um[:10])


def test_facts_that_are_missing(h5ad, he_png):
    with pytest.raises(BadSource, match=r"does not tell the unit .*--unit um .*or px"):
        read_measured(h5ad, he_png)
    with pytest.raises(MissingPixelSize, match="--mpp"):
        read_measured(h5ad, he_png, MeasuredAs(unit="px"))


def test_what_means_nothing_is_refused(h5ad, he_png, tmp_path, drawn_sections):
    def told(path, said, **asked):
        with pytest.raises(BadSource, match=said):
            read_measured(path, he_png, MeasuredAs(**asked))

    told(h5ad, "--section means nothing for anndata; .*of st", section="C5")
    told(h5ad, "--bin means nothing for anndata; .*of visium", bin_um=16)
    told(drawn_sections, "--spot-diameter means nothing for x", kind="xenium", spot_diameter_um=9.0)
    told(h5ad, "no kind 'merscope' .*xenium", kind="merscope")
    both = tmp_path / "a.csv"
    told(h5ad, "leave --affine or --landmarks out", unit="px", affine=both, landmarks=both)
    told(drawn_sections / "S1.jpg", "is nothing measured .*--kind")
    told(tmp_path / "gone", "The measurement .*gone does not exist")
    told(drawn_sections / "S1.jpg", "no table of an ST section", kind="st")


def test_real_section_on_its_pyramid(data_dir):
    slide = data_dir / "slides" / "her2st_C5_pyramid.tif"
    section = read_measured(data_dir / "her2st", slide, MeasuredAs(section="C5"))
    assert (section.image, section.mpp) == (slide, pytest.approx(0.69, abs=1e-3))
    # The first spot of the table, by hand: "x y pixel_x pixel_y".
    lines = (data_dir / "her2st" / "C5_selection.tsv").read_text().splitlines()
    header, first = lines[0].split("\t"), lines[1].split("\t")
    line = dict(zip(header, first, strict=True))
    row = section.ids.index(f"{line['x']}x{line['y']}")
    wanted = (np.array([float(line["pixel_x"]), float(line["pixel_y"])]) + 0.5) * section.mpp
    np.testing.assert_allclose(section.centers_um[row], wanted)
