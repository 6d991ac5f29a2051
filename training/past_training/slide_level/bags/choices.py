"""How a cohort is made ready, and who is told how far it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version

from napari_past.engine.run import OnTile
from napari_past.model import Model
from past_training.slide_level.bags.prepared import Instances
from past_training.slide_level.bags.summaries import Reading
from past_training.slide_level.cohort.cohort import CohortSlide


@dataclass(frozen=True, eq=False)
class Choices:
    """How a cohort is made ready."""

    reading: Reading = field(default_factory=Reading)
    """With the model that encodes pictures; without one there must be tables alone."""
    instances: Instances = "cells"
    tile_um: float = 128.0
    """Side of the squares where instances are tiles."""
    copy: bool = False
    """Whether vectors are copied out of the store and the tables."""
    detector: str | None = None
    device: str = "auto"

    @property
    def told(self) -> str:
        """All that a slide's entry depends on but the slide."""
        reading = self.reading
        return json.dumps(
            {
                "model": None if reading.model is None else reading.model.sha256,
                "bank": None if reading.model is None else str(_bank(reading.model)),
                "genes": reading.genes,
                "pathways": {name: list(genes) for name, genes in reading.pathways.items()},
                "classifier": None if reading.classifier is None else reading.classifier.sha256,
                "instances": self.instances,
                "tile_um": self.tile_um if self.instances == "tiles" else None,
                "copy": self.copy,
                "detector": self.detector,
                "version": version("napari-past"),
            },
            sort_keys=True,
        )


def _bank(model: Model) -> object:
    return None if model.bank is None else model.bank.told


@dataclass(frozen=True, eq=False)
class Watch:
    """Who is told how far it is."""

    on_look: Callable[[int, CohortSlide], None] = lambda done, slide: None
    on_slide: Callable[[int, CohortSlide], None] = lambda done, slide: None
    """Told how many slides are done, and which is next."""
    on_tile: OnTile = lambda progress: None
    cancelled: Callable[[], bool] = lambda: False
