"""Measured tissue: readers of the field's formats, and the checks that come before training."""

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
