"""Recipes: one TOML file for each run that can be reproduced."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import pydantic

from napari_past.errors import PastError
from napari_past.model.card import EncoderCard


class _Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")


class DataConfig(_Strict):
    """Which tissue, in the layout of `past_training.spatial_transcriptomics`."""

    folder: str
    """Folder below ``--data``."""
    sections: tuple[str, ...]
    patient: str
    mpp: float
    """µm/px of the pictures, which carry none."""
    spot_diameter_um: float
    best_expressed: int
    """How many genes by mean expression over the training spots."""


class FitConfig(_Strict):
    """The tower's training."""

    seed: int
    epochs: int
    batch_spots: int
    crop_px: int
    """Training crops; features are taken from crops with the full halo afterwards."""
    lr: float
    weight_decay: float
    stain_jitter: float
    ridge_penalties: tuple[float, ...]
    """Candidates; chosen by leaving out one training section at a time."""


class CardConfig(_Strict):
    """The card's fields that are statements, not measurements."""

    name: str
    version: str
    summary: str
    licence: str
    attribution: str
    species: str
    organ: str
    preparation: str
    scanner: str
    training_data: str
    resolution: str
    min_detected: float
    cutoff_quantiles: tuple[float, float, float]
    unlike_training_quantile: float


class Recipe(_Strict):
    """All that a run depends on beside the data."""

    data: DataConfig
    encoder: EncoderCard
    fit: FitConfig
    card: CardConfig


def load_recipe(name_or_path: str) -> Recipe:
    """A recipe that ships with the package, by name, or a TOML file.

    Raises
    ------
    PastError
        There is none, or a field is missing or unknown; the message names the first.
    """
    path = Path(name_or_path)
    if not path.is_file():
        shipped = _shipped()
        if name_or_path not in shipped:
            raise PastError(
                f"There is no recipe {name_or_path!r}: give a TOML file or one of "
                f"{', '.join(sorted(shipped))}."
            )
        path = shipped[name_or_path]
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        return Recipe.model_validate(values)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise PastError(f"{path.name} is not a TOML file ({exc}).") from exc
    except pydantic.ValidationError as exc:
        first = exc.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise PastError(f"Recipe {path.name}: {field}: {first['msg']}.") from exc


def _shipped() -> dict[str, Path]:
    folder = Path(str(resources.files("past_training"))) / "recipes"
    return {p.stem: p for p in folder.glob("*.toml")}
