"""What the widget remembers of a layer: that it drew it, or that its cells are in use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_KEY = "napari_past_drew"

OWN: dict[str, bool] = {_KEY: True}
"""Metadata of a layer that the widget draws: it shows cells, and is no source of cells."""

CELLS = "napari_past_cells"
"""Of the metadata of a layer whose cells are in use: its shapes are no regions to score."""


def is_own(metadata: Mapping[str, Any]) -> bool:
    """Whether the widget drew a layer with this metadata."""
    return bool(metadata.get(_KEY))


def holds_cells(metadata: Mapping[str, Any]) -> bool:
    """Whether the cells of a layer with this metadata are in use."""
    return bool(metadata.get(CELLS))
