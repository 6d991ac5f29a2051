"""Options of ``napari-past validate``: of measured tissue, and of matched regions."""

from __future__ import annotations

import argparse
from pathlib import Path

from napari_past.model import DEFAULT_MODEL

DEVICES = ("auto", "cpu", "cuda")


def add_tissue_options(parser: argparse.ArgumentParser) -> None:
    """What is validated, what was measured and where it lies, and what to tell."""
    _add_predictor(parser.add_argument_group("what is validated on measured tissue"))
    _add_measured(parser.add_argument_group("what was measured, and where it lies"))


def add_matched_options(parser: argparse.ArgumentParser) -> None:
    """What a table of matched regions holds."""
    parser.add_argument(
        "--measured",
        choices=("od", "h-score", "percent"),
        help="what was measured: mean DAB optical density, H-score, or %% positive",
    )
    parser.add_argument(
        "--same-section",
        action="store_true",
        help="the stained section is the H&E section itself: cells are matched, not regions",
    )
    parser.add_argument(
        "--od-column", metavar="NAME", help="that holds DAB optical density in measured cells"
    )


def _add_predictor(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--model",
        metavar="NAME|PATH",
        help=f"its own read-out or bank; without it, {DEFAULT_MODEL} (with --calibration: the "
        "model that made the values, to check that it is the same)",
    )
    group.add_argument(
        "--predictions",
        type=Path,
        metavar="FILE.h5ad|.csv",
        help="a table of predictions, of whatever model: cells or spots by genes",
    )
    group.add_argument(
        "--predicted-layer", metavar="NAME", help="of that table, where they are not in X"
    )
    group.add_argument(
        "--predicted-unit", metavar="UNIT", help='of its values, as "log1p(counts per 10k)"'
    )
    group.add_argument(
        "--placed-in",
        choices=("um", "px"),
        help="unit of its positions, where the table does not tell and it is not clear",
    )
    group.add_argument(
        "--tower",
        metavar="NAME|PATH",
        help="ridge on the frozen image tower of a model file, as `past-train tower` writes it",
    )
    group.add_argument(
        "--adapter", metavar="FILE.py:NAME", help="your own model in a few lines of Python"
    )
    group.add_argument(
        "--field-um",
        type=float,
        metavar="UM",
        help="width of H&E that whoever made the table saw around a row, or that an adapter sees "
        "where that is more than its crop; rows nearer to each other share pixels",
    )
    group.add_argument("--device", choices=DEVICES, default="auto")
    group.add_argument(
        "--seen-tissue",
        action="store_true",
        help="go on, and tell it, where the model was trained on this tissue",
    )
    group.add_argument(
        "--use",
        action="store_true",
        help="make the outcome this lab's evidence: the model's badges show it from now on",
    )


def _add_measured(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--kind", metavar="KIND", help="xenium, visium, st, anndata or spatialdata")
    group.add_argument("--section", metavar="NAME", help="of a folder of several")
    group.add_argument("--unit", choices=("um", "px"), help="of the positions in an AnnData table")
    group.add_argument("--x", metavar="COLUMN", help="of obs, that holds the picture's column")
    group.add_argument("--y", metavar="COLUMN", help="of obs, that holds the picture's row")
    group.add_argument("--layer", metavar="NAME", help="that holds raw counts; without it, X")
    group.add_argument("--types", metavar="COLUMN", help="of obs, that holds cell types")
    group.add_argument(
        "--spot-diameter",
        dest="spot_diameter_um",
        type=float,
        metavar="UM",
        help="of spots, in µm; without it, rows of an AnnData table are single cells",
    )
    group.add_argument(
        "--bin", dest="bin_um", type=int, choices=(2, 8, 16), help="µm, of Visium HD; without it, 8"
    )
    group.add_argument(
        "--alignment", type=Path, metavar="FILE", help="as Xenium Explorer exports it"
    )
    group.add_argument("--affine", type=Path, metavar="FILE", help="a map onto the H&E")
    group.add_argument(
        "--landmarks", type=Path, metavar="FILE.csv", help="places in both, to fit such a map to"
    )
    group.add_argument("--patient", metavar="NAME", help="of whom the tissue is; kept as a digest")
    group.add_argument(
        "--mpp", type=float, metavar="M", help="µm per pixel of the H&E; overrides the file's own"
    )
    group.add_argument(
        "--rois", type=Path, metavar="FILE.geojson", help="QuPath annotations of the H&E"
    )
