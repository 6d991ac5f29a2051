"""The tissue pool: every cell of the real slides, encoded through the public engine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

import napari_past as past
from napari_past.slide import Slide
from napari_past.validation.picture_slide import encodable_slide

MODEL = "past-mini"
HER2ST_MPP = 0.69
SECTIONS = ("C2", "C3", "C4", "C5")
SLIDES = (
    *(f"her2st/{section}.jpg" for section in SECTIONS),
    "slides/tma_core.ome.tif",
    "slides/CMU-1-Small-Region.svs",
)


@dataclass(frozen=True)
class Tissue:
    """The cells of one slide."""

    name: str
    vectors: npt.NDArray[np.float16]
    """(n, d), as the store keeps them."""
    places_um: npt.NDArray[np.float64]
    """(n, 2), (x, y) in slide space."""


def read_tissue(data: Path, slide: str) -> Tissue:
    """Cells of one slide of `SLIDES`: from the store, and what is missing there is encoded."""
    path = data / slide
    with _opened(path) as opened:
        cells = past.predict(opened, MODEL)
        return Tissue(
            name=path.name.partition(".")[0],
            vectors=np.asarray(cells.embeddings, np.float16),
            places_um=cells.centers_um,
        )


def _opened(path: Path) -> Slide:
    flat = path.suffix == ".jpg"  # the JPEGs state no physical size: their README does
    return encodable_slide(path, HER2ST_MPP) if flat else past.open_slide(path)
