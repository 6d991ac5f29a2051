"""A view of the virtual stain as a file, with its words burnt in. Knows no viewer."""

from __future__ import annotations

import math
from pathlib import Path

import tifffile
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from napari_past.errors import CannotWrite
from napari_past.files import atomic_write
from napari_past.plugin.lazy_level import Window
from napari_past.plugin.virtual_cells import VirtualCells
from napari_past.plugin.virtual_drawing import VirtualDrawing
from napari_past.plugin.virtual_legend import GREY, NOT_ANALYSED, legend_text
from napari_past.stain import CLASS_NAMES
from napari_past.stain.virtual import drawn_colours
from napari_past.stain.virtual_mark import PREDICTED
from napari_past.stain.virtual_picture import Swatch, captioned
from napari_past.types import RESEARCH_USE, Rect, Rgb

SUFFIXES = (".png", ".tif", ".tiff")
MOST_PX = 40_000_000
_CM_UM = 10_000.0


def suffix_of(target: Path) -> str:
    """The kind of picture that a file's name asks for.

    Raises
    ------
    CannotWrite
        It is none that is written.
    """
    suffix = target.suffix.lower()
    if suffix not in SUFFIXES:
        raise CannotWrite(
            f"{target.name} has the suffix {target.suffix or '(none)'}, but a view is saved as "
            "PNG or TIFF: choose a name that ends in .png or .tif."
        )
    return suffix


def window_of(drawing: VirtualDrawing, level: int, rect: Rect) -> Window:
    """The pixels of a level that a rectangle within the slide touches."""
    mpp, (height, width) = drawing.mpp[level], drawing.shape(level)
    y0, x0 = math.floor(rect.y_um / mpp), math.floor(rect.x_um / mpp)
    y1, x1 = math.ceil(rect.y1_um / mpp), math.ceil(rect.x1_um / mpp)
    return max(y0, 0), min(y1, height), max(x0, 0), min(x1, width)


def view_picture(drawing: VirtualDrawing, level: int, window: Window, cells: VirtualCells) -> Rgb:
    """A window of a level with words, scale bar and legend, uint8 (Y, X, 3).

    Parameters
    ----------
    cells
        Whose stain it is, also where the drawing has others by now.

    Raises
    ------
    CannotWrite
        It is too small for the words, or larger than a view.
    """
    y0, y1, x0, x1 = window
    if (y1 - y0) * (x1 - x0) > MOST_PX:
        raise CannotWrite(
            f"A view of {x1 - x0} x {y1 - y0} px is more than {MOST_PX // 10**6} megapixels; zoom "
            "in and save again."
        )
    browns = [(int(r), int(g), int(b)) for r, g, b in drawn_colours(cells.compartment)]
    swatches: list[Swatch] = [*zip(CLASS_NAMES, browns, strict=True)]
    swatches.append((NOT_ANALYSED, (GREY, GREY, GREY)))
    return captioned(
        drawing.of(cells).read(level, *window), drawing.mpp[level], cells.subject, swatches,
        (legend_text(cells), RESEARCH_USE),
    )  # fmt: skip


def save_view(
    drawing: VirtualDrawing,
    level: int,
    window: Window,
    cells: VirtualCells,
    slide_name: str,
    target: Path,
) -> None:
    """Write a window of a level as PNG or TIFF, by the suffix, with its µm/px.

    Raises
    ------
    CannotWrite
        Another suffix, a view that is too small or too large, or a place that cannot be written.
    SlideError
        The slide cannot be read.
    """
    suffix = suffix_of(target)
    picture, mpp = view_picture(drawing, level, window, cells), drawing.mpp[level]
    told = (
        f"{PREDICTED}. {cells.subject}, {slide_name}, {mpp:.6g} um/px. {legend_text(cells)} "
        f"{RESEARCH_USE}"
    )
    with atomic_write(target) as unfinished:
        if suffix == ".png":
            text = PngInfo()
            text.add_text("Title", PREDICTED)
            text.add_text("Description", told)
            text.add_text("um_per_px", f"{mpp:.6g}")
            dpi = 25_400 / mpp
            Image.fromarray(picture).save(unfinished, pnginfo=text, dpi=(dpi, dpi))
        else:
            per_cm = _CM_UM / mpp
            tifffile.imwrite(
                unfinished, picture, photometric="rgb", compression="zlib", metadata=None,
                description=told.encode(), resolution=(per_cm, per_cm),
                resolutionunit="CENTIMETER",
            )  # fmt: skip
