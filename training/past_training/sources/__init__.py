"""Measured tissue: readers of the field's formats, and the checks that come before training.

The names below are loaded on first use: a mistake in a command is told before pandas is imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_past.lazy import loader

if TYPE_CHECKING:
    from past_training.sources.checks import check, check_together
    from past_training.sources.errors import BadPairing, BadSource
    from past_training.sources.registry import SOURCES, Source, read_sections
    from past_training.sources.section import MeasuredSection

__all__ = [
    "SOURCES",
    "BadPairing",
    "BadSource",
    "MeasuredSection",
    "Source",
    "check",
    "check_together",
    "read_sections",
]

_FILES = {
    "SOURCES": "registry",
    "BadPairing": "errors",
    "BadSource": "errors",
    "MeasuredSection": "section",
    "Source": "registry",
    "check": "checks",
    "check_together": "checks",
    "read_sections": "registry",
}
"""Public name -> the file that defines it."""


__getattr__ = loader(__name__, _FILES)
