"""Pictures of the slide: its regions, its cells by class, and one field of view."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import shapely
from PIL import Image
from scipy.spatial import cKDTree

from napari_past.report.drawing import (
    CLASS_SIZES,
    INK,
    NOT_COUNTED,
    PAPER,
    Colour,
    Drawing,
    Label,
    Path,
    Raster,
    Shape,
    box,
    class_symbol,
    jpeg,
)
from napari_past.report.findings import SlideFindings
from napari_past.stain import CLASS_COLOURS
from napari_past.types import INCLUDE, TUMOUR, Rect, Region, Rgb

PX_PER_MM = 12.0
"""About 300 dpi in print."""
ROLE_INKS: dict[str, Colour] = {TUMOUR: (200, 0, 0), INCLUDE: (47, 111, 208)}
IGNORED_INK: Colour = (110, 110, 110)
"""As in the viewer; what is neither Tumour nor Include is ignored."""
PALE = 0.4
"""Part of the tissue's contrast that is left under coloured cells."""
CELL_RADIUS_UM = 4.0
FIELD_UM = 200.0
"""Side of the field: about a third of a field of view at 400x."""
STEPS = 5
LEAST_SHAPED_PX = 2.5
"""Radius of a dot from which on its class shows in its shape."""
DISC_ROOM, TIP_ROOM = 0.36, 0.5
"""Of the median distance to the nearest nucleus: largest radius of a disc, and how far the tips of
other marks reach at most, so that all cover about the same area and few touch."""
SYMBOL_MM = 0.5
BOLD, THIN = 0.3, 0.12
"""mm of the borders of regions; thin ones hide no cells."""
MARGIN = 0.02
"""Of white around cells without a slide, in their extent."""
AT_ONCE = 1 << 16
"""Pixels of marks that are painted in one step: a few large marks take no more steps than many
small ones."""

Classes = npt.NDArray[np.int8]


def slide_extent(findings: SlideFindings) -> Rect | None:
    """What the pictures show: the slide, else the box around the cells; None without either."""
    if findings.slide is not None:
        return findings.slide.bounds
    if not len(findings.centers_um):
        return None
    (x0, y0), (x1, y1) = findings.centers_um.min(axis=0), findings.centers_um.max(axis=0)
    border = max(MARGIN * max(x1 - x0, y1 - y0), 2 * CELL_RADIUS_UM)
    return Rect(x0 - border, y0 - border, x1 - x0 + 2 * border, y1 - y0 + 2 * border)


def regions_picture(
    findings: SlideFindings,
    extent: Rect,
    side: float,
    numbers: dict[int, int],
    field: Rect | None,
) -> Drawing:
    """The slide with its regions, or the cells as grey points where there is no slide.

    Parameters
    ----------
    side
        Of the square in mm that the picture fills in one direction.
    numbers
        Position of a region in `findings.regions` → its number in the table.
    field
        Marked with a thin frame.
    """
    frame = _Frame(extent, side)
    rgb = frame.tissue(findings)
    if findings.slide is None:
        everywhere = np.full(len(findings.centers_um), -1, np.int8)
        rgb = _with_cells(rgb, findings.centers_um, everywhere, frame)
    shapes: list[Shape] = [frame.raster(rgb)]
    shapes += _outlines(findings.regions, frame, BOLD, numbers)
    if field is not None:
        corners = frame.mm(shapely.box(field.x_um, field.y_um, field.x1_um, field.y1_um).exterior)
        shapes += [Path(corners, PAPER, 0.5), Path(corners, INK, 0.25)]
    shapes += frame.scale_bar()
    what = "The slide" if findings.slide is not None else "The cells"
    return frame.drawing(shapes, f"{what} with {len(findings.regions)} regions.")


def class_picture(findings: SlideFindings, found: Classes, extent: Rect, side: float) -> Drawing:
    """Every cell as a dot in the colour of its class, over pale tissue.

    Dots are laid in an order drawn by lot, so that where they cover each other no class gains.

    Parameters
    ----------
    found
        (n,), class of each cell that counts, 0 to 3; −1 for the others, which are grey.
    """
    frame = _Frame(extent, side)
    grey = np.asarray(Image.fromarray(frame.tissue(findings)).convert("L"), np.float32)
    pale = (255 - PALE * (255 - grey)).astype(np.uint8)
    rgb = np.repeat(pale[..., None], 3, axis=2)
    rgb = _with_cells(rgb, findings.centers_um, found, frame)
    shapes = [frame.raster(rgb), *_outlines(findings.regions, frame, THIN), *frame.scale_bar()]
    return frame.drawing(shapes, f"{int((found >= 0).sum())} cells in the colours of their class.")


