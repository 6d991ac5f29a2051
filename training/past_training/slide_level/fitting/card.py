"""What a fitted network says of itself."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from napari_past.model.strict import Strict
from napari_past.types import RESEARCH_USE
from past_training.slide_level.cohort.table import counted
from past_training.slide_level.networks.poolings import PoolingName

NETWORK_SCHEMA: Final = 1
NOT_VALIDATED = "none: fitted on all rows, and not evaluated on others"

Head = Literal["cox", "discrete", "classification", "bulk", "align"]
_Count = Annotated[int, Field(ge=0)]
_Sha256 = Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]


class NetworkShape(Strict):
    """What it is built of."""

    pooling: PoolingName
    dim: Annotated[int, Field(ge=1, le=65_536)]
    """Numbers of an instance's vector."""
    width: Annotated[int, Field(ge=1, le=65_536)]
    tokens: Annotated[int, Field(ge=1, le=65_536)]
    draws: Annotated[int, Field(ge=1, le=65_536)]
    clusters: Annotated[int, Field(ge=1, le=65_536)]
    sides: dict[Literal["rna", "text"], Annotated[int, Field(ge=1, le=1_000_000)]]
    """Modalities that it was aligned with → their numbers."""


class NetworkCard(Strict):
    """Built of what, fitted on what, by which choices; and what is known of how good it is."""

    schema_version: Literal[1] = NETWORK_SCHEMA
    research_use: str = RESEARCH_USE
    head: Head
    shape: NetworkShape
    output_names: Annotated[tuple[str, ...], Field(min_length=1)]
    unit: str
    """Of the outputs."""
    interval_ends: tuple[Annotated[float, Field(gt=0)], ...]
    """Of the discrete hazards, in the unit of the times."""
    tasks: dict[str, tuple[str, ...]]
    """Of classification: task → its classes, in the order of the outputs."""
    model: str
    """That gave the vectors; empty where nobody said."""
    model_sha256: _Sha256
    instances: Literal["cells", "tiles"]
    tile_um: float | None
    patients: _Count
    slides: _Count
    events: Annotated[int, Field(ge=0)] | None
    """Seen among the patients; None where there is no time to an event."""
    fingerprints: tuple[Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")], ...]
    """Of the slides it was fitted on, where they are known: on them it says nothing new."""
    earlier_slides: _Count = 0
    """Of all networks that it goes back to by `started_from`."""
    earlier_fingerprints: tuple[Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")], ...] = ()
    """Of those, where they are known: its pooling has seen them."""
    epochs: Annotated[int, Field(ge=1)]
    instances_of_epoch: Annotated[int, Field(ge=1)] | None
    """Of each patient in each epoch; None for all."""
    batch: Annotated[int, Field(ge=2)]
    lr: Annotated[float, Field(gt=0)]
    weight_decay: Annotated[float, Field(ge=0)]
    dropout: Annotated[float, Field(ge=0, lt=1)]
    seed: int
    started_from: _Sha256
    """The file whose pooling this one started with; empty where it started anew."""
    frozen: bool
    """Whether that pooling stayed as it was."""
    evidence: str = NOT_VALIDATED
    versions: dict[str, str]

    @property
    def fitted_on(self) -> str:
        """As "fitted on 120 patients (131 slides), 88 events"."""
        slides = f" ({counted(self.slides, 'slide')})" if self.slides else ""
        events = "" if self.events is None else f", {counted(self.events, 'event')}"
        return f"fitted on {counted(self.patients, 'patient')}{slides}{events}"

    def saw(self, fingerprint: str) -> bool | None:
        """Whether it, or what it started from, was fitted on a slide of this content; None where
        that is not known."""
        if fingerprint in (*self.fingerprints, *self.earlier_fingerprints):
            return True
        known = bool(self.fingerprints) and self.slides <= len(self.fingerprints)
        if self.started_from:
            known &= bool(self.earlier_fingerprints)
            known &= self.earlier_slides <= len(self.earlier_fingerprints)
        return False if known and fingerprint else None
