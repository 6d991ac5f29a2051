"""Which tiles a run takes, and under which key their results are kept."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
import shapely

from napari_past.cells import GivenCells, StainLogDetector
from napari_past.engine import make_plan, part_of
from napari_past.engine.plan import TILE_PX, tile_px
from napari_past.errors import MissingPixelSize, RegionError, UnknownDetector, UnknownModel
from napari_past.model import load_model
from napari_past.sample.ome_tiff import write_pyramid
from napari_past.slide import open_slide, slide_of_array
from napari_past.types import FoundCells, Outlines, Rect, Region


def places(plan):
    return [(t.column, t.row) for t in plan.tiles]


def test_tiles_cover_the_tissue_on_one_grid(plan, slide):
    assert {t.size_um for t in plan.tiles} == {TILE_PX * 0.5}
    assert set(places(plan)) <= {(c, r) for c in range(3) for r in range(2)}
    assert places(plan) == sorted(places(plan), key=lambda cr: (cr[1], cr[0]))
    mask = slide.tissue_mask()
    rows, columns = np.nonzero(mask.mask)
    on_tissue = (np.stack([columns, rows], axis=1) + 0.5) * mask.mpp // 256
    assert {tuple(map(int, t)) for t in on_tissue} <= set(places(plan))


def test_region_selects_tiles_of_the_same_grid(plan, slide, model):
    part = make_plan(slide, model, region=(250.0, 10.0, 10.0, 20.0))
    assert places(part) == [(0, 0), (1, 0)]
    assert part.key == plan.key
    assert set(part.tiles) <= set(plan.tiles)
    assert part_of(plan, slide, (250.0, 10.0, 10.0, 20.0)) == part
    exact = make_plan(slide, model, region=(256.0, 0.0, 256.0, 256.0))
    assert places(exact) == [(1, 0)]


def test_regions_with_roles_limit_the_run(plan, slide):
    triangle = shapely.Polygon([(10, 10), (240, 10), (10, 240)])
    drawn = Region("t", "Tumour", triangle)
    ignored = Region("f", "Ignore: fold", shapely.box(300, 100, 500, 300))
    assert places(part_of(plan, slide, regions=[drawn, ignored])) == [(0, 0)]
    assert places(part_of(plan, slide, regions=[ignored])) == places(plan)
    beyond = Region("b", "Include", shapely.box(5000, 5000, 6000, 6000))
    with pytest.raises(RegionError, match="None of the 1 regions touches"):
        part_of(plan, slide, regions=[beyond])


@pytest.mark.parametrize("region", [(9e3, 0, 5, 5), (0, 0, 0, 5), (0, 0, 5)])
def test_wrong_region(slide, model, region):
    with pytest.raises(RegionError):
        make_plan(slide, model, region=region)


def test_names_that_are_not_known(slide, model, slide_file):
    with pytest.raises(UnknownDetector):
        make_plan(slide, model, "yolo")
    with pytest.raises(UnknownModel):
        make_plan(slide, "past-maxi")


def test_slide_without_pixel_size(model):
    slide = slide_of_array(np.full((80, 80, 3), 200, np.uint8), None)
    with pytest.raises(MissingPixelSize, match="mpp="):
        make_plan(slide, model)


def test_key_changes_with_all_that_results_depend_on(
    plan, slide, slide_file, tmp_path, write_tiny_model
):
    other_card = load_model(write_tiny_model(tmp_path / "a.safetensors", version="2"), "cpu")
    readout = {"readout.bias": np.zeros(6, np.float32)}
    other_weights = load_model(write_tiny_model(tmp_path / "b.safetensors", readout), "cpu")
    tiny = load_model(write_tiny_model(tmp_path / "c.safetensors"), "cpu")
    copy = tmp_path / "renamed.ome.tif"
    copy.write_bytes(slide_file.read_bytes())
    changed = tmp_path / "changed.ome.tif"
    rgb = np.asarray(slide.level_arrays[0])[:, ::-1]
    write_pyramid(changed, np.ascontiguousarray(rgb), 0.5, "changed", jpeg=False)
    same = [make_plan(slide, tiny), make_plan(open_slide(copy), tiny)]
    assert {p.key.digest for p in same} == {plan.key.digest}
    different = [
        make_plan(slide, other_card),
        make_plan(slide, other_weights),
        make_plan(open_slide(slide_file, mpp=0.4), tiny),
        make_plan(open_slide(changed), tiny),
        make_plan(slide, tiny, replace(StainLogDetector(), threshold=0.2)),
        make_plan(open_slide(slide_file, series=0), tiny),
    ]
    digests = {p.key.digest for p in [plan, *different]}
    assert len(digests) == 1 + len(different)


def test_plan_travels(plan):
    assert pickle.loads(pickle.dumps(plan)) == plan


def test_brought_cells_take_their_own_tiles(plan, slide, model):
    """Also where the tissue mask sees glass, and no others."""
    centers = np.array([[2.0, 2.0], [574.0, 399.0]])
    square = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    vertices = (centers[:, None] + square).reshape(-1, 2).astype(np.float32)
    outlines = Outlines(vertices, np.array([0, 4, 8]))
    given = FoundCells(centers, outlines, np.full(2, 4, np.float32))
    brought = make_plan(slide, model, GivenCells(given))
    assert places(brought) == [(0, 0), (2, 1)]
    assert brought.key != plan.key


def test_blank_slide_has_no_tiles(tmp_path, model):
    path = tmp_path / "blank.ome.tif"
    write_pyramid(path, np.full((300, 400, 3), 244, np.uint8), 0.5, "blank", jpeg=False)
    blank = make_plan(open_slide(path), model)
    assert blank.tiles == ()
    assert blank.area == Rect(0, 0, 200, 150)


@pytest.mark.parametrize(("mpp", "side_px"), [(0.2125, 256), (0.25, 256), (0.5, 128), (1.0, 64)])
def test_tiles_of_crops_are_small(tiny_card, mpp, side_px):
    crop = {"mode": "crop", "stride_px": 1, "halo_px": 48, "crop_px": 96, "mpp": mpp}
    assert tile_px(tiny_card(encoder=crop).encoder) == side_px
    assert tile_px(tiny_card(encoder={"mpp": mpp}).encoder) == 512
