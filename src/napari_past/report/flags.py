"""What must be told of cells beside their values: unlike the training, or not readable."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_past.engine import Cells
from napari_past.model.card import NOT_STATED, stated_tissue
from napari_past.model.likeness import WARN_SHARE

SHOWN_TILES = 12


def unlike_lines(slide: str, flags: npt.NDArray[np.bool_]) -> list[str]:
    """What must be told where a slide, or cells of it, look unlike the training.

    Parameters
    ----------
    slide
        The sentence about the slide as a whole; empty where it is not flagged.
    flags
        (n,), the cells that are flagged.
    """
    lines = [slide] if slide else []
    flagged = int(np.count_nonzero(flags))
    if flagged:
        percent = 100 * flagged / len(flags)
        nearly = flagged < len(flags) and percent >= 99.5
        lines.append(
            f"{flagged} of {len(flags)} cells ({'over 99' if nearly else f'{percent:.0f}'} %) look "
            "unlike the training tissue; their values are the least certain."
        )
    return lines


def much_unlike(slide: str, flags: npt.NDArray[np.bool_]) -> bool:
    """Whether the slide as a whole is flagged, or more of its cells than the widget lets pass."""
    return bool(slide) or (len(flags) > 0 and float(flags.mean()) > WARN_SHARE)


def unreadable(cells: Cells) -> list[str]:
    """One sentence where tiles could not be decoded."""
    if not cells.unreadable:
        return []
    first = ", ".join(f"{t.column},{t.row}" for t in cells.unreadable[:SHOWN_TILES])
    more = " …" if len(cells.unreadable) > SHOWN_TILES else ""
    return [
        f"{len(cells.unreadable)} of {len(cells.plan.tiles)} tiles of {cells.plan.slide_name} "
        f"could not be read (column,row: {first}{more}) and hold no cells; copy the slide again."
    ]


def trained_on(species: str, organ: str, preparation: str, data: str) -> str:
    """The tissue of a model's training and its data, as a card states them."""
    tissue = stated_tissue(species, organ, preparation) or f"tissue {NOT_STATED}"
    return f"{tissue}: {data}"
