"""The small frozen values that rooms exchange.

Frames and units: tables, files and these types hold (x, y) in µm of slide space, whose origin is
the outer corner of level-0 pixel (0, 0); arrays of pixels are (y, x, channel). `space` converts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import shapely

from napari_past.errors import RegionError

RESEARCH_USE = (
    "For research use only. Not for use in diagnostic procedures. "
    "Predicted from H&E; no antibody was applied."
)
MEASURED_RESEARCH_USE = (
    "For research use only. Not for use in diagnostic procedures. "
    "Measured on the stained slide; not compared with a pathologist's reading."
)

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.integer]
Rgb = npt.NDArray[np.uint8]
"""Pixels, uint8, shape (Y, X, 3), channels red, green, blue."""


@dataclass(frozen=True)
class Rect:
    """An axis-parallel rectangle in slide space, half-open: x0 <= x < x0 + width."""

    x_um: float
    y_um: float
    width_um: float
    height_um: float

    def __post_init__(self) -> None:
        values = (self.x_um, self.y_um, self.width_um, self.height_um)
        if not all(math.isfinite(v) for v in values) or self.width_um <= 0 or self.height_um <= 0:
            raise RegionError(
                f"A region needs finite x and y and a positive width and height in µm, but got "
                f"{values}."
            )

    @property
    def x1_um(self) -> float:
        return self.x_um + self.width_um

    @property
    def y1_um(self) -> float:
        return self.y_um + self.height_um

    def contains(self, points_um: FloatArray) -> npt.NDArray[np.bool_]:
        """Whether each point (n, 2), (x, y) in µm, lies inside; half-open, shape (n,)."""
        x, y = points_um[:, 0], points_um[:, 1]
        return (x >= self.x_um) & (x < self.x1_um) & (y >= self.y_um) & (y < self.y1_um)

    def grown(self, by_um: float) -> Rect:
        """The rectangle with so much more on each side."""
        twice = 2 * by_um
        return Rect(
            self.x_um - by_um, self.y_um - by_um, self.width_um + twice, self.height_um + twice
        )

    def intersects(self, other: Rect) -> bool:
        """Whether the two rectangles share a positive area."""
        return (
            self.x_um < other.x1_um
            and other.x_um < self.x1_um
            and self.y_um < other.y1_um
            and other.y_um < self.y1_um
        )


@dataclass(frozen=True)
class PixelGrid:
    """Where an array of pixels lies: pixel (row r, column c) covers
    x in [x0_um + c·mpp, x0_um + (c + 1)·mpp), and y alike."""

    x0_um: float
    y0_um: float
    mpp: float

    def to_um(self, yx_px: FloatArray) -> npt.NDArray[np.float64]:
        """(x, y) in µm of positions (n, 2) given as (y, x) where *pixel centres are integers*."""
        yx = np.asarray(yx_px, dtype=np.float64)
        origin = np.array([self.x0_um, self.y0_um])
        return (yx[..., ::-1] + 0.5) * self.mpp + origin

    def to_px(self, xy_um: FloatArray) -> npt.NDArray[np.float64]:
        """Inverse of `to_um`: (y, x) where pixel centres are integers."""
        xy = np.asarray(xy_um, dtype=np.float64)
        origin = np.array([self.x0_um, self.y0_um])
        return ((xy - origin) / self.mpp - 0.5)[..., ::-1]


@dataclass(frozen=True)
class PyramidLevel:
    """One resolution of a slide."""

    height_px: int
    width_px: int
    downsample_y: float
    """Level-0 height divided by this level's height; exact, not rounded."""
    downsample_x: float


@dataclass(frozen=True)
class StainProfile:
    """The colours of one slide, estimated once and used for every tile of it.

    Optical density is −log10(pixel / background); a pixel's stain amounts are its density in the
    basis (haematoxylin, eosin)."""

    hematoxylin: tuple[float, float, float]
    """Unit vector in optical-density space (red, green, blue)."""
    eosin: tuple[float, float, float]
    background: tuple[float, float, float]
    """Red, green, blue of clear glass, 0–255."""
    hematoxylin_scale: float
    """99th percentile of the haematoxylin amount in tissue: amounts are divided by it."""


