"""Where the vectors of a fit come from, as its card tells it."""

from __future__ import annotations

from dataclasses import dataclass

from past_training.slide_level.bags.prepared import Instances, Prepared


@dataclass(frozen=True)
class Origin:
    """Which model gave the vectors, and of which slides."""

    model: str = ""
    model_sha256: str = ""
    """Of the model file; empty where nobody knows."""
    instances: Instances = "cells"
    tile_um: float | None = None
    fingerprints: tuple[str, ...] = ()
    """Of the slides' contents, where they are known."""
    slides: int = 0

    @classmethod
    def of(cls, prepared: Prepared) -> Origin:
        """Of a prepared cohort, all of whose patients are learned from."""
        return cls(
            prepared.model.name,
            prepared.model.sha256,
            prepared.instances,
            prepared.tile_um,
            tuple(sorted(slide.fingerprint for slide in prepared.slides if slide.fingerprint)),
            len(prepared.slides),
        )
