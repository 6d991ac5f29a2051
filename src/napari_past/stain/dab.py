"""Haematoxylin and DAB in the pixels of a real IHC slide, brown on blue.

Optical density (OD) is −log10(pixel / background). Densities of stains add (Beer–Lambert), so a
pixel's amounts of both are its density in the basis of their two vectors (Ruifrok & Johnston 2001,
Anal Quant Cytol Histol 23:291). A vector has length 1: an amount of 0.2 is QuPath's DAB OD of 0.2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_past.optical_density import (
    RUIFROK_DAB,
    RUIFROK_HEMATOXYLIN,
    Vector,
    density_of_values,
)
from napari_past.types import Cutoffs, Rgb

Density = npt.NDArray[np.float32]

PUBLISHED = "published (Ruifrok & Johnston 2001)"

DAB_CUTOFFS = Cutoffs(0.2, 0.4, 0.6, "QuPath's defaults for DAB optical density")

MIN_PIXELS = 400
"""A stain with fewer pixels has no vector of its own."""
MAX_SAMPLE_PIXELS = 2_000_000
FAINTEST_BLUE, FAINTEST_BROWN = 0.1, 0.2
"""Mean over the channels: counterstains are pale; fainter brown is the section's own tint."""
DARKEST_PIXEL = 12
"""A channel below it is at the scanner's end and tells no colour."""
MOST_OFF_PLANE = 0.45
"""Share of a density across the plane of both stains; eosin has 0.63."""
BROWN_DEG = 18.4
"""Half the angle between the published vectors: beyond it a pixel is more brown than blue."""
BLUE_SPAN, BROWN_SPAN = (5.0, 35.0), (50.0, 97.0)
"""Percentiles of a side's angles that are its pure stain: brown nuclei are blue beneath."""
MOST_TURN_BLUE_DEG, MOST_TURN_BROWN_DEG = 30.0, 15.0
"""From the published vector: counterstains differ; what is less brown than that is a mixture."""
MIN_ANGLE_DEG = 15.0
"""Between both vectors; below it amounts would be noise."""
LEAST_SHARE = 0.5
"""Of stained pixels that lie near the plane of both stains, else the slide is no H–DAB."""


@dataclass(frozen=True)
class DabStains:
    """The colours of one IHC slide."""

    hematoxylin: Vector
    """Unit vector of optical density (red, green, blue)."""
    dab: Vector
    background: Vector
    """Red, green, blue of clear glass, 0–255."""
    hematoxylin_source: str = "given"
    dab_source: str = "given"

    def __post_init__(self) -> None:
        unit = [np.asarray(v, np.float64) for v in (self.hematoxylin, self.dab)]
        if any(abs(np.linalg.norm(v) - 1) > 1e-3 for v in unit):
            raise ValueError("Stain vectors must have length 1; divide them by their length.")
        if degrees_between(*unit) < 1:
            raise ValueError("Haematoxylin and DAB must have different stain vectors.")

    @property
    def source(self) -> str:
        """Where the vectors come from, one line."""
        if self.hematoxylin_source == self.dab_source:
            return f"stain vectors {self.hematoxylin_source}"
        return f"haematoxylin {self.hematoxylin_source}; DAB {self.dab_source}"


def given_dab_stains(hematoxylin: Vector, dab: Vector, background: Vector) -> DabStains:
    """Stains whose vectors a user gives, of any length."""
    return DabStains(_tuple(_unit(hematoxylin)), _tuple(_unit(dab)), background)


def published_dab_stains(background: Vector, why: str = "") -> DabStains:
    """Ruifrok & Johnston's vectors; `why` tells what spoke against the slide's own."""
    source = f"{PUBLISHED}: {why}" if why else PUBLISHED
    vectors = _tuple(_unit(RUIFROK_HEMATOXYLIN)), _tuple(_unit(RUIFROK_DAB))
    return DabStains(*vectors, background, source, source)


def stain_densities(rgb: Rgb, stains: DabStains) -> tuple[Density, Density]:
    """Optical density of haematoxylin and of DAB, float32 >= 0, each the shape of `rgb` less its
    channels.

    Parameters
    ----------
    rgb
        uint8 (…, 3).
    """
    basis = np.array([stains.hematoxylin, stains.dab], np.float64)
    both = weighted_density(rgb, stains.background, np.linalg.pinv(basis))
    np.maximum(both, 0, out=both)
    return both[..., 0], both[..., 1]


def weighted_density(
    rgb: Rgb, background: Vector, weights: npt.NDArray[np.floating]
) -> npt.NDArray[np.float32]:
    """Optical density of the channels times `weights` (3, k), float32 (…, k).

    What is brighter than the background has density 0.
    """
    total = np.zeros((*rgb.shape[:-1], weights.shape[1]), np.float32)
    for channel, glass in enumerate(background):
        table = (density_of_values(glass)[:, None] * weights[channel]).astype(np.float32)
        total += table[rgb[..., channel]]
    return total


