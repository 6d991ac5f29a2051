"""Rows and columns of places on a grid that is turned, bent, and has gaps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order, connected_components, minimum_spanning_tree
from scipy.spatial import cKDTree

_NEIGHBOURS = 4
_FARTHEST_STEPS = 3
"""So many positions may be missing, less one, between two cores that are linked."""
_LEAST_FIT = 0.28
"""How far a link may miss a whole number of steps, in steps."""
_LOOSE = 0.4
"""A place farther than this off what its row and column say, in steps, is none of the grid's."""
_WHOLE = 0.15
"""An empty row or column is one of the grid only where the gap is whole steps within this."""
_POLISHES = 12

Places = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Axes:
    """How the grid lies."""

    angle: float
    """Of rows, in radians, −π/4 to π/4: positive turns right ends down."""
    step_um: tuple[float, float]
    """Distance of columns, and of rows."""

    def turned(self, centers_um: Places) -> Places:
        """Places (n, 2) in the grid's own frame, in µm."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        return centers_um @ np.array([[cos, -sin], [sin, cos]])


@dataclass(frozen=True)
class Lattice:
    """Which place has which position."""

    index: npt.NDArray[np.intp]
    """(m,), numbers of the places that belong to the grid."""
    row_column: npt.NDArray[np.intp]
    """(m, 2), from 0, each once."""
    positions_um: Places
    """(rows, columns, 2), where each position's core lies or would."""
    empty_columns: tuple[int, ...] = ()
    """Columns without a core within the grid."""
    empty_rows: tuple[int, ...] = ()
    gaps: int = 0
    """Gaps between blocks that are no whole number of steps, and so hold no positions."""


def find_axes(centers_um: Places) -> Axes | None:
    """Direction and distances of the rows and columns of places (n, 2); None where they have none.

    The direction is the mean of those to the nearest places, modulo a right angle; a distance is
    the median of those to the next place along it, without those that skip missing cores.
    """
    if len(centers_um) < 3:
        return None
    tree = cKDTree(centers_um)
    count = min(_NEIGHBOURS + 1, len(centers_um))
    away, near = tree.query(centers_um, k=count)
    shortest = float(np.median(away[:, 1]))
    pairs = away[:, 1:] <= 1.35 * shortest
    delta = (centers_um[near[:, 1:]] - centers_um[:, None])[pairs]
    folded = np.exp(4j * np.arctan2(delta[:, 1], delta[:, 0])).mean()
    if abs(folded) < 0.3:
        return None
    axes = Axes(float(np.angle(folded)) / 4, (shortest, shortest))
    turned = axes.turned(centers_um)
    tree, steps = cKDTree(turned), []
    near_pairs = tree.query_pairs(3.2 * shortest, output_type="ndarray")
    delta = np.abs(turned[near_pairs[:, 1]] - turned[near_pairs[:, 0]])
    for along, across in ((0, 1), (1, 0)):
        aligned = delta[:, across] < 0.25 * delta[:, along]
        lengths = delta[aligned, along]
        if not len(lengths):
            steps.append(math.nan)
            continue
        first = np.quantile(lengths, 0.1)
        steps.append(float(np.median(lengths[lengths < 1.4 * first])))
    if all(map(math.isnan, steps)):
        return None
    step_x, step_y = (other if math.isnan(step) else step for step, other in (steps, steps[::-1]))
    return Axes(axes.angle, (step_x, step_y))


