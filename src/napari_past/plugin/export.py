"""Cells of a session as a table with the gene in view, its classes and the regions. Knows no Qt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from uuid import uuid5

import numpy as np
import pandas as pd
from anndata import AnnData

from napari_past.engine import Cells, chosen_genes
from napari_past.engine.cells import ID_NAMESPACE
from napari_past.errors import Cancelled, RegionError
from napari_past.genes import Resolved
from napari_past.io import check_cells_writable, write_cells
from napari_past.io.provenance import KEY, MISMATCH
from napari_past.plugin.tma_cores import NONE_TOLD, Columns, grid_of_regions
from napari_past.slide import Slide
from napari_past.stain import CLASS_NAMES, classes
from napari_past.tma import add_cores
from napari_past.types import Cutoffs, Region


def exported_table(
    cells: Cells,
    gene: Resolved,
    cutoffs: Cutoffs | None,
    regions: Sequence[Region] = (),
    notes: Mapping[str, str] | None = None,
    mismatch: str = "",
    core_columns: Columns = NONE_TOLD,
) -> AnnData:
    """The panel's markers and the gene in view, its class, and each cell's regions and note.

    ``obs`` gains ``<marker>_class``, ``regions`` (names joined by "; "), ``ignored`` and ``note``,
    with a tissue microarray's cores ``core`` and ``case`` too; ``uns["napari_past"]`` tells the
    cut-offs in use.

    Parameters
    ----------
    notes
        By `note_keys`.
    mismatch
        Where the slide looks like the other kind of stain, the sentence that says so.
    core_columns
        What is told of the cores among the regions.
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
        # Two regions of one core's name: the table shows it, and the regions are told all the same.
        with suppress(RegionError):
            grid = grid_of_regions(regions, core_columns)
            if grid is not None:
                add_cores(adata, grid)
    if notes:
        adata.obs["note"] = [notes.get(key, "") for key in note_keys(cells)]
    return adata


def note_keys(cells: Cells) -> list[str]:
    """By which notes are kept, n of them: found cells' ids, also where brought cells have others,
    since two files may name different cells alike."""
    slide = cells.plan.key.fingerprint
    places = cells.centers_um.tolist()
    return [str(uuid5(ID_NAMESPACE, f"{slide}:{x:.2f},{y:.2f}")) for x, y in places]


def export_cells(
    cells: Cells,
    gene: Resolved,
    cutoffs: Cutoffs | None,
    path: Path,
    regions: Sequence[Region] = (),
    notes: Mapping[str, str] | None = None,
    mismatch: str = "",
    slide: Slide | None = None,
    embed_image: bool = False,
    on_share: Callable[[float], None] = lambda share: None,
    cancelled: Callable[[], bool] = lambda: False,
    core_columns: Columns = NONE_TOLD,
) -> None:
    """Write the cells in the format of the path's suffix, with their regions and notes.

    Parameters
    ----------
    slide
        Told of in .zarr, which holds the slide by reference.
    embed_image
        Whether a .zarr holds the slide's pixels too.
    on_share, cancelled
        Told and asked while it is written.
    core_columns
        What is told of the cores among the regions.

    Raises
    ------
    CannotWrite
        An unknown suffix; the folder is missing or read-only; the disk is full; a .zarr is there
        that is none of ours.
    Cancelled
    """
    check_cells_writable(path)
    table = exported_table(cells, gene, cutoffs, regions, notes, mismatch, core_columns)
    if cancelled():
        raise Cancelled(f"{path.name} was not written.")
    write_cells(
        table,
        path,
        slide=slide,
        embed_image=embed_image,
        on_share=on_share,
        cancelled=cancelled,
    )
