"""Drawn tissue with known values, and predictors that say what they are told to say."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy.sparse import csr_array

from napari_past.model.traces import NO_TRACES, TrainingTraces
from napari_past.slide import Slide, slide_of_array
from napari_past.spatial.section import MeasuredSection
from napari_past.validation.predictor import TissueFold, Watch
from napari_past.validation.tissue import MEASURED_UNIT, Tissue, tissue_of

MPP = 4.0
Values = npt.NDArray[np.float32]


@dataclass(eq=False)
class Told:
    """A predictor of given values, by the name of the section; it keeps what it was asked."""

    values: Mapping[str, Values]
    """(k, G) of each section's rows, for `of_genes`."""
    of_genes: tuple[str, ...]
    name: str = "told"
    unit: str | None = MEASURED_UNIT
    field_um: float = 0.0
    sha256: str = "0" * 64
    fitted_here: bool = False
    traces: TrainingTraces = NO_TRACES
    calls: list[int] = field(default_factory=list)

    def genes(self, measured: Sequence[str]) -> tuple[str, ...]:
        return tuple(gene for gene in measured if gene in self.of_genes)

    def predict(
        self,
        tissues: Sequence[Tissue],
        folds: Sequence[TissueFold],
        genes: Sequence[str],
        watch: Watch,
    ) -> list[Values]:
        self.calls.append(len(genes))
        columns = [self.of_genes.index(gene) for gene in genes]
        return [self.values[tissue.section.name][:, columns] for tissue in tissues]


def slide_of_noise(width_um: float, height_um: float, seed: int = 0) -> Slide:
    """A coarse picture, darker towards the right, of blots by which each seed is known again."""
    rng = np.random.default_rng(seed)
    shape = (int(height_um / MPP), int(width_um / MPP), 3)
    blots = rng.uniform(-25, 25, (8, 8))
    y, x = (np.arange(n) * 8 // n for n in shape[:2])
    shade = np.linspace(220, 120, shape[1])[None, :, None] + blots[y][:, x, None]
    return slide_of_array(np.clip(rng.normal(shade, 8, shape), 0, 255).astype(np.uint8), MPP)


def tissue_at(
    centers_um: npt.NDArray[np.float64],
    counts: npt.NDArray[np.floating],
    genes: Sequence[str],
    name: str = "A",
    patient: str = "P",
    fingerprint: str | None = None,
    spot_um: float | None = None,
    types: tuple[str, ...] | None = None,
    regions: Sequence = (),
    looks_like: str | None = None,
) -> Tissue:
    """Rows at these places on a slide of its own that reaches 200 µm beyond them; on one that
    looks like that of another name, where it is given."""
    width_um, height_um = centers_um.max(axis=0) + 200
    n = len(centers_um)
    section = MeasuredSection(
        name=name,
        patient=patient,
        species="human",
        tissue="breast",
        technology="Xenium" if spot_um is None else "ST",
        image=Path(f"{name}.tif"),
        mpp=MPP,
        ids=tuple(f"{name}{i}" for i in range(n)),
        centers_um=centers_um,
        counts=csr_array(counts.astype(np.float32)),
        genes=tuple(genes),
        spot_diameter_um=spot_um,
        types=types,
    )
    slide = slide_of_noise(width_um, height_um, zlib.crc32((looks_like or name).encode()))
    return tissue_of(section, slide, fingerprint or f"{name:0>64}", regions)


@pytest.fixture(scope="session")
def at() -> Callable[..., Tissue]:
    """``at(centers_um, counts, genes, name="A", patient="P", …)``."""
    return tissue_at


@pytest.fixture(scope="session")
def told() -> type[Told]:
    """``told({"A": values}, genes, name="told", …)``."""
    return Told
