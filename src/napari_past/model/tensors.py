"""The tensors of a model file, held against its card."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_past.errors import BadModel
from napari_past.model.card import Card

Tensors = dict[str, npt.NDArray[np.generic]]

TOWER, IMAGE_PROJECTION, CELL = "tower.", "image_projection.", "cell."
"""Tensors of the image tower, of its projection head and of the cell side begin with these."""
TEMPERATURE = "temperature"
_CHECKED_BY_TORCH = (TOWER, CELL)


def part_of(tensors: Tensors, prefix: str) -> Tensors:
    """The tensors whose names begin with `prefix`, without it."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def check_tensors(card: Card, tensors: Tensors) -> None:
    """Raise `BadModel` for the first tensor that is not as the card has it.

    Shapes of towers are known to torch alone and checked when they are built; so are the values of
    tensors that are still on disk.
    """
    expected = _expected(card)
    for key, wanted in expected.items():
        if key not in tensors:
            raise BadModel(f"Model {card.name} lacks the tensor {key}; get the file again.")
        shape = tensors[key].shape
        fits = [w in (None, s) for w, s in zip(wanted, shape, strict=False)]
        if len(shape) != len(wanted) or not all(fits):
            text = " x ".join("any" if w is None else str(w) for w in wanted) or "a single number"
            raise BadModel(
                f"Tensor {key} of model {card.name} has shape {shape} but its card asks for "
                f"{text}; get the file again."
            )
    towers = _CHECKED_BY_TORCH if card.cell_tower is not None else (TOWER,)
    for key, values in tensors.items():
        if key not in expected and not key.startswith(towers):
            raise BadModel(
                f"Model {card.name} has the unexpected tensor {key}; get the file again."
            )
        if key in expected and not np.issubdtype(values.dtype, np.floating):
            raise _not_finite(card.name, key)
        if key in expected or not isinstance(values, np.memmap):
            check_finite(card.name, key, values)


def check_finite(name: str, key: str, values: npt.NDArray[np.generic]) -> None:
    """Raise `BadModel` where a tensor of model `name` holds infinities or NaN."""
    if np.issubdtype(values.dtype, np.floating) and not np.isfinite(values).all():
        raise _not_finite(name, key)


def _not_finite(name: str, key: str) -> BadModel:
    return BadModel(
        f"Tensor {key} of model {name} does not hold finite floating-point numbers; get the file "
        f"again."
    )


def _expected(card: Card) -> dict[str, tuple[int | None, ...]]:
    """Shapes of the tensors that numpy reads; None stands for any length."""
    d, g, e = card.encoder.tower.embed_dim, len(card.genes), card.projection_dim
    expected: dict[str, tuple[int | None, ...]] = {}
    if g:
        h = card.hidden_units
        expected |= {"readout.weight": (g, d if h is None else h), "readout.bias": (g,)}
        if h is not None:
            expected |= {"readout.hidden.weight": (h, d), "readout.hidden.bias": (h,)}
    if card.unlike_training_limit is not None:
        expected |= {"statistics.mean": (d,), "statistics.whitening": (d, None)}
    if e is not None:
        expected |= {
            f"{IMAGE_PROJECTION}enter.weight": (e, d),
            f"{IMAGE_PROJECTION}inner.weight": (e, e),
            f"{IMAGE_PROJECTION}norm.weight": (e,),
        }
        expected |= {f"{IMAGE_PROJECTION}{part}.bias": (e,) for part in ("enter", "inner", "norm")}
    if card.cell_tower is not None:
        expected[TEMPERATURE] = ()
    return expected
