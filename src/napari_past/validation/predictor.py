"""What is validated and what it is compared with: anything that says something of measured rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from napari_past.model.traces import TrainingTraces
from napari_past.validation.tissue import Tissue

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class TissueFold:
    """Rows that are held out together, and those that something may be fitted on for them."""

    held: tuple[BoolArray, ...]
    """(k,) of each tissue."""
    train: tuple[BoolArray, ...]
    """(k,) of each tissue: none nearer to a held row than the buffer."""


@dataclass(frozen=True)
class Watch:
    """Who is told of progress, and asked whether to go on."""

    on_step: Callable[[str], None] = lambda text: None
    """What is being done."""
    on_share: Callable[[float], None] = lambda share: None
    """How much of that is done, 0 to 1."""
    cancelled: Callable[[], bool] = lambda: False


NOBODY = Watch()


class Predictor(Protocol):
    """Something to validate or to compare with.

    One method suffices for a model that was fitted elsewhere, which pays no heed to `folds`, and
    for a baseline, which is fitted on each fold's training rows.
    """

    @property
    def name(self) -> str:
        """As tables and badges have it."""

    @property
    def unit(self) -> str | None:
        """Of its values; None where nobody knows. Errors and means are compared only where it
        begins with `MEASURED_UNIT`."""

    @property
    def field_um(self) -> float:
        """Width in µm of the square of H&E that it sees around a cell, or around the centre of a
        row; 0 where nobody knows."""

    @property
    def sha256(self) -> str:
        """Of the file that it is, a model or a table; empty for none."""

    @property
    def fitted_here(self) -> bool:
        """Whether `predict` fits it on the folds' training rows, as a baseline."""

    @property
    def traces(self) -> TrainingTraces:
        """By which tissue that it was trained on is known again."""

    def genes(self, measured: Sequence[str]) -> tuple[str, ...]:
        """Of the measured genes, those that it predicts, in that order."""

    def predict(
        self,
        tissues: Sequence[Tissue],
        folds: Sequence[TissueFold],
        genes: Sequence[str],
        watch: Watch,
    ) -> list[npt.NDArray[np.float32]]:
        """Values (k, len(genes)) of each tissue's rows; a row that it cannot predict is NaN.

        It is asked for some genes after the others, so that a whole transcriptome fits in memory:
        what is slow (reading pixels, embedding, choosing a penalty) is kept between calls, and may
        not depend on which genes are asked for together.

        Parameters
        ----------
        genes
            Of those that `genes` gave.

        Raises
        ------
        Cancelled
        """
