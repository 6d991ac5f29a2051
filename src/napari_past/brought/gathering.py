"""Cells from polygons and points, a batch at a time: what is damaged is mended or left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import shapely

from napari_past.brought.assembled import assembled, mended, outlines_of
from napari_past.cells.brought import BroughtCells
from napari_past.types import Outlines

_POLYGON = 3


class Gathered:
    """Collects cells; what of each is kept in memory are numbers."""

    def __init__(self) -> None:
        self._centers: list[npt.NDArray[np.float64]] = [np.zeros((0, 2))]
        self._areas: list[npt.NDArray[np.float64]] = [np.zeros(0)]
        self._outlines: list[Outlines] = []
        self._whole: list[Outlines] = []
        self._kept: list[npt.NDArray[np.bool_]] = [np.zeros(0, bool)]
        self._mended = 0

    def add(
        self,
        polygons_um: Iterable[shapely.Geometry | None],
        cell_polygons_um: Iterable[shapely.Geometry | None] | None = None,
    ) -> None:
        """Add some more.

        Parameters
        ----------
        polygons_um
            Polygons or points, vertices (x, y) in µm; None for what is damaged.
        cell_polygons_um
            The outlines of the whole cells, None where there is one outline alone.
        """
        given = np.array(list(polygons_um), dtype=object)
        shapes = mended(given)
        kept = np.asarray(shapely.get_type_id(shapes) >= 0)
        same = np.fromiter((a is b for a, b in zip(given, shapes, strict=True)), bool, len(given))
        self._mended += int((~same & kept).sum())
        self._kept.append(kept)
        shapes = shapes[kept]
        self._centers.append(shapely.get_coordinates(shapely.centroid(shapes)))
        is_polygon = shapely.get_type_id(shapes) == _POLYGON
        self._areas.append(np.where(is_polygon, shapely.area(shapes), np.nan))
        self._outlines.append(outlines_of(shapes))
        around = np.full(len(shapes), None, dtype=object)
        if cell_polygons_um is not None:
            around = mended(cell_polygons_um)[kept]
            around[shapely.get_type_id(around) != _POLYGON] = None
        self._whole.append(outlines_of(around))

    @property
    def count(self) -> int:
        """Of the cells that were added, those left out too."""
        return sum(len(kept) for kept in self._kept)

    def cells(
        self,
        *,
        ids: Sequence[str] | None,
        columns: Mapping[str, npt.NDArray],
        source: str,
        kind: str,
        notes: Sequence[str] = (),
    ) -> BroughtCells:
        """All of them.

        Parameters
        ----------
        ids, columns
            Of all that were added; those of what was left out are dropped.
        notes
            What the user is to be told beside what was mended and left out.

        Raises
        ------
        BadTable
            There is none.
        """
        kept = np.concatenate(self._kept)
        told = list(notes)
        lost = len(kept) - int(kept.sum())
        if lost:
            told.append(f"{_counted(lost, 'object')} without an area or a position left out.")
        if self._mended:
            told.append(
                f"{_counted(self._mended, 'outline')} mended: it crossed itself or had several "
                "parts."
            )
        whole = Outlines.concatenate(self._whole)
        return assembled(
            np.concatenate(self._centers),
            Outlines.concatenate(self._outlines),
            np.concatenate(self._areas),
            ids=None if ids is None else [ids[i] for i in np.flatnonzero(kept).tolist()],
            columns={name: np.asarray(values)[kept] for name, values in columns.items()},
            source=source,
            kind=kind,
            notes=told,
            cell_outlines=whole if len(whole.vertices_um) else None,
        )


def _counted(n: int, what: str) -> str:
    return f"1 {what} was" if n == 1 else f"{n} {what}s were"
