"""The mask of what must not be scored, found once for a slide and kept beside its cells."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from napari_past.engine.cache import cache_folder
from napari_past.errors import CannotWrite, PastError
from napari_past.quality import QualityMask, find_unscored, read_mask, write_mask
from napari_past.quality.find import METHOD
from napari_past.slide import Slide


def unscored_of(
    slide: Slide,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    cancelled: Callable[[], bool] = lambda: False,
    keep: bool = True,
) -> QualityMask:
    """`find_unscored`, or what it found on this slide before.

    Parameters
    ----------
    on_progress, cancelled
        As `find_unscored` has them.
    keep
        Whether to use the cache.

    Raises
    ------
    MissingPixelSize, Cancelled
    """
    path = cache_folder() / "unscored-v1" / f"{slide.fingerprint}.tif"
    if keep and path.is_file():
        with suppress(PastError):
            mask = read_mask(path, slide.size_um)
            if mask.source == METHOD:  # a newer one finds other things
                return mask
    mask = find_unscored(slide, on_progress, cancelled)
    if keep:
        with suppress(CannotWrite, OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_mask(path, mask)
    return mask
