"""What encoding crop by crop costs beside the bare forward pass, and how large batches should be.

    past-train tower vit_large_patch16_224 --random --mpp 0.5 --out vit.safetensors
    python benchmarks/crops.py SLIDE vit.safetensors [--device auto|cpu|cuda] [--threads N]
        [--tiles 4] [--rounds 3] [--batches 1,2,4,8,16] [--json FILE] [--out FILE]

The same cells are encoded in turns by

- the pipeline: `run_plan` into an empty store, with workers that are started and have the model:
  reading, finding cells, cutting crops from the tile, encoding, sending, storing;
- the bare forward pass: the same tower on the same cells' crops, ready as normalised tensors.

Both have the same number of threads, each with a tile at a time, one torch thread each on a CPU,
and the same batches. Batches of several sizes are compared in turns,
too, by the bare forward pass on one thread.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import torch
from common import (
    add_outputs,
    add_slide,
    cores_allowed,
    in_turns,
    machine_line,
    ratio,
    report,
    table,
    told,
    versions_line,
)
from wholeslide import Bare, crops_of, spread

import napari_past as past
from napari_past.engine import Store, make_plan, run_plan
from napari_past.engine.workers import Workers
from napari_past.model import Model
from napari_past.model.encoding import device_of

LIMITS = {"cpu": 1.1, "cuda": 1.15}
"""The most that the pipeline may take, of the bare forward pass's time."""
PIPELINE, FORWARD = "pipeline", "bare forward pass, crops ready"


class Ready:
    """A tower and crops as tensors that it could not be given sooner."""

    def __init__(self, model: Model, crops: torch.Tensor) -> None:
        encoder = model.card.encoder
        self.tower = model._tower
        self.device = next(self.tower.parameters()).device
        mean, std = (torch.tensor(v).view(1, 3, 1, 1) * 255 for v in (encoder.mean, encoder.std))
        pixels = ((crops.permute(0, 3, 1, 2).float() - mean) / std).to(self.device)
        self.pixels = pixels.contiguous(memory_format=torch.channels_last)

    def forward(self, pixels: torch.Tensor) -> None:
        where = torch.zeros(len(pixels), 3, dtype=torch.float64)
        where[:, 0] = torch.arange(len(pixels))
        mixed = self.device.type == "cuda"
        with (
            torch.inference_mode(),
            torch.autocast(self.device.type, torch.bfloat16, enabled=mixed),
        ):
            self.tower(pixels, where.to(self.device)).float().cpu()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_slide(parser)
    parser.add_argument("model", help="one that encodes crop by crop")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--threads", type=int, default=cores_allowed())
    parser.add_argument("--tiles", type=int, default=4, help="tiles of a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batches", default="1,2,4,8,16", help="sizes to compare")
    add_outputs(parser)
    options = parser.parse_args()
    with ExitStack() as stack:
        _measure(options, stack)


def _measure(options: argparse.Namespace, stack: ExitStack) -> None:
    torch.set_num_threads(1)
    slide = stack.enter_context(past.open_slide(options.slide, options.mpp))
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    device = device_of(options.device).type
    model = past.load_model(options.model, device)
    encoder = model.card.encoder
    if encoder.mode != "crop":
        raise SystemExit(f"{model.name} passes over whole tiles; give a model that reads crops.")
    plan = spread(make_plan(slide, model, device=device), options.tiles)
    bare = Bare(slide, plan, model, options.threads)
    stack.callback(bare.close)
    # The first use finds the batch and warms everything up, on both sides.
    workers = stack.enter_context(Workers(device=device, threads=options.threads))
    run_plan(plan, Store(plan.key, folder / "first"), workers)
    store = Store(plan.key, folder / "first")
    results = [r for r in map(store.read, plan.tiles) if r is not None]
    cells = sum(len(r.cells) for r in results)
    crops, _ = crops_of(bare.blocks, results, encoder.crop_px, cells)
    assert len(crops) == cells, "a crop left its block"
    batch = model._batches.size
    ready = Ready(model, torch.from_numpy(crops))
    # Tile by tile on a thread, as the pipeline has them: the last batch of a tile is not full.
    ends = torch.tensor([len(r.cells) for r in results]).cumsum(0).tolist()
    of_tiles = [ready.pixels[a:b] for a, b in zip([0, *ends], ends, strict=False) if b > a]

    def forward(pixels: torch.Tensor) -> None:
        for part in pixels.split(batch):
            ready.forward(part)

    pool = stack.enter_context(ThreadPoolExecutor(options.threads))
    works = {
        PIPELINE: lambda k: run_plan(plan, Store(plan.key, folder / str(k)), workers),
        FORWARD: lambda k: list(pool.map(forward, of_tiles)),
    }
    seconds = in_turns(works, options.rounds, warm_up=0)
    sizes = [int(size) for size in options.batches.split(",")]
    few = ready.pixels[: max(sizes)]
    by_size = in_turns(
        {str(n): lambda k, n=n: [ready.forward(p) for p in few.split(n)] for n in sizes},
        options.rounds,
    )
    by_forward = ratio(seconds[PIPELINE], seconds[FORWARD])
    tower = encoder.tower.backbone
    middle = {name: statistics.median(values) for name, values in seconds.items()}
    lines = [
        f"{plan.slide_name}: {len(plan.tiles)} tiles, {cells} cells, {len(crops)} crops of "
        f"{encoder.crop_px} px, {tower}, device {device}, {options.threads} threads on both sides, "
        f"batches of {batch}.",
        "",
        *table(
            ["", "s", "cells/s"],
            [(name, f"{s:.1f}", f"{cells / s:.2f}") for name, s in middle.items()],
        ),
        "",
        f"The pipeline takes {by_forward:.3f} of the bare forward pass's time (the figure: at most "
        f"{LIMITS[device]}).",
        "",
        *table(
            ["crops in a batch, one thread", "crops/s"],
            [(n, f"{len(few) / statistics.median(s):.2f}") for n, s in by_size.items()],
        ),
        "",
        f"Medians of {options.rounds} rounds. {versions_line(('torch', 'timm', 'distributed'))}. "
        f"{machine_line()}.",
    ]
    numbers = {
        "cells": cells, "batch": batch, "seconds": seconds, "by_size": by_size,
        "pipeline_by_forward": by_forward, "limit": LIMITS[device],
    }  # fmt: skip
    report(options, lines, numbers)


if __name__ == "__main__":
    told(main)
