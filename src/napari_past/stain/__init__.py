"""Cut-offs, classes and scores: pure arithmetic, arrays in and small tables out."""

from napari_past.stain.allred import Allred, allred
from napari_past.stain.classes import (
    CLASS_COLOURS,
    CLASS_NAMES,
    classes,
    quantile_cutoffs,
)
from napari_past.stain.counted import CountedCells, count_cells
from napari_past.stain.density import DensityMap, density_map
from napari_past.stain.exceedance import exceedance, expected_classes, expected_h_score
from napari_past.stain.hot_spot import HotSpot, hot_spot
from napari_past.stain.rows import ScoreRow
from napari_past.stain.rules import PLAIN_GENE, ScoreRules, rules_of
from napari_past.stain.scores import (
    ScoreTable,
    h_score,
    score_counted,
    score_table,
    unscored_areas,
)

__all__ = [
    "CLASS_COLOURS",
    "CLASS_NAMES",
    "PLAIN_GENE",
    "Allred",
    "CountedCells",
    "DensityMap",
    "HotSpot",
    "ScoreRow",
    "ScoreRules",
    "ScoreTable",
    "allred",
    "classes",
    "count_cells",
    "density_map",
    "exceedance",
    "expected_classes",
    "expected_h_score",
    "h_score",
    "hot_spot",
    "quantile_cutoffs",
    "rules_of",
    "score_counted",
    "score_table",
    "unscored_areas",
]
