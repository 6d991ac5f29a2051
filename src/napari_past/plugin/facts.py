"""One cell of the table as it is told to the user."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from napari_past.engine import CellTable
from napari_past.plugin.cell_details import CellFacts, GeneFact
from napari_past.plugin.gene_box import weakest
from napari_past.plugin.staining import Channel, Staining
from napari_past.quality import UNSCORED_KINDS, QualityMask


def facts_of(
    cell: int,
    table: CellTable,
    shown: Staining,
    mask: QualityMask | None,
    notes: Mapping[str, str],
) -> CellFacts:
    """Everything that is known of a cell, by its place in the table."""
    x, y = table.centers_um[cell].tolist()
    kind = 0 if mask is None else int(mask.kind_at(table.centers_um[cell : cell + 1])[0])
    name = table.cell_id(cell)
    channels = [c for c in (shown.first, shown.second) if c is not None]
    return CellFacts(
        id=name,
        genes=tuple(_gene(channel, cell, table, shown.unit) for channel in channels),
        cell_type=_type(table, cell),
        class_name="" if shown.cutoffs is None else str(shown.class_names(np.array([cell]))[0]),
        unlike_training=float(table.unlike_training[cell]),
        unscored=UNSCORED_KINDS[kind - 1] if kind else "",
        x_um=x,
        y_um=y,
        area_um2=float(table.areas_um2[cell]),
        note=notes.get(name, ""),
    )


def _type(table: CellTable, cell: int) -> str:
    """The nearest type of the model's bank, by how much, and what the nearest cells are."""
    found = table.cell_type(cell)
    if found is None:
        return ""
    told = f"{found.names[found.code[0]]} (margin {found.margin[0]:.3f})"
    name, share = table.nearest_cells(cell)
    return told + (f"; nearest reference cells: {name} {100 * share:.0f} %" if name else "")


def _gene(channel: Channel, cell: int, table: CellTable, unit: str) -> GeneFact:
    evidence = weakest([table.model.reliability(s) for s in channel.resolved.symbols])
    return GeneFact(channel.name, f"{channel.values[cell]:.2f} {unit}", evidence.label)
