"""Card and tensors of a model, measured on the rows that it is fitted on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from napari_past.model import Card, EncoderCard, Evidence
from napari_past.model.card import CARD_SCHEMA
from napari_past.model.readout import Readout
from napari_past.model.traces import NO_TRACES, TrainingTraces
from napari_past.validation.ridge import grouped
from past_training.dataset.schema import resolution_of
from past_training.evaluation.rows import TrainingSet
from past_training.evaluation.towers import ModelTower
from past_training.release.statements import Statements
from past_training.release.traces import traces_of
from past_training.release.unlike import likeness, slide_limit

MOST_CELLS = 200_000
"""Cells that statistics and cut-offs are taken from; of more some are drawn."""
NOT_MEASURED = "not measured"
NO_READOUT = "none: no read-out"
_SEED = 20240229

Tensors = dict[str, npt.NDArray[np.generic]]


@dataclass(frozen=True)
class Measured:
    """How well each gene is predicted, as a card tells it."""

    protocol: str
    patients: int
    unseen_patients: int
    sections: tuple[str, ...]
    r: Mapping[str, tuple[float | None, ...]]
    blocks: bool = False
    """Whether `sections` are blocks of one section."""

    def on(self, evidence: Evidence) -> Evidence:
        """A card's evidence with this in it; what was counted in training stays."""
        update = {field.name: getattr(self, field.name) for field in fields(self)}
        return evidence.model_copy(update=update | {"r": dict(self.r)})


UNMEASURED = Measured(NOT_MEASURED, 0, 0, (), {})


def stated_card(encoder: EncoderCard, statements: Statements) -> Card:
    """The card of a tower of which nothing was measured: without read-out, genes and training."""
    return Card(
        schema_version=CARD_SCHEMA,
        name=statements.name,
        version=statements.version,
        summary=statements.summary,
        licence=statements.licence,
        attribution=statements.attribution,
        species=statements.species,
        organ=statements.organ,
        preparation=statements.preparation,
        scanner=statements.scanner,
        training_data=statements.training_data,
        training_fingerprints=(),
        recipe="none",
        expression_unit=NO_READOUT,
        genes=(),
        encoder=encoder,
        evidence=Evidence(
            protocol=NOT_MEASURED,
            patients=0,
            unseen_patients=0,
            sections=(),
            resolution=NOT_MEASURED,
            r={},
            detected={},
        ),
        min_detected=statements.min_detected,
        cutoffs={},
        cutoffs_source=NO_READOUT,
        unlike_training_limit=None,
    )


def draft_card(
    encoder: EncoderCard,
    genes: Sequence[str],
    statements: Statements,
    train: TrainingSet,
    seen: TrainingTraces = NO_TRACES,
) -> Card:
    """A card that says what is known before anything is fitted.

    Parameters
    ----------
    seen
        Of what the tower was trained on before: on that, too, nobody can measure the model.
    """
    resolution = resolution_of(part.record for part in train.rows)
    traces = seen | traces_of(part.record for part in train.rows)
    detected = np.concatenate([values > 0 for values in train.values(genes)]).mean(0)
    card = stated_card(encoder, statements)
    seen_in = {g: round(float(d), 4) for g, d in zip(genes, detected, strict=True)}
    known = {
        **traces.carded(),
        "recipe": statements.name,
        "expression_unit": f"log1p(counts per 10k), fitted to {resolution}",
        "genes": tuple(genes),
        "evidence": card.evidence.model_copy(
            update={"resolution": resolution, "detected": seen_in}
        ),
        "cutoffs_source": NOT_MEASURED,
        "unlike_training_limit": 1.0,
    }
    return Card.model_validate(dict(card) | known)


def finished(
    draft: Card,
    tower: ModelTower,
    readout: Readout,
    train: TrainingSet,
    statements: Statements,
    measured: Measured = UNMEASURED,
) -> tuple[Card, Tensors]:
    """The card with everything in it, and the tensors beside the tower's own.

    Parameters
    ----------
    tower
        Has embedded the training rows, or does so now.
    readout
        A row for each gene of the draft.
    """
    groups = _cells(tower, train)
    cells_ND = np.concatenate(groups)
    like = likeness(cells_ND)
    predicted_NG = readout.expression(cells_ND)
    cuts_QG = np.round(np.quantile(predicted_NG, statements.cutoff_quantiles, axis=0), 4)
    percent = " / ".join(f"{100 * q:g}" for q in statements.cutoff_quantiles)
    card = draft.model_copy(
        update={
            "hidden_units": readout.hidden_units,
            "evidence": measured.on(draft.evidence),
            "cutoffs": {
                gene: (float(a), float(b), float(c))
                for gene, (a, b, c) in zip(draft.genes, cuts_QG.T, strict=True)
                if a < b < c
            },
            "cutoffs_source": (
                f"{draft.name} card: {percent} % quantiles of its training cells, not set on any "
                f"stain"
            ),
            "unlike_training_limit": float(
                np.quantile(like.of_cells(cells_ND), statements.unlike_training_quantile)
            ),
            "slide_unlike_limit": slide_limit(groups),
        }
    )
    tensors: Tensors = {
        **readout.tensors,
        "statistics.mean": like.mean,
        "statistics.whitening": like.whitening,
    }
    # A copy is not checked; what others will read is.
    return Card.model_validate(card.model_dump()), tensors


def _cells(tower: ModelTower, train: TrainingSet) -> list[npt.NDArray[np.float32]]:
    """Embeddings (n, D) of the training rows' nuclei, or of some of them, by patient or section."""
    groups = grouped(train.patients, [tower.embed_nuclei(rows) for rows in train.rows])
    share = MOST_CELLS / sum(map(len, groups))
    if share < 1:
        rng = np.random.default_rng(_SEED)
        groups = [
            cells[np.sort(rng.choice(len(cells), int(share * len(cells)), replace=False))]
            for cells in groups
        ]
    return [cells.astype(np.float32) for cells in groups]
