"""How well spots are predicted on tissue that was not trained on, beside plain baselines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_past.cells.stains import estimate_stains, hematoxylin_od, optical_density
from past_training.spatial_transcriptomics import log1p_cp10k
from past_training.spots import SpotSet

FloatArray = npt.NDArray[np.float32]


def pearson(predicted: FloatArray, measured: FloatArray) -> npt.NDArray[np.float64]:
    """Pearson r of each column, (G,); NaN where either side is constant."""
    p = predicted.astype(np.float64) - predicted.mean(0, dtype=np.float64)
    m = measured.astype(np.float64) - measured.mean(0, dtype=np.float64)
    norm = np.sqrt((p**2).sum(0) * (m**2).sum(0))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(norm > 1e-12, (p * m).sum(0) / norm, np.nan)


def best_expressed(counts: Sequence[pd.DataFrame], n: int) -> list[str]:
    """The n genes of the highest mean log1p(counts per 10k) over all spots, best first.

    Genes that one section lacks count as zero there.
    """
    genes = sorted(set().union(*(c.columns for c in counts)))
    mean = np.concatenate([log1p_cp10k(c, genes) for c in counts]).mean(0)
    return [genes[i] for i in np.argsort(-mean, kind="stable")[:n]]


def most_variable(counts: Sequence[pd.DataFrame], genes: list[str], n: int) -> list[str]:
    """The n genes among `genes` whose log1p(counts per 10k) varies most over the spots."""
    std = np.concatenate([log1p_cp10k(c, genes) for c in counts]).std(0)
    return [genes[i] for i in np.argsort(-std, kind="stable")[:n]]


def colour_statistics(
    spots: SpotSet, side_px: int, background: tuple[float, float, float]
) -> FloatArray:
    """40 statistics of colour and haematoxylin for each spot, (s, 40): the baseline to beat.

    Mean, deviation and percentiles 1, 5, 10, 25, 50, 75, 90, 99 of the optical density in red,
    green and blue and of the haematoxylin amount, in the centre `side_px` of each crop.
    """
    margin = (spots.crops.shape[1] - side_px) // 2
    crops = spots.crops[:, margin : margin + side_px : 2, margin : margin + side_px : 2]
    profile = estimate_stains(crops, background)
    rows = []
    for crop in crops:
        od = optical_density(crop, background).reshape(-1, 3)
        channels = np.column_stack([od, hematoxylin_od(crop, profile).reshape(-1)])
        levels = np.percentile(channels, [1, 5, 10, 25, 50, 75, 90, 99], axis=0)
        rows.append(np.concatenate([channels.mean(0), channels.std(0), levels.ravel()]))
    return np.asarray(rows, np.float32)
