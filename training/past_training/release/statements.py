"""What a card says that nobody can measure: names, licences, where the tissue came from."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

import pydantic

from napari_past.errors import PastError
from napari_past.model import Card
from napari_past.model.card import NOT_STATED
from napari_past.model.strict import Strict
from napari_past.spatial.section import NO_TECHNOLOGY
from past_training.dataset.read import PairedDataset
from past_training.dataset.schema import first_problem


class Statements(Strict):
    """The card's fields that are statements, and the settings of what it measures."""

    name: str
    version: str = "1"
    summary: str
    licence: str = NOT_STATED
    attribution: str = NOT_STATED
    species: str
    organ: str
    preparation: str = NOT_STATED
    scanner: str = NOT_STATED
    training_data: str
    min_detected: float = pydantic.Field(0.05, ge=0, le=1)
    """A gene seen in a smaller share of the training rows counts as not learnable."""
    cutoff_quantiles: tuple[float, float, float] = (0.5, 0.75, 0.9)
    """Of the training cells' predicted values, for 1+, 2+ and 3+."""
    unlike_training_quantile: float = pydantic.Field(0.99, gt=0, lt=1)
    """Share of the training cells that are not flagged."""

    @pydantic.model_validator(mode="after")
    def _ascend(self) -> Self:
        a, b, c = self.cutoff_quantiles
        if not 0 < a < b < c < 1:
            raise ValueError(f"cutoff_quantiles ascend between 0 and 1, but are {a}, {b}, {c}")
        return self


def statements_of(
    dataset: PairedDataset, name: str, summary: str, card: Path | None, start: Card | None = None
) -> Statements:
    """Statements from the dataset's records, and above them those of a TOML file of the user.

    Parameters
    ----------
    card
        The file; its fields are those of `Statements`.
    start
        Of the model that training began with, whose attribution and training data go on.

    Raises
    ------
    PastError
        The file cannot be read, or a field is unknown or wrong; the message names the first.
    """
    records = dataset.sections
    technologies = dict.fromkeys(r.technology for r in records if r.technology != NO_TECHNOLOGY)
    facts = (
        ", ".join(technologies),
        f"patients {', '.join(dataset.patients)}",
        f"sections {', '.join(r.name for r in records)}",
    )
    tissue = f"{dataset.name} ({'; '.join(filter(None, facts))})"
    if start is not None:
        before = start.training_data
        again = tissue in before  # fitted to it a second time
        tissue = before if again else f"{before}; then {tissue}"
    own: dict[str, object] = {
        "name": name,
        "summary": summary,
        "species": _each(record.species for record in records),
        "organ": _each(record.tissue for record in records),
        "training_data": tissue,
    }
    if start is not None:
        own["attribution"] = start.attribution
        own["licence"] = f"{NOT_STATED}; that of {start.name}: {start.licence}"
    return stated(own, card)


def stated(own: Mapping[str, object], card: Path | None) -> Statements:
    """Statements of ours, and above them those of a TOML file of the user.

    Raises
    ------
    PastError
        The file cannot be read, or a field is unknown or wrong; the message names the first.
    """
    given: dict[str, Any] = {}
    if card is not None:
        try:
            given = tomllib.loads(card.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
            raise PastError(
                f"--card {card} cannot be read as TOML ({exc}); give lines such as "
                f'licence = "CC BY 4.0".'
            ) from exc
    try:
        return Statements.model_validate({**own, **given})
    except pydantic.ValidationError as exc:
        raise PastError(f"--card {card}: {first_problem(exc)}; mend that value.") from exc


def _each(values: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(value for value in values if value)) or NOT_STATED
