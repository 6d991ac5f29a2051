"""Tiles in, cells out: the plan, the seam that a worker runs, the store, cells with any gene.

The names below are loaded on first use: a worker has no need of the tables that `Cells` makes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_past.lazy import loader

if TYPE_CHECKING:
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
    from napari_past.engine.score import chosen_cutoffs, h_score, origin_of_scores
    from napari_past.engine.seam import run_tile
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

_FILES = {
    "Answer": "looked_up",
    "Assay": "measured",
    "CellTable": "table",
    "Cells": "cells",
    "GrowingArray": "growing",
    "MeasuredStain": "measured",
    "Piece": "looked_up",
    "Plan": "plan",
    "Progress": "run",
    "Store": "store",
    "TileQueue": "queue",
    "TypedCells": "looked_up",
    "Workers": "workers",
    "analysed": "annotated",
    "cache_folder": "cache",
    "chosen_cutoffs": "score",
    "chosen_genes": "annotated",
    "cores": "workers",
    "h_score": "score",
    "look_of": "look",
    "make_plan": "plan",
    "mismatch": "look",
    "origin_of_scores": "score",
    "part_of": "plan",
    "predict": "cells",
    "run_plan": "run",
    "run_tile": "seam",
    "unscored_of": "unscored",
}
"""Public name -> the file that defines it."""


__getattr__ = loader(__name__, _FILES)
