"""Groups of rows within which a prediction is to be right as well, not only across them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from napari_past.validation.compared_rows import LEAST_ROWS, Array, ComparedRows, Values
from napari_past.validation.compartments import known_compartments, row_compartments
from napari_past.validation.metrics import Scores
from napari_past.validation.predictor import BoolArray

GroupKind = Literal["region", "cell type", "patient", "section"]


@dataclass(frozen=True, eq=False)
class RowGroup:
    """Rows that belong together."""

    kind: GroupKind
    name: str
    members: tuple[BoolArray, ...]
    """(k,) of each section's compared rows."""
    defined_by: frozenset[str] = frozenset()
    """Genes whose measured values decided who belongs: nothing can be said of them here."""

    def __len__(self) -> int:
        return sum(int(np.count_nonzero(mask)) for mask in self.members)


def row_groups(rows: ComparedRows) -> tuple[RowGroup, ...]:
    """Regions, cell types, and, where there are several, sections and patients.

    Cell types are those that somebody annotated, else compartments by measured markers. Regions
    and types of the same name in several sections are one group.
    """
    return (*_regions(rows), *_types(rows), *_sections(rows))


def group_figure(
    group: RowGroup,
    rows: ComparedRows,
    predicted: Values,
    measured: Values,
    figure: Callable[[npt.NDArray[np.float32], npt.NDArray[np.float32]], Scores],
) -> Array:
    """A figure (G,) within a group: within its sections, averaged over sections and patients.

    Parameters
    ----------
    predicted, measured
        (k, G) of each section's compared rows.
    figure
        Of (r, G) predicted and measured values, (G,). A section with fewer than 20 rows of the
        group is left out; NaN where all have.
    """
    parts = []
    for p, m, members in zip(predicted, measured, group.members, strict=True):
        if np.count_nonzero(members) < LEAST_ROWS:
            parts.append(np.full(p.shape[1], np.nan))
        else:
            parts.append(figure(p[members], m[members]))
    return rows.mean(np.stack(parts))


def _regions(rows: ComparedRows) -> Iterator[RowGroup]:
    named: dict[str, list[BoolArray]] = {}
    for i, (tissue, row_um) in enumerate(zip(rows.tissues, rows.row_um, strict=True)):
        for region in tissue.regions:
            if not region.ignored:
                masks = named.setdefault(region.name, _nobody(rows))
                masks[i] = masks[i] | region.contains(row_um)
    for name, masks in named.items():
        yield RowGroup("region", name, tuple(masks))


def _types(rows: ComparedRows) -> Iterator[RowGroup]:
    named: dict[str, list[BoolArray]] = {}
    if any(tissue.section.types is not None for tissue in rows.tissues):
        for i, (tissue, kept) in enumerate(zip(rows.tissues, rows.kept, strict=True)):
            if tissue.section.types is not None:
                types = np.asarray(tissue.section.types, object)[tissue.rows[kept]]
                for name in sorted({str(t) for t in types if t}):
                    named.setdefault(name, _nobody(rows))[i] = types == name
        for name, masks in named.items():
            yield RowGroup("cell type", name, tuple(masks))
        return
    defining: set[str] = set()
    for i, (tissue, kept) in enumerate(zip(rows.tissues, rows.kept, strict=True)):
        known = known_compartments(tissue)
        of_row = row_compartments(tissue)[kept]
        for k, (name, genes) in enumerate(known.items()):
            # A row is of one compartment because it is not of the others.
            defining.update(genes)
            named.setdefault(name, _nobody(rows))[i] = of_row == k
    for name, masks in named.items():
        yield RowGroup("cell type", f"{name}, by markers", tuple(masks), frozenset(defining))


def _sections(rows: ComparedRows) -> Iterator[RowGroup]:
    if len(rows.tissues) > 1:
        for i, tissue in enumerate(rows.tissues):
            yield RowGroup("section", tissue.section.name, _all_of(rows, (i,)))
    if len(rows.patients) > 1:
        for patient, sections in rows.patients.items():
            yield RowGroup("patient", patient, _all_of(rows, sections))


def _nobody(rows: ComparedRows) -> list[BoolArray]:
    return [np.zeros(len(kept), np.bool_) for kept in rows.kept]


def _all_of(rows: ComparedRows, sections: tuple[int, ...]) -> tuple[BoolArray, ...]:
    return tuple(np.full(len(kept), i in sections) for i, kept in enumerate(rows.kept))
