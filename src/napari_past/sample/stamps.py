"""Nuclei and red cells as small patches of stain, set into the optical density of the slide."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.ndimage as ndi

from napari_past.sample.nuclei import EPITHELIAL, FIBROBLAST, LYMPHOCYTE, Nuclei
from napari_past.sample.texture import Field

CHROMATIN_STEP_UM = 0.25
CHROMATIN_SIZE = 512
BATCH = 256


@dataclass(frozen=True)
class Look:
    """How the nuclei of one kind take the stain; amounts are optical densities of haematoxylin."""

    base: float
    chromatin: float
    """Standard deviation of the clumps."""
    membrane: float
    nucleolus: float
    nucleolus_share: float
    wobble: float
    bend: float
    """1/µm, curvature of the long axis."""


LOOKS = {
    EPITHELIAL: Look(0.49, 0.17, 0.30, 0.50, 0.55, 0.045, 0.0),
    FIBROBLAST: Look(0.86, 0.12, 0.06, 0.0, 0.0, 0.06, 0.022),
    LYMPHOCYTE: Look(1.05, 0.22, 0.10, 0.0, 0.0, 0.03, 0.0),
}
NUCLEAR_EOSIN = 0.13


@dataclass(frozen=True)
class Patch:
    """One thing to be set: where, how opaque, and which stain."""

    rows: slice
    columns: slice
    alpha: Field
    """(h, w), 0–1."""
    density: Field
    """(h, w, 3), optical density inside."""


def nucleus_patches(
    rng: np.random.Generator,
    nuclei: Nuclei,
    shape: tuple[int, int],
    mpp: float,
    hematoxylin: Field,
    eosin: Field,
) -> Iterator[Patch]:
    """A patch per nucleus, clipped to an image of `shape` (Y, X); kind after kind."""
    chromatin = ndi.gaussian_filter(
        rng.standard_normal((CHROMATIN_SIZE, CHROMATIN_SIZE), dtype=np.float32),
        0.42 / CHROMATIN_STEP_UM,
        mode="wrap",
    )
    chromatin /= chromatin.std()
    for kind, look in LOOKS.items():
        of_kind = np.flatnonzero(nuclei.kinds == kind)
        for start in range(0, len(of_kind), BATCH):
            batch = nuclei.take(of_kind[start : start + BATCH])
            yield from _batch_patches(rng, batch, look, chromatin, shape, mpp, hematoxylin, eosin)


def _batch_patches(
    rng: np.random.Generator,
    nuclei: Nuclei,
    look: Look,
    chromatin: Field,
    shape: tuple[int, int],
    mpp: float,
    hematoxylin: Field,
    eosin: Field,
) -> Iterator[Patch]:
    n = len(nuclei)
    reach_px = int(np.ceil((1.2 * nuclei.long_um.max() + 1.0) / mpp))
    corner, x, y = _local_um(nuclei.centers_um, reach_px, mpp)

    def each(values: npt.NDArray[np.float64]) -> Field:
        return values.astype(np.float32)[:, None, None]

    cosine, sine = each(np.cos(nuclei.angle)), each(np.sin(nuclei.angle))
    long, short = each(nuclei.long_um), each(nuclei.short_um)
    u = x * cosine + y * sine
    v = y * cosine - x * sine
    v = v - each(rng.normal(0, 1, n) * look.bend) * (u**2 - long**2 / 3)
    around = np.arctan2(v / short, u / long)
    wobble = 1 + sum(
        each(rng.normal(0, look.wobble, n))
        * np.cos(k * around + each(rng.uniform(0, 2 * np.pi, n)))
        for k in (2, 3, 4)
    )
    depth_um = (1 - np.hypot(u / long, v / short) / wobble) * np.sqrt(long * short)
    alpha = np.clip(0.5 + depth_um / 0.6, 0, 1)

    shift = rng.integers(0, CHROMATIN_SIZE, (2, n, 1, 1), dtype=np.int32)
    rows = (np.floor(v / CHROMATIN_STEP_UM).astype(np.int32) + shift[0]) % CHROMATIN_SIZE
    columns = (np.floor(u / CHROMATIN_STEP_UM).astype(np.int32) + shift[1]) % CHROMATIN_SIZE
    amount = look.base + look.chromatin * chromatin[rows, columns]
    amount += look.membrane * np.exp(-(((depth_um - 0.35) / 0.45) ** 2))
    if look.nucleolus > 0:
        has = (rng.random(n) < look.nucleolus_share).astype(np.float64)
        at_u, at_v = (each(rng.normal(0, 0.22, n)) * axis for axis in (long, short))
        amount += look.nucleolus * each(has) * np.exp(-((u - at_u) ** 2 + (v - at_v) ** 2) / 0.62)
    tone = each(np.exp(rng.normal(0, 0.14, n)))
    stain = np.maximum(amount, 0.15) * tone
    density = stain[..., None] * hematoxylin + np.float32(NUCLEAR_EOSIN) * eosin
    yield from _clipped(corner, alpha, density, shape)


def red_cell_patches(
    rng: np.random.Generator,
    centers_um: npt.NDArray[np.float64],
    shape: tuple[int, int],
    mpp: float,
    red: Field,
) -> Iterator[Patch]:
    """Biconcave discs of about 6.5 µm, paler in their middle; they have no nucleus."""
    if len(centers_um) == 0:
        return
    corner, x, y = _local_um(centers_um, int(np.ceil(4.5 / mpp)), mpp)
    n = len(centers_um)
    radius = rng.normal(3.0, 0.25, (n, 1, 1))
    squeeze, angle = rng.uniform(1.0, 1.25, (n, 1, 1)), rng.uniform(0, np.pi, (n, 1, 1))
    u = (x * np.cos(angle) + y * np.sin(angle)) * squeeze
    v = (y * np.cos(angle) - x * np.sin(angle)) / squeeze
    r = np.hypot(u, v)
    alpha = 0.92 * np.clip(0.5 + (radius - r) / 0.7, 0, 1)
    amount = rng.normal(0.62, 0.06, (n, 1, 1)) * (1 - 0.38 * np.exp(-((r / 1.5) ** 2)))
    density = amount[..., None].astype(np.float32) * red
    yield from _clipped(corner, alpha.astype(np.float32), density, shape)


def _local_um(
    centers_um: npt.NDArray[np.float64], reach_px: int, mpp: float
) -> tuple[npt.NDArray[np.int64], Field, Field]:
    """First (row, column) of each patch (n, 2); x and y of its pixels from its own centre, µm."""
    middle_px = np.floor(centers_um[:, ::-1] / mpp).astype(np.int64)
    corner = middle_px - reach_px
    offsets = np.arange(2 * reach_px + 1) + 0.5
    y = ((corner[:, :1] + offsets) * mpp - centers_um[:, 1:]).astype(np.float32)
    x = ((corner[:, 1:] + offsets) * mpp - centers_um[:, :1]).astype(np.float32)
    size = (len(centers_um), len(offsets), len(offsets))
    return corner, np.broadcast_to(x[:, None, :], size), np.broadcast_to(y[:, :, None], size)


def _clipped(
    corner: npt.NDArray[np.int64], alpha: Field, density: Field, shape: tuple[int, int]
) -> Iterator[Patch]:
    """What of each patch lies within an image of `shape`; none where nothing does."""
    size = alpha.shape[1]
    for (row, column), a, d in zip(corner.tolist(), alpha, density, strict=True):
        r0, c0 = max(row, 0), max(column, 0)
        r1, c1 = min(row + size, shape[0]), min(column + size, shape[1])
        if r1 <= r0 or c1 <= c0:  # red cells leak beyond the frame, too
            continue
        inner = (slice(r0 - row, r1 - row), slice(c0 - column, c1 - column))
        yield Patch(slice(r0, r1), slice(c0, c1), a[inner], d[inner])
