"""The baselines that keep a table honest, by the names that `defaults` explains."""

from __future__ import annotations

from collections.abc import Sequence

from napari_past.errors import PastError
from napari_past.model import Card
from past_training.evaluation.colour import ColourStatistics
from past_training.evaluation.defaults import BASELINES, FOUNDATION
from past_training.evaluation.predictors import (
    ModelFile,
    ModelRidge,
    Predictor,
    RidgeOn,
    TrainingMean,
)
from past_training.evaluation.result import Unavailable
from past_training.evaluation.towers import FoundationTower, ModelTower, random_model


def baselines(
    names: Sequence[str], card: Card, model: ModelFile | None = None, device: str = "auto"
) -> tuple[list[Predictor], list[Unavailable]]:
    """Baselines by name, and those whose weights could not be had.

    Parameters
    ----------
    names
        ``mean``, ``colour``, ``random``, ``tower`` (of `model`; passed over without one) or
        ``foundation:NAME``.
    card
        Whose tower the random one is like.

    Raises
    ------
    PastError
        A name means nothing.
    """
    predictors: list[Predictor] = []
    missing: list[Unavailable] = []
    for name in names:
        if name == "mean":
            predictors.append(TrainingMean())
        elif name == "colour":
            predictors.append(RidgeOn(ColourStatistics()))
        elif name == "random":
            tower = ModelTower(random_model(card, device=device), "a frozen random tower")
            predictors.append(RidgeOn(tower))
        elif name == "tower":
            if model is not None:
                predictors.append(ModelRidge(model))
        elif name.startswith(FOUNDATION):
            from past_training.engine.hub import TowerUnavailable

            wanted = name.removeprefix(FOUNDATION)
            try:
                predictors.append(RidgeOn(FoundationTower(wanted, device)))
            except TowerUnavailable as exc:
                missing.append(Unavailable(wanted, str(exc)))
        else:
            raise PastError(
                f"There is no baseline {name!r}; choose among {', '.join(BASELINES)} and "
                f"{FOUNDATION}NAME."
            )
    return predictors, missing
