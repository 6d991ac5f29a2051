"""The mistakes of a table of patients."""

from __future__ import annotations

from napari_past.errors import PastError


class BadCohort(PastError):
    """A table of slides and patients that cannot be learned from, or evaluated on, as it is."""
