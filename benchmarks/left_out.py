"""A section that the model never saw: past-mini's recipe without it, then validated on it.

    OMP_NUM_THREADS=1 python benchmarks/left_out.py DATA --section C5 --out FOLDER

DATA holds her2st/. The model that is trained goes to FOLDER (a quarter of an hour on one core; one
that is there is taken), and beside it the page, genes and validation file of
``napari-past validate`` on the section left out. All sections are of one patient: nothing here
tells how another patient fares.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from common import told

from napari_past.cli import main as napari_past
from past_training.release.pretrain import pretrain
from past_training.release.recipe import Recipe, load_recipe


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--section", default="C5")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    recipe = without(load_recipe("past-mini"), options.section)
    model = options.out / f"{recipe.card.name}.safetensors"
    if not model.exists():
        pretrain(recipe, options.data, model, evidence=False, on_step=print)
    folder = options.data / "her2st"
    arguments = [
        "validate", folder / f"{options.section}.jpg", folder, "--section", options.section,
        "--mpp", recipe.data.reader["mpp"], "--patient", recipe.data.reader["patient"],
        "--model", model, "--out", options.out / f"{options.section}.html",
    ]  # fmt: skip
    sys.exit(napari_past([str(argument) for argument in arguments]))


def without(recipe: Recipe, section: str) -> Recipe:
    """The same recipe on the other sections, under a name that says so."""
    kept = [name for name in recipe.data.reader["sections"] if name != section]
    data = recipe.data.model_copy(update={"reader": {**recipe.data.reader, "sections": kept}})
    card = recipe.card.model_copy(
        update={
            "name": f"{recipe.card.name}-without-{section.lower()}",
            "training_data": f"her2st, sections {', '.join(kept)} (one patient)",
        }
    )
    return recipe.model_copy(update={"data": data, "card": card})


if __name__ == "__main__":
    told(main)
