"""Fitting networks to patients, and the file of a fitted network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_past.lazy import loader

if TYPE_CHECKING:
    from past_training.slide_level.fitting.fit import fit_network
    from past_training.slide_level.fitting.network import SlideNetwork
    from past_training.slide_level.fitting.network_file import read_network
    from past_training.slide_level.fitting.options import FitOptions
    from past_training.slide_level.fitting.origin import Origin
    from past_training.slide_level.fitting.targets import (
        AlignTarget,
        BulkTarget,
        ClassTarget,
        SurvivalTarget,
    )
    from past_training.slide_level.networks.poolings import POOLINGS

_PLACES = {
    "fit_network": "fit",
    "SlideNetwork": "network",
    "read_network": "network_file",
    "FitOptions": "options",
    "Origin": "origin",
    "AlignTarget": "targets",
    "BulkTarget": "targets",
    "ClassTarget": "targets",
    "SurvivalTarget": "targets",
    "POOLINGS": "options",
}
__all__ = [
    "POOLINGS",
    "AlignTarget",
    "BulkTarget",
    "ClassTarget",
    "FitOptions",
    "Origin",
    "SlideNetwork",
    "SurvivalTarget",
    "fit_network",
    "read_network",
]
__getattr__ = loader(__name__, _PLACES)
