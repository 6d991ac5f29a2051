"""Tiles made worse, as slides are: other stainers, blur, ice, ink and folds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_past.types import Rgb


def stained(rgb: Rgb, amount: npt.NDArray[np.float64] | float) -> Rgb:
    """The picture with its optical density over white multiplied by `amount`."""
    return np.rint(255 * (np.maximum(rgb, 1) / 255) ** amount).astype(np.uint8)


def blurred(rgb: Rgb, sigma_px: float) -> Rgb:
    return np.asarray(ndimage.gaussian_filter(rgb, (sigma_px, sigma_px, 0)), np.uint8)


def frozen(rgb: Rgb, mpp: float) -> Rgb:
    """Swollen and full of the holes that ice leaves, about 3 µm wide over a tenth of the tissue."""
    noise = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=rgb.shape[:2]), 1.2 / mpp)
    holes = ndimage.gaussian_filter((noise > np.quantile(noise, 0.9)).astype(float), 0.4 / mpp)
    return blurred(stained(rgb, 1 - 0.9 * holes[..., None]), 0.7 / mpp)


def band(shape: tuple[int, ...], mpp: float) -> npt.NDArray[np.float64]:
    """A wavy stroke across the middle third of a picture, 0 to 1, with streaks: (Y, X)."""
    y, x = np.arange(shape[0])[:, None], np.arange(shape[1])
    middle = shape[0] / 2 + 15 / mpp * np.sin(x * mpp / 30)
    stroke = ndimage.gaussian_filter((np.abs(y - middle) < shape[0] / 6).astype(float), 1 / mpp)
    streaks = ndimage.gaussian_filter(np.random.default_rng(1).normal(size=shape[:2]), 12 / mpp)
    return stroke * np.clip(1 + 0.15 * streaks / streaks.std(), 0.3, 2.0)


def inked(rgb: Rgb, mpp: float, ink: tuple[float, float, float]) -> Rgb:
    """The picture under a stroke of the given optical density, with the camera's noise."""
    light = rgb * 10 ** -(band(rgb.shape, mpp)[..., None] * np.array(ink))
    noise = np.random.default_rng(2).normal(0, 1.2, light.shape)
    return np.clip(np.rint(light + noise), 0, 255).astype(np.uint8)


def folded(rgb: Rgb, mpp: float) -> Rgb:
    """Two layers of tissue in the band, the upper one out of focus."""
    share = band(rgb.shape, mpp).clip(0, 1)[..., None]
    upper = blurred(np.roll(rgb, round(40 / mpp), axis=1), 1.5 / mpp) / 255
    return np.rint(rgb * (1 - share + share * upper)).astype(np.uint8)


WHOLE: dict[str, Callable[[Rgb, float], Rgb]] = {
    "as it is": lambda rgb, mpp: rgb,
    "pale (density x 0.6)": lambda rgb, mpp: stained(rgb, 0.6),
    "over-stained (x 1.5)": lambda rgb, mpp: stained(rgb, 1.5),
    "out of focus (1 µm)": lambda rgb, mpp: blurred(rgb, 1.0 / mpp),
    "frozen (holes, soft)": frozen,
}
COVERED: dict[str, Callable[[Rgb, float], Rgb]] = {
    "blue pen": lambda rgb, mpp: inked(rgb, mpp, (1.4, 0.8, 0.25)),
    "green pen": lambda rgb, mpp: inked(rgb, mpp, (1.2, 0.45, 0.9)),
    "red pen": lambda rgb, mpp: inked(rgb, mpp, (0.1, 1.2, 1.1)),
    "black marker": lambda rgb, mpp: inked(rgb, mpp, (2.0, 2.0, 2.0)),
    "fold": folded,
}
