"""What must not be scored: a mask of kinds, found on the slide or brought from elsewhere."""

from napari_past.quality.files import read_mask, write_mask
from napari_past.quality.find import find_unscored
from napari_past.quality.mask import UNSCORED_KINDS, QualityMask
from napari_past.quality.names import kind_named

__all__ = [
    "UNSCORED_KINDS",
    "QualityMask",
    "find_unscored",
    "kind_named",
    "read_mask",
    "write_mask",
]
