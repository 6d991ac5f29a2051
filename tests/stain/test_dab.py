"""Blue and brown painted by Beer's law come back as the densities that they were painted with."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from skimage import data

from napari_past.cells import find_cells
from napari_past.optical_density import RUIFROK_DAB, RUIFROK_HEMATOXYLIN
from napari_past.slide import slide_of_array
from napari_past.stain.compartments import cell_densities, cell_shapes
from napari_past.stain.dab import (
    DAB_CUTOFFS,
    DabStains,
    estimate_dab_stains,
    given_dab_stains,
    published_dab_stains,
    stain_densities,
)
from napari_past.types import PixelGrid

GLASS = (241.0, 238.0, 236.0)
BLUES = {
    "published": RUIFROK_HEMATOXYLIN,
    "bright": (0.83, 0.53, 0.18),
    "dull": (0.58, 0.74, 0.35),
}
BROWNS = {"published": RUIFROK_DAB, "reddish": (0.22, 0.61, 0.76), "pale": (0.36, 0.57, 0.74)}


def unit(vector) -> np.ndarray:
    return np.array(vector) / np.linalg.norm(vector)


def painted(blue, brown, h: np.ndarray, d: np.ndarray, noise: float = 0.0) -> np.ndarray:
    od = h[..., None] * unit(blue) + d[..., None] * unit(brown)
    light = np.array(GLASS) * 10**-od
    light = light + np.random.default_rng(1).normal(0, noise, light.shape) if noise else light
    return np.clip(np.rint(light), 0, 255).astype(np.uint8)


def slide_like(brown_share: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Amounts of both stains: glass, blue nuclei, brown ones with blue beneath, brown alone."""
    rng = np.random.default_rng(seed)
    h, d = rng.uniform(0.15, 0.7, (400, 400)), rng.uniform(0.15, 0.9, (400, 400))
    kind = rng.random(h.shape)
    d[kind > brown_share] = 0
    h[kind < brown_share / 2] = 0
    h[rng.random(h.shape) < 0.3] *= 0.02
    return h, d


def degrees(a, b) -> float:
    return float(np.degrees(np.arccos(np.clip(unit(a) @ unit(b), -1, 1))))


@pytest.mark.parametrize("blue", BLUES.values(), ids=BLUES)
@pytest.mark.parametrize("brown", BROWNS.values(), ids=BROWNS)
def test_painted_densities_come_back(blue, brown):
    h, d = np.meshgrid(np.linspace(0, 0.6, 7), np.linspace(0, 0.7, 8))
    stains = given_dab_stains(blue, brown, GLASS)
    found_h, found_d = stain_densities(painted(blue, brown, h, d), stains)
    np.testing.assert_allclose(found_h, h, atol=0.02)
    np.testing.assert_allclose(found_d, d, atol=0.02)
    assert found_d.dtype == np.float32


def test_as_a_separation_with_a_third_vector_across_both():
    """QuPath's way: three vectors, the third at right angles, and a plain inverse."""
    rgb = np.random.default_rng(0).integers(30, 240, (20, 30, 3), dtype=np.uint8)
    stains = published_dab_stains(GLASS)
    basis = np.array([unit(RUIFROK_HEMATOXYLIN), unit(RUIFROK_DAB)])
    basis = np.vstack([basis, unit(np.cross(*basis))])
    od = np.maximum(-np.log10(rgb / np.array(GLASS)), 0)
    amounts = np.linalg.solve(basis.T, od.reshape(-1, 3).T).T.reshape(20, 30, 3)
    h, d = stain_densities(rgb, stains)
    np.testing.assert_allclose(h, np.maximum(amounts[..., 0], 0), atol=1e-5)
    np.testing.assert_allclose(d, np.maximum(amounts[..., 1], 0), atol=1e-5)


@pytest.mark.parametrize("blue", BLUES.values(), ids=BLUES)
@pytest.mark.parametrize("brown", BROWNS.values(), ids=BROWNS)
@pytest.mark.parametrize("share", [0.5, 0.02], ids=["common", "rare"])
def test_vectors_are_estimated(blue, brown, share):
    h, d = slide_like(share)
    rgb = painted(blue, brown, h, d, noise=1.5)
    stains = estimate_dab_stains(rgb, GLASS)
    assert degrees(stains.hematoxylin, blue) < 2
    assert degrees(stains.dab, brown) < 2
    assert "published" not in stains.source
    found = stain_densities(rgb, stains)[1]
    assert abs((found - d)[d > 0].mean()) < 0.02
    assert found[d == 0].mean() < 0.02


