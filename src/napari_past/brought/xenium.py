"""Cells of a Xenium output folder: outlined nuclei, and the cells around them.

Read here is what 10x Genomics documents: ``experiment.xenium`` with the size of a pixel,
``nucleus_boundaries.parquet`` and ``cell_boundaries.parquet`` in the instrument's µm, and the
matrix ``*_imagealignment.csv`` that Xenium Explorer exports, which leads to the H&E.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from napari_past.brought.layers import cells_of_polygons
from napari_past.brought.reason import reason_of
from napari_past.cells.brought import BroughtCells
from napari_past.errors import BadTable, PastError
from napari_past.slide import Slide
from napari_past.spatial.alignment import Alignment, read_alignment
from napari_past.spatial.boundaries import as_ids
from napari_past.spatial.errors import BadSource
from napari_past.spatial.folder import json_object, number, reading

_NUCLEI, _CELLS = "nucleus_boundaries.parquet", "cell_boundaries.parquet"
_XY = ["vertex_x", "vertex_y"]


def is_xenium(folder: Path) -> bool:
    """Whether a folder is the output of a Xenium run."""
    return (folder / "experiment.xenium").is_file()


def xenium_cells(folder: Path, slide: Slide) -> BroughtCells:
    """One cell for each outlined nucleus, placed on the H&E by the exported alignment.

    Raises
    ------
    BadTable
        A file is missing or damaged.
    """
    try:
        dapi_mpp = number(json_object(folder / "experiment.xenium"), "pixel_size")
        if dapi_mpp is None:
            raise BadTable(
                f"{folder.name}/experiment.xenium states no pixel_size, without which cells cannot "
                "be placed; copy the file again from the instrument."
            )
        alignment = read_alignment(_alignment(folder), dapi_mpp)
        cell_ids, cells = _polygons(folder / _CELLS, alignment, slide)
        if not (folder / _NUCLEI).is_file():
            ids, inner, around = cell_ids, cells, None
        else:
            ids, inner = _polygons(folder / _NUCLEI, alignment, slide)
            place = {name: i for i, name in enumerate(cell_ids)}
            around = [cells[place[i]] if i in place else None for i in ids]
    except BadSource as exc:
        raise BadTable(str(exc)) from exc
    except PastError:
        raise
    except Exception as exc:  # pyarrow raises types of its own on damaged files
        raise BadTable(
            f"{folder.name} is a Xenium folder that cannot be read ({reason_of(exc, folder)}); "
            "copy it again from the instrument."
        ) from exc
    return cells_of_polygons(inner, ids, None, folder.name, "Xenium", around)


def _alignment(folder: Path) -> Path:
    stem = folder.resolve().name.removesuffix("_outs")
    found = sorted(folder.glob("*imagealignment*.csv"))
    found = found or sorted(
        p for p in folder.parent.glob("*imagealignment*.csv") if p.name.startswith(f"{stem}_")
    )
    if len(found) != 1:
        raise BadTable(
            f"{folder.name} has {len(found) or 'no'} files *_imagealignment.csv, one of which "
            "tells where its cells lie on the H&E; export it from Xenium Explorer into the folder."
        )
    return found[0]


def _polygons(
    path: Path, alignment: Alignment, slide: Slide
) -> tuple[list[str], list[shapely.Geometry | None]]:
    """Ids and outlines in µm of slide space; of several nuclei of a cell, each by itself."""
    with reading(path, "outlines of cells"):
        table = pd.read_parquet(path)
        names = as_ids(table["cell_id"])
        key = table["label_id"].to_numpy() if "label_id" in table else names
        xy = table[_XY].to_numpy(np.float64)
        if not len(xy):
            return [], []
        begins = np.ones(len(names), bool)
        begins[1:] = (names[1:] != names[:-1]) | (key[1:] != key[:-1])
        placed: npt.NDArray[np.float64] = alignment.he_px(xy) * slide.require_mpp()
        start = np.flatnonzero(begins)
        rings = np.split(placed, start[1:])
        return names[start].tolist(), [
            shapely.Polygon(ring) if len(ring) >= 3 else None for ring in rings
        ]
