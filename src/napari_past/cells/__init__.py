"""Where the cells are: detectors, and cells that a user brings."""

from napari_past.cells.brought import BroughtCells
from napari_past.cells.detector import (
    Detector,
    detector_names,
    get_detector,
    register_detector,
    register_weights,
)
from napari_past.cells.find import (
    DEFAULT_DETECTOR,
    area_within,
    cells_in,
    find_cells,
    read_block,
    tiles_over,
    tiles_to_search,
)
from napari_past.cells.given import GivenCells, owned
from napari_past.cells.ihc import IhcCounterstainDetector, IhcDetector
from napari_past.cells.instanseg import InstanSegDetector, instanseg_detector
from napari_past.cells.stain_log import StainLogDetector
from napari_past.cells.stains import estimate_stains, hematoxylin_od
from napari_past.cells.tissue_sample import tissue_sample

register_detector("stain-log", StainLogDetector)
register_detector("ihc-nuclear", IhcDetector)
register_detector("ihc-membrane", IhcCounterstainDetector)
register_detector("instanseg", instanseg_detector)
register_weights(".pt", instanseg_detector)

__all__ = [
    "DEFAULT_DETECTOR",
    "BroughtCells",
    "Detector",
    "GivenCells",
    "IhcCounterstainDetector",
    "IhcDetector",
    "InstanSegDetector",
    "StainLogDetector",
    "area_within",
    "cells_in",
    "detector_names",
    "estimate_stains",
    "find_cells",
    "get_detector",
    "hematoxylin_od",
    "instanseg_detector",
    "owned",
    "read_block",
    "register_detector",
    "register_weights",
    "tiles_over",
    "tiles_to_search",
    "tissue_sample",
]
