"""One cell of the table as it is told to the user."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from napari_past.engine import CellTable, MeasuredStain
from napari_past.plugin.brought_rows import BroughtRows
from napari_past.plugin.cell_details import CellFacts, GeneFact
from napari_past.plugin.gene_box import weakest
from napari_past.plugin.staining import Channel, Staining
from napari_past.quality import UNSCORED_KINDS, QualityMask
from napari_past.stain.measured import COLUMNS, COMPLETENESS, DAB_OF, HER2_CLASS

NOT_SEEN = "not seen"
NOT_YET = "not looked up yet"


def facts_of(
    cell: int,
    table: CellTable,
    shown: Staining,
    mask: QualityMask | None,
    notes: Mapping[str, str],
    reference: str = "",
    brought: BroughtRows | None = None,
    own_class: str = "",
) -> CellFacts:
    """Everything that is known of a cell, by its place in the table.

    Parameters
    ----------
    notes
        By `CellFacts.key`.
    reference
        What its nearest reference cells are.
    brought
        What the table's cells came with; None where they were found.
    own_class
        Of the user's classes.
    """
    x, y = table.centers_um[cell].tolist()
    kind = 0 if mask is None else int(mask.kind_at(table.centers_um[cell : cell + 1])[0])
    key = table.cell_id(cell)
    row = -1 if brought is None else brought.row(table.centers_um[cell])
    channels = [c for c in (shown.first, shown.second) if c is not None]
    return CellFacts(
        id=key if brought is None else brought.id(row) or key,
        key=key,
        genes=tuple(_gene(channel, cell, table, shown.unit) for channel in channels),
        cell_type=_type(table, cell),
        class_name=_class(shown, cell),
        unlike_training=float(table.unlike_training[cell]),
        unscored=UNSCORED_KINDS[kind - 1] if kind else "",
        x_um=x,
        y_um=y,
        area_um2=float(table.areas_um2[cell]),
        note=notes.get(key, ""),
        measured=_measured(table, cell),
        reference=reference,
        own_class=own_class,
        brought=() if brought is None else brought.told(row),
    )


def _measured(table: CellTable, cell: int) -> tuple[tuple[str, str], ...]:
    """Densities of a cell's compartments on a real stain; nothing where values are predicted."""
    if not isinstance(table.model, MeasuredStain):
        return ()
    values = table.model.expression(table.embedding(cell)[None], COLUMNS)[0]
    told = [NOT_SEEN if np.isnan(v) else f"{v:.2f}" for v in values]
    value = dict(zip(COLUMNS, told, strict=True))
    densities = ", ".join(f"{name} {value[column]}" for name, column in DAB_OF.items())
    her2, complete = value[HER2_CLASS], values[COLUMNS.index(COMPLETENESS)]
    membrane = NOT_SEEN
    if not np.isnan(complete):
        membrane = f"{100 * complete:.0f} % complete, HER2 class {her2.partition('.')[0]}"
    blue = f"{table.hematoxylin_od[cell]:.2f}"
    return (("DAB", densities), ("membrane", membrane), ("haematoxylin", blue))


def _class(shown: Staining, cell: int) -> str:
    if shown.cutoffs is None or cell >= len(shown.values):
        return ""
    return str(shown.class_names(np.array([cell]))[0])


def _type(table: CellTable, cell: int) -> str:
    """The nearest type of the model's bank, and by how much."""
    types = table.types
    if cell >= len(types.code):
        return ""
    return f"{types.names[types.code[cell]]} (margin {types.margin[cell]:.3f})"


def _gene(channel: Channel, cell: int, table: CellTable, unit: str) -> GeneFact:
    evidence = weakest([table.model.reliability(s) for s in channel.resolved.symbols])
    known = cell < len(channel.values)
    value = f"{channel.values[cell]:.2f} {unit}" if known else NOT_YET
    return GeneFact(channel.name, value, evidence.label)
