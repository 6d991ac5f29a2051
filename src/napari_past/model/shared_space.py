"""The space that images share with measured cells, as a model's file holds it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property

import numpy as np
import numpy.typing as npt

from napari_past.errors import PastError
from napari_past.model.projection import project
from napari_past.model.tensors import CELL, IMAGE_PROJECTION, TEMPERATURE, Tensors, part_of


class SharedSpace:
    """The projection of the image tower's output, the cell side, the temperature.

    They hold as long as the image tower stays.
    """

    def __init__(self, model: str, tensors: Tensors) -> None:
        self._model = model
        names = (IMAGE_PROJECTION, CELL, TEMPERATURE)
        self.tensors: Tensors = {k: v for k, v in tensors.items() if k.startswith(names)}

    @cached_property
    def cell_sha256(self) -> str:
        """SHA-256 over the cell side, which alone decides where measured cells lie."""
        digest = hashlib.sha256()
        for key, values in sorted(part_of(self.tensors, CELL).items()):
            digest.update(f"{key} {values.shape}".encode())
            digest.update(np.ascontiguousarray(values).data)
        return digest.hexdigest()

    @property
    def temperature(self) -> float | None:
        """By which similarities were divided in training; None without a cell side."""
        return float(self.tensors[TEMPERATURE]) if TEMPERATURE in self.tensors else None

    def project(self, vectors: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """The image tower's output (n, d) in this space, float32 (n, e), L2-normalised.

        Raises
        ------
        PastError
            The model has no projection.
        """
        if not self._head:
            raise PastError(
                f"{self._model} has no projection to a space shared with measured cells; use a "
                f"model with one, such as PAST (`napari-past models fetch past`)."
            )
        return project(vectors, self._head)

    @cached_property
    def _head(self) -> Mapping[str, npt.NDArray[np.float32]]:
        head = part_of(self.tensors, IMAGE_PROJECTION)
        return {name: np.asarray(values, np.float32) for name, values in head.items()}
