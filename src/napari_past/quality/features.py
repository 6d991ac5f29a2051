"""What a slide looks like on the grid of the mask: the numbers from which every kind is told.

A block of tissue is read once, at 2 µm/px or the slide's own, and reduced to a few numbers for each
mask pixel, so memory grows with the mask and never with the slide.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_past.errors import Cancelled, DamagedSlide
from napari_past.slide import Slide, TissueMask
from napari_past.slide.channels import extremes
from napari_past.slide.tissue import stained_density

Field = npt.NDArray[np.float32]
"""(h, w) float32 on the grid of the mask."""

FINEST_MPP = 2.0
"""µm/px at which blocks are read: finer pixels cost more and tell blur of 2 µm no better."""
BLOCK_MASK_PX = 96
FINE_UM, MIDDLE_UM = 1.5, 3.0
"""Scales (Gaussian sigma) that bound the two bands of detail from below and above."""
COARSE_UM = 4.0
"""µm/px at which colour is looked at: about half a nucleus."""


@dataclass(frozen=True)
class Features:
    """Numbers of each mask pixel; but for `density`, zero where there is no tissue near."""

    density: Field
    """Optical density over glass, mean over the channels plus half their spread, as the tissue mask
    has it."""

    od_red: Field
    """Optical density over glass, mean of the pixel."""
    od_green: Field
    od_blue: Field
    palest_od: Field
    """Least density of green among the 4 µm parts of the pixel: a fold leaves nothing pale."""
    rim_od: Field
    """Most density that all three channels share in a 4 µm part: a grey line, as of refraction."""
    fine: Field
    """Mean square of the transmitted light's detail below `FINE_UM`."""
    middle: Field
    """The same between `FINE_UM` and `MIDDLE_UM`."""
    detail_mpp: float
    """µm/px at which the blocks were read."""


def survey(
    slide: Slide,
    tissue: TissueMask,
    on_progress: Callable[[int, int], None],
    cancelled: Callable[[], bool],
) -> Features:
    """Read the slide block by block: where there is tissue finely, elsewhere at the mask's µm/px.

    A block that cannot be decoded is passed over: its cells are not there either.

    Raises
    ------
    Cancelled
    """
    per_px = max(1, math.floor(tissue.mpp / max(FINEST_MPP, slide.require_mpp()) + 1e-6))
    mpp = tissue.mpp / per_px
    shape = tissue.mask.shape
    names = [f.name for f in fields(Features) if f.name != "detail_mpp"]
    maps = {name: np.zeros(shape, np.float32) for name in names}
    near = ndimage.binary_dilation(tissue.mask, iterations=2)
    blocks = [
        (slice(r, min(r + BLOCK_MASK_PX, shape[0])), slice(c, min(c + BLOCK_MASK_PX, shape[1])))
        for r in range(0, shape[0], BLOCK_MASK_PX)
        for c in range(0, shape[1], BLOCK_MASK_PX)
    ]
    for done, block in enumerate(blocks):
        if cancelled():
            raise Cancelled("Looking for what must not be scored was cancelled.")
        on_progress(done, len(blocks))
        fine = bool(near[block].any())
        with suppress(DamagedSlide):
            found = (
                _of_tissue(slide, block, per_px, mpp) if fine else _of_glass(slide, block, tissue)
            )
            for name, values in found.items():
                maps[name][block] = values
    on_progress(len(blocks), len(blocks))
    return Features(**maps, detail_mpp=mpp)


Block = tuple[slice, slice]


def _of_glass(slide: Slide, block: Block, tissue: TissueMask) -> dict[str, Field]:
    rows, columns = block
    height, width = rows.stop - rows.start, columns.stop - columns.start
    rgb = slide.read_grid(columns.start, rows.start, width, height, tissue.mpp)
    return {"density": stained_density(_optical_density(rgb.astype(np.float32), slide.background))}


def _of_tissue(slide: Slide, block: Block, per_px: int, mpp: float) -> dict[str, Field]:
    halo_px = math.ceil(3 * MIDDLE_UM / mpp)
    (r0, r1), (c0, c1) = ((s.start * per_px, s.stop * per_px) for s in block)
    rgb = slide.read_grid(
        c0 - halo_px, r0 - halo_px, c1 - c0 + 2 * halo_px, r1 - r0 + 2 * halo_px, mpp
    )
    background = slide.background
    glass = np.maximum(np.asarray(background, np.float32), 1)
    # Light, not density, is what defocus spreads. Red and green hold haematoxylin and eosin.
    light = rgb[..., 0] / (2 * glass[0]) + rgb[..., 1] / (2 * glass[1])
    low = ndimage.gaussian_filter(light, FINE_UM / mpp, truncate=3.0)
    lower = ndimage.gaussian_filter(light, MIDDLE_UM / mpp, truncate=3.0)
    inner = (slice(halo_px, rgb.shape[0] - halo_px), slice(halo_px, rgb.shape[1] - halo_px))
    fine = (light[inner] - low[inner]) ** 2
    middle = (low[inner] - lower[inner]) ** 2

    step = max(1, min(per_px, round(COARSE_UM / mpp)))
    while per_px % step:
        step -= 1
    parts = _means(rgb[inner].astype(np.float32), step)
    od = _optical_density(parts, background)
    group = per_px // step
    mean = _means(od, group)
    least, most = extremes(od)
    grey = np.where(least >= NEUTRAL * most, least, 0)
    return {
        "density": stained_density(mean),
        "od_red": mean[..., 0],
        "od_green": mean[..., 1],
        "od_blue": mean[..., 2],
        "palest_od": _blocks(od[..., 1], group).min(axis=(1, 3)),
        "rim_od": _blocks(grey, group).max(axis=(1, 3)),
        "fine": _means(fine, per_px),
        "middle": _means(middle, per_px),
    }


def _optical_density(
    rgb: npt.NDArray[np.float32], background: tuple[int, int, int]
) -> npt.NDArray[np.float32]:
    glass = np.maximum(np.asarray(background, np.float32), 1)
    return np.asarray(np.log10(glass) - np.log10(np.maximum(rgb, 1)), np.float32)


NEUTRAL = 0.7
"""Least over greatest density of the channels, from which on a colour counts as grey."""


def _blocks(values: npt.NDArray[np.float32], side: int) -> npt.NDArray[np.float32]:
    """(h, w) as (h / side, side, w / side, side)."""
    h, w = values.shape[0] // side, values.shape[1] // side
    return values.reshape(h, side, w, side, *values.shape[2:])


def _means(values: npt.NDArray[np.float32], side: int) -> npt.NDArray[np.float32]:
    return np.asarray(_blocks(values, side).mean(axis=(1, 3)), np.float32)