def field_picture(findings: SlideFindings, found: Classes, field: Rect, side: float) -> Drawing:
    """A field of view with a mark on each nucleus that counts."""
    frame = _Frame(field, side)
    if findings.slide is None:
        rgb = frame.tissue(findings)
    else:
        rgb = findings.slide.read_region(
            field.x_um, field.y_um, field.width_um, field.height_um, frame.mpp
        )
    shapes: list[Shape] = [frame.raster(rgb)]
    shapes += _outlines(findings.regions, frame, BOLD)
    inside = np.flatnonzero(field.contains(findings.centers_um) & (found >= 0))
    for i in inside.tolist():
        x, y = frame.mm_of(findings.centers_um[i])
        if _within(x, y, frame):
            shapes.append(class_symbol(int(found[i]), x, y, SYMBOL_MM))
    shapes += frame.scale_bar()
    return frame.drawing(shapes, f"A field of view with {len(inside)} marked cells.")


def busiest_field(findings: SlideFindings, found: Classes, extent: Rect) -> tuple[Rect, str] | None:
    """The square with the most positive cells, else with the most cells, and what it was chosen by.

    Of equally many positive cells the square with more cells is taken. None where no cell counts.
    Squares lie on a grid of a fifth of their side.
    """
    counts = found >= 0
    if not counts.any():
        return None
    step = FIELD_UM / STEPS
    columns, rows = (math.ceil(side / step) for side in (extent.width_um, extent.height_um))
    at = (findings.centers_um - (extent.x_um, extent.y_um)) // step
    column, row = np.clip(at, 0, (columns - 1, rows - 1)).astype(np.intp).T
    # A positive cell outweighs all cells that a square can hold.
    weight = counts + (found > 0) * float(counts.sum())
    bins = np.bincount(row * columns + column, weight, rows * columns).reshape(rows, columns)
    window = (min(STEPS, rows), min(STEPS, columns))
    sums = np.lib.stride_tricks.sliding_window_view(bins, window).sum(axis=(2, 3))
    best_row, best_column = np.unravel_index(int(sums.argmax()), sums.shape)
    width, height = min(FIELD_UM, extent.width_um), min(FIELD_UM, extent.height_um)
    x = min(extent.x_um + float(best_column) * step, extent.x1_um - width)
    y = min(extent.y_um + float(best_row) * step, extent.y1_um - height)
    told = "most positive cells" if (found > 0).any() else "most cells; none is positive"
    return Rect(x, y, width, height), told


class _Frame:
    """A piece of slide space on paper: longer side `side` mm."""

    def __init__(self, extent: Rect, side: float) -> None:
        self.extent = extent
        self.scale = side / max(extent.width_um, extent.height_um)
        """mm of paper per µm."""
        self.width, self.height = extent.width_um * self.scale, extent.height_um * self.scale
        self.mpp = 1 / (self.scale * PX_PER_MM)
        self.shape = (max(1, round(self.height * PX_PER_MM)), max(1, round(self.width * PX_PER_MM)))

    def tissue(self, findings: SlideFindings) -> Rgb:
        """The whole slide in the pixels of the frame; white where there is no slide."""
        if findings.slide is None:
            return np.full((*self.shape, 3), 255, np.uint8)
        levels = findings.slide.display_levels
        enough = [a for a in levels if a.shape[0] >= self.shape[0] and a.shape[1] >= self.shape[1]]
        pixels = np.asarray((enough[-1] if enough else levels[0]).compute())
        picture = Image.fromarray(pixels).resize(
            (self.shape[1], self.shape[0]), Image.Resampling.BOX if enough else None
        )
        return np.asarray(picture)

    def mm_of(self, xy_um: npt.ArrayLike) -> tuple[float, float]:
        x, y = np.asarray(xy_um, np.float64)
        return (float(x - self.extent.x_um) * self.scale, float(y - self.extent.y_um) * self.scale)

    def mm(self, ring: shapely.LinearRing) -> tuple[tuple[float, float], ...]:
        return tuple(self.mm_of(point) for point in shapely.get_coordinates(ring))

    def raster(self, rgb: Rgb) -> Raster:
        return Raster(0, 0, self.width, self.height, jpeg(rgb))

    def scale_bar(self) -> list[Shape]:
        """A bar of a round length, on white to show on any tissue."""
        length_um = round_length(self.extent.width_um / 4)
        text = f"{length_um / 1000:g} mm" if length_um >= 1000 else f"{length_um:g} µm"
        long = length_um * self.scale
        wide = max(long, 1.4 * len(text)) + 2
        left, top = self.width - wide - 1, self.height - 6
        start = left + (wide - long) / 2
        return [
            Path(box(left, top, wide, 5), None, 0, PAPER),
            Path(box(start, top + 3.6, long, 0.6), None, 0, INK),
            Label(left + wide / 2, top + 2.9, text, 2.4, "middle"),
        ]

    def drawing(self, shapes: list[Shape], describes: str) -> Drawing:
        edge = Path(box(0, 0, self.width, self.height), (120, 120, 120), 0.15)
        return Drawing(self.width, self.height, (*shapes, edge), describes)


def round_length(length: float) -> float:
    """The largest of 1, 2 and 5 times a power of ten that is not longer."""
    power = 10.0 ** math.floor(math.log10(length))
    return max(step * power for step in (1, 2, 5) if step * power <= length)


