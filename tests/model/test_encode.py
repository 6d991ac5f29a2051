"""Pixels to embeddings: a cell's numbers do not depend on the tile that it was read in."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_past.cells import read_block
from napari_past.errors import PastError
from napari_past.model import load_model
from napari_past.sample import draw_phantom
from napari_past.slide import open_slide, slide_of_array
from napari_past.types import PixelGrid, Rect, TileSpec

TILE_PX = 512
CROP = {"mode": "crop", "stride_px": 1, "halo_px": 40, "crop_px": 64}


@pytest.fixture(scope="module")
def crop_model_file(tmp_path_factory, write_tiny_model):
    path = tmp_path_factory.mktemp("crop") / "crop.safetensors"
    return write_tiny_model(path, encoder=CROP, name="tiny crop")


def tile_by_tile(slide, model, centers_um, size_px):
    """Embeddings of cells, each from the tile of `size_px` that it lies in."""
    encoder = model.card.encoder
    size_um = size_px * encoder.mpp
    place = np.floor(centers_um / size_um).astype(int)
    result = np.zeros((len(centers_um), model.embed_dim), np.float32)
    for column, row in np.unique(place, axis=0):
        rect = TileSpec(int(column), int(row), size_um).rect
        rgb, grid = read_block(slide, rect, encoder.mpp, encoder.halo_px)
        here = (place == (column, row)).all(axis=1)
        result[here] = model.tile_features(rgb, grid, centers_um[here])
    return result


def nuclei_like(area: Rect, n: int, size_um: float) -> np.ndarray:
    """Centres spread over an area, half of them within 3 µm of a seam between tiles."""
    rng = np.random.default_rng(3)
    xy = rng.uniform((area.x_um, area.y_um), (area.x1_um, area.y1_um), (n, 2))
    seam = np.round(xy[: n // 2, 0] / size_um) * size_um
    xy[: n // 2, 0] = seam + rng.uniform(-3, 3, n // 2)
    xy[0] = seam[0], xy[0, 1]
    return xy[area.contains(xy)]


@pytest.mark.parametrize("name", ["past-mini", "crop"])
@pytest.mark.parametrize(
    ("file", "mpp", "corner_um"),
    [("CMU-1-Small-Region.svs", None, (256, 256)), ("her2st_C5_pyramid.tif", 0.69, (2560, 2816))],
    ids=["CMU", "her2st"],
)
def test_one_tile_against_many(data_dir, crop_model_file, name, file, mpp, corner_um):
    model = load_model("past-mini" if name == "past-mini" else crop_model_file, "cpu")
    side_um = 2 * TILE_PX * model.card.encoder.mpp
    area = Rect(*corner_um, side_um, side_um / 2)
    centers_um = nuclei_like(area, 120, TILE_PX * model.card.encoder.mpp)
    assert len(centers_um) > 80
    with open_slide(data_dir / "slides" / file, mpp) as slide:
        many = tile_by_tile(slide, model, centers_um, TILE_PX)
        rgb, grid = read_block(slide, area, model.card.encoder.mpp, model.card.encoder.halo_px)
        one = model.tile_features(rgb, grid, centers_um)
    assert many.std() > 1e-3
    np.testing.assert_allclose(one, many, atol=1e-4 * float(np.abs(many).max()), rtol=0)


def test_positions_are_exact_far_from_the_corner(tiny_model_file):
    """In single precision a position 30,000 px into a block would be off by 1e-3 px."""
    model = load_model(tiny_model_file, "cpu")
    rgb = np.random.default_rng(0).integers(0, 256, (160, 160, 3), dtype=np.uint8)
    wide = np.zeros((160, 6000, 3), np.uint8)
    wide[:, -160:] = rgb
    where = np.array([[40.123, 37.77]])
    near = model.tile_features(rgb, PixelGrid(0, 0, 0.5), where)
    far = model.tile_features(wide, PixelGrid(0, 0, 0.5), where + [(6000 - 160) * 0.5, 0])
    np.testing.assert_allclose(far, near, atol=2e-6)


def test_halo_of_the_bundled_model_holds_its_receptive_field():
    """Where the gradient with respect to the pixels ends, pixels cannot matter."""
    model = load_model("past-mini", "cpu")
    encoder = model.card.encoder
    side = 400
    pixels = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(1))
    pixels.requires_grad_(True)
    reach = 0.0
    for phase in (0.0, 0.5, encoder.stride_px - 0.1):
        at = 192 + phase
        embedding = model._tower(pixels, torch.tensor([[0, at, at]], dtype=torch.float64))
        (gradient,) = torch.autograd.grad(embedding.square().sum(), pixels)
        touched = gradient.abs().sum(dim=(0, 1)).nonzero()
        assert touched.min() > 0
        assert touched.max() < side - 1
        reach = max(reach, float((touched - at).abs().max()))
    assert 64 < reach <= encoder.halo_px


@pytest.mark.parametrize("phase", [0.0, 0.25, 0.49, -0.49])
def test_crop_mode_is_encode_image_of_the_crop(crop_model_file, phase):
    model = load_model(crop_model_file, "cpu")
    rgb = draw_phantom(320, 320, 0.5, seed=1).rgb
    row, column = 130, 171  # first pixel of a crop of 64 px, so its centre is 31.5 px further
    center_px = np.array([[column + 32 + phase, row + 32 - phase]])
    tile = model.encode_tile(rgb, PixelGrid(1000.0, 500.0, 0.5), center_px * 0.5 + [1000.0, 500.0])
    image = model.encode_image(rgb[None, row : row + 64, column : column + 64])
    assert tile.dtype == np.float16
    unit = tile.astype(np.float32) / np.linalg.norm(tile.astype(np.float32))
    np.testing.assert_allclose(unit, image, atol=1e-3)


def test_crops_do_not_depend_on_their_batch(crop_model_file):
    model = load_model(crop_model_file, "cpu")
    slide = slide_of_array(draw_phantom(400, 320, 0.5, seed=1).rgb, 0.5)
    rgb, grid = read_block(slide, Rect(0, 0, 200, 160), 0.5, 40)
    centers_um = np.random.default_rng(2).uniform(0, 160, (70, 2))
    together = model.tile_features(rgb, grid, centers_um)
    alone = np.concatenate([model.tile_features(rgb, grid, c[None]) for c in centers_um[::10]])
    np.testing.assert_allclose(together[::10], alone, atol=1e-5)


def test_encode_image_gives_unit_vectors(tiny_model_file):
    model = load_model(tiny_model_file, "cpu")
    crops = np.random.default_rng(0).integers(0, 256, (67, 48, 40, 3), dtype=np.uint8)
    vectors = model.encode_image(crops)
    assert vectors.shape == (67, 16)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(model.encode_image(crops[64:]), vectors[64:], atol=1e-5)
    assert model.encode_image(crops[:0]).shape == (0, 16)
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-4


@pytest.mark.parametrize(
    "crops",
    [
        np.zeros((2, 8, 8, 3), np.float32),
        np.zeros((8, 8, 3), np.uint8),
        np.zeros((2, 8, 8, 4), np.uint8),
        np.zeros((2, 3, 8, 8), np.uint8),
        np.zeros((2, 0, 8, 3), np.uint8),
    ],
    ids=["float", "one picture", "alpha", "channels first", "no pixels"],
)
def test_encode_image_refuses_other_arrays(tiny_model_file, crops):
    with pytest.raises(PastError, match=r"crops of uint8 \(n, height, width, 3\)"):
        load_model(tiny_model_file, "cpu").encode_image(crops)


def test_tile_without_cells(tiny_model_file):
    model = load_model(tiny_model_file, "cpu")
    rgb = np.zeros((64, 64, 3), np.uint8)
    assert model.encode_tile(rgb, PixelGrid(0, 0, 0.5), np.zeros((0, 2))).shape == (0, 16)


def test_block_off_the_global_grid_is_our_own_mistake(tiny_model_file):
    model = load_model(tiny_model_file, "cpu")
    rgb = np.zeros((64, 64, 3), np.uint8)
    with pytest.raises(AssertionError):
        model.encode_tile(rgb, PixelGrid(0.5, 0, 0.5), np.ones((1, 2)))


def test_cuda_is_refused_where_there_is_none(tiny_model_file):
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA GPU")
    with pytest.raises(PastError, match="--device cpu"):
        load_model(tiny_model_file, "cuda").encode_image(np.zeros((1, 32, 32, 3), np.uint8))
