"""The mistakes of an evaluation of survival."""

from __future__ import annotations

from napari_past.errors import PastError


class BadEvaluation(PastError):
    """An evaluation that these patients, or these options, do not allow."""
