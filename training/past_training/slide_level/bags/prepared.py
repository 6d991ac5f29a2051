"""A cohort that is ready to learn from: checked, encoded, summarised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from past_training.slide_level.bags.bag import Bag
from past_training.slide_level.cohort.cohort import Cohort

Instances = Literal["cells", "tiles"]


@dataclass(frozen=True)
class ModelIdentity:
    """Which model gave the vectors."""

    name: str
    sha256: str
    """Of the model file; empty where a table of cells does not tell."""
    embed_dim: int


@dataclass(frozen=True)
class PreparedSlide:
    """What was found on one slide."""

    name: str
    place: str
    patient: str
    fingerprint: str
    """Of the H&E's content; empty where a table does not tell."""
    size_um: tuple[float, float]
    """(width, height) from the slide's corner; of a table that does not tell, what holds its
    cells."""
    mpp: float | None
    cells: int
    instances: int
    unreadable_tiles: int
    """Of the slide: their cells are missing."""
    left_out: Mapping[str, int]
    """Cells that do not count, by reason: outside the regions, in Ignore* ones, under pen …"""
    digest: str
    """SHA-256 of all vectors and places, in order."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """p patients with a bag each."""

    folder: Path
    cohort: Cohort
    model: ModelIdentity
    instances: Instances
    tile_um: float | None
    """Side of a square whose cells are one instance; None where each cell is one."""
    slides: tuple[PreparedSlide, ...]
    bags: tuple[Bag, ...]
    """(p,), in the order of the cohort's patients."""
    summaries: pd.DataFrame
    """(p, s), index patients, float64: ``cells``, ``share:CLASS``, ``mean:GENE``,
    ``positive:GENE``, ``pathway:NAME``; of several slides the mean over all their cells."""
    mean_vectors: npt.NDArray[np.float32]
    """(p, d), mean of all cells' vectors."""
    notes: tuple[str, ...] = ()