def fit_lattice(centers_um: Places, weight: npt.NDArray[np.float64], axes: Axes) -> Lattice:
    """Rows and columns of places (n, 2), counted step by step from neighbour to neighbour.

    Links between neighbours are whole steps; the shortest tree over the links that fit best
    carries the count across a grid that bends. What is not linked is counted from the nearest
    place. A position is where its row and its column (each a displacement, by Tukey's median
    polish) and its neighbours' deviations say.

    Parameters
    ----------
    weight
        (n,), how sure each place is: of two at one position the surer is kept.
    """
    turned = axes.turned(centers_um)
    steps = np.array(axes.step_um)
    where = _counted(turned, steps)
    index = np.arange(len(centers_um))
    while True:
        keep = _once_each(where, weight[index])
        index, where = index[keep], where[keep]
        where, empty, gaps = _without_gaps(where, turned[index] / steps)
        grid, predicted = _positions(where, centers_um[index])
        off = np.abs(axes.turned(centers_um[index] - predicted)) / steps
        loose = off.max(axis=1) > _LOOSE
        if not loose.any():
            break
        worst = off.max(axis=1) >= max(_LOOSE, 0.8 * off.max())
        index, where = index[~worst], where[~worst]
        if not len(index):
            return Lattice(index, where, np.zeros((0, 0, 2)))
    return Lattice(index, where, grid, empty[1], empty[0], gaps)


