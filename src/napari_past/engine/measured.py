"""DAB of a real IHC slide, measured: what takes a model's place where nothing is predicted."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_past.cells import Detector, IhcCounterstainDetector, IhcDetector, tissue_sample
from napari_past.errors import PastError
from napari_past.genes import Resolved
from napari_past.model import DEFAULT_MODEL, Model, Reliability, load_model
from napari_past.optical_density import Vector
from napari_past.slide import Slide
from napari_past.stain.compartments import (
    MEMBRANE_UM,
    RING_UM,
    Compartment,
    cell_densities,
    cell_shapes,
    membrane_sectors,
)
from napari_past.stain.dab import (
    DabStains,
    estimate_dab_stains,
    given_dab_stains,
    stain_densities,
)
from napari_past.stain.measured import (
    COLUMNS,
    DAB_UNIT,
    READINGS,
    Readings,
    cutoffs_of,
    measured_values,
    readings,
    resolve_measured,
    unit_of,
    with_kind,
)
from napari_past.types import (
    MEASURED_RESEARCH_USE,
    Cutoffs,
    FloatArray,
    FoundCells,
    PixelGrid,
    Rgb,
)

METHOD = "DAB measured v1"
MPP = 0.25
TILE_PX = 1024
"""µm/px at which densities are measured: a membrane of 1 µm is four pixels wide."""
LARGEST_NUCLEUS_UM = 12.0
"""Farthest that a nucleus reaches from its centre; the default detector's reach 10.1 µm."""
SAMPLE_MPP = 0.5


