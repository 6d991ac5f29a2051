"""Cells as one gene shows them: values, classes, colours, symbols. Knows no viewer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from napari.utils.colormaps import ensure_colormap

from napari_past.engine import Cells
from napari_past.genes import Resolved
from napari_past.stain import CLASS_COLOURS, CLASS_NAMES, classes
from napari_past.types import Cutoffs, FloatArray

COLORMAP = "viridis"
"""Perceptually even and safe for colour-blind eyes; its bright end stands out from H&E."""
LIMIT_PERCENTILES = (1.0, 99.0)
CLASS_SYMBOLS = ("disc", "square", "diamond", "star")
"""The classes differ in shape too, for eyes and printers that do not tell the colours apart."""
CLASS_SIZES = (1.0, 0.95, 1.25, 1.6)
"""Of the symbols, so that all four cover about the same area: a thin star is not a weaker cell."""
NO_CLASS = "no class"


@dataclass(frozen=True)
class Staining:
    """The predicted values of one gene or marker in some cells, and how they are shown."""

    resolved: Resolved
    unit: str
    values: FloatArray
    """(n,) float32, in `unit`."""
    cutoffs: Cutoffs | None
    """None where the gene cannot be scored or has no cut-offs."""
    as_classes: bool
    limits: tuple[float, float]
    """Values that the colour map's ends stand for."""

    @property
    def classes(self) -> npt.NDArray[np.int8]:
        """(n,), 0 to 3; −1 where there is none."""
        if self.cutoffs is None:
            return np.full(len(self.values), -1, np.int8)
        return classes(self.values, self.cutoffs)

    def colours(self, index: npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
        """RGBA (len(index), 4), 0 to 1, of the chosen cells."""
        if self.as_classes:
            return class_colours()[self.classes[index]]
        low, high = self.limits
        place = np.nan_to_num((self.values[index] - low) / max(high - low, 1e-9))
        table = colour_table()
        return table[np.clip(place * len(table), 0, len(table) - 1).astype(int)]

    def symbols(self, index: npt.NDArray[np.integer]) -> npt.NDArray[np.str_]:
        """napari's names of the symbols of the chosen cells."""
        if not self.as_classes:
            return np.full(len(index), "disc")
        return np.array([*CLASS_SYMBOLS, "disc"])[self.classes[index]]

    def sizes(self, index: npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
        """Sizes of the chosen cells' symbols, as multiples of a disc's."""
        if not self.as_classes:
            return np.ones(len(index), np.float32)
        return np.array([*CLASS_SIZES, 1.0], np.float32)[self.classes[index]]

    def class_names(self, index: npt.NDArray[np.integer]) -> npt.NDArray[np.str_]:
        """Names of the classes of the chosen cells."""
        return np.array([*CLASS_NAMES, NO_CLASS])[self.classes[index]]


def staining(
    cells: Cells, resolved: Resolved, cutoffs: Cutoffs | None, as_classes: bool
) -> Staining:
    """The cells as a gene shows them; without cut-offs they are shown by expression."""
    values = np.asarray(cells.expression(resolved.symbols).mean(axis=1), np.float32)
    finite = values[np.isfinite(values)]
    limits = np.percentile(finite, LIMIT_PERCENTILES) if finite.size else np.array([0.0, 1.0])
    return Staining(
        resolved=resolved,
        unit=cells.model.card.expression_unit,
        values=values,
        cutoffs=cutoffs,
        as_classes=as_classes and cutoffs is not None,
        limits=(float(limits[0]), float(limits[1])),
    )


@lru_cache(maxsize=1)
def colour_table() -> npt.NDArray[np.float32]:
    """RGBA (256, 4), 0 to 1, from low to high expression."""
    return np.asarray(ensure_colormap(COLORMAP).map(np.linspace(0, 1, 256)), np.float32)


@lru_cache(maxsize=1)
def class_colours() -> npt.NDArray[np.float32]:
    """RGBA (5, 4), 0 to 1: the four classes, then grey for cells without one."""
    rgb = np.array([*CLASS_COLOURS, (150, 150, 150)], np.float32) / 255
    return np.concatenate([rgb, np.ones((5, 1), np.float32)], axis=1)
