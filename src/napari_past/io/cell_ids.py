"""Ids of cells that come without one."""

from __future__ import annotations

from uuid import UUID, uuid5

import numpy as np
import numpy.typing as npt

_NAMESPACE = UUID("6f2d7f0a-7c1e-5d0b-9b57-4f6c2b1d9a11")


def named_id(name: str) -> str:
    """The UUID that belongs to `name`: the same name gives the same one."""
    return str(uuid5(_NAMESPACE, name))


def position_ids(centers_um: npt.NDArray[np.floating]) -> list[str]:
    """A UUID per cell, from its centre (n, 2) in µm to 1 nm; cells at one place are numbered."""
    seen: dict[str, int] = {}
    ids = []
    for x_um, y_um in np.asarray(centers_um, dtype=np.float64):
        place = f"{x_um:.3f},{y_um:.3f}"
        count = seen[place] = seen.get(place, 0) + 1
        ids.append(named_id(place if count == 1 else f"{place},{count}"))
    return ids
