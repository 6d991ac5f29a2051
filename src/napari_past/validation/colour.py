"""Statistics of colour: what a glance from afar tells, and the baseline to beat."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_past.cells import estimate_stains, hematoxylin_od
from napari_past.cells.stains import optical_density
from napari_past.optical_density import RUIFROK_EOSIN, RUIFROK_HEMATOXYLIN
from napari_past.types import Rgb, StainProfile

STATISTICS = 40
WINDOW_UM = 224 * 0.69
"""Side of the square around each row: 224 px at 0.69 µm/px, as published figures were measured."""
STRIDE = 2
_LEVELS = (1, 5, 10, 25, 50, 75, 90, 99)


def colour_statistics(
    crops: Rgb,
    side_px: int,
    background: tuple[float, float, float],
    profile: StainProfile | None = None,
) -> npt.NDArray[np.float32]:
    """40 statistics of colour and haematoxylin of each crop, float32 (s, 40).

    Mean, deviation and percentiles 1, 5, 10, 25, 50, 75, 90, 99 of the optical density in red,
    green and blue and of the haematoxylin amount, in every second pixel of the centre `side_px`.

    Parameters
    ----------
    crops
        uint8 (s, S, S, 3).
    background
        Colour of clear glass, 0–255.
    profile
        Stain vectors of the section; None estimates them from these crops.
    """
    margin = (crops.shape[1] - side_px) // 2
    crops = crops[:, margin : margin + side_px : STRIDE, margin : margin + side_px : STRIDE]
    profile = profile or estimate_stains(crops, background)
    rows = []
    for crop in crops:
        od = optical_density(crop, background).reshape(-1, 3)
        channels = np.column_stack([od, hematoxylin_od(crop, profile).reshape(-1)])
        levels = np.percentile(channels, _LEVELS, axis=0)
        rows.append(np.concatenate([channels.mean(0), channels.std(0), levels.ravel()]))
    return np.asarray(rows, np.float32).reshape(-1, STATISTICS)


def fixed_stains(background: tuple[float, float, float]) -> StainProfile:
    """Ruifrok's stain vectors on a slide's background."""
    hematoxylin, eosin = (
        np.array(v) / np.linalg.norm(v) for v in (RUIFROK_HEMATOXYLIN, RUIFROK_EOSIN)
    )
    return StainProfile(tuple(hematoxylin.tolist()), tuple(eosin.tolist()), background, 1.0)
