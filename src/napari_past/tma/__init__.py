"""Tissue microarrays: a grid of cores on one slide, found, read, written, and scored by case."""

from napari_past.tma.cases import with_cases
from napari_past.tma.find import find_cores
from napari_past.tma.geojson import grid_in, read_tma, write_tma
from napari_past.tma.grid import TmaCore, TmaGrid, core_name, position_of
from napari_past.tma.labels import add_cores
from napari_past.tma.scores import CaseScore, case_file, case_lines, score_cases, write_case_csv

__all__ = [
    "CaseScore",
    "TmaCore",
    "TmaGrid",
    "add_cores",
    "case_file",
    "case_lines",
    "core_name",
    "find_cores",
    "grid_in",
    "position_of",
    "read_tma",
    "score_cases",
    "with_cases",
    "write_case_csv",
    "write_tma",
]
