"""Cut-offs, classes and scores: pure arithmetic, arrays in and small tables out."""

from napari_past.stain.classes import (
    CLASS_COLOURS,
    CLASS_NAMES,
    classes,
    quantile_cutoffs,
)
from napari_past.stain.scores import ScoreRow, ScoreTable, h_score, score_table, unscored_areas

__all__ = [
    "CLASS_COLOURS",
    "CLASS_NAMES",
    "ScoreRow",
    "ScoreTable",
    "classes",
    "h_score",
    "quantile_cutoffs",
    "score_table",
    "unscored_areas",
]