@dataclass(frozen=True)
class Outlines:
    """Closed polygons of n cells, ragged: cell i owns vertices[offsets[i]:offsets[i + 1]]."""

    vertices_um: npt.NDArray[np.float32]
    """(v, 2), (x, y) in µm; the first vertex of a polygon is not repeated at its end."""
    offsets: npt.NDArray[np.int64]
    """(n + 1,), starts with 0 and ends with v."""

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, i: int) -> npt.NDArray[np.float32]:
        return self.vertices_um[self.offsets[i] : self.offsets[i + 1]]

    def take(self, index: npt.NDArray[np.integer] | npt.NDArray[np.bool_]) -> Outlines:
        """The outlines of the chosen cells, in that order."""
        index = np.flatnonzero(index) if index.dtype == bool else np.asarray(index)
        lengths = np.diff(self.offsets)[index]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        starts = np.repeat(self.offsets[:-1][index] - offsets[:-1], lengths)
        return Outlines(self.vertices_um[starts + np.arange(offsets[-1])], offsets)

    @staticmethod
    def concatenate(parts: Sequence[Outlines]) -> Outlines:
        vertices = [np.zeros((0, 2), np.float32), *(p.vertices_um for p in parts)]
        lengths = [np.zeros(0, np.int64), *(np.diff(p.offsets) for p in parts)]
        offsets = np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64)
        return Outlines(np.concatenate(vertices).astype(np.float32), offsets)

    @staticmethod
    def empty() -> Outlines:
        return Outlines.concatenate([])


@dataclass(frozen=True)
class FoundCells:
    """Cells in slide space, as a detector finds them or a user brings them."""

    centers_um: npt.NDArray[np.float64]
    """(n, 2), (x, y) in µm."""
    outlines: Outlines
    areas_um2: npt.NDArray[np.float32]
    """(n,), area of each outline's pixels in µm²."""
    ids: tuple[str, ...] = ()
    """Names that brought cells came with, n of them; empty where they have none."""

    def __post_init__(self) -> None:
        n = len(self.centers_um)
        if (
            self.centers_um.shape != (n, 2)
            or len(self.outlines) != n
            or self.areas_um2.shape != (n,)
            or len(self.ids) not in (0, n)
        ):
            raise ValueError(
                f"centres {self.centers_um.shape}, outlines {len(self.outlines)}, areas "
                f"{self.areas_um2.shape} and ids {len(self.ids)} must describe the same cells."
            )

    def __len__(self) -> int:
        return len(self.centers_um)

    def take(self, index: npt.NDArray[np.integer] | npt.NDArray[np.bool_]) -> FoundCells:
        index = np.flatnonzero(index) if index.dtype == bool else np.asarray(index)
        ids = tuple(self.ids[i] for i in index.tolist()) if self.ids else ()
        return FoundCells(
            self.centers_um[index], self.outlines.take(index), self.areas_um2[index], ids
        )

    @staticmethod
    def concatenate(parts: Sequence[FoundCells]) -> FoundCells:
        named = all(p.ids or not len(p) for p in parts)
        return FoundCells(
            np.concatenate([np.zeros((0, 2)), *(p.centers_um for p in parts)]),
            Outlines.concatenate([p.outlines for p in parts]),
            np.concatenate([np.zeros(0, np.float32), *(p.areas_um2 for p in parts)]),
            tuple(name for p in parts for name in p.ids) if named else (),
        )

    @staticmethod
    def empty() -> FoundCells:
        return FoundCells.concatenate([])


TUMOUR, INCLUDE, IGNORE = "Tumour", "Include", "Ignore*"
"""Roles of a region. What starts with "Ignore" is ignored, whatever the reason behind it."""


