"""A learned tower and its read-out as a model file with its page."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_past.files import atomic_write
from napari_past.model import Card, Model, load_model, write_model_file
from napari_past.model.tensors import TOWER
from past_training.evaluation.rows import TrainingSet
from past_training.release.learned import Learned
from past_training.release.making import Measured, Tensors, finished
from past_training.release.out import card_page
from past_training.release.page import model_page
from past_training.release.statements import Statements


def write_model(
    out: Path,
    learned: Learned,
    train: TrainingSet,
    statements: Statements,
    measured: Measured,
    device: str = "auto",
    beside: Model | None = None,
) -> Model:
    """Write the model file and its page (``NAME.card.md``); returns the model as it loads.

    Parameters
    ----------
    beside
        A model with this very tower, whose space shared with measured cells goes along.

    Raises
    ------
    CannotWrite
        The folder is missing or the disk is full.
    """
    card, rest = finished(
        learned.card, learned.tower, learned.fitted.readout, train, statements, measured
    )
    tensors: Tensors = {f"{TOWER}{key}": np.asarray(v) for key, v in learned.state.items()}
    if beside is not None:
        space = {name: getattr(beside.card, name) for name in ("projection_dim", "cell_tower")}
        card, rest = card.model_copy(update=space), {**rest, **beside.shared_space.tensors}
    write_with_page(out, card, {**tensors, **rest})
    return load_model(out, device)


def write_with_page(out: Path, card: Card, tensors: Tensors) -> None:
    """A model file, and beside it its page (``NAME.card.md``).

    Raises
    ------
    CannotWrite
        The folder is missing or the disk is full.
    """
    page = model_page(card)
    write_model_file(out, card, tensors)
    with atomic_write(card_page(out)) as unfinished:
        unfinished.write_text(page, encoding="utf-8")
