"""Cells as one gene shows them, or two: values, classes, colours, symbols. Knows no viewer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from napari.utils.colormaps import ensure_colormap

from napari_past.engine import CellTable
from napari_past.genes import Resolved
from napari_past.plugin.bivariate import SIDE, bivariate_table
from napari_past.stain import CLASS_COLOURS, CLASS_NAMES, classes
from napari_past.types import Cutoffs, FloatArray

COLORMAPS = ("viridis", "cividis", "magma", "inferno", "gray")
"""Perceptually even and safe for colour-blind eyes; their bright ends stand out from H&E."""
LIMIT_PERCENTILES = (1.0, 99.0)
LIMIT_SAMPLE = 20_000
"""Cells from which the limits are taken, spread evenly over all."""
CLASS_SYMBOLS = ("disc", "square", "diamond", "star")
"""The classes differ in shape too, for eyes and printers that do not tell the colours apart."""
CLASS_SIZES = (1.0, 0.95, 1.25, 1.6)
"""Of the symbols, so that all four cover about the same area: a thin star is not a weaker cell."""
NO_CLASS = "no class"
_STEPS = 256

Codes = npt.NDArray[np.intp]
"""Rows of a palette."""


@dataclass(frozen=True)
class Channel:
    """The predicted values of one gene or marker."""

    resolved: Resolved
    values: npt.NDArray[np.float32]
    """(n,), of the first cells of the table: of all but those that are still looked up."""
    limits: tuple[float, float]
    """Values that the colours' ends stand for."""

    @property
    def name(self) -> str:
        return " + ".join(self.resolved.symbols)

    def place(self, values: FloatArray, steps: int) -> npt.NDArray[np.float32]:
        """Steps 0 to `steps` − 1 of some values of this gene, as floats; NaN stays NaN."""
        low, high = self.limits
        scaled = (values - np.float32(low)) * np.float32(steps / max(high - low, 1e-9))
        return np.clip(np.floor(scaled), 0, steps - 1)


@dataclass(frozen=True)
class Look:
    """How the user wants a gene to be shown."""

    colormap: str = COLORMAPS[0]
    limits: tuple[float, float] | None = None
    """None takes the 1st and 99th percentile."""
    as_classes: bool = False


