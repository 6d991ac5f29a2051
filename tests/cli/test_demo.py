from __future__ import annotations

import csv
import math

import anndata
import numpy as np
import pytest
from PIL import Image

from napari_past.cli.demo import central_square, draw_sample, known_regions, matching
from napari_past.cli.overview import drawable
from napari_past.sample import write_phantom
from napari_past.slide import open_slide
from napari_past.types import RESEARCH_USE


def test_demo_on_a_slide_works_twice(command, phantom, tmp_path, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    out = tmp_path / "demo"
    for _ in range(2):
        done = command("demo", phantom, "--out", out)
        assert done.code == 0, done.err
        names = {"cells.h5ad", "cells.csv", "cells.csv.json", "cells.geojson"}
        names |= {"scores.csv", "scores.csv.json"}
        assert {p.name for p in out.iterdir()} == {*names, "overview.png"}
    assert RESEARCH_USE in done.out
    assert "no display" in done.out
    adata = anndata.read_h5ad(out / "cells.h5ad")
    assert f"{adata.n_obs} cells" in done.out
    (row,) = csv.DictReader((out / "scores.csv").open())
    assert int(row["n"]) == adata.n_obs
    with Image.open(out / "overview.png") as picture:
        pixels = np.asarray(picture)
    # H&E on the left is bright, the cells on the right are coloured on dark.
    left, right = pixels[60:900, 100:1100], pixels[60:900, 1300:2300]
    assert left.mean() > 2 * right.mean()
    assert (np.ptp(right.astype(int), axis=2) > 100).any()


def test_sample_equals_the_phantom(tmp_path):
    phantom = draw_sample(tmp_path / "a.tif", (512, 384))
    write_phantom(tmp_path / "b.tif", 512, 384)
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()
    glands, blur = known_regions(phantom)
    assert (glands.role, blur.ignored) == ("Tumour", True)


def test_matching_is_one_to_one_and_closest_first():
    known = np.array([[0.0, 0], [10, 0], [20, 0], [30, 0]])
    found = np.array([[1.0, 0], [-0.5, 0], [12, 0], [24, 0], [99, 0]])
    matched = matching(known, found)
    assert (matched.known, matched.found, matched.paired) == (4, 5, 2)
    assert (matched.recall, matched.precision) == (0.5, 0.4)
    nothing = matching(np.zeros((0, 2)), np.zeros((0, 2)))
    assert math.isnan(nothing.recall)


def test_square_of_a_large_slide_is_full_of_tissue(slides):
    with open_slide(slides / "her2st_C5_pyramid.tif") as slide:
        square = central_square(slide)
        assert square is not None
        assert square.width_um * square.height_um == pytest.approx(1e6)
        points = np.random.default_rng(0).uniform(0, 1000, (2000, 2)) + (square.x_um, square.y_um)
        assert slide.tissue_mask().contains(points).mean() > 0.8
    with open_slide(slides / "tma_core.ome.tif") as slide:
        assert central_square(slide) is None


def test_only_characters_of_the_font_are_drawn():
    assert drawable("100 µm · 1–2 é") == "100 um · 1-2 ?"
