"""Maps of one gene: measured, predicted, and what is left over, on the same tissue."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from scipy.spatial import cKDTree

from napari_past.report.drawing import INK, Drawing, Label, Path, Raster, Shape, png
from napari_past.report.html import svg
from napari_past.report.palette import DIVERGING, VIRIDIS, Stops, colours
from napari_past.validation.result import RowMaps, standardised
from napari_past.validation.tissue import MEASURED_UNIT

PANEL_MM, GAP_MM, HEAD_MM, FOOT_MM = 60.0, 4.0, 10.0, 10.0
TALLEST_MM = 75.0
"""Of a panel; a section that is taller is drawn smaller."""
WIDTH_PX = 420
_DETAIL = 2
"""Discs are drawn so many times larger and then made smaller, so that their edges are smooth."""
_QUANTILES = (0.01, 0.99)
_RESIDUAL = 2.0
"""Deviations at which the residual's colours end."""
_LEAST_RADIUS_PX = 1.6
_LONGEST = 44
"""Letters of a name above a panel."""


@dataclass(frozen=True)
class _Limits:
    low: float
    high: float
    what: str


def gene_maps(maps: RowMaps, column: int, gene: str, about: str, same_unit: bool) -> str:
    """SVG of three maps beside each other: measured, predicted, residual.

    Measured and predicted have one palette and the same limits (the 1st to the 99th percentile of
    both). Where their units differ each is first standardised: less its mean, divided by its
    deviation. The residual is that of `RowMaps.residual`.

    Parameters
    ----------
    column
        Of ``maps.measured`` and ``maps.predicted``.
    about
        Who predicted.
    same_unit
        Whether predicted values have the measured unit.
    """
    measured, predicted = maps.measured[:, column], maps.predicted[:, column]
    if same_unit:
        unit = MEASURED_UNIT
    else:
        measured, predicted = standardised(measured), standardised(predicted)
        unit = "standard deviations"
    both = np.concatenate([measured, predicted])
    low, high = (float(v) for v in np.quantile(both, _QUANTILES))
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    values = _Limits(low, high, unit)
    left_over = _Limits(-_RESIDUAL, _RESIDUAL, "standard deviations")
    frame = _Frame.around(maps)
    shapes: list[Shape] = []
    who = about if len(about) <= _LONGEST else f"{about[: _LONGEST - 1]}…"
    panels = (
        (f"{gene} measured", maps.tissue, measured, values, VIRIDIS),
        (f"{gene} predicted", f"by {who}", predicted, values, VIRIDIS),
        ("residual", "predicted − measured", maps.residual(column), left_over, DIVERGING),
    )
    for k, (title, below, of_rows, limits, stops) in enumerate(panels):
        x = k * (PANEL_MM + GAP_MM)
        shapes.append(Label(x, 3.2, title, 3.2, bold=True))
        shapes.append(Label(x, 7.2, below, 2.6))
        rgb = colours(of_rows, limits.low, limits.high, stops)
        data = frame.drawn(rgb, np.abs(of_rows - np.median(of_rows)))
        shapes.append(Raster(x, HEAD_MM, frame.width_mm, frame.height_mm, data))
        shapes += _legend(x, HEAD_MM + frame.height_mm, limits, stops)
        if k == 0:
            shapes += _scale_bar(x, HEAD_MM + frame.height_mm, frame)
    width = 3 * PANEL_MM + 2 * GAP_MM
    height = HEAD_MM + frame.height_mm + FOOT_MM
    told = f"Maps of {gene} in {maps.tissue}: measured, predicted by {about}, and residual."
    return svg(Drawing(width, height, tuple(shapes), told), alone=True)


@dataclass(frozen=True, eq=False)
class _Frame:
    """From µm of slide space to the pixels of a panel."""

    row_um: npt.NDArray[np.float64]
    radius_um: float
    low_um: npt.NDArray[np.float64]
    size_um: npt.NDArray[np.float64]
    width_mm: float

    @staticmethod
    def around(maps: RowMaps) -> _Frame:
        row_um = maps.row_um
        if maps.spot_diameter_um is not None:
            radius_um = maps.spot_diameter_um / 2
        elif len(row_um) > 1:
            apart, _ = cKDTree(row_um).query(row_um, k=2)
            radius_um = 0.5 * float(np.median(apart[:, 1]))
        else:
            radius_um = 5.0
        low_um = row_um.min(axis=0) - 1.5 * radius_um
        size_um = np.maximum(row_um.max(axis=0) + 1.5 * radius_um - low_um, 1.0)
        width_mm = min(PANEL_MM, TALLEST_MM * float(size_um[0] / size_um[1]))
        return _Frame(row_um, radius_um, low_um, size_um, width_mm)

    @property
    def um_per_mm(self) -> float:
        return float(self.size_um[0]) / self.width_mm

    @property
    def height_mm(self) -> float:
        return float(self.size_um[1]) / self.um_per_mm

    def drawn(self, rgb: npt.NDArray[np.uint8], prominence: npt.NDArray[np.floating]) -> bytes:
        """A PNG with a disc for each row, the most prominent ones on top, on nothing."""
        scale = _DETAIL * WIDTH_PX / (PANEL_MM * self.um_per_mm)
        size = tuple(int(v) for v in np.maximum(np.ceil(self.size_um * scale), 1))
        picture = Image.new("RGBA", (size[0], size[1]), (255, 255, 255, 0))
        draw = ImageDraw.Draw(picture)
        at = (self.row_um - self.low_um) * scale
        radius = max(self.radius_um * scale, _DETAIL * _LEAST_RADIUS_PX)
        for i in np.argsort(prominence, kind="stable").tolist():
            x, y = at[i].tolist()
            red, green, blue = rgb[i].tolist()
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), (red, green, blue, 255))
        small = (max(1, size[0] // _DETAIL), max(1, size[1] // _DETAIL))
        return png(np.asarray(picture.resize(small, Image.Resampling.BOX)))


def _legend(x: float, y: float, limits: _Limits, stops: Stops) -> list[Shape]:
    """The palette with the values at its ends, and what they are."""
    wide, tall = 24.0, 2.2
    bar = colours(np.linspace(0, 1, 96), 0, 1, stops)[None].repeat(4, axis=0)
    left = x + PANEL_MM - wide - 8
    ends = (limits.low, limits.high)
    low, high = (f"{v:.2g}".replace("-", "−") for v in ends)
    return [
        Raster(left, y + 2.5, wide, tall, png(bar)),
        Label(left - 1, y + 2.5 + tall, low, 2.6, "end"),
        Label(left + wide + 1, y + 2.5 + tall, high, 2.6),
        Label(left + wide / 2, y + 8.2, limits.what, 2.6, "middle"),
    ]


def _scale_bar(x: float, y: float, frame: _Frame) -> list[Shape]:
    """A round length of about a quarter of the panel."""
    quarter_um = 0.25 * frame.width_mm * frame.um_per_mm
    power = 10 ** math.floor(math.log10(quarter_um))
    length_um = max(f * power for f in (1, 2, 5) if f * power <= quarter_um)
    wide = length_um / frame.um_per_mm
    text = f"{length_um / 1000:g} mm" if length_um >= 1000 else f"{length_um:g} µm"
    return [
        Path(((x, y + 3.4), (x + wide, y + 3.4)), INK, 0.8),
        Label(x, y + 8.2, text, 2.6),
    ]
