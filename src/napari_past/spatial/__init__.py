"""Measured tissue: readers of the field's formats, and the checks that come before training.

The names below are loaded on first use: a mistake in a command is told before pandas is imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_past.lazy import loader

if TYPE_CHECKING:
    from napari_past.spatial.checks import check, check_together
    from napari_past.spatial.errors import BadPairing, BadSource
    from napari_past.spatial.measured import MeasuredAs, kind_of, read_measured
    from napari_past.spatial.placement import placed, read_affine
    from napari_past.spatial.registry import SOURCES, Source, read_sections
    from napari_past.spatial.section import MeasuredSection

__all__ = [
    "SOURCES",
    "BadPairing",
    "BadSource",
    "MeasuredAs",
    "MeasuredSection",
    "Source",
    "check",
    "check_together",
    "kind_of",
    "placed",
    "read_affine",
    "read_measured",
    "read_sections",
]

_FILES = {
    "SOURCES": "registry",
    "BadPairing": "errors",
    "BadSource": "errors",
    "MeasuredAs": "measured",
    "MeasuredSection": "section",
    "Source": "registry",
    "check": "checks",
    "check_together": "checks",
    "kind_of": "measured",
    "placed": "placement",
    "read_affine": "placement",
    "read_measured": "measured",
    "read_sections": "registry",
}
"""Public name -> the file that defines it."""


__getattr__ = loader(__name__, _FILES)
