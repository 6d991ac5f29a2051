"""Cells of an opened label file on a slide: which plane, at which scale, and nuclei with cells."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from napari_past.brought.choice import Choice
from napari_past.brought.label_files import LabelFile
from napari_past.brought.labels import cells_of_labels
from napari_past.brought.pairs import chosen_outlines
from napari_past.brought.scale import label_mpp
from napari_past.cells.brought import BroughtCells
from napari_past.errors import BadTable
from napari_past.slide import Slide

_INSTANSEG, _CELLPOSE = "_instanseg_prediction", "_cp_masks"
"""What the names of these tools' files hold."""
INSTANSEG_MPP = 0.5
"""Of InstanSeg's whole-slide output, which is at its model's µm/px and states none."""


def labelled_cells(
    labels: LabelFile, slide: Slide, choice: Choice, source: str, kind: str, name: str
) -> BroughtCells:
    """One cell for each label of the chosen plane, or of the only one.

    Of InstanSeg's two planes the first holds nuclei and the second cells, one number for both: the
    nuclei are taken, and each cell's outline goes along.

    Raises
    ------
    BadTable
        The labels do not fit the slide, or several planes and none was chosen.
    """
    stem = name.lower()
    if _INSTANSEG in stem:
        kind = "InstanSeg"
    elif _CELLPOSE in stem:
        kind = "Cellpose"
    names = list(labels.planes)
    height, width = labels.planes[names[0]].shape
    try:
        mpp = label_mpp(height, width, slide, choice, source, labels.mpp_xy)
    except BadTable:
        if kind != "InstanSeg" or choice.mpp is not None:
            raise
        mpp = label_mpp(height, width, slide, Choice(mpp=INSTANSEG_MPP), source)
    if kind == "InstanSeg" and len(names) == 2 and choice.name is None:
        nuclei, cells = (
            cells_of_labels(labels.planes[n], mpp, source=source, kind=kind) for n in names
        )
        return _joined(nuclei, cells)
    plane = choice.one_of(names, source, "planes") if len(names) > 1 else names[0]
    return cells_of_labels(labels.planes[plane], mpp, source=source, kind=kind)


def _joined(nuclei: BroughtCells, cells: BroughtCells) -> BroughtCells:
    """The nuclei with the outline of the cell of the same number."""
    place = {name: i for i, name in enumerate(cells.found.ids)}
    around = np.array([place.get(name, -1) for name in nuclei.found.ids], np.int64)
    bare = len(cells) - int((around >= 0).sum())
    notes = nuclei.notes
    if bare:
        notes = (*notes, f"{bare} cells without a nucleus left out.")
    return replace(nuclei, cell_outlines=chosen_outlines(cells.found.outlines, around), notes=notes)
