"""Whether a slide looks like H&E or like IHC: pink on purple, or brown on blue."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_past.optical_density import Vector
from napari_past.stain.dab import DARKEST_PIXEL, FAINTEST_BLUE, MAX_SAMPLE_PIXELS, weighted_density
from napari_past.types import Rgb

H_AND_E, IHC = "H&E", "IHC"
LEAST_SHARE = 0.02
"""Of the stain, that must have a colour for it to say something."""
PINK_GREEN = 1.35
"""Eosin takes green this much more than red and blue, also over haematoxylin; DAB never does."""
BROWN_BLUE = 1.4
"""DAB takes blue more than green and this much more than red; neither H nor E does."""
FAINTEST_BROWN = 0.15
"""Mean over the channels: fainter brown is the section's own tint."""


@dataclass(frozen=True)
class StainLook:
    """What colours the stain of a slide has. A look, no proof."""

    brown: float
    """Share of the stain (its density) that is brown, 0 to 1."""
    pink: float

    @property
    def kind(self) -> str:
        """`H_AND_E` or `IHC`; empty where neither pink nor brown is seen, as on blue alone."""
        if max(self.brown, self.pink) < LEAST_SHARE:
            return ""
        return IHC if self.brown > self.pink else H_AND_E

    @property
    def sentence(self) -> str:
        """As "looks like IHC (brown on blue)"; empty where it cannot be told."""
        colours = {IHC: "brown on blue", H_AND_E: "pink and purple"}
        return f"looks like {self.kind} ({colours[self.kind]})" if self.kind else ""


def stain_look(rgb: Rgb, background: Vector) -> StainLook:
    """The look of pixels of tissue and glass, uint8 (…, 3).

    Parameters
    ----------
    background
        Colour of clear glass, 0–255.
    """
    pixels = rgb.reshape(-1, 3)
    pixels = pixels[:: max(1, len(pixels) // MAX_SAMPLE_PIXELS)]
    od = weighted_density(pixels, background, np.eye(3))
    density = od.mean(axis=1)
    stained = (density > FAINTEST_BLUE) & (pixels.min(axis=1, initial=255) >= DARKEST_PIXEL)
    (red, green, blue), density = od[stained].T, density[stained]
    brown = (blue > green) & (blue > BROWN_BLUE * red) & (density > FAINTEST_BROWN)
    pink = (green > PINK_GREEN * red) & (green > PINK_GREEN * blue)
    total = max(float(density.sum()), 1e-9)
    return StainLook(float(density[brown].sum()) / total, float(density[pink].sum()) / total)
