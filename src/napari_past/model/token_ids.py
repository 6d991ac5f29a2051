"""Token ids as a cell tower takes them: checked before torch sees them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_past.errors import PastError
from napari_past.model.card import Card, CellTowerCard

NEIGHBOURS = 8
"""Nearest cells that the graph branch was trained with."""

Ids = npt.NDArray[np.integer]


def checked_tokens(card: Card, ids: Ids, neighbours: Ids | None) -> tuple[Ids, Ids | None]:
    """`ids` (n, positions) and `neighbours` (n, 8, positions) as arrays.

    Raises
    ------
    PastError
        The model has no cell tower or no graph branch, or the ids have another shape or range.
    """
    cells = card.cell_tower
    if cells is None:
        raise PastError(
            f"{card.name} has no cell tower, so it cannot embed token ids; use a model with one, "
            f"such as PAST (`napari-past models fetch past`)."
        )
    ids = _checked("ids", ids, (cells.positions,), cells)
    empty = (ids == cells.pad).all(axis=1)
    if empty.any():
        raise PastError(
            f"Cell {int(np.argmax(empty))} of the token ids is padding alone, without even the "
            f"prefix; make the ids with napari_past.model.tokenize."
        )
    if neighbours is None:
        return ids, None
    if not cells.graph:
        raise PastError(
            f"The weights of {card.name} have no graph branch; leave the neighbours out."
        )
    neighbours = _checked("neighbours", neighbours, (NEIGHBOURS, cells.positions), cells)
    if len(neighbours) != len(ids):
        raise PastError(
            f"There are token ids of {len(ids)} cells but neighbours of {len(neighbours)}; give "
            f"{NEIGHBOURS} for each cell."
        )
    return ids, neighbours


def _checked(what: str, ids: Ids, shape: tuple[int, ...], card: CellTowerCard) -> Ids:
    ids = np.asarray(ids)
    if not np.issubdtype(ids.dtype, np.integer) or ids.shape[1:] != shape or ids.ndim == 0:
        wanted = ", ".join(str(side) for side in shape)
        raise PastError(
            f"encode_tokens wants {what} of integers (n, {wanted}), but got {ids.dtype} "
            f"{ids.shape}; make them with napari_past.model.tokenize."
        )
    if ids.size and (int(ids.min()) < 0 or int(ids.max()) >= card.vocabulary):
        raise PastError(
            f"encode_tokens wants {what} from 0 to {card.vocabulary - 1}, but got "
            f"{int(ids.min())} to {int(ids.max())}; check that they were made for this model."
        )
    return ids
