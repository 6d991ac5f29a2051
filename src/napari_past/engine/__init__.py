"""Tiles in, cells out: the plan, the seam that a worker runs, the store, cells with any gene."""

from napari_past.engine.annotated import analysed, chosen_genes
from napari_past.engine.cache import cache_folder
from napari_past.engine.cells import Cells, predict
from napari_past.engine.growing import GrowingArray
from napari_past.engine.look import look_of, mismatch
from napari_past.engine.looked_up import Answer, Piece, TypedCells
from napari_past.engine.measured import Assay, MeasuredStain
from napari_past.engine.plan import Plan, make_plan, part_of
from napari_past.engine.queue import TileQueue
from napari_past.engine.run import Progress, run_plan
from napari_past.engine.run_tile import run_tile
from napari_past.engine.score import chosen_cutoffs, h_score, origin_of_scores
from napari_past.engine.store import Store
from napari_past.engine.table import CellTable
from napari_past.engine.unscored import unscored_of
from napari_past.engine.workers import Workers, cores

__all__ = [
    "Answer",
    "Assay",
    "CellTable",
    "Cells",
    "GrowingArray",
    "MeasuredStain",
    "Piece",
    "Plan",
    "Progress",
    "Store",
    "TileQueue",
    "TypedCells",
    "Workers",
    "analysed",
    "cache_folder",
    "chosen_cutoffs",
    "chosen_genes",
    "cores",
    "h_score",
    "look_of",
    "make_plan",
    "mismatch",
    "origin_of_scores",
    "part_of",
    "predict",
    "run_plan",
    "run_tile",
    "unscored_of",
]
