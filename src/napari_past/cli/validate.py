"""``napari-past validate``: predicted against measured, of tissue or of calibrated regions."""

from __future__ import annotations

from argparse import Namespace

from napari_past.cli import validate_calibration, validate_tissue
from napari_past.errors import PastError

_FLAGS = {"spot_diameter_um": "spot-diameter", "bin_um": "bin"}
"""Options that are kept under another name."""
_OF_CALIBRATIONS = ("measured", "same_section", "od_column", "seen_patients")


def execute(options: Namespace) -> int:
    """Hold a calibration against matched regions, or a predictor against measured tissue."""
    if options.calibration is not None:
        if len(options.inputs) > 1:
            raise PastError(
                "With --calibration one table of matched regions is validated, but "
                f"{len(options.inputs)} files were given; give TABLE.csv alone."
            )
        _refuse(options, validate_tissue.OPTIONS, "--calibration validates matched regions")
        options.table = options.inputs[0]
        return validate_calibration.execute(options)
    _refuse(options, _OF_CALIBRATIONS, "without --calibration measured tissue is validated")
    return validate_tissue.execute(options)


def _refuse(options: Namespace, names: tuple[str, ...], why: str) -> None:
    for name in names:
        if getattr(options, name) not in (None, False):
            flag = _FLAGS.get(name, name.replace("_", "-"))
            raise PastError(f"--{flag} means nothing here, because {why}; leave it out.")
