"""Pixels and nuclei of each spot, at the model's µm/px."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from PIL import Image

from napari_past.cells.stain_log import StainLogDetector
from napari_past.cells.stains import estimate_stains
from napari_past.errors import PastError
from napari_past.types import PixelGrid, Rgb
from past_training.spatial_transcriptomics import Section


@dataclass(frozen=True)
class SpotSet:
    """Spots of one section that hold at least one nucleus."""

    section: str
    crops: Rgb
    """(s, side, side, 3) around each spot's centre."""
    spot_of_cell: npt.NDArray[np.int64]
    """(n,) ascending; which spot each nucleus lies in."""
    yx_px: npt.NDArray[np.float32]
    """(n, 2) nuclei in their spot's crop, pixel centres at integers."""
    rows: npt.NDArray[np.int64]
    """(s,) row of the section's counts for each crop."""

    def __len__(self) -> int:
        return len(self.crops)


def spot_set(section: Section, mpp: float, side_px: int, spot_diameter_um: float) -> SpotSet:
    """Cut the spots of a section and find their nuclei with the default detector."""
    scale = mpp / section.mpp
    picture = Image.fromarray(section.rgb)
    crops = np.empty((len(section.spots_um), side_px, side_px, 3), np.uint8)
    for i, centre in enumerate(section.spots_um / section.mpp):
        x0, y0 = centre - side_px * scale / 2
        crops[i] = _resized(picture, x0, y0, side_px, scale, section.background)
    stains = estimate_stains(crops[:, ::4, ::4], section.background)
    detector = replace(StainLogDetector(mpp=mpp), stains=stains)
    spot_of_cell, yx, rows, kept = [], [], [], 0
    half_um = side_px * mpp / 2
    grid = PixelGrid(-half_um, -half_um, mpp)
    for i, crop in enumerate(crops):
        centers_um = detector.find(crop, grid).centers_um
        inside = np.hypot(*centers_um.T) <= spot_diameter_um / 2
        if not inside.any():
            continue
        yx.append(grid.to_px(centers_um[inside]))
        spot_of_cell.append(np.full(int(inside.sum()), kept))
        rows.append(i)
        kept += 1
    if not kept:
        raise PastError(
            f"No spot of section {section.name} holds a nucleus; check its µm/px ({section.mpp:g}) "
            f"and the positions of its spots."
        )
    return SpotSet(
        section.name,
        crops[rows],
        np.concatenate(spot_of_cell),
        np.concatenate(yx).astype(np.float32),
        np.asarray(rows),
    )


def _resized(
    picture: Image.Image,
    x0: float,
    y0: float,
    side_px: int,
    scale: float,
    background: tuple[float, float, float],
) -> Rgb:
    """One crop at the new scale; beyond the picture lies glass."""
    left, top = int(np.floor(x0)) - 2, int(np.floor(y0)) - 2
    span = int(np.ceil(side_px * scale)) + 5
    window = Image.new("RGB", (span, span), tuple(round(v) for v in background))
    right, bottom = min(left + span, picture.width), min(top + span, picture.height)
    part = picture.crop((max(left, 0), max(top, 0), right, bottom))
    window.paste(part, (max(-left, 0), max(-top, 0)))
    box = (x0 - left, y0 - top, x0 - left + side_px * scale, y0 - top + side_px * scale)
    size = (side_px, side_px)
    return np.asarray(window.resize(size, Image.Resampling.BILINEAR, box=box))
