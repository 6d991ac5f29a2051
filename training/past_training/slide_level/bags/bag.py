"""The cells or tiles of a patient as a bag: read piece by piece, never all at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

CHUNK = 65_536
"""Instances at once: 67 MB of vectors of 256 singles."""


@dataclass(frozen=True, eq=False)
class Chunk:
    """m instances of a bag."""

    vectors: npt.NDArray[np.float16]
    """(m, d), as the tower gave them."""
    places_um: npt.NDArray[np.float64]
    """(m, 2), (x, y) in µm of their own slide."""
    slide: npt.NDArray[np.int32]
    """(m,), which of the bag's `slides` each lies on; places on different slides are not near each
    other whatever their numbers say."""

    def __len__(self) -> int:
        return len(self.vectors)


class Bag(Protocol):
    """n instances with a vector of d numbers and a place each, always in the same order."""

    @property
    def name(self) -> str:
        """Of the slide, or of the patient."""

    @property
    def slides(self) -> tuple[str, ...]:
        """Names of the slides that `Chunk.slide` counts."""

    @property
    def n(self) -> int:
        """Number of instances."""

    @property
    def dim(self) -> int:
        """Numbers of a vector."""

    def chunks(self, size: int = CHUNK) -> Iterator[Chunk]:
        """All instances in order, at most `size` at once."""

    def take(self, index: npt.NDArray[np.integer]) -> Chunk:
        """Some instances, (k,) places in the bag's order, ascending."""
