"""Recipes: one TOML file for each run that can be reproduced."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import pydantic

from napari_past.errors import PastError
from napari_past.model.card import EncoderCard
from napari_past.model.strict import Strict
from past_training.dataset.schema import PrepareConfig, first_problem
from past_training.objectives.config import ObjectiveConfig
from past_training.release.fit_tower import FitConfig
from past_training.release.statements import Statements


class DataConfig(Strict):
    """Which tissue, read by which reader, cut how."""

    source: str
    """Kind of source, as ``past-train prepare`` names it."""
    folder: str
    """Below ``--data``."""
    reader: dict[str, str | float | tuple[str, ...]]
    """Options of the reader, such as ``sections``, ``mpp`` and ``patient``."""
    cut: PrepareConfig


class Recipe(Strict):
    """All that a run depends on beside the data."""

    data: DataConfig
    encoder: EncoderCard
    objective: ObjectiveConfig
    fit: FitConfig
    card: Statements

    @pydantic.model_validator(mode="after")
    def _one_scale(self) -> Recipe:
        if self.data.cut.mpp != self.encoder.mpp:
            raise ValueError(
                f"the encoder reads {self.encoder.mpp:g} µm/px but data.cut.mpp is "
                f"{self.data.cut.mpp:g}"
            )
        return self


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
        raise PastError(f"Recipe {path.name}: {first_problem(exc)}.") from exc


def _shipped() -> dict[str, Path]:
    folder = Path(str(resources.files("past_training"))) / "recipes"
    return {p.stem: p for p in folder.glob("*.toml")}
