"""Cells of a session as a table with the gene in view, its classes and the regions. Knows no Qt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData

from napari_past.engine import Cells, chosen_genes
from napari_past.genes import Resolved
from napari_past.io import check_writable, write_cells
from napari_past.io.provenance import KEY, MISMATCH
from napari_past.stain import CLASS_NAMES, classes
from napari_past.types import Cutoffs, Region


def exported_table(
    cells: Cells,
    gene: Resolved,
    cutoffs: Cutoffs | None,
    regions: Sequence[Region] = (),
    notes: Mapping[str, str] | None = None,
    mismatch: str = "",
) -> AnnData:
    """The panel's markers and the gene in view, its class, and each cell's regions and note.

    ``obs`` gains ``<marker>_class``, ``regions`` (names joined by "; "), ``ignored`` and ``note``;
    ``uns["napari_past"]`` tells the cut-offs in use.

    Parameters
    ----------
    notes
        By cell id.
    mismatch
        Where the slide looks like the other kind of stain, the sentence that says so.
    """
    genes = dict.fromkeys([*gene.symbols, *chosen_genes(cells.model, None)])
    adata = cells.to_anndata(list(genes))
    if mismatch:
        adata.uns[KEY][MISMATCH] = mismatch
    if cutoffs is not None:
        named = gene.marker.name if gene.marker is not None else gene.name
        label = gene.symbols[0] if len(gene.symbols) == 1 else named
        # position −1, no class, is what pandas takes for a missing value
        adata.obs[f"{label}_class"] = pd.Categorical.from_codes(
            classes(cells.marker_values(gene.name), cutoffs).tolist(),
            categories=pd.Index(CLASS_NAMES),
            ordered=True,
        )
        told = adata.uns["napari_past"]
        told["cutoffs"][label] = list(cutoffs.values)
        told["cutoffs_source"][label] = cutoffs.source
    if regions:
        names = np.full(len(cells), "", object)
        ignored = np.zeros(len(cells), np.bool_)
        for region in regions:
            inside = region.contains(cells.centers_um)
            if region.ignored:
                ignored |= inside
            names[inside] = [f"{n}; {region.name}" if n else region.name for n in names[inside]]
        adata.obs["regions"] = names
        adata.obs["ignored"] = ignored
    if notes:
        adata.obs["note"] = [notes.get(cell, "") for cell in adata.obs_names]
    return adata


def export_cells(
    cells: Cells,
    gene: Resolved,
    cutoffs: Cutoffs | None,
    path: Path,
    regions: Sequence[Region] = (),
    notes: Mapping[str, str] | None = None,
    mismatch: str = "",
) -> None:
    """Write the cells in the format of the path's suffix: .h5ad, .csv or .geojson.

    Raises
    ------
    CannotWrite
        An unknown suffix; the folder is missing or read-only; the disk is full.
    """
    check_writable(path)
    write_cells(exported_table(cells, gene, cutoffs, regions, notes, mismatch), path)
