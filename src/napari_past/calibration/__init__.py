"""Predicted values beside a real stain: the map between both, and how well it holds."""

from napari_past.calibration.calibrated import CalibratedRow, calibrated_rows, calibrations_of
from napari_past.calibration.files import (
    check_model,
    check_sha256,
    read_calibration,
    write_calibration,
)
from napari_past.calibration.fit import CalibratedBy, fit_calibration
from napari_past.calibration.matched import Matched
from napari_past.calibration.page import write_validation
from napari_past.calibration.predict import PredictedValue, predicted_h_score, predicted_value
from napari_past.calibration.region_table import read_region_table, write_region_table
from napari_past.calibration.slide_pairs import is_pair_table, match_pairs
from napari_past.calibration.validation import Validation, validate
from napari_past.model.calibration import Agreement, Calibration

__all__ = [
    "Agreement",
    "CalibratedBy",
    "CalibratedRow",
    "Calibration",
    "Matched",
    "PredictedValue",
    "Validation",
    "calibrated_rows",
    "calibrations_of",
    "check_model",
    "check_sha256",
    "fit_calibration",
    "is_pair_table",
    "match_pairs",
    "predicted_h_score",
    "predicted_value",
    "read_calibration",
    "read_region_table",
    "validate",
    "write_calibration",
    "write_region_table",
    "write_validation",
]
