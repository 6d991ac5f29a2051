"""The process that analyses tiles: one, of low priority, started before it is needed.

A process of its own keeps torch from slowing the viewer through the interpreter's lock. This module
imports neither Qt nor torch: the new process imports it first.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
from concurrent.futures import Executor, ProcessPoolExecutor

import numpy as np

from napari_past.model import load_model

NICENESS = 10


class TilePool:
    """One worker process, made on first use and replaced after it was lost."""

    def __init__(self) -> None:
        self._executor: ProcessPoolExecutor | None = None
        self._lock = threading.Lock()

    @property
    def executor(self) -> Executor:
        """Where tiles run."""
        with self._lock:
            if self._executor is None:
                self._executor = ProcessPoolExecutor(
                    max_workers=1,
                    mp_context=multiprocessing.get_context("spawn"),
                    initializer=_begin,
                )
            return self._executor

    def warm(self, model_path: str) -> None:
        """Have the process import torch and load a model while the user still looks around."""
        self.executor.submit(_load, model_path)

    def close(self) -> None:
        """Let the process end after its current tile; the next use starts a new one."""
        with self._lock:
            executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=False, cancel_futures=True)


def _begin() -> None:
    """Leave a core and the right of way to the viewer, and end when its process ends."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    import torch

    torch.set_num_threads(max(1, (os.cpu_count() or 1) - 1))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        # A killed viewer closes no pipes: the worker holds their other ends and would wait on.
        os._exit(1)


def _load(model_path: str) -> None:
    # A mistake in the model is told by the run that needs it.
    with contextlib.suppress(Exception):
        model = load_model(model_path)
        side = model.card.encoder.crop_px
        model.encode_image(np.zeros((1, side, side, 3), np.uint8))