def _within(x: float, y: float, frame: _Frame) -> bool:
    """Whether a mark there stays inside the picture."""
    room = 1.6 * SYMBOL_MM
    return room <= x <= frame.width - room and room <= y <= frame.height - room


def _with_cells(rgb: Rgb, centers_um: npt.NDArray, found: Classes, frame: _Frame) -> Rgb:
    """The pixels with the mark of its class for each cell; a disc where marks are small, or where
    it has no class."""
    painted = rgb.copy()
    height, width = painted.shape[:2]
    marks = _marks(*_dot_px(centers_um, frame))
    reach = marks.shape[-1] // 2
    palette = np.array([*CLASS_COLOURS, NOT_COUNTED], np.uint8)
    order = np.random.default_rng(0).permutation(len(found))
    order = np.concatenate([order[found[order] < 0], order[found[order] >= 0]])
    found = found[order]
    colours = palette[found]
    xy = (centers_um[order] - (frame.extent.x_um, frame.extent.y_um)) / frame.mpp
    column, row = np.floor(xy).astype(np.intp).T - reach
    offsets = np.argwhere(marks.any(axis=0))
    together = max(1, AT_ONCE // max(1, len(order)))
    for start in range(0, len(offsets), together):
        i, j = offsets[start : start + together].T[..., None]
        rows, columns = row + i, column + j
        seen = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        seen &= marks[found, i, j]
        # a pixel has the colour that it is given last: by offsets, and of each in their order
        painted[rows[seen], columns[seen]] = colours[np.nonzero(seen)[1]]
    return painted


def _dot_px(centers_um: npt.NDArray, frame: _Frame) -> tuple[float, float]:
    """Radius of a disc, at least 1, and how far tips reach; small dots may overlap."""
    radius = max(1.0, CELL_RADIUS_UM / frame.mpp)
    if radius < LEAST_SHAPED_PX or len(centers_um) < 2:
        return radius, math.inf
    spacing_um = float(np.median(cKDTree(centers_um).query(centers_um, 2)[0][:, 1]))
    spacing = spacing_um / frame.mpp
    return min(radius, max(1.0, DISC_ROOM * spacing)), TIP_ROOM * spacing


def _marks(radius: float, room: float) -> npt.NDArray[np.bool_]:
    """(5, d, d), the pixels of each class's mark around its middle; the last is of no class."""
    shaped = radius >= LEAST_SHAPED_PX
    reach = int(min(radius * max(CLASS_SIZES), room)) if shaped else int(radius)
    dy, dx = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = dy**2 + dx**2 <= radius**2
    if not shaped:
        return np.stack([disc] * (len(CLASS_COLOURS) + 1))
    symbols = (class_symbol(k, 0, 0, min(radius, room / CLASS_SIZES[k])) for k in (1, 2, 3))
    outlines = (shapely.Polygon(symbol.points) for symbol in symbols)
    return np.stack([disc, *(shapely.intersects_xy(line, dx, dy) for line in outlines), disc])


def _outlines(
    regions: tuple[Region, ...],
    frame: _Frame,
    width: float,
    numbers: Mapping[int, int] = MappingProxyType({}),
) -> list[Shape]:
    """Borders of the regions inside the frame, and the numbers of some."""
    extent = frame.extent
    window = shapely.box(extent.x_um, extent.y_um, extent.x1_um, extent.y1_um)
    shapes: list[Shape] = []
    labels: list[Shape] = []
    for position, region in enumerate(regions):
        ink = ROLE_INKS.get(region.role, IGNORED_INK)
        smooth = shapely.make_valid(region.polygon_um.simplify(0.05 / frame.scale))
        for line in shapely.get_parts(smooth.boundary.intersection(window)):
            if line.geom_type != "LineString" or line.is_empty:
                continue
            points = frame.mm(line)
            if width == BOLD:
                shapes.append(Path(points, PAPER, 2 * BOLD))
            shapes.append(Path(points, ink, width))
        seen = smooth.intersection(window)
        if position in numbers and not seen.is_empty:
            labels += _number(numbers[position], frame.mm_of(_upper_left(seen)), frame, ink)
    return shapes + labels


def _upper_left(geometry: shapely.Geometry) -> npt.NDArray[np.float64]:
    corners = shapely.get_coordinates(geometry)
    return corners[int(corners.sum(axis=1).argmin())]


def _number(number: int, at: tuple[float, float], frame: _Frame, ink: Colour) -> list[Shape]:
    wide = 1.6 + 1.5 * len(str(number))
    x = min(max(at[0], 0.3), frame.width - wide - 0.3)
    y = min(max(at[1], 0.3), frame.height - 3.5)
    return [
        Path(box(x, y, wide, 3.2), ink, 0.2, PAPER),
        Label(x + wide / 2, y + 2.5, str(number), 2.5, "middle", ink, True),
    ]