@dataclass(frozen=True)
class Staining:
    """One gene in all cells, or two of them laid over each other, and how they are shown."""

    first: Channel
    second: Channel | None
    unit: str
    cutoffs: Cutoffs | None
    """Of the first gene; None where it cannot be scored or has no cut-offs."""
    as_classes: bool
    colormap: str

    @property
    def resolved(self) -> Resolved:
        return self.first.resolved

    @property
    def values(self) -> npt.NDArray[np.float32]:
        """(n,), of the first gene, in `unit`."""
        return self.first.values

    @property
    def limits(self) -> tuple[float, float]:
        return self.first.limits

    @property
    def name(self) -> str:
        """As "ERBB2", or "ERBB2 | KRT19" for two."""
        return " | ".join(c.name for c in (self.first, self.second) if c is not None)

    def by_gene(self) -> dict[tuple[str, ...], npt.NDArray[np.float32]]:
        """Values by the symbols that they are the mean of."""
        return {c.resolved.symbols: c.values for c in (self.first, self.second) if c is not None}

    @property
    def classes(self) -> npt.NDArray[np.int8]:
        """(n,), 0 to 3; −1 where there is none."""
        return self.classes_of(self.values)

    def classes_of(self, values: FloatArray) -> npt.NDArray[np.int8]:
        """Classes of some values of the first gene."""
        if self.cutoffs is None:
            return np.full(len(values), -1, np.int8)
        return classes(values, self.cutoffs)

    # ---- colours: one way for points and for the map ------------------------------------------

    def palette(self) -> npt.NDArray[np.float32]:
        """RGBA (k, 4), 0 to 1; the last row, clear, is for what has no value."""
        if self.second is not None:
            return _with_clear(bivariate_table().reshape(-1, 4))
        return class_colours() if self.as_classes else colour_table(self.colormap)

    def codes(self, first: FloatArray, second: FloatArray | None = None) -> Codes:
        """Row of the palette for each of some values; the last one where there is none."""
        nothing = len(self.palette()) - 1
        if self.second is not None and second is not None:
            row = self.first.place(first, SIDE) * SIDE + self.second.place(second, SIDE)
        elif self.as_classes:
            found = self.classes_of(first)
            return np.where(found < 0, nothing, found).astype(np.intp)
        else:
            row = self.first.place(first, _STEPS)
        return np.where(np.isnan(row), nothing, row).astype(np.intp)

    def colours(self, index: npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
        """RGBA (len(index), 4), 0 to 1, of the chosen cells."""
        second = None if self.second is None else self.second.values[index]
        return self.palette()[self.codes(self.values[index], second)]

    def symbols(self, index: npt.NDArray[np.integer]) -> npt.NDArray[np.str_]:
        """napari's names of the symbols of the chosen cells."""
        if not self.as_classes:
            return np.full(len(index), "disc")
        return np.array([*CLASS_SYMBOLS, "disc"])[self.classes_of(self.values[index])]

    def sizes(self, index: npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
        """Sizes of the chosen cells' symbols, as multiples of a disc's."""
        if not self.as_classes:
            return np.ones(len(index), np.float32)
        return np.array([*CLASS_SIZES, 1.0], np.float32)[self.classes_of(self.values[index])]

    def class_names(self, index: npt.NDArray[np.integer]) -> npt.NDArray[np.object_]:
        """Names of the classes of the chosen cells."""
        names = np.array([*CLASS_NAMES, NO_CLASS], object)
        return names[self.classes_of(self.values[index])]


def staining(
    table: CellTable,
    resolved: Resolved,
    cutoffs: Cutoffs | None,
    look: Look,
    compared: Resolved | None = None,
    before: Staining | None = None,
) -> Staining:
    """The cells as a gene shows them; without cut-offs they are shown by expression.

    Only the first cells have a value where a gene is still being looked up in a bank.

    Parameters
    ----------
    compared
        A second gene or marker, laid over the first; classes are of the first alone, so with two
        genes expression is shown.
    before
        What was shown of the same table; values that it has are not worked out again.
    """
    as_classes = look.as_classes and cutoffs is not None and compared is None
    wanted = [m for m in (resolved, compared) if m is not None]
    n = table.ready([s for m in wanted for s in m.symbols])
    known = {} if before is None or len(before.values) != n else before.by_gene()
    missing = [m for m in wanted if m.symbols not in known]
    new = marker_values(table, missing, 0, n) if missing else []
    known |= {m.symbols: values for m, values in zip(missing, new, strict=True)}
    channels = [Channel(m, v := known[m.symbols], automatic_limits(v)) for m in wanted]
    if look.limits is not None:
        channels[0] = replace(channels[0], limits=look.limits)
    return Staining(
        first=channels[0],
        second=channels[1] if len(channels) > 1 else None,
        unit=table.model.unit_of(resolved.symbols[0]),
        cutoffs=cutoffs,
        as_classes=as_classes,
        colormap=look.colormap,
    )


def extended(shown: Staining, table: CellTable) -> Staining:
    """The same with the values that came since; limits stay, so no colour changes."""
    channels = [c for c in (shown.first, shown.second) if c is not None]
    n = table.ready([s for c in channels for s in c.resolved.symbols])
    new = marker_values(table, [c.resolved for c in channels], len(shown.values), n)
    longer = [
        replace(channel, values=np.concatenate([channel.values, values]))
        for channel, values in zip(channels, new, strict=True)
    ]
    return replace(shown, first=longer[0], second=longer[1] if len(longer) > 1 else None)


def marker_values(
    table: CellTable, markers: Sequence[Resolved], start: int, stop: int
) -> list[npt.NDArray[np.float32]]:
    """Predicted values (stop − start,) of each gene or marker, in one pass over the cells.

    Several genes of a marker are averaged.
    """
    together = table.expression([s for m in markers for s in m.symbols], start, stop)
    found, column = [], 0
    for marker in markers:
        own = together[:, column : column + len(marker.symbols)]
        column += len(marker.symbols)
        found.append(np.ascontiguousarray(own[:, 0]) if own.shape[1] == 1 else own.mean(axis=1))
    return found


def automatic_limits(values: npt.NDArray[np.float32]) -> tuple[float, float]:
    """1st and 99th percentile of a gene over the cells, (0, 1) without any."""
    sample = values[:: max(1, len(values) // LIMIT_SAMPLE)]
    sample = sample[np.isfinite(sample)]
    if not sample.size:
        return (0.0, 1.0)
    low, high = np.percentile(sample, LIMIT_PERCENTILES)
    return float(low), float(high)


@lru_cache(maxsize=len(COLORMAPS))
def colour_table(name: str = COLORMAPS[0]) -> npt.NDArray[np.float32]:
    """RGBA (257, 4), 0 to 1, from low to high expression, then clear."""
    return _with_clear(ensure_colormap(name).map(np.linspace(0, 1, _STEPS)))


@lru_cache(maxsize=1)
def class_colours() -> npt.NDArray[np.float32]:
    """RGBA (5, 4), 0 to 1: the four classes, then clear for cells without one."""
    rgb = np.array(CLASS_COLOURS, np.float32) / 255
    return _with_clear(np.concatenate([rgb, np.ones((4, 1), np.float32)], axis=1))


def _with_clear(table: npt.ArrayLike) -> npt.NDArray[np.float32]:
    return np.concatenate([np.asarray(table, np.float32), np.zeros((1, 4), np.float32)])
