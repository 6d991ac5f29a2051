"""Sample slides for napari's File → Open Sample."""

from __future__ import annotations

from napari_past.engine import cache_folder
from napari_past.plugin.reader import LayerData, read_slides
from napari_past.sample import write_phantom

PHANTOM_FILE = "phantom.ome.tif"


def phantom() -> list[LayerData]:
    """The drawn H&E slide, written into the cache on first use and opened as any other slide.

    Raises
    ------
    CannotWrite
        The cache folder cannot be written.
    """
    folder = cache_folder() / "samples"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / PHANTOM_FILE
    if not path.is_file():
        write_phantom(path)
    return read_slides(path)