def _counted(turned: Places, steps: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """(n, 2), row and column of each place, relative to any one."""
    n = len(turned)
    scaled = turned / steps
    pairs = cKDTree(scaled).query_pairs(_FARTHEST_STEPS + 0.5, output_type="ndarray")
    delta = scaled[pairs[:, 1]] - scaled[pairs[:, 0]]
    whole = np.rint(delta)
    miss = np.abs(delta - whole).max(axis=1)
    far = np.abs(whole).sum(axis=1)
    fits = (miss < _LEAST_FIT) & (far > 0) & (far <= _FARTHEST_STEPS)
    pairs, whole = pairs[fits], whole[fits].astype(np.intp)
    cost = miss[fits] + 0.2 * far[fits]
    graph = coo_array((cost, (pairs[:, 0], pairs[:, 1])), shape=(n, n)).tocsr()
    tree = minimum_spanning_tree(graph)
    known = {(int(a), int(b)): w for (a, b), w in zip(pairs, whole, strict=True)}
    parts, part = connected_components(tree, directed=False)
    xy = np.zeros((n, 2), np.intp)
    order_of_parts = np.argsort(-np.bincount(part, minlength=parts), kind="stable")
    done = np.zeros(n, np.bool_)
    for number in order_of_parts:
        members = np.flatnonzero(part == number)
        order, before = breadth_first_order(tree, members[0], directed=False)
        for place in order[1:]:
            parent = int(before[place])
            forward = known.get((parent, int(place)))
            step = forward if forward is not None else -known[int(place), parent]
            xy[place] = xy[parent] + step
        if done.any():
            xy[members] += _joined(scaled, xy, np.flatnonzero(done), members)
        done[members] = True
    return xy[:, ::-1]


def _joined(
    scaled: Places,
    xy: npt.NDArray[np.intp],
    counted: npt.NDArray[np.intp],
    members: npt.NDArray[np.intp],
) -> npt.NDArray[np.intp]:
    """What is to be added to the count of a part, so that it goes on from its nearest places."""
    away, near = cKDTree(scaled[counted]).query(scaled[members])
    nearest = np.argsort(away, kind="stable")[: max(3, len(members) // 4)]
    here, there = members[nearest], counted[near[nearest]]
    wanted = scaled[here] - scaled[there] - (xy[here] - xy[there])
    return np.rint(np.median(wanted, axis=0)).astype(np.intp)


def _once_each(
    where: npt.NDArray[np.intp], weight: npt.NDArray[np.float64]
) -> npt.NDArray[np.intp]:
    """Numbers of the places that are the surest at their position, ascending."""
    order = np.argsort(-weight, kind="stable")
    _, first = np.unique(where[order], axis=0, return_index=True)
    return np.sort(order[first])


def _without_gaps(
    where: npt.NDArray[np.intp], scaled: Places
) -> tuple[npt.NDArray[np.intp], tuple[tuple[int, ...], tuple[int, ...]], int]:
    """Rows and columns from 0, without empty ones that stand for a gap between blocks; which empty
    ones (rows, columns) are left; and how many gaps there are."""
    renamed = where - where.min(axis=0)
    empty: list[tuple[int, ...]] = []
    gaps = 0
    for axis in (0, 1):
        used = np.unique(renamed[:, axis])
        number = {int(used[0]): 0}
        left: list[int] = []
        for before, after in pairwise(used):
            skipped = int(after - before - 1)
            if skipped and not _is_whole(renamed, scaled, axis, int(before), int(after)):
                skipped, gaps = 0, gaps + 1
            at = number[int(before)]
            left += range(at + 1, at + 1 + skipped)
            number[int(after)] = at + 1 + skipped
        renamed[:, axis] = [number[int(v)] for v in renamed[:, axis]]
        empty.append(tuple(left))
    return renamed, (empty[0], empty[1]), gaps


def _is_whole(
    where: npt.NDArray[np.intp], scaled: Places, axis: int, before: int, after: int
) -> bool:
    """Whether two rows or columns lie a whole number of steps apart."""
    other = 1 - axis
    one = {int(w[other]): s for w, s in zip(where, scaled, strict=True) if w[axis] == before}
    two = {int(w[other]): s for w, s in zip(where, scaled, strict=True) if w[axis] == after}
    both = sorted(one.keys() & two.keys())
    if not both:
        return True
    # Rows are y, the second of a place; columns x.
    gap = float(np.median([two[k][other] - one[k][other] for k in both]))
    return abs(gap - (after - before)) <= _WHOLE


def _positions(where: npt.NDArray[np.intp], centers_um: Places) -> tuple[Places, Places]:
    """Where each position lies (rows, columns, 2), and where those of the places do (m, 2)."""
    rows, columns = where.max(axis=0) + 1
    grid = np.full((rows, columns, 2), np.nan)
    grid[where[:, 0], where[:, 1]] = centers_um
    of_row, of_column = _filled_rows(rows, columns, where, centers_um)
    rest = grid - of_row[:, None] - of_column[None]
    for _ in range(_POLISHES):
        for axis, part in ((1, of_row), (0, of_column)):
            with np.errstate(all="ignore"):
                middle = _median(rest, axis)
            part += middle
            rest -= middle[:, None] if axis == 1 else middle[None]
    smooth = of_row[:, None] + of_column[None] + _neighbouring(rest)
    return smooth, smooth[where[:, 0], where[:, 1]]


def _filled_rows(
    rows: int, columns: int, where: npt.NDArray[np.intp], centers_um: Places
) -> tuple[Places, Places]:
    """Rows' (rows, 2) and columns' (columns, 2) share of a plane through all places: empty rows and
    columns lie on it, too."""
    design = np.column_stack([np.ones(len(where)), where])
    # With few places some steps are not determined; the least-squares answer of least norm is.
    plane = np.linalg.lstsq(design, centers_um, rcond=None)[0]
    return plane[0] + np.arange(rows)[:, None] * plane[1], np.arange(columns)[:, None] * plane[2]


def _median(rest: Places, axis: int) -> Places:
    """Median along an axis over the positions that have a place; 0 where none has."""
    known = ~np.isnan(rest[..., 0])
    out = np.zeros((rest.shape[1 - axis], 2))
    for i in range(len(out)):
        line = rest[i][known[i]] if axis == 1 else rest[:, i][known[:, i]]
        if len(line):
            out[i] = np.median(line, axis=0)
    return out


def _neighbouring(rest: Places) -> Places:
    """Mean deviation of the (up to eight) positions around each, which follows a local bend."""
    known = ~np.isnan(rest[..., 0])
    values = np.where(known[..., None], rest, 0)
    summed, count = np.zeros_like(values), np.zeros(known.shape)
    rows, columns = known.shape
    padded = np.pad(values, ((1, 1), (1, 1), (0, 0)))
    there = np.pad(known.astype(float), 1)
    for dy in (0, 1, 2):
        for dx in (0, 1, 2):
            if (dy, dx) != (1, 1):
                summed += padded[dy : dy + rows, dx : dx + columns]
                count += there[dy : dy + rows, dx : dx + columns]
    # Few neighbours say little: four of them count half.
    return summed / (count + 4)[..., None]