def estimate_dab_stains(rgb: Rgb, background: Vector) -> DabStains:
    """Stain vectors of an IHC slide.

    As Macenko et al. 2009 (ISBI, p. 1107) take the ends of the angles in a plane, with three
    differences: the plane is the published vectors', so that ink and eosin stay out; each end is
    taken from its own side, so that a stain may be rare; and its vector is the direction of the
    density there, which may leave the plane.

    Parameters
    ----------
    rgb
        Pixels of tissue and glass, uint8 (…, 3).
    background
        Colour of clear glass, 0–255.

    Returns
    -------
    DabStains
        A stain that has under 400 pixels, or whose vector would be over 30° (DAB: 15°) from the
        published one, keeps the published one; `DabStains.source` says so. Both are published
        where they would be under 15° apart or most of the stain has another colour.
    """
    pixels = rgb.reshape(-1, 3)
    pixels = pixels[:: max(1, len(pixels) // MAX_SAMPLE_PIXELS)]
    od = weighted_density(pixels, background, np.eye(3))
    stained = (od.mean(axis=1) > FAINTEST_BLUE) & (pixels.min(axis=1, initial=255) >= DARKEST_PIXEL)
    od = od[stained].astype(np.float64)
    angle_deg, off_plane = _in_plane(od)
    near = off_plane <= MOST_OFF_PLANE
    if len(od) >= MIN_PIXELS and near.mean() < LEAST_SHARE:
        return published_dab_stains(
            background, f"{100 * (1 - near.mean()):.0f} % of the stain is neither blue nor brown"
        )
    blue = near & (angle_deg < BROWN_DEG)
    brown = near & ~blue & (od.mean(axis=1) > FAINTEST_BROWN)
    hematoxylin, hematoxylin_source = _vector(
        _pure(od[blue], angle_deg[blue], BLUE_SPAN),
        int(blue.sum()), RUIFROK_HEMATOXYLIN, MOST_TURN_BLUE_DEG, "blue",
    )  # fmt: skip
    dab, dab_source = _vector(
        _pure(od[brown], angle_deg[brown], BROWN_SPAN),
        int(brown.sum()), RUIFROK_DAB, MOST_TURN_BROWN_DEG, "brown",
    )  # fmt: skip
    if degrees_between(hematoxylin, dab) < MIN_ANGLE_DEG:
        return published_dab_stains(background, "blue and brown of the slide are too much alike")
    return DabStains(_tuple(hematoxylin), _tuple(dab), background, hematoxylin_source, dab_source)


def degrees_between(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    """Angle between two unit vectors, degrees."""
    return float(np.degrees(np.arccos(np.clip(a @ b, -1, 1))))


def _in_plane(
    od: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Angle of each density (n, 3) from blue towards brown in the published plane, degrees, and
    the share of it across the plane, both (n,)."""
    blue, brown = _unit(RUIFROK_HEMATOXYLIN), _unit(RUIFROK_DAB)
    side = _unit(brown - (brown @ blue) * blue)
    along, across = od @ blue, od @ side
    length = np.maximum(np.linalg.norm(od, axis=1), 1e-9)
    off = np.abs(od @ np.cross(blue, side)) / length
    return np.degrees(np.arctan2(across, along)), off


def _pure(
    od: npt.NDArray[np.float64], angle_deg: npt.NDArray[np.float64], span: tuple[float, float]
) -> npt.NDArray[np.float64]:
    """Sum (3,) of the densities whose angle lies between two percentiles of all."""
    if len(od) == 0:
        return np.zeros(3)
    low, high = np.percentile(angle_deg, span)
    return np.asarray(od[(angle_deg >= low) & (angle_deg <= high)].sum(axis=0))


def _vector(
    pure: npt.NDArray[np.float64], pixels: int, published: Vector, most_deg: float, colour: str
) -> tuple[npt.NDArray[np.float64], str]:
    """A stain's unit vector, and where it comes from."""
    if pixels < MIN_PIXELS:
        return _unit(published), f"{PUBLISHED}: only {pixels} {colour} pixels were seen"
    turn = degrees_between(_unit(pure), _unit(published))
    if turn > most_deg:
        return _unit(published), f"{PUBLISHED}: the slide's {colour} is {turn:.0f}° away from it"
    return _unit(pure), f"estimated from {pixels} {colour} pixels"


def _unit(vector: npt.ArrayLike) -> npt.NDArray[np.float64]:
    v = np.asarray(vector, np.float64)
    return v / np.linalg.norm(v)


def _tuple(vector: npt.NDArray[np.float64]) -> Vector:
    red, green, blue = (float(v) for v in vector)
    return red, green, blue
