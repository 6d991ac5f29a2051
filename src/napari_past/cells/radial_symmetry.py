"""Where edges agree on a centre: voting along the gradient, for solid and for pale nuclei alike.

The fast radial symmetry transform of Loy & Zelinsky 2003 (IEEE TPAMI 25:959) towards the dark side
alone, as Parvin et al. 2007 (IEEE TIP 16:615) vote for nuclei, with a difference of Gaussians for
what is solid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Field = npt.NDArray[np.float32]

TRUNCATE = 3.0
"""Gaussians end after as many standard deviations."""
_STEP_UM = 1.0
_SHARED_BLUR = 2
"""As many neighbouring radii are blurred together."""
_BLOB_SCALES = (0.77, 1.6)


@dataclass(frozen=True)
class Voting:
    """How edges vote for centres. Lengths are in µm."""

    edge_um: float = 0.5
    """Scale at which the gradient is taken."""
    faintest: float = 0.02
    """Least gradient that votes, in levels per µm."""
    exponent: float = 0.75
    """A vote weighs as the gradient to this power: below 1 many faint edges beat a sharp one."""
    radius_um: float = 3.5
    """The radius whose votes weigh most, …"""
    spread: float = 0.4
    """… and the standard deviation of the weights over the logarithm of the radius."""
    largest_um: float = 8.0
    blur: tuple[float, float] = (0.6, 0.2)
    """Votes of radius r are blurred by ``blur[0] + blur[1] * r``."""
    blob_um: float = 1.5
    """Scale of the difference of Gaussians …"""
    blob_weight: float = 0.6
    """… and its weight beside the votes."""
    grid_um: float = 1.0
    """Votes are counted on about this µm/px: they are blurred beyond it anyway."""

    @property
    def reach_um(self) -> float:
        """The answer at a place depends only on pixels within this distance."""
        blur_um = self.blur[0] + self.blur[1] * self.largest_um
        voting_um = self.largest_um + TRUNCATE * (blur_um + self.edge_um)
        return max(voting_um, TRUNCATE * _BLOB_SCALES[1] * self.blob_um) + 3 * self.grid_um

    def bin_px(self, mpp: float) -> int:
        """Side of a voting-grid pixel in pixels of `mpp`."""
        return max(1, round(self.grid_um / mpp))


def gradient(level: Field, mpp: float, scale_um: float) -> tuple[Field, Field]:
    """(d/dy, d/dx) of `level` (Y, X) smoothed by `scale_um`, per µm, by central differences."""
    smooth = ndimage.gaussian_filter(level, scale_um / mpp, truncate=TRUNCATE)
    dy, dx = np.zeros_like(smooth), np.zeros_like(smooth)
    np.subtract(smooth[2:], smooth[:-2], out=dy[1:-1])
    np.subtract(smooth[:, 2:], smooth[:, :-2], out=dx[:, 1:-1])
    per_um = np.float32(0.5 / mpp)
    dy *= per_um
    dx *= per_um
    return dy, dx


def binned(values: Field, side: int, phase: tuple[int, int]) -> Field:
    """Means of blocks of side x side pixels; `phase` rows and columns of the first lie outside."""
    shape = [-(-(n + p) // side) for n, p in zip(values.shape, phase, strict=True)]
    widths = [(p, m * side - n - p) for n, m, p in zip(values.shape, shape, phase, strict=True)]
    padded = np.pad(values, widths, mode="edge")
    total = np.zeros(shape, np.float32)
    for row in range(side):
        for column in range(side):
            total += padded[row::side, column::side]
    return total / np.float32(side**2)


def centredness(
    level: Field,
    slopes: tuple[Field, Field],
    mpp: float,
    phase: tuple[int, int],
    voting: Voting,
) -> Field:
    """How much each place of the voting grid looks like the centre of something dark.

    Parameters
    ----------
    level
        (Y, X) amount of stain.
    slopes
        `gradient` of it.
    mpp
        µm/px of both.
    phase
        (rows, columns) of the first voting-grid pixel that lie before the picture, so that the
        grid is the same whatever block is read.
    voting
        Radii and weights.

    Returns
    -------
    float32
        On blocks of ``voting.bin_px(mpp)`` pixels, `phase` before the picture's corner.
    """
    side = voting.bin_px(mpp)
    coarse = binned(level, side, phase)
    narrow, wide = (
        ndimage.gaussian_filter(coarse, k * voting.blob_um / (side * mpp), truncate=TRUNCATE)
        for k in _BLOB_SCALES
    )
    answer = np.float32(voting.blob_weight) * (narrow - wide)
    strength = np.hypot(*slopes)
    voters = np.flatnonzero(strength > voting.faintest)
    slope = strength.ravel()[voters]
    y, x = (part.astype(np.int32) for part in np.divmod(voters, level.shape[1]))
    toward_y, toward_x = (d.ravel()[voters] / (slope * np.float32(mpp)) for d in slopes)
    weight = (slope.astype(np.float64) / 2) ** voting.exponent / side**2
    # A margin takes the votes that fall beside the picture.
    margin = -(-round(voting.largest_um / mpp) // side) + 1
    rows, columns = (n + 2 * margin for n in coarse.shape)
    row_of, column_of = (
        ((np.arange(n * side, dtype=np.int32) + p) // side).astype(np.int32)
        for n, p in zip((rows, columns), phase, strict=True)
    )
    y += margin * side
    x += margin * side
    start_of_row = row_of * np.int32(columns)
    radii = np.arange(2.0, voting.largest_um + _STEP_UM / 2, _STEP_UM)
    for group in np.split(radii, range(_SHARED_BLUR, len(radii), _SHARED_BLUR)):
        votes = np.zeros(rows * columns)
        for radius_um in group:
            # Whole pixels from the voter, so that a vote falls alike in every block.
            away = np.float32(radius_um)
            row = y + np.rint(toward_y * away).astype(np.int32)
            column = x + np.rint(toward_x * away).astype(np.int32)
            place = start_of_row[row] + column_of[column]
            share = np.exp(-0.5 * (np.log(radius_um / voting.radius_um) / voting.spread) ** 2)
            votes += share * np.bincount(place, weight, rows * columns)
        blur_um = voting.blur[0] + voting.blur[1] * float(group.mean())
        field = votes.reshape(rows, columns)[margin:-margin, margin:-margin].astype(np.float32)
        answer += ndimage.gaussian_filter(field, blur_um / (side * mpp), truncate=TRUNCATE)
    return np.asarray(answer, np.float32)
