"""How much of a whole-slide run is the work itself, and how it stands beside others.

    python benchmarks/wholeslide.py SLIDE [--device auto|cpu|cuda] [--threads N] [--tiles 48]
        [--lazyslide PYTHON] [--mpp 0.25] [--rounds 5] [--json FILE] [--out FILE]

The same tiles, spread evenly over the slide's tissue, are analysed in turns by

- the pipeline: `run_plan` into an empty store, with workers that are started and have the model;
- the bare work: the detector and the forward pass on these tiles with halos already in memory;
- bare crops: `Model.encode_image` on crops around cells of the same tiles, already in memory;
- LazySlide, where `--lazyslide` names a Python that has it (`pip install lazyslide timm`): feature
  extraction on the same blocks, halo included, with the same backbone, one vector a block; and on
  crops around the same cells, one vector a cell.

All sides have the same number of threads (`--threads`, by default every core): tiles run on so many
threads with one torch thread each, LazySlide with so many torch threads and no loader, or with one
torch thread and a loader for each other one. A ratio is the median over rounds of two times in the
same round. Memory is measured apart, on a run of its own, over all processes (Linux: proportional
set size).
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import pickle
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from common import (
    PeakMemory,
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

import napari_past as past
from napari_past.cells import cells_in, read_block
from napari_past.engine import Plan, Store, make_plan, run_plan
from napari_past.engine.workers import Workers
from napari_past.model import Model
from napari_past.types import PixelGrid, Rgb, TileResult, TileSpec

LIMITS = {"cpu": 1.25, "cuda": 1.15}
"""The most that the pipeline may take, of the bare work's time."""
LIBRARIES = ("torch", "timm", "distributed")
SMALL_CROP_PX = 96
CROP_BATCH = 64
BLOCK_BATCH = {"cpu": 2, "cuda": 32}
"""LazySlide's batch of blocks: on a CPU larger ones are slower, since they leave the cache."""
PIPELINE, BARE = "pipeline", "detector + forward pass, tiles in memory"
IN_STAGES = "the pipeline's stages, timed one by one in this process"
STAGES = ("read, halo included", "detect", "encode", "pack and unpack the result", "store")


@dataclass(frozen=True)
class Block:
    """A tile's pixels with the halo of the encoder, and those that the detector wants."""

    tile: TileSpec
    rgb: Rgb
    grid: PixelGrid
    for_detector: tuple[Rgb, PixelGrid]


def spread(plan: Plan, count: int) -> Plan:
    """The plan limited to some tiles, evenly spread over its tissue."""
    places = np.linspace(0, len(plan.tiles) - 1, min(count, len(plan.tiles))).round().astype(int)
    return replace(plan, tiles=tuple(plan.tiles[k] for k in dict.fromkeys(places.tolist())))


class Bare:
    """The work without the pipeline: pixels are in memory, results are dropped."""

    def __init__(self, slide: past.Slide, plan: Plan, model: Model, threads: int) -> None:
        self.slide, self.plan, self.model = slide, plan, model
        self.pool = ThreadPoolExecutor(threads)
        self.blocks = list(self.pool.map(self.block, plan.tiles))

    def block(self, tile: TileSpec) -> Block:
        encoder, detector = self.model.card.encoder, self.plan.detector
        rgb, grid = read_block(self.slide, tile.rect, encoder.mpp, encoder.halo_px)
        enough = encoder.halo_px * encoder.mpp >= detector.halo_um
        if math.isclose(detector.mpp, encoder.mpp) and enough:
            return Block(tile, rgb, grid, (rgb, grid))
        halo_px = math.ceil(detector.halo_um / detector.mpp)
        return Block(tile, rgb, grid, read_block(self.slide, tile.rect, detector.mpp, halo_px))

    def analysed(self, block: Block) -> np.ndarray:
        """Embeddings of the cells of a tile, (n, d) float16."""
        rect = block.tile.rect
        cells = cells_in(self.slide, rect, self.plan.detector, block.for_detector)
        return self.model.encode_tile(block.rgb, block.grid, cells.centers_um)

    def run(self) -> list[np.ndarray]:
        return list(self.pool.map(self.analysed, self.blocks))

    def encode(self, crops: Rgb) -> None:
        batches = np.split(crops, range(CROP_BATCH, len(crops), CROP_BATCH))
        list(self.pool.map(self.model.encode_image, batches))

    def close(self) -> None:
        self.pool.shutdown()


