"""The layer that the user works on stays in hand while others are added."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import napari


@contextmanager
def keeping_active(viewer: napari.Viewer) -> Iterator[None]:
    """napari makes each added layer the active one: go back to the one before."""
    layers = viewer.layers
    active = layers.selection.active
    yield
    if active is not None and active in layers:
        layers.selection.active = active
