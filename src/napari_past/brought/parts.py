"""Connected parts of a label image of any size, each of them whole, in bounded memory.

The image is scanned in blocks. A part that lies inside of its block is outlined at once; what
touches a seam is found again in a window around all its pieces. Which blocks were read thus has no
say in the result.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.measure import label as connected
from skimage.segmentation import expand_labels

from napari_past.brought.plane import LabelPlane, Labels
from napari_past.cells.tracing import Traced, smoothed, traced
from napari_past.errors import BadTable
from napari_past.types import Outlines

BLOCK_PX = 2048
WINDOW_PX = 512
"""Pieces on seams are looked at together where they lie within about so much."""
LARGEST_PX = 1024
"""What is wider or higher is no cell."""
_MARGINS_PX = (32, 128, 512, LARGEST_PX)
"""How far around a piece on a seam its other pieces are looked for, one after the other."""
INSIDE, BORDER = 1, 2
"""Classes of a 3-class image."""
BORDER_PX = 8
"""Most that a border is wide."""
_MANY_PARTS, _SPECK_PX = 5000, 6
"""So many parts in a block that are so small on average: a picture, not labels."""

Boxes = npt.NDArray[np.int64]
"""(n, 4): y0, x0, y1, x1, half-open."""


@dataclass(frozen=True)
class Parts:
    """Connected parts (with diagonal neighbours), n of them."""

    labels: npt.NDArray[np.int64]
    first_px: npt.NDArray[np.int64]
    """(n, 2), (y, x): the first pixel in reading order, which no two parts share."""
    centers_um: npt.NDArray[np.float64]
    areas_px: npt.NDArray[np.int64]
    outlines: Outlines
    too_large: frozenset[int] = frozenset()
    """Labels of parts that were left out."""

    @staticmethod
    def concatenate(parts: list[Parts]) -> Parts:
        return Parts(
            np.concatenate([np.zeros(0, np.int64), *(p.labels for p in parts)]),
            np.concatenate([np.zeros((0, 2), np.int64), *(p.first_px for p in parts)]),
            np.concatenate([np.zeros((0, 2)), *(p.centers_um for p in parts)]),
            np.concatenate([np.zeros(0, np.int64), *(p.areas_px for p in parts)]),
            Outlines.concatenate([p.outlines for p in parts]),
            frozenset().union(*(p.too_large for p in parts)),
        )

    def take(self, index: npt.NDArray[np.integer]) -> Parts:
        return Parts(
            self.labels[index],
            self.first_px[index],
            self.centers_um[index],
            self.areas_px[index],
            self.outlines.take(index),
            self.too_large,
        )


@dataclass(frozen=True)
class _Window:
    """Parts within a window of the plane, numbered from 1."""

    y0: int
    x0: int
    values: Labels
    seeds: npt.NDArray[np.int64]
    """Number of the part to which each pixel belongs; of a 3-class image its inside alone."""
    whole: npt.NDArray[np.int64]
    """The same, with its share of the border."""


def parts_of(
    plane: LabelPlane,
    mpp_xy: tuple[float, float],
    corner_um: tuple[float, float],
    three_class: bool = False,
    block_px: int = BLOCK_PX,
) -> Parts:
    """All parts of a plane, in reading order of their first pixels.

    Parameters
    ----------
    mpp_xy, corner_um
        µm of a pixel along x and y, and the outer corner (x, y) of the first.
    three_class
        Parts are those of class 1, each with the border of class 2 that lies nearest to it.

    Raises
    ------
    BadTable
        The image is a picture.
    """
    margin = 2 * BORDER_PX if three_class else 0
    found: list[Parts] = []
    labels, boxes, firsts = [], [], []
    for y0, y1, x0, x1 in _blocks(plane, block_px, margin):
        window = _window(plane, y0, y1, x0, x1, three_class)
        box, first, label = _measured(window)
        _check_no_picture(window, len(label))
        # What lies this near to a seam may go on, or be grown, beyond it.
        open_ = _open(plane, box, (y0, y1, x0, x1), margin // 2)
        number = np.flatnonzero(~open_)
        found.append(_outlined(window, box, first, label, number, mpp_xy, corner_um))
        corner = np.array([y0, x0])
        labels.append(label[open_])
        boxes.append(box[open_] + np.tile(corner, 2))
        firsts.append(first[open_] + corner)
    if labels:
        found += _on_seams(
            plane,
            (np.concatenate(labels), np.concatenate(boxes), np.concatenate(firsts)),
            mpp_xy,
            corner_um,
            three_class,
        )
    parts = Parts.concatenate(found)
    # A part near a seam may have been seen from both sides.
    _, once = np.unique(parts.first_px, axis=0, return_index=True)
    return parts.take(once)


def looks_three_class(plane: LabelPlane, block_px: int = BLOCK_PX) -> bool:
    """Whether an image shows background 0, inside 1 and border 2, and not a cell 1 and a cell 2.

    Read no further than to the first block that has another value.
    """
    inside = beside = borders = 0
    for y0, y1, x0, x1 in _blocks(plane, block_px, 0):
        values = plane.read(y0, y1, x0, x1)
        if values.max(initial=0) > BORDER:
            return False
        parts, n = connected(values == INSIDE, connectivity=2, return_num=True)
        border = values == BORDER
        borders += int(connected(border, connectivity=2, return_num=True)[1])
        inside += n
        near = ndimage.binary_dilation(border, np.ones((3, 3), bool))
        beside += len(np.setdiff1d(parts[near], [0]))
    if not borders or beside < 0.5 * inside:
        return False
    if inside == 1 and borders == 1:
        # A nucleus with its border, or two nuclei that touch: a border goes all around.
        values = plane.read(0, plane.height_px, 0, plane.width_px)
        (inner,), (outer,) = (
            ndimage.find_objects((values == v).astype(np.int8)) for v in (INSIDE, BORDER)
        )
        return all(o.start < i.start and i.stop < o.stop for i, o in zip(inner, outer, strict=True))
    return inside > 0


def _blocks(plane: LabelPlane, block_px: int, margin: int) -> Iterator[tuple[int, int, int, int]]:
    for y in range(0, plane.height_px, block_px):
        for x in range(0, plane.width_px, block_px):
            yield (
                max(0, y - margin),
                min(plane.height_px, y + block_px + margin),
                max(0, x - margin),
                min(plane.width_px, x + block_px + margin),
            )


def _window(plane: LabelPlane, y0: int, y1: int, x0: int, x1: int, three_class: bool) -> _Window:
    values = plane.read(y0, y1, x0, x1)
    seeds = connected(values == INSIDE if three_class else values, background=0, connectivity=2)
    whole = seeds
    if three_class:
        whole = expand_labels(seeds, BORDER_PX)
        whole[(values != BORDER) & (seeds == 0)] = 0
    return _Window(y0, x0, values, seeds, whole)


def _measured(window: _Window) -> tuple[Boxes, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Boxes (n, 4), first pixels (n, 2), both within the window, and labels (n,) of its parts."""
    found = ndimage.find_objects(window.whole)
    box = np.array([(y.start, x.start, y.stop, x.stop) for y, x in found], np.int64).reshape(-1, 4)
    numbers = window.seeds.ravel()
    first = np.zeros(len(found) + 1, np.int64)
    set_px = np.flatnonzero(numbers)[::-1]
    first[numbers[set_px]] = set_px  # of several the last one stays, which is the first pixel
    first = first[1:]
    width = window.values.shape[1]
    return (
        box,
        np.column_stack([first // width, first % width]),
        window.values.ravel()[first],
    )


def _check_no_picture(window: _Window, parts: int) -> None:
    if parts > _MANY_PARTS and np.count_nonzero(window.seeds) < parts * _SPECK_PX:
        raise BadTable(
            f"The image falls into {parts} patches of a few pixels in one place: it looks like a "
            "picture, not like labels; give the label image, each cell filled with its number."
        )


def _outlined(
    window: _Window,
    box: Boxes,
    first: npt.NDArray[np.int64],
    labels: npt.NDArray[np.int64],
    chosen: npt.NDArray[np.integer],
    mpp_xy: tuple[float, float],
    corner_um: tuple[float, float],
) -> Parts:
    """The chosen parts (indices, from 0) of a window; those that are too large are left out."""
    large = (box[chosen, 2:] - box[chosen, :2] > LARGEST_PX).any(axis=1)
    too_large = frozenset(labels[chosen[large]].tolist())
    chosen = chosen[~large]
    objects: list[Traced] = []
    for i in chosen.tolist():
        y0, x0, y1, x1 = box[i]
        mask = window.whole[y0:y1, x0:x1] == i + 1
        objects.append(traced(mask, window.y0 + int(y0), window.x0 + int(x0)))
    centers = np.array([o.center_yx_px for o in objects]).reshape(-1, 2)
    return Parts(
        labels[chosen],
        first[chosen] + np.array([window.y0, window.x0]),
        (centers[:, ::-1] + 0.5) * np.array(mpp_xy) + np.array(corner_um),
        np.array([o.area_px for o in objects], np.int64),
        smoothed(objects, mpp_xy, corner_um),
        too_large,
    )


def _on_seams(
    plane: LabelPlane,
    pieces: tuple[npt.NDArray[np.int64], Boxes, npt.NDArray[np.int64]],
    mpp_xy: tuple[float, float],
    corner_um: tuple[float, float],
    three_class: bool,
) -> Iterator[Parts]:
    """The parts to which pieces (labels, boxes, first pixels) on seams belong."""
    labels, boxes, firsts = pieces
    large = (boxes[:, 2:] - boxes[:, :2] > LARGEST_PX).any(axis=1)
    too_large = set(labels[large].tolist())
    near = BORDER_PX if three_class else 0
    waiting = _groups(boxes, np.flatnonzero(~large))
    for margin in _MARGINS_PX:
        cut: list[npt.NDArray[np.int64]] = []
        for members in waiting:
            box = boxes[members]
            y0, x0 = np.maximum(box[:, :2].min(axis=0) - margin, 0).tolist()
            end = np.minimum(box[:, 2:].max(axis=0) + margin, [plane.height_px, plane.width_px])
            y1, x1 = end.tolist()
            window = _window(plane, y0, y1, x0, x1, three_class)
            found = _measured(window)
            open_ = _open(plane, found[0], (y0, y1, x0, x1), near)
            y, x = (firsts[members] - np.array([y0, x0])).T
            number = window.seeds[y, x] - 1
            cut.append(members[open_[number]])
            chosen = np.unique(number[~open_[number]])
            yield _outlined(window, *found, chosen, mpp_xy, corner_um)
        waiting = _groups(boxes, np.concatenate([np.zeros(0, np.int64), *cut]))
    for members in waiting:
        too_large.update(labels[members].tolist())
    yield replace(Parts.concatenate([]), too_large=frozenset(too_large))


def _groups(boxes: Boxes, members: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
    """Members whose boxes lie in about one place, together."""
    place = (boxes[members, :2] + boxes[members, 2:]) // (2 * WINDOW_PX)
    _, group = np.unique(place, axis=0, return_inverse=True)
    order = np.argsort(group.reshape(-1), kind="stable")
    starts = np.flatnonzero(np.diff(group.reshape(-1)[order], prepend=-1))
    return np.split(members[order], starts)[1:]


def _open(
    plane: LabelPlane, boxes: Boxes, window: tuple[int, int, int, int], near: int
) -> npt.NDArray[np.bool_]:
    """Whether each part may go on beyond the window (y0, y1, x0, x1), (n,)."""
    y0, y1, x0, x1 = window
    open_ = (boxes[:, 0] <= near) & (y0 > 0) | (boxes[:, 1] <= near) & (x0 > 0)
    open_ |= (boxes[:, 2] >= y1 - y0 - near) & (y1 < plane.height_px)
    open_ |= (boxes[:, 3] >= x1 - x0 - near) & (x1 < plane.width_px)
    return np.asarray(open_)
