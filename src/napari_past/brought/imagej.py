"""ROIs of ImageJ, ``.roi`` or a ``.zip`` of them, as StarDist, Cellpose and Fiji write them.

ImageJ counts from the corners of pixels. StarDist's and Cellpose's Python packages write places of
pixels instead, which shows: StarDist gives every cell the same number of whole-numbered vertices,
Cellpose every border pixel.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import roifile
import shapely

from napari_past.brought.cellpose import around_pixels
from napari_past.brought.reason import reason_of
from napari_past.errors import BadTable

ROI_MARK = b"Iout"
_MOST_BYTES = 1024**3
_AREAS = (
    roifile.ROI_TYPE.POLYGON,
    roifile.ROI_TYPE.FREEHAND,
    roifile.ROI_TYPE.TRACED,
    roifile.ROI_TYPE.RECT,
    roifile.ROI_TYPE.OVAL,
)


@dataclass(frozen=True)
class Rois:
    """Areas and points of a file."""

    shapes: list[shapely.Geometry | None]
    """Vertices (x, y) in pixels, corner origin."""
    names: list[str]
    kind: str
    left_out: int = 0
    """Lines, angles and texts."""


def read_rois(path: Path) -> Rois:
    """The ROIs of a file.

    Raises
    ------
    BadTable
        Damaged, or no ROI file.
    """
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if sum(info.file_size for info in archive.infolist()) > _MOST_BYTES:
                    raise BadTable(
                        f"{path.name} unpacks to over 1 GiB; give a label image instead."
                    )
                names = [n for n in archive.namelist() if n.lower().endswith(".roi")]
                found = [roifile.ImagejRoi.frombytes(archive.read(n)) for n in names]
        else:
            names, found = [path.name], [roifile.ImagejRoi.frombytes(path.read_bytes())]
    except BadTable:
        raise
    except Exception as exc:  # a damaged ROI fails in roifile, struct or NumPy in many ways
        reason = reason_of(exc, path)
        raise BadTable(
            f"{path.name} cannot be read as ROIs of ImageJ ({reason}); save them again."
        ) from exc
    if not found:
        raise BadTable(f"{path.name} holds no .roi file; give the .zip that the ROI manager saves.")
    kind = _kind(found)
    shapes: list[shapely.Geometry | None] = []
    kept: list[str] = []
    for name, roi in zip(names, found, strict=True):
        if roi.roitype == roifile.ROI_TYPE.POINT:
            shapes += [shapely.Point(xy) for xy in _vertices(roi)]
            kept += [_name(roi, name)] * (len(shapes) - len(kept))
        elif roi.roitype in _AREAS:
            shapes.append(_polygon(roi, kind))
            kept.append(_name(roi, name))
    return Rois(shapes, kept, kind, _lines(found))


def _lines(found: list[roifile.ImagejRoi]) -> int:
    wanted = (*_AREAS, roifile.ROI_TYPE.POINT)
    return sum(roi.roitype not in wanted for roi in found)


def _name(roi: roifile.ImagejRoi, file: str) -> str:
    return roi.name or Path(file).stem


def _vertices(roi: roifile.ImagejRoi) -> npt.NDArray[np.float64]:
    xy = np.asarray(roi.coordinates(), np.float64).reshape(-1, 2)
    return xy[:-1] if len(xy) > 1 and (xy[0] == xy[-1]).all() else xy


def _kind(found: list[roifile.ImagejRoi]) -> str:
    """Who wrote them, by what is characteristic of all of them."""
    areas = [roi for roi in found if roi.roitype in _AREAS]
    if len(areas) > 1 and all(_is_chain(roi) for roi in areas):
        return "Cellpose"
    counts = {len(_vertices(roi)) for roi in areas}
    whole = all(roi.subpixel_coordinates is None for roi in areas)
    if len(areas) > 1 and whole and len(counts) == 1 and max(counts) >= 16:
        return "StarDist"
    return "ImageJ ROIs"


def _is_chain(roi: roifile.ImagejRoi) -> bool:
    """Whether an outline goes from pixel to neighbouring pixel, some of them diagonally."""
    xy = _vertices(roi)
    steps = np.abs(np.diff(xy, axis=0, append=xy[:1]))
    if len(xy) < 4 or (xy != np.floor(xy)).any():
        return False
    return bool((steps.max(axis=1) <= 1).all() and (steps.min(axis=1) == 1).any())


def _polygon(roi: roifile.ImagejRoi, kind: str) -> shapely.Polygon | None:
    xy = _vertices(roi)
    if len(xy) < 3:
        return None
    if kind == "Cellpose":
        return around_pixels(xy)
    return shapely.Polygon(xy + 0.5 if kind == "StarDist" else xy)
