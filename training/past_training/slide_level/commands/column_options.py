"""Options that tell which column of a table of patients holds what."""

from __future__ import annotations

import argparse

from past_training.slide_level.cohort.columns import CohortColumns

_SINGLE = {
    "slide": "slides of H&E, or tables of cells (.h5ad)",
    "patient": "who is told apart; all slides of a patient stay together",
    "time": "of follow-up, above 0",
    "event": "1 where the event was seen, 0 where the patient was censored",
    "site": "where a patient was treated or scanned",
    "fold": "folds of a split that was made before",
    "mpp": "µm/px of slides that do not state it",
    "rois": "GeoJSON of each slide's regions; Ignore* wins",
}


def add_columns(parser: argparse.ArgumentParser) -> None:
    """Add an option for each role that a column can have."""
    group = parser.add_argument_group("columns of the table")
    for role, summary in _SINGLE.items():
        group.add_argument(f"--{role}", metavar="COLUMN", help=summary)
    group.add_argument(
        "--covariates", metavar="A,B", help="clinical covariates, known before the outcome"
    )
    group.add_argument("--classes", metavar="A,B", help="labels to learn; some may be missing")
    group.add_argument("--time-unit", default="", metavar="UNIT", help="of --time, as months")


def columns_of(options: argparse.Namespace) -> CohortColumns:
    """The columns that were named.

    Raises
    ------
    BadCohort
        They contradict each other.
    """
    return CohortColumns(
        **{role: getattr(options, role) for role in _SINGLE},
        covariates=_names(options.covariates),
        classes=_names(options.classes),
        time_unit=options.time_unit,
    )


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())