def crops_of(
    blocks: Sequence[Block], results: Sequence[TileResult], side_px: int, most: int
) -> tuple[Rgb, list[tuple[float, float]]]:
    """Crops (n, side, side, 3) around up to `most` cells, evenly chosen, and their corners.

    Corners are (x, y) in µm. Cells whose crop leaves the block are passed over.
    """
    places = []
    for block, result in zip(blocks, results, strict=True):
        corners = np.round(block.grid.to_px(result.cells.centers_um) - (side_px - 1) / 2)
        limit = np.array(block.rgb.shape[:2]) - side_px
        inside = ((corners >= 0) & (corners <= limit)).all(axis=1)
        places += [(block, y, x) for y, x in corners[inside].astype(int).tolist()]
    chosen = np.linspace(0, len(places) - 1, min(most, len(places))).round().astype(int)
    crops, corners_um = [], []
    for block, y, x in (places[k] for k in chosen):
        crops.append(block.rgb[y : y + side_px, x : x + side_px])
        mpp = block.grid.mpp
        corners_um.append((block.grid.x0_um + x * mpp, block.grid.y0_um + y * mpp))
    if not crops:
        raise SystemExit("No cell was found on these tiles; give a slide with more tissue.")
    return np.stack(crops), corners_um


def stages(bare: Bare, folder: Path) -> list[float]:
    """Thread-seconds of each of `STAGES` over all tiles, with the threads that all have."""
    store = Store(bare.plan.key, folder)

    def one(tile: TileSpec) -> list[float]:
        times = [time.perf_counter()]
        block = bare.block(tile)
        times.append(time.perf_counter())
        cells = cells_in(bare.slide, tile.rect, bare.plan.detector, block.for_detector)
        times.append(time.perf_counter())
        embeddings = bare.model.encode_tile(block.rgb, block.grid, cells.centers_um)
        times.append(time.perf_counter())
        result = TileResult(tile, cells, embeddings, np.zeros(len(cells), np.float32))
        sent = pickle.loads(pickle.dumps(result, protocol=pickle.HIGHEST_PROTOCOL))
        times.append(time.perf_counter())
        store.write(sent)
        times.append(time.perf_counter())
        return np.diff(times).tolist()

    return np.array(list(bare.pool.map(one, bare.plan.tiles))).sum(axis=0).tolist()


