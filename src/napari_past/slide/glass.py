"""The colour of clear glass."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from napari_past.slide import channels
from napari_past.slide.source import PixelWindow
from napari_past.types import Rgb

WHITE = (255, 255, 255)
_WHOLE_PX = 4096 * 1024
_SAMPLES_PER_SIDE, _SAMPLE_PX = 16, 128
_DARKEST_GLASS, _MOST_SATURATED = 180, 40
"""Grey level and span of channels (0–255) beyond which pixels are stain, pen or shadow."""
_ROUGHEST = 3.0
"""Standard deviation of grey in 5 x 5 px beyond which pixels are tissue, dust or text."""
_LEAST_SHARE = 0.002
_MODE_HALF_WIDTH = 6


def glass_colour(coarsest: PixelWindow) -> tuple[int, int, int]:
    """Red, green, blue of clear glass, 0–255; white where no glass is seen.

    Of the pixels that are bright, hardly coloured and smooth, those around the most frequent grey
    level of their brighter half are glass; the answer is their median.

    Parameters
    ----------
    coarsest
        The file's smallest level; a large one is sampled in 16 x 16 windows, not read whole.
    """
    greys, colours = [], []
    for pixels in _samples(coarsest):
        rgb = pixels.astype(np.float32)
        grey = channels.mean(rgb)
        mean = ndimage.uniform_filter(grey, 5)
        rough = np.sqrt(np.maximum(ndimage.uniform_filter(grey**2, 5) - mean**2, 0))
        least, most = channels.extremes(rgb)
        clear = (grey >= _DARKEST_GLASS) & (most - least <= _MOST_SATURATED) & (rough <= _ROUGHEST)
        greys.append(grey[clear])
        colours.append((pixels[clear], grey.size))
    grey = np.concatenate(greys)
    if len(grey) < max(16, _LEAST_SHARE * sum(n for _, n in colours)):
        return WHITE
    bright = grey[grey >= np.median(grey)]
    counts = np.bincount(np.round(bright).astype(np.int64), minlength=256)
    mode = int(np.argmax(np.convolve(counts, np.ones(5), mode="same")))
    glass = np.concatenate([c for c, _ in colours])[np.abs(grey - mode) <= _MODE_HALF_WIDTH]
    colour = np.round(np.median(glass, axis=0)).astype(int)
    return int(colour[0]), int(colour[1]), int(colour[2])


def _samples(level: PixelWindow) -> list[Rgb]:
    height_px, width_px, _ = level.shape
    if height_px * width_px <= _WHOLE_PX:
        return [level.read(0, height_px, 0, width_px)]
    out = []
    tall, wide = min(_SAMPLE_PX, height_px), min(_SAMPLE_PX, width_px)
    for i in range(_SAMPLES_PER_SIDE):
        for j in range(_SAMPLES_PER_SIDE):
            y = round((height_px - tall) * i / (_SAMPLES_PER_SIDE - 1))
            x = round((width_px - wide) * j / (_SAMPLES_PER_SIDE - 1))
            out.append(level.read(y, y + tall, x, x + wide))
    return out
