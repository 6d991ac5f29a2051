"""An image tower alone as a model file: frozen, with no read-out yet."""

from __future__ import annotations

from pathlib import Path

from napari_past.model import Model, load_model
from napari_past.model.card import NOT_STATED
from napari_past.model.tensors import TOWER
from past_training.engine.frozen_tower import FrozenTower
from past_training.engine.known_towers import known_tower
from past_training.release.making import stated_card
from past_training.release.out import check_out
from past_training.release.statements import Statements, stated
from past_training.release.writing import write_with_page

_BY_LOT = "none needed: the weights were drawn by lot"


def tower_statements(tower: str, name: str, card: Path | None, *, random: bool) -> Statements:
    """What nobody can measure of a tower: facts of its model card, and above them the user's.

    Parameters
    ----------
    tower, random
        As `frozen_tower` takes them.
    name
        Of the model.
    card
        A TOML file of the user's.

    Raises
    ------
    PastError
        The file cannot be read, or a field is unknown or wrong.
    """
    known = known_tower(tower)
    what = f"The image tower {tower}, frozen"
    if random:
        what += ", with weights drawn by lot, for trials"
    own = {
        "name": name,
        "summary": f"{what}. It predicts no gene until a read-out is fitted.",
        "species": NOT_STATED,
        "organ": NOT_STATED,
        "training_data": "none" if random else NOT_STATED,
    }
    if random:
        own["licence"] = _BY_LOT
    elif known is not None:
        own |= {
            "licence": f"{known.licence} ({known.page})",
            "attribution": known.attribution,
            "training_data": f"that of {known.page}, not listed here",
        }
    return stated(own, card)


def write_tower(tower: FrozenTower, out: Path, statements: Statements) -> Model:
    """Write the model file and its page (``NAME.card.md``); returns the model as it loads.

    Raises
    ------
    PastError
        `out` is no .safetensors file, or its folder does not exist.
    CannotWrite
        The folder is read-only or the disk is full.
    """
    check_out(out)
    recipe = f"past-train tower {tower.name}{' --random' if tower.random else ''}"
    card = stated_card(tower.encoder, statements).model_copy(update={"recipe": recipe})
    write_with_page(out, card, {f"{TOWER}{key}": v for key, v in tower.state.items()})
    return load_model(out, "cpu")