class LazySlide:
    """LazySlide in a Python of its own, which waits while others have their turn."""

    def __init__(self, python: str, job: Mapping[str, Any]) -> None:
        self.process = subprocess.Popen(
            [python, str(Path(__file__).with_name("lazyslide_peer.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self.about = self._asked(job)

    def extract(self, tiles: str, loaders: int) -> int:
        """Runs feature extraction and returns how many vectors it gave."""
        return int(self._asked({"tiles": tiles, "loaders": loaders})["vectors"])

    def _asked(self, question: Mapping[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps(question) + "\n")
            answer = json.loads(self.process.stdout.readline())
        except (OSError, ValueError) as exc:
            raise PeerFailed("it ended without an answer; what it said stands above") from exc
        if "error" in answer:
            raise PeerFailed(answer["error"])
        return answer

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()


class PeerFailed(Exception):
    """LazySlide could not do it; the message says why."""


@contextmanager
def run_alone(
    path: Path, mpp: float | None, options: argparse.Namespace
) -> Iterator[multiprocessing.process.BaseProcess]:
    """A process that does nothing but a run over the same tiles."""
    arguments = (path, mpp, options.model, options.device, options.threads, options.tiles)
    process = multiprocessing.get_context("spawn").Process(target=_run_alone, args=arguments)
    process.start()
    try:
        yield process
    finally:
        process.join()


def _run_alone(
    path: Path, mpp: float | None, model: str, device: str, threads: int, tiles: int
) -> None:
    with past.open_slide(path, mpp) as slide, tempfile.TemporaryDirectory() as folder:
        plan = spread(make_plan(slide, model, device=device), tiles)
        with Workers(device=device, threads=threads) as workers:
            run_plan(plan, Store(plan.key, Path(folder)), workers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_slide(parser)
    parser.add_argument("--model", default="past-mini")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--threads", type=int, default=cores_allowed())
    parser.add_argument("--tiles", type=int, default=48, help="tiles of a round")
    parser.add_argument("--crops", type=int, default=512, help="crops of a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--lazyslide", metavar="PYTHON", help="a Python that has LazySlide")
    add_outputs(parser)
    options = parser.parse_args()
    with ExitStack() as stack:
        _measure(options, stack)


def _measure(options: argparse.Namespace, stack: ExitStack) -> None:
    # Not above: the process whose memory is measured begins by importing this file.
    import torch

    from napari_past.model.encoding import device_of

    torch.set_num_threads(1)
    slide = stack.enter_context(past.open_slide(options.slide, options.mpp))
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    device = device_of(options.device).type
    model = past.load_model(options.model, device)
    plan = spread(make_plan(slide, model, device=device), options.tiles)
    if not plan.tiles:
        raise SystemExit(f"{slide.name} has no tissue that is found; give another slide.")

    begin = time.perf_counter()
    workers = stack.enter_context(Workers(device=device, threads=options.threads))
    run_plan(replace(plan, tiles=plan.tiles[:1]), Store(plan.key, folder / "first"), workers)
    starting_s = time.perf_counter() - begin

    bare = Bare(slide, plan, model, options.threads)
    stack.callback(bare.close)

    def pipeline(k: int) -> None:
        run_plan(plan, Store(plan.key, folder / str(k)), workers)

    pipeline(-1)
    stored = [Store(plan.key, folder / "-1").read(tile) for tile in plan.tiles]
    results = [r for r in stored if r is not None]
    agreement = _agreement(results, bare.run())
    sides = sorted({SMALL_CROP_PX, model.card.encoder.crop_px})
    crops = {px: crops_of(bare.blocks, results, px, options.crops) for px in sides}
    works: dict[str, Callable[[int], object]] = {PIPELINE: pipeline, BARE: lambda k: bare.run()}
    counts = {PIPELINE: sum(len(r.cells) for r in results)}
    counts[BARE] = counts[IN_STAGES] = counts[PIPELINE]
    spent: dict[int, list[float]] = {}

    def in_stages(k: int) -> None:
        spent[k] = stages(bare, folder / f"stages {k}")

    works[IN_STAGES] = in_stages
    for px, (pixels, _) in crops.items():
        works[f"encode_image on crops of {px} px"] = lambda k, pixels=pixels: bare.encode(pixels)
        counts[f"encode_image on crops of {px} px"] = len(pixels)
    peer, absent = _peer(options, device, model, slide, bare.blocks, crops)
    if peer is not None:
        stack.callback(peer.close)
        peer_works, peer_counts = _peer_works(peer, options.threads, len(bare.blocks), crops)
        works |= peer_works
        counts |= peer_counts
    seconds = in_turns(works, options.rounds)
    profile = _profile(spent, seconds[PIPELINE], options.threads)
    memory = _memory(options, peer)

    lines = _lines(
        plan, device, options, seconds, counts, profile, starting_s, memory, agreement, absent, peer
    )
    numbers = {
        "slide": slide.name,
        "slide_tiles": plan.slide_tiles,
        "tiles": len(plan.tiles),
        "device": device,
        "threads": options.threads,
        "seconds": seconds,
        "counts": counts,
        "pipeline_by_bare": ratio(seconds[PIPELINE], seconds[BARE]),
        "limit": LIMITS[device],
        "stage_thread_seconds": profile,
        "starting_s": starting_s,
        "memory_mb": memory,
        "agreement": agreement,
        "lazyslide": peer.about if peer else absent,
    }
    report(options, lines, numbers)


def _profile(
    spent: Mapping[int, Sequence[float]], pipeline_s: Sequence[float], threads: int
) -> dict[str, float]:
    """Where the pipeline's thread-seconds go, medians over rounds."""
    parts = np.array([spent[k] for k in range(len(pipeline_s))])
    rest = threads * np.array(pipeline_s) - parts.sum(axis=1)
    medians = np.median(np.column_stack([parts, rest]), axis=0).tolist()
    return dict(zip((*STAGES, "all else: orders, waiting, the way between"), medians, strict=True))


def _agreement(results: Sequence[TileResult], bare: Sequence[np.ndarray]) -> str:
    """Whether both sides did the same work."""
    if [len(r.cells) for r in results] != [len(e) for e in bare]:
        return "the two sides found different cells"
    if all(np.array_equal(r.embeddings, e) for r, e in zip(results, bare, strict=True)):
        return "the same cells and, to the bit, the same embeddings on both sides"
    far = max(
        float(np.abs(r.embeddings.astype(np.float32) - e).max(initial=0))
        for r, e in zip(results, bare, strict=True)
    )
    return f"the same cells on both sides, embeddings within {far:.2g}"


def _peer(
    options: argparse.Namespace,
    device: str,
    model: Model,
    slide: past.Slide,
    blocks: Sequence[Block],
    crops: Mapping[int, tuple[Rgb, list[tuple[float, float]]]],
) -> tuple[LazySlide | None, str]:
    """LazySlide, ready, or None and why not."""
    if not options.lazyslide:
        return None, "not asked for"
    encoder, mpp0 = model.card.encoder, slide.require_mpp()

    def tiles(side_px: int, batch: int, corners_um: Sequence[tuple[float, float]]) -> dict:
        places = [[round(x / mpp0), round(y / mpp0)] for x, y in corners_um]
        return {"side_px": side_px, "mpp": encoder.mpp, "places_px": places, "batch": batch}

    corners = [(b.grid.x0_um, b.grid.y0_um) for b in blocks]
    job = {
        "slide": str(Path(options.slide).resolve()),
        "slide_mpp": mpp0,
        "backbone": encoder.tower.backbone,
        "stages": encoder.tower.stages,
        "mean": encoder.mean,
        "std": encoder.std,
        "threads": options.threads,
        "device": device,
        "tiles": {
            "blocks": tiles(blocks[0].rgb.shape[0], BLOCK_BATCH[device], corners),
            **{f"crops_{px}": tiles(px, CROP_BATCH, places) for px, (_, places) in crops.items()},
        },
    }
    try:
        return LazySlide(options.lazyslide, job), ""
    except (OSError, PeerFailed) as exc:
        return None, str(exc).rstrip(".")


def _peer_works(
    peer: LazySlide,
    threads: int,
    blocks: int,
    crops: Mapping[int, tuple[Rgb, list[tuple[float, float]]]],
) -> tuple[dict[str, Callable[[int], object]], dict[str, int]]:
    works: dict[str, Callable[[int], object]] = {}
    counts: dict[str, int] = {}
    kinds = {"blocks": ("the same blocks", blocks)}
    kinds |= {f"crops_{px}": (f"crops of {px} px", len(c)) for px, (c, _) in crops.items()}
    for key, (what, count) in kinds.items():
        for loaders in dict.fromkeys((0, threads - 1)):
            name = f"LazySlide on {what}, loaders: {loaders}"
            works[name] = lambda k, key=key, loaders=loaders: peer.extract(key, loaders)
            counts[name] = count
    return works, counts


def _memory(options: argparse.Namespace, peer: LazySlide | None) -> dict[str, tuple[float, int]]:
    """Peak MB and processes of a run alone, and of LazySlide on the same blocks."""
    memory = {}
    with run_alone(options.slide, options.mpp, options) as process:
        with PeakMemory(process.pid) as peak:
            process.join()
        if process.exitcode:
            raise SystemExit("The run whose memory was measured failed; what it said is above.")
        memory[PIPELINE] = (peak.mb, peak.processes)
    if peer is not None:
        with PeakMemory(peer.process.pid) as peak:
            peer.extract("blocks", 0)
        memory["LazySlide on the same blocks"] = (peak.mb, peak.processes)
    return memory


def _lines(
    plan: Plan,
    device: str,
    options: argparse.Namespace,
    seconds: Mapping[str, Sequence[float]],
    counts: Mapping[str, int],
    profile: Mapping[str, float],
    starting_s: float,
    memory: Mapping[str, tuple[float, int]],
    agreement: str,
    absent: str,
    peer: LazySlide | None,
) -> list[str]:
    tiles, cells = len(plan.tiles), counts[PIPELINE]
    middle = {name: statistics.median(values) for name, values in seconds.items()}
    rows = []
    for name in seconds:
        unit = "blocks" if "blocks" in name else "cells"
        of_pipeline = tiles if unit == "blocks" else cells
        faster = of_pipeline / counts[name] / ratio(seconds[PIPELINE], seconds[name])
        speed = counts[name] / middle[name]
        rows.append(
            (
                name,
                f"{counts[name]} {unit}",
                f"{middle[name]:.2f}",
                f"{speed:.1f}" if speed < 100 else f"{speed:.0f}",
                f"{faster:.2f}",
            )
        )
    by_bare = ratio(seconds[PIPELINE], seconds[BARE])
    spent = sum(profile.values())
    minutes = middle[PIPELINE] / tiles * plan.slide_tiles / 60
    limit = LIMITS[device]
    lines = [
        f"{plan.slide_name}: {tiles} of {plan.slide_tiles} tiles with tissue, {cells} cells, "
        f"device {device}, {options.threads} threads on every side; {agreement}.",
        "",
        *table(["", "of a round", "s", "per s", "the pipeline is … times as fast"], rows),
        "",
        f"The pipeline takes {by_bare:.2f} of the bare work's time (the figure: at most {limit}). "
        f"Starting the workers and the model until the first tile: {starting_s:.1f} s. "
        f"The slide's {plan.slide_tiles} tiles at this rate: {minutes:.1f} min (extrapolated).",
        "",
        *table(
            ["where the pipeline's thread-seconds go", "ms a tile", "share"],
            [(n, f"{1e3 * s / tiles:.1f}", f"{100 * s / spent:.0f} %") for n, s in profile.items()],
        ),
        "",
        *table(
            ["peak memory over all processes", "MB", "processes"],
            [(name, f"{mb:.0f}", n) for name, (mb, n) in memory.items()],
        ),
        "",
    ]
    if peer is None:
        lines += [f"LazySlide: {absent}.", ""]
    else:
        about = peer.about
        lines += [f"LazySlide {about['version']} with {about['reader']}.", ""]
    return [
        *lines,
        f"Medians of {options.rounds} rounds. {versions_line(LIBRARIES)}. {machine_line()}.",
    ]


if __name__ == "__main__":
    told(main)
