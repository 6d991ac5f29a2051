"""Which file of ``--cells`` belongs to a slide."""

from __future__ import annotations

from pathlib import Path

from napari_past.brought import is_folder_of_cells
from napari_past.cli.slide_list import AskedSlide
from napari_past.errors import BadTable
from napari_past.slide.place import stem_of

ENDINGS = (".", "_seg.", "_cp_masks.", "_masks.", "_labels.")
"""What follows a slide's name in files of cells: a suffix, or how Cellpose and others name them."""


def brought_file(slide: AskedSlide, given: Path | None) -> Path | None:
    """The file or folder of cells of a slide; None where none were given.

    Parameters
    ----------
    given
        What ``--cells`` names: the file itself, or a folder with a file named after each slide,
        in the same folders as the slides where a folder was searched for them.

    Raises
    ------
    BadTable
        There is no such file, or no or several of a slide.
    """
    if slide.cells is not None:
        given = slide.cells
    if given is None:
        return None
    if not given.exists():
        raise BadTable(f"There are no cells {given}; check the name.")
    if not given.is_dir() or given.suffix.lower() == ".zarr":
        return given
    stem = stem_of(Path(slide.name).name)
    for folder in dict.fromkeys((given / Path(slide.name).parent, given)):
        found = [p for p in sorted(folder.iterdir()) if _is_of(p, stem)] if folder.is_dir() else []
        if len(found) > 1:
            raise BadTable(
                f"{folder} holds {len(found)} files of cells of {slide.name} "
                f"({', '.join(p.name for p in found)}); leave one, or name it in the column cells "
                "of a list."
            )
        if found:
            return found[0]
    if is_folder_of_cells(given):
        return given
    raise BadTable(
        f"{given} holds no file of cells of {slide.name}; name it {stem}.geojson, {stem}.tif or "
        "the like, or give the column cells of a list."
    )


def _is_of(path: Path, stem: str) -> bool:
    return any(path.name.startswith(stem + ending) for ending in ENDINGS)
