"""Nuclei on real IHC slides, brown on blue: the default detector, shown another density.

Where a marker is nuclear, nuclei are blue or brown or both, so the density of all stain shows them.
Where it lies in membranes or cytoplasm, brown surrounds nuclei, so haematoxylin alone does.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Self

import numpy as np

from napari_past.cells.stain_log import StainLogDetector, _brightest
from napari_past.cells.stains import (
    MIN_TISSUE_OD,
    MIN_TISSUE_PIXELS,
    hematoxylin_od,
    optical_density,
)
from napari_past.cells.tissue_sample import tissue_sample
from napari_past.optical_density import RUIFROK_DAB, RUIFROK_HEMATOXYLIN, Vector
from napari_past.slide import Slide
from napari_past.types import FoundCells, PixelGrid, Rect, Rgb, StainProfile

NEUTRAL: Vector = (1 / 3**0.5, 1 / 3**0.5, 1 / 3**0.5)
"""Blue and brown have nearly the same part of it: 0.95 and 0.93 of their density."""
ACROSS: Vector = (0.5**0.5, -(0.5**0.5), 0.0)
"""Takes nothing from `NEUTRAL`."""
FAINTEST_RED_OD, RED_OVER_BLUE = 0.08, 1.25
"""Of blue pixels: haematoxylin takes red, DAB takes blue. Counterstains may be very pale."""
SCALE_PERCENTILE = 95.0
"""Of the density of blue pixels is the detector's scale: pale blue nuclei must weigh as much as
brown ones, however dark and many those are. (MoNuSeg tiles re-coloured as IHC, with strong to very
pale counterstain: from 80 to 95 it hardly matters.)"""
LEAST_SCALE = 0.1


@dataclass(frozen=True)
class IhcDetector(StainLogDetector):
    """Blue and brown nuclei alike, for nuclear markers as Ki67, ER and PR.

    Parameters are the default detector's; only the density that it looks at is another one.
    """

    name: str = "ihc-nuclear"

    def fitted(self, slide: Slide) -> Self:
        """With the slide's background and the scale of its densities."""
        sample = tissue_sample(slide, self.mpp, faint=True)
        return dataclasses.replace(self, stains=self.profile(sample, slide.background))

    def narrowed(self, rect: Rect) -> Self:
        return self

    def profile(self, rgb: Rgb, background: Vector) -> StainProfile:
        """The density to look at, in the form in which the default detector takes haematoxylin.

        Parameters
        ----------
        rgb
            Pixels of tissue and glass, uint8 (Y, X, 3).
        background
            Colour of clear glass, 0–255.
        """
        return _scaled(StainProfile(NEUTRAL, ACROSS, background, 1.0), rgb)

    def find(self, rgb: Rgb, grid: PixelGrid) -> FoundCells:
        if self.stains is None:
            profile = self.profile(rgb, _brightest(rgb))
            return dataclasses.replace(self, stains=profile).find(rgb, grid)
        return super().find(rgb, grid)


@dataclass(frozen=True)
class IhcCounterstainDetector(IhcDetector):
    """Nuclei by their haematoxylin alone, for membranous and cytoplasmic markers as HER2."""

    name: str = "ihc-membrane"

    def profile(self, rgb: Rgb, background: Vector) -> StainProfile:
        return _scaled(StainProfile(RUIFROK_HEMATOXYLIN, RUIFROK_DAB, background, 1.0), rgb)


def _scaled(profile: StainProfile, rgb: Rgb) -> StainProfile:
    """With the scale of its density in blue pixels, or in all of tissue where hardly any are."""
    pixels = rgb.reshape(1, -1, 3)
    od = optical_density(pixels, profile.background)[0]
    chosen = (od[:, 0] > FAINTEST_RED_OD) & (od[:, 0] > RED_OVER_BLUE * od[:, 2])
    if chosen.sum() < MIN_TISSUE_PIXELS:
        chosen = od.mean(axis=1) > MIN_TISSUE_OD
    if chosen.sum() < MIN_TISSUE_PIXELS:
        return profile
    scale = np.percentile(hematoxylin_od(pixels, profile)[0, chosen], SCALE_PERCENTILE)
    return dataclasses.replace(profile, hematoxylin_scale=max(float(scale), LEAST_SCALE))
