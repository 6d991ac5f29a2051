"""Mistakes in measured tissue, as users meet them; each text is one sentence that says what to do.

PastError
├── BadSource       a folder or file is missing, damaged, or not of its format
└── BadPairing      the measurements are readable but do not belong to the picture, or to training
"""

from __future__ import annotations

from napari_past.errors import PastError


class BadSource(PastError):
    """A folder or file of measured tissue is missing, damaged, or not of its format."""


class BadPairing(PastError):
    """Measurements that do not fit their picture, each other, or what training needs."""
