"""Pale and dark stains keep their nuclei; ink, folds and dirt on glass make none."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
import shapely
from PIL import Image
from scipy import ndimage

from napari_past.cells import StainLogDetector, find_cells
from napari_past.slide import slide_of_array
from napari_past.types import PixelGrid

INKS = {
    "blue": (1.4, 0.8, 0.25),
    "green": (1.2, 0.45, 0.9),
    "black": (2.0, 2.0, 2.0),
}


def stained(rgb: np.ndarray, amount: float) -> np.ndarray:
    """Optical density over white times `amount`."""
    return np.rint(255 * (np.maximum(rgb, 1) / 255) ** amount).astype(np.uint8)


def blurred(rgb: np.ndarray, sigma_px: float) -> np.ndarray:
    return ndimage.gaussian_filter(rgb, (sigma_px, sigma_px, 0))


def inked(rgb: np.ndarray, ink: tuple[float, float, float], top: int, bottom: int) -> np.ndarray:
    """A streaky stroke over rows `top` to `bottom`, with the camera's noise."""
    stroke = np.zeros(rgb.shape[:2])
    stroke[top:bottom] = 1
    rng = np.random.default_rng(0)
    streaks = ndimage.gaussian_filter(rng.normal(size=stroke.shape), 15)
    stroke = ndimage.gaussian_filter(stroke, 2) * (1 + 0.15 * streaks / streaks.std()).clip(0.3)
    light = rgb * 10 ** -(stroke[..., None] * np.array(ink)) + rng.normal(0, 1.2, rgb.shape)
    return np.clip(np.rint(light), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def of_tissue(phantom) -> StainLogDetector:
    """With the stain vectors of the phantom."""
    return StainLogDetector().fitted(slide_of_array(phantom.rgb, phantom.mpp))


def f1(found: np.ndarray, known: np.ndarray, matched) -> float:
    return 2 * matched(found, known, 3.0) / (len(found) + len(known))


@pytest.mark.parametrize("amount", [0.5, 0.7, 1.4])
def test_stain_of_the_phantom_hardly_matters(phantom, phantom_cells, matched, amount):
    found = find_cells(stained(phantom.rgb, amount), phantom.mpp).centers_um
    known = phantom.centers_um
    assert f1(found, known, matched) > f1(phantom_cells.centers_um, known, matched) - 0.05


def test_blurred_phantom_keeps_most(phantom, phantom_cells, matched):
    found = find_cells(blurred(phantom.rgb, 2.0), phantom.mpp).centers_um
    known = phantom.centers_um
    assert f1(found, known, matched) > f1(phantom_cells.centers_um, known, matched) - 0.15


@pytest.mark.parametrize("ink", INKS.values(), ids=INKS)
def test_ink_hides_nuclei_there_and_nowhere_else(phantom, phantom_cells, ink):
    """A third of the phantom under the stroke, and the stain vectors estimated with it."""
    height = phantom.rgb.shape[0]
    top, bottom = height // 3, 2 * height // 3
    found = find_cells(inked(phantom.rgb, ink, top, bottom), phantom.mpp).centers_um
    y_px, clean_px = found[:, 1] / phantom.mpp, phantom_cells.centers_um[:, 1] / phantom.mpp
    under = (y_px >= top) & (y_px < bottom)
    assert under.sum() < 0.1 * ((clean_px >= top) & (clean_px < bottom)).sum()
    clear = (y_px < top - 20) | (y_px > bottom + 20)
    assert clear.sum() > 0.9 * ((clean_px < top - 20) | (clean_px > bottom + 20)).sum()


@pytest.mark.parametrize("ink", INKS.values(), ids=INKS)
def test_ink_on_glass_makes_no_nuclei(of_tissue, ink):
    """At most one per 0.005 mm² under the stroke, with the stain vectors of tissue."""
    glass = np.random.default_rng(1).normal(243, 1.3, (600, 600, 3))
    rgb = inked(np.clip(np.rint(glass), 0, 255).astype(np.uint8), ink, 200, 400)
    assert len(of_tissue.find(rgb, PixelGrid(0.0, 0.0, 0.5))) <= 6


@pytest.mark.parametrize("stains", ["tissue", "own"])
def test_noisy_glass_makes_no_nuclei(of_tissue, stains):
    glass = np.random.default_rng(1).normal(243, 3.0, (600, 600, 3))
    rgb = np.clip(np.rint(glass), 0, 255).astype(np.uint8)
    detector = of_tissue if stains == "tissue" else StainLogDetector()
    assert len(detector.find(rgb, PixelGrid(0.0, 0.0, 0.5))) == 0


def test_fold_makes_no_storm(phantom, phantom_cells):
    """Two layers hold at most the nuclei of both."""
    upper = blurred(np.roll(phantom.rgb, 100, axis=1), 3.0) / 255
    rgb = np.rint(phantom.rgb * upper).astype(np.uint8)
    assert len(find_cells(rgb, phantom.mpp)) < 2 * len(phantom_cells)


@pytest.mark.parametrize("name", ["TCGA-21-5786", "TCGA-AR-A1AK", "TCGA-AR-A1AS"])
def test_changed_reporting_tiles_keep_most(data_dir, matched, name):
    """Loose: benchmarks/detector.py measures; this notices when something broke."""
    (path,) = (data_dir / "monuseg_train").glob(f"{name}*.tif")
    rings = [
        [(float(v.get("X")), float(v.get("Y"))) for v in region.iter("Vertex")]
        for region in ET.parse(path.with_suffix(".xml")).iter("Region")
    ]
    known = np.array([shapely.Polygon(r).centroid.coords[0] for r in rings if len(r) > 2]) * 0.25
    rgb = np.asarray(Image.open(path).convert("RGB"))
    as_it_is = f1(find_cells(rgb, 0.25).centers_um, known, matched)
    for changed in (stained(rgb, 0.6), stained(rgb, 1.5), blurred(rgb, 4.0)):
        assert f1(find_cells(changed, 0.25).centers_um, known, matched) > as_it_is - 0.1


def test_other_weights_are_another_detector():
    detector = StainLogDetector()
    other = replace(detector, voting=replace(detector.voting, radius_um=4.0))
    assert detector.identity() != other.identity()
    assert max(detector.halo_um, other.halo_um) <= 64
