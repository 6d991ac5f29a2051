"""Which GPU each worker of a foreign scheduler takes, so that no card waits beside a crowded one.

torch takes the first card that a process sees. Workers of our own see one each (`local_cluster`);
those that somebody else started on a machine with several may all see all.
"""

from __future__ import annotations

import os
import socket
import sys
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from napari_past.engine.local_cluster import gpus


@dataclass(frozen=True)
class SeenGpus:
    """What one worker sees."""

    host: str
    cards: tuple[str, ...]
    """As CUDA_VISIBLE_DEVICES names them."""
    in_use: bool
    """Whether CUDA was begun with: then its choice is made."""


def shared_gpus(seen: Mapping[str, SeenGpus]) -> dict[str, str]:
    """The card for each worker, by address, that has a choice left.

    On every machine the card that fewest workers have is taken next; those that see one card, or
    have begun with their first, count there.
    """
    load: Counter[tuple[str, str]] = Counter()
    free = []
    for address, worker in sorted(seen.items()):
        if len(worker.cards) > 1 and not worker.in_use:
            free.append((address, worker))
        elif worker.cards:
            load[worker.host, worker.cards[0]] += 1
    chosen = {}
    for address, worker in free:
        card = min(worker.cards, key=lambda card: load[worker.host, card])
        load[worker.host, card] += 1
        chosen[address] = card
    return chosen


def share_gpus(client: Any) -> None:
    """Have the workers of a dask client take their cards; those that cannot be asked go on."""
    with suppress(OSError, RuntimeError, TimeoutError, ImportError):
        seen = client.run(seen_gpus, on_error="ignore")
        for worker, card in shared_gpus(seen).items():
            client.run(take_gpu, card, workers=[worker], on_error="ignore")


def seen_gpus() -> SeenGpus:
    """What this process sees; torch is not imported for it."""
    torch = sys.modules.get("torch")
    in_use = torch is not None and torch.cuda.is_initialized()
    return SeenGpus(socket.gethostname(), tuple(gpus()), in_use)


def take_gpu(card: str) -> None:
    """Have this process see one card; nothing once CUDA is in use."""
    os.environ["CUDA_VISIBLE_DEVICES"] = card
