"""Genes that mark epithelium, immune cells and stroma, and rows told apart by them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from napari_past.validation.tissue import IntArray, Tissue

MARKER_SETS: Mapping[str, tuple[str, ...]] = {
    "epithelial": ("EPCAM", "KRT8", "KRT18", "KRT19"),
    "inflammatory": ("PTPRC", "CD74", "CD3E", "CXCR4"),
    "fibroblast": ("COL1A1", "COL1A2", "COL3A1", "DCN"),
}
"""Type of nucleus → genes that mark it."""
COMPARTMENTS: Mapping[str, str] = {
    "epithelium": "epithelial",
    "immune cells": "inflammatory",
    "stroma": "fibroblast",
}
"""Compartment → its set of markers."""
LEAST_MARKERS = 2
"""Of a compartment's markers so many must have been measured."""
NO_COMPARTMENT = -1


def known_compartments(tissue: Tissue) -> dict[str, tuple[str, ...]]:
    """Compartment → its markers that were measured; none where fewer than two can be told apart."""
    measured = frozenset(tissue.genes)
    known = {
        name: tuple(gene for gene in MARKER_SETS[markers] if gene in measured)
        for name, markers in COMPARTMENTS.items()
    }
    known = {name: genes for name, genes in known.items() if len(genes) >= LEAST_MARKERS}
    return known if len(known) > 1 else {}


def row_compartments(tissue: Tissue) -> IntArray:
    """The compartment (k,) of each row, by its place among `known_compartments`.

    The one of the highest score: the mean over its markers of the measured values, each less its
    mean over the section's rows and divided by its deviation. -1 where no marker was seen, and
    everywhere where fewer than two compartments are known. A spot holds several kinds of cells:
    there it is the compartment that it has most of, compared with other spots.
    """
    known = known_compartments(tissue)
    if not known:
        return np.full(len(tissue), NO_COMPARTMENT, np.int64)
    scores, seen = [], np.zeros(len(tissue), np.bool_)
    for genes in known.values():
        values = tissue.measured(genes).astype(np.float64)
        seen |= (values > 0).any(axis=1)
        deviation = values.std(axis=0)
        standard = (values - values.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0)
        scores.append(standard.mean(axis=1))
    best = np.argmax(np.stack(scores), axis=0)
    return np.where(seen, best, NO_COMPARTMENT).astype(np.int64)
