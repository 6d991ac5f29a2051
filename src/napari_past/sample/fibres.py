"""Collagen: which way the fibres run, and the wavy streaks that follow them.

Streaks are a line integral convolution (Cabral and Leedom, SIGGRAPH 1993) of noise along the fibre
direction. The integral is taken by doubling: the mean over 2 L pixels is the mean of two means over
L pixels, one of them fetched where the flow has arrived, so five passes cover 32 pixels each way.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.ndimage as ndi

from napari_past.sample.texture import Field, resampled, smooth_noise

COARSE_STEP = 4
"""Pixels of the working grid per pixel of the grid on which the direction is made."""
BAND_ROWS = 256


def fibre_angles(
    rng: np.random.Generator, to_gland_um: Field, into_tissue_um: Field, step_um: float
) -> Field:
    """Direction of the fibres, radians from +x towards +y, (Y, X), any multiple of π apart.

    Parameters
    ----------
    to_gland_um, into_tissue_um
        Distance to the nearest gland and to the tissue's edge, (Y, X), µm.
    step_um
        Width of their pixels, µm.
    """
    shape = (to_gland_um.shape[0], to_gland_um.shape[1])
    free = 1.1 * smooth_noise(rng, shape, 240 / step_um) + rng.uniform(0, np.pi)
    free += 0.45 * smooth_noise(rng, shape, 14 / step_um)
    double = np.exp(2j * free)
    # Fibres wrap around glands and run along the tissue's edge.
    for distance, reach_um, weight in ((to_gland_um, 26.0, 2.2), (into_tissue_um, 22.0, 1.5)):
        smooth = ndi.gaussian_filter(distance, 8 / step_um)
        dy, dx = np.gradient(smooth)
        tangent = np.arctan2(dy, dx) + np.pi / 2
        along = np.exp(2j * (tangent + 0.35 * smooth_noise(rng, shape, 16 / step_um)))
        double += weight * np.exp(-np.maximum(distance, 0) / reach_um) * along
    return (np.angle(double) / 2).astype(np.float32)


def streaks(angle: Field, noises: list[tuple[Field, int]], shape: tuple[int, int]) -> list[Field]:
    """Each noise field smeared along the fibres, mean 0 and standard deviation 1, (Y, X).

    Parameters
    ----------
    angle
        `fibre_angles` on a grid `COARSE_STEP` times coarser.
    noises
        Fields (Y, X) of the given shape, each with the number of doublings.
    """
    # Doubled angles are interpolated, as a direction has no sign.
    cosine = resampled(np.cos(2 * angle), shape, 1 / COARSE_STEP)
    sine = resampled(np.sin(2 * angle), shape, 1 / COARSE_STEP)
    halo = 2 ** max(n for _, n in noises) + 2
    results: list[Field] = [np.empty(shape, np.float32) for _ in noises]
    # In bands of rows, which stay in the processor's cache.
    for start in range(0, shape[0], BAND_ROWS):
        first, last = max(start - halo, 0), min(start + BAND_ROWS + halo, shape[0])
        band = slice(first, last)
        along: Field = np.asarray(np.arctan2(sine[band], cosine[band]) / 2, np.float32)
        fields = _smeared(along, [(noise[band], n) for noise, n in noises])
        for result, field in zip(results, fields, strict=True):
            result[start : start + BAND_ROWS] = field[start - first :][:BAND_ROWS]
    return [(r - r.mean()) / r.std() for r in results]


def _smeared(angle: Field, noises: list[tuple[Field, int]]) -> list[Field]:
    # Axis 0: along the direction, and against it.
    flow_y = np.stack([np.sin(angle), -np.sin(angle)])
    flow_x = np.stack([np.cos(angle), -np.cos(angle)])
    fields = [np.stack([noise, noise]) for noise, _ in noises]
    for doubling in range(max(n for _, n in noises)):
        arrived = _arrival(flow_y, flow_x)
        for field, (_, wanted) in zip(fields, noises, strict=True):
            if doubling < wanted:
                field += field.ravel()[arrived]
                field *= 0.5
        flow_y += flow_y.ravel()[arrived]
        flow_x += flow_x.ravel()[arrived]
    return [field[0] + field[1] for field in fields]


def _arrival(flow_y: Field, flow_x: Field) -> npt.NDArray[np.int32]:
    """Flat index into (2, Y, X) of where each flow ends, and of the flow that goes on there."""
    _, height, width = flow_y.shape
    # Half a pixel is added, so that cutting off the fraction rounds.
    rows = flow_y + (np.arange(height, dtype=np.float32)[:, None] + np.float32(0.5))
    columns = flow_x + (np.arange(width, dtype=np.float32) + np.float32(0.5))
    np.clip(rows, 0, height - 1, out=rows)
    np.clip(columns, 0, width - 1, out=columns)
    here = rows.astype(np.int32) * np.int32(width) + columns.astype(np.int32)
    # A direction has no sign, so what is "along" here may be "against" there: go straight on.
    straight = flow_y[0].ravel()[here] * flow_y + flow_x[0].ravel()[here] * flow_x >= 0
    return here + np.where(straight, 0, height * width).astype(np.int32)
