"""The random numbers of this process, to go on with after a kill."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch


def seed_everything(seed: int) -> None:
    """Start all generators of this process anew."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 – libraries draw from it
    torch.manual_seed(seed)


def random_state() -> dict[str, Any]:
    """State of Python's, numpy's and torch's generators, as tensors and plain values."""
    kind, keys, place, has_gauss, cached = np.random.get_state()  # noqa: NPY002
    state: dict[str, Any] = {
        "python": random.getstate(),
        "numpy": (
            str(kind),
            np.asarray(keys).tolist(),
            int(place),
            int(has_gauss),
            float(cached),
        ),
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def set_random_state(state: dict[str, Any]) -> None:
    """Go on from what `random_state` gave."""
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
