"""The lines of the box, from what is labelled and classified."""

from __future__ import annotations

import numpy as np

from napari_past.plugin.cell_types import BETWEEN, fixed_labels
from napari_past.plugin.classing.class_rows import ClassRowFacts
from napari_past.plugin.classing.labels import ClassLabels
from napari_past.plugin.classing.probing import Probing
from napari_past.plugin.classing.words import (
    NO_VECTORS,
    UNCERTAIN,
    hint,
    labelled_text,
    leanings,
)
from napari_past.quality import QualityMask


def rows_of(
    probing: Probing, labels: ClassLabels, least: float, mask: QualityMask | None
) -> list[ClassRowFacts]:
    """A line for each class, and one for uncertain cells where there are any.

    Parameters
    ----------
    labels
        Of the slide; a classifier that was loaded has its own classes.
    least
        Cells whose class is less probable are uncertain.
    mask
        Cells in it do not count.
    """
    names, table, loaded = probing.names, probing.table, probing.loaded is not None
    counts, uncertain = np.zeros(0, np.intp), 0
    if table is not None:
        counts, uncertain = probing.cells.counts(least, mask, table)
    total = int(counts.sum()) + uncertain
    # Between a class that is named and the next fit, cells have the classes of before.
    known = total > 0 and probing.cells.names == names
    colours = fixed_labels(len(names))
    rows = [
        ClassRowFacts(
            label=int(colours[code]),
            name=name,
            labelled="" if loaded else labelled_text(labels, code),
            cells=int(counts[code]) if known else None,
            share=counts[code] / total if known else 0.0,
            key=0 if loaded else code + 1,
        )
        for code, name in enumerate(names)
    ]
    if known and uncertain:
        rows.append(ClassRowFacts(BETWEEN, UNCERTAIN, cells=uncertain, share=uncertain / total))
    return rows


def leanings_of(probing: Probing, cell: int) -> str:
    """What the classifier makes of a cell; empty for none."""
    table, classifier = probing.table, probing.classifier
    if cell < 0 or table is None or classifier is None:
        return ""
    vector = table.embedding(cell)[None]
    return leanings(classifier.names, classifier.probabilities(vector)[0].tolist())


def hint_of(
    probing: Probing,
    labels: ClassLabels,
    chosen: int,
    labelling: bool,
    drawing: bool,
    suggested: int,
) -> str:
    """The next step; empty where there is none, as with a classifier that was loaded.

    Parameters
    ----------
    chosen
        Place of the class that is given next.
    suggested
        The cell that is ringed; −1 for none.
    """
    if not probing.possible:
        return NO_VECTORS
    if probing.loaded is not None:
        return ""
    labelled, table = probing.labelled, probing.table
    return hint(
        labels,
        chosen,
        labelling,
        drawing,
        table is not None and len(table) > 0,
        0 if labelled is None else labelled.missed,
        probing.why_not,
        leanings_of(probing, suggested),
    )