@dataclass(frozen=True)
class Region:
    """A named area of the slide with a role."""

    name: str
    role: str
    polygon_um: shapely.Polygon | shapely.MultiPolygon
    """Vertices (x, y) in µm; holes count as outside."""

    def __post_init__(self) -> None:
        if self.role not in (TUMOUR, INCLUDE) and not self.ignored:
            raise RegionError(
                f"Region {self.name!r} has the role {self.role!r}; use {TUMOUR}, {INCLUDE} or "
                f"{IGNORE}."
            )
        if self.polygon_um.is_empty or not self.polygon_um.area > 0:
            raise RegionError(f"Region {self.name!r} is empty; draw it with a positive area.")

    @property
    def ignored(self) -> bool:
        return self.role.startswith("Ignore")

    def contains(self, points_um: FloatArray) -> npt.NDArray[np.bool_]:
        """Whether each point (n, 2), (x, y) in µm, lies inside; shape (n,)."""
        # Only those in the bounding box are asked of the polygon: a slide has a million cells.
        x0, y0, x1, y1 = self.polygon_um.bounds
        x, y = points_um[:, 0], points_um[:, 1]
        near = np.flatnonzero((x >= x0) & (x <= x1) & (y >= y0) & (y <= y1))
        inside = np.zeros(len(points_um), np.bool_)
        inside[near] = shapely.contains_xy(self.polygon_um, x[near], y[near])
        return inside

    @cached_property
    def bounds(self) -> Rect:
        x0, y0, x1, y1 = self.polygon_um.bounds
        return Rect(x0, y0, x1 - x0, y1 - y0)


@dataclass(frozen=True)
class SlideRef:
    """What a worker needs to open the same slide again: picklable, no handles."""

    path: str
    """A file, a folder, or an address."""
    mpp: float | None = None
    """µm/px given by the user; None takes the file's own."""
    series: int | str | None = None
    fingerprint: str = ""
    """Of the content that is meant; empty where nobody looked yet."""

    def __repr__(self) -> str:
        # What follows "?" may be a signature that opens the slide to anybody, and dask logs this.
        shown = self.path.partition("?")[0] if "://" in self.path else self.path
        return f"SlideRef({shown!r}, mpp={self.mpp}, series={self.series!r})"


@dataclass(frozen=True)
class TileSpec:
    """One tile of the global grid: x in [column·size, (column + 1)·size) µm, y alike with row."""

    column: int
    row: int
    size_um: float

    @property
    def rect(self) -> Rect:
        x_um, y_um = self.column * self.size_um, self.row * self.size_um
        # Differences of neighbouring corners are exact, so that tiles abut to the last bit.
        width_um, height_um = (
            (self.column + 1) * self.size_um - x_um,
            (self.row + 1) * self.size_um - y_um,
        )
        return Rect(x_um, y_um, width_um, height_um)


@dataclass(frozen=True)
class TileResult:
    """What one tile gives: the cells whose centre lies in it, and their embeddings."""

    tile: TileSpec
    cells: FoundCells
    embeddings: npt.NDArray[np.floating]
    """(n, d), the tower's output (float16), or what was measured of a stain (float32)."""
    hematoxylin_od: npt.NDArray[np.float32]
    """(n,), mean haematoxylin optical density of the 3 x 3 pixels at each centre; NaN for brought
    cells, whose slide has no stain vectors estimated."""
    unreadable: bool = False
    """True where the slide's data could not be decoded: no cells, and said so in every output."""

    def __post_init__(self) -> None:
        n = len(self.cells)
        shapes = self.embeddings.shape, self.hematoxylin_od.shape
        if self.embeddings.ndim != 2 or shapes != ((n, self.embeddings.shape[1]), (n,)):
            raise ValueError(f"embeddings and densities {shapes} must describe the {n} cells.")


@dataclass(frozen=True)
class Cutoffs:
    """Three ascending limits; a value >= cut-off k belongs to class k or higher."""

    weak: float
    moderate: float
    strong: float
    source: str
    """Where they come from: "given", "model card of past-mini (quantiles …)", "file"."""

    def __post_init__(self) -> None:
        values = (self.weak, self.moderate, self.strong)
        if not all(math.isfinite(v) for v in values) or not self.weak < self.moderate < self.strong:
            raise ValueError(f"Cut-offs must be three ascending numbers, but got {values}.")

    @property
    def values(self) -> tuple[float, float, float]:
        return (self.weak, self.moderate, self.strong)