@dataclass(frozen=True)
class MeasuredStain:
    """Measures the DAB of cells, and has what the engine and the viewer ask of a `Model`.

    Small, frozen and picklable: it travels to the workers as it is. Values are float32 and never
    rounded, so that no cell changes its class on its way through the store.
    """

    stains: DabStains | None = None
    """Stain vectors and background of the slide; `fitted` estimates them where none are given."""
    compartment: Compartment = "nucleus"
    """That the detector's cells are meant for: where tables look first."""
    ring_um: float = RING_UM
    membrane_um: float = MEMBRANE_UM
    vectors: tuple[Vector, Vector] | None = None
    """Of haematoxylin and DAB, of any length, where they are given and not estimated."""

    name = "DAB measured"
    device = "cpu"
    crops = False
    path = ""
    genes = COLUMNS
    expression_unit = DAB_UNIT
    embed_dim = READINGS
    research_use = MEASURED_RESEARCH_USE
    vector_dtype = np.float32
    bank = None

    @cached_property
    def sha256(self) -> str:
        """64 hex digits of the method and all its parameters."""
        text = f"{METHOD} {MPP} {sorted(dataclasses.asdict(self).items())}"
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def reach_um(self) -> float:
        """How far from a cell others may lie that share its surroundings with it, µm."""
        return 2 * (LARGEST_NUCLEUS_UM + self.ring_um)

    @property
    def halo_px(self) -> int:
        """Pixels around a tile that its cells may cover."""
        return int(np.ceil((LARGEST_NUCLEUS_UM + self.ring_um) / MPP)) + 1

    def fitted(self, slide: Slide) -> MeasuredStain:
        """With the stain vectors of the slide, given or from blocks spread over its tissue."""
        if self.stains is not None:
            return self
        if self.vectors is not None:
            stains = given_dab_stains(*self.vectors, slide.background)
        else:
            sample = tissue_sample(slide, SAMPLE_MPP, faint=True)
            stains = estimate_dab_stains(sample, slide.background)
        return dataclasses.replace(self, stains=stains)

    def of_cells(
        self, rgb: Rgb, grid: PixelGrid, cells: FoundCells, wanted: npt.NDArray[np.intp]
    ) -> tuple[Readings, npt.NDArray[np.float32]]:
        """Readings (m, 27) of the wanted cells, and the haematoxylin at their centres (m,).

        Parameters
        ----------
        rgb, grid
            A block at `MPP` with `halo_px` around the wanted cells.
        cells
            These, and all others within `reach_um` of them.
        """
        assert self.stains is not None, "not fitted"
        hematoxylin, dab = stain_densities(rgb, self.stains)
        shapes = cell_shapes(cells, self.ring_um, self.membrane_um)
        found = readings(cell_densities(dab, grid, shapes), membrane_sectors(dab, grid, shapes))
        near = around_centres(hematoxylin, grid, cells.centers_um[wanted])
        return found[wanted], near.mean(axis=0, dtype=np.float32)

    @property
    def told(self) -> dict[str, object]:
        """What a table says of how its values came about."""
        stains = self.stains
        assert stains is not None, "not fitted"
        return {
            "name": self.name,
            "method": METHOD,
            "expression_unit": self.expression_unit,
            "compartment": self.compartment,
            "sha256": self.sha256,
            "mpp": MPP,
            "ring_um": self.ring_um,
            "membrane_um": self.membrane_um,
            "stain_vectors": stains.source,
            "hematoxylin": list(stains.hematoxylin),
            "dab": list(stains.dab),
            "background": list(stains.background),
        }

    # ---- as a model has it -------------------------------------------------------------------

    def resolve(self, name: str) -> Resolved:
        """What a typed marker is measured as; see `resolve_measured`."""
        return with_kind(resolve_measured(name), self.compartment)

    def require_readout(self) -> None:
        """Every marker of the panel can be read."""

    def expression(
        self, vectors: npt.NDArray[np.floating], genes: Sequence[str], neighbours: object = None
    ) -> FloatArray:
        """Values (n, len(genes)), float32, of markers or columns; see `measured_values`."""
        return measured_values(vectors, genes)

    def unit_of(self, gene: str) -> str:
        return unit_of(gene)

    def cutoffs(self, gene: str) -> Cutoffs | None:
        """QuPath's for DAB densities."""
        return cutoffs_of(gene)

    def reliability(self, gene: str) -> Reliability:
        """Nothing is predicted; the badge tells where the stain vectors come from."""
        source = "" if self.stains is None else f" · {self.stains.source}"
        return Reliability(gene, True, False, None, f"measured: {self.unit_of(gene)}{source}")

    def detected(self, gene: str) -> float:
        return float("nan")

    def needs_neighbours(self, genes: Sequence[str]) -> bool:
        return False

    def unlike_training(self, vectors: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """NaN (n,): there was no training."""
        return np.full(len(vectors), np.nan, np.float32)

    def slide_unlike_training(self, vectors: npt.NDArray[np.floating]) -> float:
        return float("nan")

    def mean_unlike_training(self, mean: npt.NDArray[np.floating], n: int) -> float:
        return float("nan")

    def slide_unlike_sentence(self, distance: float) -> str:
        return ""

    def cell_types(self, vectors: npt.NDArray[np.floating]) -> None:
        """There is no bank."""


Assay = Model | MeasuredStain
"""What gives cells their values."""


def assay_of(model: str | Assay | None, detector: Detector | None, device: str = "auto") -> Assay:
    """The model that was chosen, or the measured stain where the detector is one for real IHC.

    Parameters
    ----------
    model
        None leaves it to the detector.
    detector
        None where nobody chose one.

    Raises
    ------
    UnknownModel, BadModel
    PastError
        A model was chosen and a detector for IHC, too.
    """
    if isinstance(model, MeasuredStain):
        return model
    if not isinstance(detector, IhcDetector):
        if isinstance(model, Model):
            return model
        return load_model(DEFAULT_MODEL if model is None else model, device)
    if model is not None:
        name = model if isinstance(model, str) else model.name
        raise PastError(
            f"The detector {detector.name} is for real IHC, whose stain is measured and not "
            f"predicted, so the model {name} has no part in it; leave the model out, or use the "
            "detector stain-log on H&E."
        )
    return MeasuredStain(compartment=_compartment(detector))


def _compartment(detector: IhcDetector) -> Compartment:
    return "membrane" if isinstance(detector, IhcCounterstainDetector) else "nucleus"


def around_centres(
    image: npt.NDArray[Any], grid: PixelGrid, centers_um: FloatArray
) -> npt.NDArray[Any]:
    """The 3 x 3 pixels at each centre, (9, n, …), of an image (Y, X, …)."""
    y, x = np.round(grid.to_px(centers_um)).astype(int).T
    height_px, width_px = image.shape[:2]
    near = [
        image[np.clip(y + dy, 0, height_px - 1), np.clip(x + dx, 0, width_px - 1)]
        for dy in (-1, 0, 1)
        for dx in (-1, 0, 1)
    ]
    return np.stack(near)