def test_without_brown_its_vector_is_published_and_says_so():
    h, d = slide_like(0.0)
    stains = estimate_dab_stains(painted(BLUES["bright"], RUIFROK_DAB, h, d, 1.5), GLASS)
    assert degrees(stains.hematoxylin, BLUES["bright"]) < 2
    assert degrees(stains.dab, RUIFROK_DAB) < 1e-3
    assert "brown pixels were seen" in stains.source
    assert "haematoxylin estimated" in stains.source


def test_without_blue_its_vector_is_published_and_says_so():
    h, d = slide_like(1.0)
    stains = estimate_dab_stains(painted(RUIFROK_HEMATOXYLIN, RUIFROK_DAB, h * 0, d), GLASS)
    assert degrees(stains.hematoxylin, RUIFROK_HEMATOXYLIN) < 1e-3
    assert "blue pixels were seen" in stains.hematoxylin_source


def test_grey_is_no_brown():
    """Dirt and pigment lie between both stains; as a vector they would make all nuclei brown."""
    h, d = slide_like(0.3)
    stains = estimate_dab_stains(painted(RUIFROK_HEMATOXYLIN, (0.50, 0.61, 0.615), h, d), GLASS)
    assert degrees(stains.dab, RUIFROK_DAB) < 1e-3
    assert "away from it" in stains.dab_source


@pytest.mark.parametrize(
    "rgb",
    [
        np.full((60, 60, 3), 240, np.uint8),
        np.zeros((0, 9, 3), np.uint8),
        np.zeros((60, 60, 3), np.uint8),
    ],
    ids=["glass", "nothing", "black"],
)
def test_published_where_there_is_no_stain(rgb):
    stains = estimate_dab_stains(rgb, GLASS)
    assert degrees(stains.hematoxylin, RUIFROK_HEMATOXYLIN) < 1e-3
    assert degrees(stains.dab, RUIFROK_DAB) < 1e-3
    assert "published (Ruifrok & Johnston 2001)" in stains.source


def test_an_he_slide_is_not_taken_for_ihc():
    h, e = slide_like(0.8)
    stains = estimate_dab_stains(
        painted(RUIFROK_HEMATOXYLIN, (0.072, 0.99, 0.105), h * 0.2, e), GLASS
    )
    assert "neither blue nor brown" in stains.source


def test_vectors_that_are_none():
    with pytest.raises(ValueError, match="length 1"):
        DabStains((1.0, 1.0, 0.0), (0.27, 0.57, 0.78), GLASS)
    with pytest.raises(ValueError, match="different"):
        given_dab_stains(RUIFROK_DAB, RUIFROK_DAB, GLASS)


def test_real_brown_glands_and_blue_stroma():
    """scikit-image's colon: brown epithelium at the left and above, blue stroma at the right."""
    rgb = data.immunohistochemistry()
    stains = estimate_dab_stains(rgb, slide_of_array(rgb, 0.5).background)
    assert stains.source.count("estimated") == 2
    h, d = stain_densities(rgb, stains)
    gland, stroma = np.s_[100:200, 20:240], np.s_[100:330, 470:510]
    assert np.median(d[gland]) > 0.4
    assert np.median(d[stroma]) < 0.08
    assert np.percentile(h[stroma], 90) > 2 * np.percentile(d[stroma], 90)


@pytest.mark.parametrize("name", ["22_2", "34_3"])
def test_ki67_of_annotated_nuclei(data_dir, name):
    """Loose: benchmarks/ihc.py measures; this notices when something broke."""
    folder = data_dir / "ihc_ki67"
    rgb, truth = (
        np.asarray(Image.open(folder / f"{name}{kind}.png").convert("RGB"))
        for kind in ("", "_groundtruth")
    )
    slide = slide_of_array(rgb, 0.25)
    cells = find_cells(slide, detector="ihc-nuclear")
    dab = stain_densities(rgb, estimate_dab_stains(rgb, slide.background))[1]
    density = cell_densities(dab, PixelGrid(0, 0, 0.25), cell_shapes(cells)).nucleus
    says = density >= DAB_CUTOFFS.weak
    row, column = np.floor(cells.centers_um[:, ::-1] / 0.25).astype(int).clip(0, 511).T
    red, blue = truth[row, column, 0] > 127, truth[row, column, 2] > 127
    assert (red | blue).sum() > 60
    accuracy = (says[red].mean() + (~says[blue]).mean()) / 2
    assert accuracy > 0.9
    assert red.sum() >= 8
