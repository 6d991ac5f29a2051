"""Options of ``napari-past run``."""

from __future__ import annotations

import argparse
from pathlib import Path

from napari_past.cli.option_values import gene_names, positive, rectangle, stain_vectors

DEFAULT_MODEL, DEFAULT_DETECTOR = "past-mini", "stain-log"
FORMATS = ("h5ad", "csv", "geojson", "parquet", "zarr")


def add_run_options(run: argparse.ArgumentParser) -> None:
    """All but those of every slide, which `parser` adds."""
    run.add_argument(
        "slides",
        nargs="+",
        metavar="SLIDE|FOLDER|LIST",
        help="slides, by path or address; folders, which are searched for slides; or lists: a .txt "
        "with a slide in each line, or a .csv with the column slide and any of mpp, series, cells, "
        "rois, out",
    )
    run.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="PATH",
        help=f"a file ({', '.join('.' + f for f in FORMATS)}), or a folder: for several slides, or "
        "where the name has no suffix; run it again and finished slides are passed over",
    )
    run.add_argument("--model", metavar="NAME|PATH", help=f"for H&E; without it, {DEFAULT_MODEL}")
    run.add_argument(
        "--detector",
        default=DEFAULT_DETECTOR,
        metavar="NAME|WEIGHTS.pt",
        help="stain-log for H&E, or instanseg where `models fetch` got it, or a TorchScript file "
        "of InstanSeg; ihc-nuclear or ihc-membrane for real IHC, whose DAB is measured",
    )
    run.add_argument(
        "--stain-vectors",
        type=stain_vectors,
        metavar="R,G,B,R,G,B|published",
        help="optical densities of haematoxylin, then of DAB, on real IHC; without it, estimated",
    )
    run.add_argument(
        "--cells",
        type=Path,
        metavar="FILE|FOLDER",
        help="cells that are known already, of QuPath, StarDist, Cellpose, InstanSeg, AnnData, "
        "SpatialData or a label image; for several slides a folder with a file named after each",
    )
    run.add_argument(
        "--cells-key",
        metavar="NAME",
        help="which table, element or channel, where there are several",
    )
    run.add_argument(
        "--genes",
        type=gene_names,
        metavar="A,B,…|all",
        help="genes or markers; without it, the panel markers that the model has",
    )
    run.add_argument(
        "--classifier",
        type=Path,
        metavar="FILE",
        help="of `classify fit` or the viewer: gives each cell one of its classes",
    )
    run.add_argument("--region", type=rectangle, metavar="X,Y,W,H", help="in µm")
    run.add_argument(
        "--rois",
        type=Path,
        metavar="FILE.geojson",
        help="QuPath annotations; only cells in those that are not Ignore* are kept",
    )
    run.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    run.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="of a dask scheduler whose workers see the same files; without it, this machine",
    )
    run.add_argument(
        "--jobs",
        type=positive,
        default=1,
        metavar="N",
        help="slides at the same time; without it, 1",
    )
    run.add_argument("--format", choices=FORMATS, help="where the suffix of --out does not tell")
    run.add_argument(
        "--embed-image", action="store_true", help="put the slide's pixels into a .zarr, too"
    )
    run.add_argument("--no-cache", action="store_true", help="neither use nor keep finished tiles")
    run.add_argument("--force", action="store_true", help="overwrite what is there")
