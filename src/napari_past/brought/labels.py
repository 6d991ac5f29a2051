"""Cells of label images."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_past.brought.assembled import assembled
from napari_past.brought.parts import LARGEST_PX, Parts, looks_three_class, parts_of
from napari_past.brought.plane import plane_of
from napari_past.cells.brought import BroughtCells

ONE_CELL = 0.9
"""A label whose largest part has so much of its pixels is one cell with specks around it."""


def cells_of_labels(
    labels: Any,
    mpp: float | tuple[float, float],
    x0_um: float = 0.0,
    y0_um: float = 0.0,
    source: str = "",
    kind: str = "labels layer",
) -> BroughtCells:
    """One cell for each label, named by it; read block by block, so that memory is bounded.

    A label in several places (masks, tiles that each began with 1) gives a cell for each; specks
    beside a cell are dropped. An image of three classes, 0 background, 1 inside and 2 border, is
    told by its values: each connected inside is a cell, with the border around it.

    Parameters
    ----------
    labels
        (Y, X) whole numbers, 0 for background: numpy, dask or zarr, or a list of levels, of which
        the finest is read. Axes of length one are left out.
    mpp
        µm of a pixel, or (x, y).
    x0_um, y0_um
        Outer corner of pixel (0, 0) in slide space: of a napari layer, translate − scale / 2.
    source, kind
        What `BroughtCells` tells.

    Raises
    ------
    BadTable
        No labels, or a picture in their place.
    """
    plane = plane_of(labels)
    mpp_xy = mpp if isinstance(mpp, tuple) else (mpp, mpp)
    notes: list[str] = []
    three_class = looks_three_class(plane)
    if three_class:
        notes.append(
            "The labels are 0, 1 and 2 and were read as background, inside and border of cells."
        )
    parts = parts_of(plane, mpp_xy, (x0_um, y0_um), three_class)
    cells, names, told = _resolved(parts)
    return assembled(
        cells.centers_um,
        cells.outlines,
        cells.areas_px * (mpp_xy[0] * mpp_xy[1]),
        ids=names,
        columns=None,
        source=source,
        kind=kind,
        notes=notes + told,
    )


def _resolved(parts: Parts) -> tuple[Parts, list[str] | None, list[str]]:
    """The parts that are cells, ordered by label, with their names, and what is to be told."""
    order = np.argsort(parts.labels, kind="stable")
    sorted_ = parts.take(order)
    labels, start, count = np.unique(sorted_.labels, return_index=True, return_counts=True)
    notes = []
    if parts.too_large:
        n = len(parts.too_large)
        notes.append(
            f"{'1 object' if n == 1 else f'{n} objects'} wider or higher than {LARGEST_PX} px, "
            "which no cell is, left out."
        )
    if len(labels) == 0:
        return parts, None, notes
    areas = sorted_.areas_px
    total = np.add.reduceat(areas, start)
    largest = np.maximum.reduceat(areas, start)
    group = np.repeat(np.arange(len(labels)), count)
    one = largest >= ONE_CELL * total
    first_largest = np.zeros(len(areas), bool)
    # Largest first within a label, then the first of them.
    ranked = np.lexsort((-areas, group))
    first_largest[ranked[start]] = True
    kept = np.flatnonzero(~one[group] | first_largest)
    specks = len(areas) - len(kept)
    if specks:
        notes.append(
            f"{'1 speck' if specks == 1 else f'{specks} specks'} beside the cells of the same "
            "label left out."
        )
    split = int((~one).sum())
    cells = sorted_.take(kept)
    if len(labels) == 1 and split:
        return cells, None, notes  # a mask: its only value names nothing
    if split:
        told = "1 label stands" if split == 1 else f"{split} labels stand"
        notes.append(f"{told} in several places; each is a cell, numbered behind the label.")
    names = [str(v) for v in cells.labels.tolist()]
    place = np.arange(len(kept)) - np.searchsorted(cells.labels, cells.labels, side="left") + 1
    many = ~one[group[kept]]
    numbered = [
        f"{name}-{i}" if several else name
        for name, i, several in zip(names, place.tolist(), many.tolist(), strict=True)
    ]
    return cells, numbered, notes
