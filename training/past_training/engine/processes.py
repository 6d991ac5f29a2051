"""The processes of a run: as many as torchrun started, on one device each."""

from __future__ import annotations

import logging
import os
import warnings
from typing import Any

import torch
from lightning_fabric import Fabric

from napari_past.errors import PastError


def process_rank() -> int:
    """Number of this process among all that torchrun started, before they know of each other."""
    return int(os.environ.get("RANK", "0"))


def several_processes() -> bool:
    """Whether this process has others beside it that it can exchange tensors with."""
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def lost_another(exc: RuntimeError) -> bool:
    """Whether an error means that another process of the run is gone."""
    told_by_transport = isinstance(exc, torch.distributed.DistError) or "gloo" in str(exc)
    return several_processes() and told_by_transport


def launched_fabric(device: str, precision: str) -> Fabric:
    """Fabric over all processes of torchrun (several nodes too), or over this one alone.

    Parameters
    ----------
    device
        ``auto``, ``cpu`` or ``cuda``.
    precision
        Of Fabric, or ``auto``.

    Raises
    ------
    PastError
        There are fewer GPUs than processes, or the precision needs a GPU.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    per_node = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    gpus = torch.cuda.device_count()
    if device == "cuda" and not gpus:
        raise PastError("--device cuda needs a CUDA GPU, but none was found; use --device cpu.")
    accelerator = "cuda" if gpus and device != "cpu" else "cpu"
    if accelerator == "cuda" and per_node > gpus:
        raise PastError(
            f"torchrun started {per_node} processes on this machine, which has {gpus} GPU"
            f"{'s' if gpus > 1 else ''}; use --nproc_per_node={gpus}, or --device cpu."
        )
    if accelerator == "cpu" and precision == "16-mixed":
        raise PastError("--precision 16-mixed needs a GPU; use bf16-mixed or 32-true on the CPU.")
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    # A depthwise kernel's gradient may lie in memory otherwise than its weights: a copy, no fault.
    warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
    # Fabric counts devices by itself, and on CPUs it would count one whatever torchrun started.
    fabric = Fabric(
        accelerator=accelerator,
        devices=per_node,
        num_nodes=world // per_node,
        strategy="ddp" if world > 1 else "auto",
        precision=_precision(accelerator, precision),
    )
    fabric.launch()
    return fabric


def _precision(accelerator: str, precision: str) -> Any:
    if precision != "auto":
        return precision
    if accelerator == "cpu":
        return "32-true"
    return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"
