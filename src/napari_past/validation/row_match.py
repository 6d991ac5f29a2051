"""Which rows of a table of predictions belong to which measured rows: by id, else by place."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from napari_past.errors import BadTable
from napari_past.spatial.membership import row_means
from napari_past.spatial.section import Points
from napari_past.validation.prediction_table import Places, PredictionTable
from napari_past.validation.tissue import IntArray, Tissue

CELL_REACH_UM = 5.0
"""No farther from a measured cell lies its prediction."""
_CLEAR = 2.0
"""So many times better than the next must the way be in which places are read, where nobody said
it."""
_LEAST = 0.25
"""Share of the measured rows that must be found, or the table is of something else."""
_STRETCHED = 0.25
"""Of the distance between neighbours: no farther off lies a row whose place was stretched."""
_BARCODE = re.compile(r"[ACGT]{14,}")
_RUNNING = re.compile(r"[0-9]{1,18}")
_AFFINE_ROWS = 8
"""Fewer pairs say nothing of whether places lie alike."""


@dataclass(frozen=True, eq=False)
class RowMatch:
    """Pairs of a measured and a predicted row; a spot may have many."""

    row: IntArray
    """(m,) ascending places among the tissue's rows."""
    of: IntArray
    """(m,) rows of the table."""
    n_rows: int
    told: str
    """How many were found, and how, a sentence."""

    def means(self, values: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Mean over each measured row's predictions, float32 (n_rows, g); NaN without any.

        Parameters
        ----------
        values
            (m, g), of the table's rows `of`.
        """
        return row_means(values, self.row, self.n_rows)


def row_match(
    table: PredictionTable, tissue: Tissue, placed_in: Literal["um", "px"] | None = None
) -> RowMatch:
    """The rows of a table that lie on a tissue's rows.

    Ids come first, where the table's places, if any, do not speak against them; running numbers
    only where they agree. Then places: to a spot belong all rows within it, to a cell the nearest
    within 5 µm. A table of spots on other places, or of detected cells, is so averaged over the
    measured spots.

    Parameters
    ----------
    placed_in
        Unit of ``obsm["spatial"]``, where the table does not say it. None finds it where it is
        clear which of both puts rows upon rows.

    Raises
    ------
    BadTable
        Too few rows are found, or it is not clear how places are meant.
    """
    section = tissue.section
    ways = _ways(table, tissue, placed_in)
    pairs = _by_id(table, section.ids)
    doubt = ""
    if pairs is not None:
        why = _ids_hold(table, tissue, ways, pairs)
        if why is not None:
            return _match(tissue, table, *pairs, "by id", why)
        if not _are_running(tissue, pairs):
            doubt = " Its ids name other rows than its places do, so they were not gone by."
    if not ways:
        raise BadTable(
            f"{table.path.name} has neither ids nor places of the measured {section.row_kind} of "
            f"{section.name}; write their ids as the rows' names, or their places as "
            'obsm["spatial"].'
        )
    best = _clear_way(ways, table, section.name)
    if best.share < _LEAST:
        raise BadTable(
            f"Only {best.share:.0%} of the measured {section.row_kind} of {section.name} have a "
            f"row of {table.path.name} upon them ({best.source}); check that it was predicted on "
            f"this picture, and in which unit its places are.{doubt}"
        )
    return _match(tissue, table, best.row, best.of, f"by place ({best.source})", doubt)


@dataclass(frozen=True, eq=False)
class _Way:
    """One reading of a table's places, and what it finds."""

    source: str
    row: IntArray
    of: IntArray
    share: float
    """Of the section's rows that are found."""
    nearness: float
    """1 where predicted rows lie upon measured ones, 0 where they are as far off as is allowed."""
    away: npt.NDArray[np.float64] | None
    """(r, 2) measured places in the table's own frame, by which ids are checked."""

    @property
    def agreement(self) -> float:
        return self.share * self.nearness


def _ways(table: PredictionTable, tissue: Tissue, placed_in: str | None) -> list[_Way]:
    found = []
    for places in table.places:
        if places.frame == "stretched":
            found += _stretched(places, tissue)
        elif places.frame == "untold":
            units = (placed_in,) if placed_in else ("px", "um")
            found += [_placed(places, tissue, unit) for unit in units]
        else:
            found.append(_placed(places, tissue, places.frame))
    return found


def _placed(places: Places, tissue: Tissue, unit: str) -> _Way:
    section = tissue.section
    xy_um = places.xy if unit == "um" else (places.xy + 0.5) * section.mpp
    single = section.spot_diameter_um is None
    reach_um = CELL_REACH_UM if section.spot_diameter_um is None else section.spot_diameter_um / 2
    row, of, away = _nearest(xy_um, section.centers_um, reach_um, single)
    share = len(np.unique(row)) / len(section)
    near = 1 - float(np.median(away)) / reach_um if len(away) else 0.0
    written = "µm" if unit == "um" else "pixels"
    return _Way(f"{places.source}, in {written}", row, of, share, near, xy_um)


def _stretched(places: Places, tissue: Tissue) -> list[_Way]:
    """Where the table has the rows of this section and no other: both are stretched alike."""
    measured, given = (_unit_square(xy) for xy in (tissue.section.centers_um, places.xy))
    if measured is None or given is None or len(measured) < 2:
        return []
    apart, _ = cKDTree(measured).query(measured, k=2)
    reach = _STRETCHED * float(np.median(apart[:, 1]))
    row, of, away = _nearest(given, measured, reach, True)
    if len(of) < 0.99 * len(given):
        return []
    near = 1 - float(np.median(away)) / reach if reach > 0 else 1.0
    share = len(np.unique(row)) / len(measured)
    return [_Way(f"{places.source}, stretched alike", row, of, share, near, None)]


def _unit_square(xy: Points) -> Points | None:
    low, extent = xy.min(axis=0), np.ptp(xy, axis=0)
    return None if (extent <= 0).any() else (xy - low) / extent


def _nearest(
    given: Points, measured: Points, reach: float, single: bool
) -> tuple[IntArray, IntArray, npt.NDArray[np.float64]]:
    """Measured row and table row of each pair, and how far apart they are.

    Parameters
    ----------
    single
        A measured row takes the nearest alone.
    """
    away, row = cKDTree(measured).query(given, distance_upper_bound=np.nextafter(reach, np.inf))
    of = np.flatnonzero(np.isfinite(away))
    order = of[np.lexsort((away[of], row[of]))]
    if single:
        _, first = np.unique(row[order], return_index=True)
        order = order[first]
    return row[order].astype(np.int64), order.astype(np.int64), away[order]


def _clear_way(ways: Sequence[_Way], table: PredictionTable, section: str) -> _Way:
    ordered = sorted(ways, key=lambda way: -way.agreement)
    best = ordered[0]
    for other in ordered[1:]:
        same = np.array_equal(best.row, other.row) and np.array_equal(best.of, other.of)
        if not same and best.agreement < _CLEAR * other.agreement:
            raise BadTable(
                f"It is not clear how the places in {table.path.name} are meant: {best.source}, or "
                f"{other.source}, of which neither puts them plainly upon the rows of {section}; "
                "say it with --placed-in um or px, or give the rows their measured ids."
            )
    return best


def _by_id(table: PredictionTable, ids: Sequence[str]) -> tuple[IntArray, IntArray] | None:
    """Measured and table rows of the same id; None where most measured rows have none."""
    best: tuple[IntArray, IntArray] | None = None
    for given in table.ids:
        for names, wanted in ((given, tuple(ids)), (_barcodes(given), _barcodes(ids))):
            if names is None or wanted is None or len(set(names)) < len(names):
                continue
            at = {name: i for i, name in enumerate(names)}
            pairs = [(row, at[name]) for row, name in enumerate(wanted) if name in at]
            if len(pairs) > (0 if best is None else len(best[0])):
                row, of = np.array(pairs, np.int64).T
                best = (row, of)
    if best is None or len(best[0]) < _LEAST * len(ids):
        return None
    return best


def _barcodes(ids: Sequence[str]) -> tuple[str, ...] | None:
    """The barcodes in ids that have something before or behind, as "SECTION_AAAC…-1_hires"; None
    where one has none, or two the same."""
    found = [_BARCODE.search(name) for name in ids]
    barcodes = tuple(match[0] for match in found if match is not None)
    return barcodes if len(set(barcodes)) == len(ids) else None


def _are_running(tissue: Tissue, pairs: tuple[IntArray, IntArray]) -> bool:
    """Whether the ids of the rows found are numbers, which may be anybody's."""
    ids = tissue.section.ids
    return all(_RUNNING.fullmatch(ids[i]) for i in pairs[0].tolist())


def _ids_hold(
    table: PredictionTable,
    tissue: Tissue,
    ways: Sequence[_Way],
    pairs: tuple[IntArray, IntArray],
) -> str | None:
    """What to say of rows of one id where they are the same; None where they are not."""
    row, of = pairs
    section = tissue.section
    running = _are_running(tissue, pairs)
    if not table.places:
        if running:
            numbers = np.array([int(section.ids[i]) for i in row.tolist()])
            counted = len(numbers) == np.ptp(numbers) + 1
            # Counted from the first row to the last, they are the same only if there are as many.
            if counted and len(table) != len(section):
                return None
        return (
            " It has no places to check that by, and ids may recur from one section or run to "
            "another."
        )
    reach_um = (section.spot_diameter_um or 2 * CELL_REACH_UM) / 2
    for way in ways:
        if way.away is None:
            if {*zip(row.tolist(), of.tolist(), strict=True)} <= {
                *zip(way.row.tolist(), way.of.tolist(), strict=True)
            }:
                return ""
        else:
            away_um = np.hypot(*(way.away[of] - section.centers_um[row]).T)
            if float(np.median(away_um)) <= reach_um:
                return ""
    if running or any(places.frame == "um" for places in table.places):
        return None
    measured_um = section.centers_um[row]
    if any(_lie_alike(places.xy[of], measured_um, reach_um) for places in table.places):
        return (
            " Its places agree with the measured ones only after an affine map, and ids may recur "
            "from one section or run to another."
        )
    return None


def _lie_alike(given: Points, measured_um: Points, reach_um: float) -> bool:
    """Whether an affine map brings one upon the other: places may be in the instrument's frame, or
    in pixels of a smaller picture."""
    if len(given) < _AFFINE_ROWS:
        return False
    known = np.column_stack([given - given.mean(axis=0), np.ones(len(given))])
    fitted, *_ = np.linalg.lstsq(known, measured_um, rcond=None)
    return float(np.median(np.hypot(*(known @ fitted - measured_um).T))) <= reach_um


def _match(
    tissue: Tissue, table: PredictionTable, row: IntArray, of: IntArray, how: str, doubt: str
) -> RowMatch:
    """Pairs of the section's rows as pairs of those that are looked at.

    Parameters
    ----------
    how, doubt
        They were found, and what speaks against it.
    """
    at = np.full(len(tissue.section), -1, np.int64)
    at[tissue.rows] = np.arange(len(tissue))
    kept = at[row] >= 0
    order = np.argsort(at[row][kept], kind="stable")
    row, of = at[row][kept][order], of[kept][order]
    found, section = len(np.unique(row)), tissue.section
    if not found:
        raise BadTable(
            f"None of the {len(tissue)} {section.row_kind} of {section.name} that are looked at is "
            f"in {table.path.name}; predict them, too."
        )
    means = f", the mean of {len(row) / found:.1f} rows each" if len(row) > 1.05 * found else ""
    told = (
        f"{found} of {len(tissue)} {section.row_kind} of {section.name} have a prediction in "
        f"{table.path.name}, found {how}{means}.{doubt}"
    )
    return RowMatch(row, of, len(tissue), told)
