"""What a network of slides looked at and what that added, summed in squares that lie on the slide.

A square holds the *sum* over its cells, so squares, and the slides of a patient, add up to the
whole: attention to 1, contributions to the network's output less that of its mean training patient
(where the pooling is additive). Attention says where a network looked; it does not say why, nor
that what lies there causes anything.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, StringConstraints

from napari_past.errors import BadTable
from napari_past.model.strict import Strict
from napari_past.types import RESEARCH_USE, PixelGrid

BIN_UM = 64.0
"""Some 20 cells lie in such a square, so that the map of a slide is no salt and pepper."""
MOST_BINS = 4_000_000
"""Of a map; squares of larger slides are larger."""

Line = Annotated[str, StringConstraints(max_length=600)]
FileName = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[^/\\]+$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Um = Annotated[float, Field(gt=0, lt=1e7)]


class HeatKind(StrEnum):
    """What a channel holds."""

    ATTENTION = "attention"
    """Not negative."""
    CONTRIBUTION = "contribution"
    """What raises the output is positive, what lowers it negative."""


class HeatAbout(Strict):
    """What a map is of and what it rests on. It holds no patient's name and no folder."""

    slide_name: FileName
    slide_fingerprint: Sha256
    slide_size_um: tuple[Um, Um]
    """(width, height)."""
    slide_mpp: Um | None
    """µm/px that places rest on; None where that was not told."""
    slides: Annotated[int, Field(ge=1)] = 1
    """Of the patient: their maps share the attention of 1."""
    tile_um: Um | None
    """Side of a tile, whose cells' mean vector is one instance; None where each cell is one."""
    instances: Annotated[int, Field(ge=0)]
    """Of the patient."""
    looked_at: Annotated[int, Field(ge=0)]
    """How many of these the network saw: some poolings draw a sample."""
    model: Line
    """That embedded the cells."""
    model_sha256: Sha256 | Literal[""]
    """Empty where a table of cells did not tell."""
    network: Line
    network_sha256: Sha256
    pooling: Line
    head: Line
    fitted_on: Line
    """A sentence."""
    evidence: Line
    """A sentence: how the network was evaluated, or that it was not."""
    in_fit: bool | None
    """Whether the network was fitted on this slide; None where that is not known."""
    research_use: Line = RESEARCH_USE


@dataclass(frozen=True)
class HeatChannel:
    """One quantity on the slide."""

    name: str
    kind: HeatKind
    unit: str
    """Of a square's value: "share of the attention", "log hazard"."""
    values: npt.NDArray[np.float32]
    """(rows, columns), sums over the cells of a square; NaN where there is none."""


@dataclass(frozen=True)
class HeatMap:
    """Channels over one slide, on one grid from its corner."""

    about: HeatAbout
    grid: PixelGrid
    """`mpp` is the side of a square."""
    channels: tuple[HeatChannel, ...]
    cells: npt.NDArray[np.float32]
    """(rows, columns), instances in a square: whole numbers."""

    def __post_init__(self) -> None:
        if (self.grid.x0_um, self.grid.y0_um) != (0.0, 0.0):
            raise ValueError("A heat map begins at its slide's corner.")
        names = [channel.name for channel in self.channels]
        if not names or len(set(names)) != len(names):
            raise ValueError(f"A heat map needs channels of different names, but has {names}.")
        if not (np.isfinite(self.cells).all() and (self.cells >= 0).all()):
            raise ValueError("A number of cells is negative or no number.")
        rows, columns = self.cells.shape
        width_um, height_um = self.about.slide_size_um
        side = self.grid.mpp
        if not (0 <= columns * side - width_um <= 2 * side) or not (
            0 <= rows * side - height_um <= 2 * side
        ):
            raise ValueError(
                f"{columns} x {rows} squares of {side:g} µm do not cover a slide of "
                f"{width_um:.0f} x {height_um:.0f} µm."
            )
        for channel in self.channels:
            if channel.values.shape != self.cells.shape:
                raise ValueError(f"The channel {channel.name} has another size than the others.")
            if (np.isnan(channel.values) != (self.cells == 0)).any():
                raise ValueError(f"The channel {channel.name} has values where no cell is.")
            if np.isinf(channel.values).any():
                raise ValueError(f"The channel {channel.name} holds what is no number.")
            if channel.kind is HeatKind.ATTENTION and (channel.values < 0).any():
                raise ValueError(f"The channel {channel.name} holds negative attention.")


class BinSums:
    """Sums of values of instances in squares: memory is that of the squares, whatever is added.

    Parameters
    ----------
    size_um
        (width, height) of the slide.
    n_values
        Values that each instance has.
    bin_um
        Side of a square; doubled until there are at most `MOST_BINS`.
    """

    def __init__(self, size_um: tuple[float, float], n_values: int, bin_um: float = BIN_UM) -> None:
        while math.prod(_squares(size_um, bin_um)) > MOST_BINS:
            bin_um *= 2
        self.bin_um = bin_um
        self._shape = _squares(size_um, bin_um)
        n = math.prod(self._shape)
        self._cells = np.zeros(n, np.int64)
        # float64: a million small shares are added up.
        self._sums = np.zeros((n_values, n), np.float64)

    @property
    def counted(self) -> int:
        """Instances that were added."""
        return int(self._cells.sum())

    def add(
        self,
        places_um: npt.NDArray[np.floating],
        values: Mapping[int, npt.NDArray[np.floating]],
        count: bool = True,
    ) -> None:
        """Add some instances.

        Parameters
        ----------
        places_um
            (m, 2), (x, y) in µm of slide space.
        values
            (m,), finite, by the number of their channel.
        count
            Whether these instances are new; else only their values are.

        Raises
        ------
        BadTable
            A place lies beyond the slide.
        """
        place = np.floor(np.asarray(places_um, np.float64)[:, ::-1] / self.bin_um)
        # Not the slide's edge: the middle of a square of tissue there may lie beyond it.
        if not ((place >= 0) & (place < self._shape)).all():
            raise BadTable(
                "Some cells of the bag lie beyond their slide, so no heat map is made; prepare the "
                "slide again."
            )
        row, column = place.astype(np.int64).T
        bins = row * self._shape[1] + column
        if count:
            np.add.at(self._cells, bins, 1)
        for channel, of_channel in values.items():
            np.add.at(self._sums[channel], bins, np.asarray(of_channel, np.float64))

    def heat_map(self, about: HeatAbout, channels: Sequence[tuple[str, HeatKind, str]]) -> HeatMap:
        """What was added up, as a map.

        Parameters
        ----------
        channels
            Name, kind and unit of each, in the order of the values.
        """
        empty = self._cells == 0
        return HeatMap(
            about,
            PixelGrid(0.0, 0.0, self.bin_um),
            tuple(
                HeatChannel(
                    name,
                    kind,
                    unit,
                    np.where(empty, np.nan, sums).astype(np.float32).reshape(self._shape),
                )
                for (name, kind, unit), sums in zip(channels, self._sums, strict=True)
            ),
            self._cells.astype(np.float32).reshape(self._shape),
        )


def _squares(size_um: tuple[float, float], bin_um: float) -> tuple[int, int]:
    """(rows, columns) that cover a slide; one more where an edge is one of squares, since a place
    may lie on it."""
    width_um, height_um = size_um
    return math.floor(height_um / bin_um) + 1, math.floor(width_um / bin_um) + 1
