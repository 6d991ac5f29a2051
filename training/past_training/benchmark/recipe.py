"""The recipe of a run of the HEST-Benchmark: what is read, and how it is regressed."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated

import pydantic
from pydantic import Field

from napari_past.errors import PastError
from napari_past.model.strict import Strict, first_mistake

DEFAULT_RECIPE = "hest-benchmark"


class HestData(Strict):
    """Where the patches are, and what they are."""

    repository: str
    """A dataset of the hub."""
    tasks: tuple[str, ...]
    """That the benchmark's average is over."""
    genes: str
    """File of a task that lists the genes."""
    patch_px: Annotated[int, Field(ge=32)]
    mpp: Annotated[float, Field(gt=0)]


class Probe(Strict):
    """The regression from vectors to genes."""

    components: Annotated[int, Field(ge=1)]
    """Of the PCA."""
    penalty: Annotated[float, Field(gt=0)]
    """The ridge's alpha is this, divided by the components and by the genes."""
    iterations: Annotated[int, Field(ge=1)]
    """Most of the least-squares solver."""
    seed: Annotated[int, Field(ge=0)]


class HestRecipe(Strict):
    """All that a run depends on beside data and weights."""

    towers: tuple[str, ...]
    data: HestData
    probe: Probe


def load_hest_recipe(name_or_path: str = DEFAULT_RECIPE) -> HestRecipe:
    """The recipe that ships with the package, by its name, or a TOML file.

    Raises
    ------
    PastError
        There is none, or a field is missing or wrong; the message names the first.
    """
    path = Path(name_or_path)
    if name_or_path == DEFAULT_RECIPE and not path.is_file():
        path = Path(str(resources.files("past_training"))) / "recipes" / f"{DEFAULT_RECIPE}.toml"
    if not path.is_file():
        raise PastError(
            f"There is no recipe {name_or_path!r}: give a TOML file, or {DEFAULT_RECIPE}."
        )
    try:
        return HestRecipe.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise PastError(f"{path.name} is not a TOML file ({exc}).") from exc
    except pydantic.ValidationError as exc:
        raise PastError(
            f"{path.name} is no recipe of the HEST-Benchmark: {first_mistake(exc, 'the file')}; "
            f"start from {DEFAULT_RECIPE}."
        ) from exc
