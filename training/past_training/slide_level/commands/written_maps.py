"""The heat maps that ``past-train slide evaluate`` writes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_past.errors import CannotWrite
from napari_past.status_line import StatusLine

if TYPE_CHECKING:
    from past_training.slide_level.bags.prepared import Prepared
    from past_training.slide_level.fitting import SlideNetwork


def written_maps(
    network: SlideNetwork, prepared: Prepared, folder: Path, force: bool
) -> tuple[Path, ...]:
    """A map of each slide, in a folder that is made where it is missing; returns the files.

    Raises
    ------
    CannotWrite
        A map is there already, and `force` is not given.
    """
    # Only now: torch takes seconds to load.
    from past_training.slide_level.maps.write import map_paths, write_maps

    there = [path for path in map_paths(prepared.slides, folder).values() if path.exists()]
    if there and not force:
        raise CannotWrite(
            f"{there[0]} exists already{f', and {len(there) - 1} more' if there[1:] else ''}; give "
            "another --maps, or --force to overwrite maps and report."
        )
    folder.mkdir(parents=True, exist_ok=True)
    line = StatusLine()
    try:
        return write_maps(
            network, prepared, folder, lambda done, total: line.tell(f"maps {done}/{total}")
        )
    finally:
        line.close()
