"""Brown on blue or pink on purple, on painted and on real pixels."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from skimage import data

from napari_past.optical_density import RUIFROK_DAB, RUIFROK_EOSIN, RUIFROK_HEMATOXYLIN
from napari_past.sample import draw_phantom
from napari_past.stain.slide_kind import H_AND_E, IHC, StainLook, stain_look

GLASS = (242.0, 240.0, 238.0)


def painted(first, second, share: float) -> np.ndarray:
    """Amounts of the first stain everywhere, and of the second on a share of the pixels."""
    rng = np.random.default_rng(0)
    a, b = rng.uniform(0.1, 0.6, (200, 200)), rng.uniform(0.3, 0.9, (200, 200))
    b[rng.random(b.shape) > share] = 0
    a[rng.random(a.shape) < 0.4] *= 0.1
    od = a[..., None] * np.array(first) + b[..., None] * np.array(second)
    return np.clip(np.rint(GLASS * 10**-od), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("share", [0.05, 0.4, 0.9])
@pytest.mark.parametrize("blue", [RUIFROK_HEMATOXYLIN, (0.83, 0.53, 0.18), (0.58, 0.74, 0.35)])
def test_painted_slides(share, blue):
    assert stain_look(painted(blue, RUIFROK_DAB, share), GLASS).kind == IHC
    assert stain_look(painted(blue, RUIFROK_EOSIN, share), GLASS).kind == H_AND_E


def test_blue_alone_could_be_either():
    look = stain_look(painted(RUIFROK_HEMATOXYLIN, RUIFROK_DAB, 0), GLASS)
    assert (look.kind, look.sentence) == ("", "")
    assert stain_look(np.full((50, 50, 3), 240, np.uint8), GLASS).kind == ""
    assert stain_look(np.zeros((0, 384, 3), np.uint8), GLASS) == StainLook(0.0, 0.0)


def test_pictures_that_are_at_hand():
    look = stain_look(data.immunohistochemistry(), (236.0, 236.0, 234.0))
    assert look.sentence == "looks like IHC (brown on blue)"
    look = stain_look(draw_phantom(900, 640, 0.5, 3).rgb, (244.0, 243.0, 244.0))
    assert look.sentence == "looks like H&E (pink and purple)"


def test_real_tiles(data_dir):
    """A pathologist knows each of these at a glance."""
    wanted = {
        **dict.fromkeys(sorted((data_dir / "ihc_ki67").glob("*_?.png")), IHC),
        **dict.fromkeys(sorted((data_dir / "monuseg_train").rglob("*.tif")), H_AND_E),
        **dict.fromkeys(sorted((data_dir / "crc_nuclei").rglob("*.png")), H_AND_E),
    }
    assert {IHC, H_AND_E} == set(wanted.values())
    for path, kind in wanted.items():
        rgb = np.asarray(Image.open(path).convert("RGB"))
        red, green, blue = np.percentile(rgb.reshape(-1, 3), 99, axis=0).tolist()
        assert stain_look(rgb, (red, green, blue)).kind == kind, path.name
