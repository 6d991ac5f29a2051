"""Many slides: two workers against one, and the figures from which an archive's cost follows.

    python benchmarks/archive.py SLIDE --region X,Y,W,H [--out docs/figures/archive.md]
        [--scaling docs/figures/scaling.md] [--slides 10000] [--mm2 150] [--price 0.05]

Two dask schedulers are started with `dask worker` processes, one with one worker, the other with
two, each worker with one thread; they take turns with the same tiles, and must give the same bytes.
Then the stages of a tile are timed in this process by CPU time, the tables of the same cells are
written in every format, and what an archive costs is worked out from all of it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
from archive_scaling import Assumptions, scaling_tables
from common import add_outputs, add_slide, in_turns, machine_line, ratio, report, table, told

from napari_past.cells import cells_in
from napari_past.cells.find import read_block
from napari_past.cli.option_values import rectangle
from napari_past.cli.run_options import FORMATS
from napari_past.cli.slide_record import content_sha256, stamp
from napari_past.cli.slide_run import tissue_mm2
from napari_past.engine import (
    Cells,
    Plan,
    Store,
    Workers,
    look_of,
    make_plan,
    run_plan,
    unscored_of,
)
from napari_past.io import write_cells
from napari_past.model import DEFAULT_MODEL, Model, load_model
from napari_past.slide import Slide, open_slide

SAMPLED_TILES = 16
TASKS = 200
FEW, MORE = 1, 9
"""Genes of the tables that are held against each other for the bytes of a value."""


@dataclass(frozen=True)
class Measured:
    """What one run measured; an archive's cost follows from these alone."""

    load: float
    """Load average of the minute before: what other programs took of the cores."""
    tiles: int
    cells: int
    tile_mm2: float
    tissue_mm2: float
    one_s: float
    two_s: float
    two_over_one: float
    """Median over rounds of the two workers' time by the one's."""
    read_cpu_s: float
    detect_cpu_s: float
    encode_cpu_s: float
    store_cpu_s: float
    """Of a tile, each."""
    slide_cpu_s: float
    """Of this slide, whatever part of it is run: opening, tissue, stain vectors, focus, look."""
    read_bytes: float
    """Of a tile."""
    store_bytes: float
    """Of a cell."""
    task_s: float
    """Of the client and the scheduler, for a task that returns what a tile returns."""
    formats: dict[str, tuple[float, float, float]]
    """Bytes of a cell, bytes of a value, and CPU seconds for a million cells with nine genes."""

    @property
    def cells_mm2(self) -> float:
        return self.cells / self.tissue_mm2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_slide(parser)
    parser.add_argument("--region", type=rectangle, metavar="X,Y,W,H", help="in µm")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--scaling", type=Path, metavar="FILE.md", help="write the tables there")
    parser.add_argument("--measured", type=Path, metavar="FILE.json", help="of a run before")
    parser.add_argument("--slides", type=int, default=10_000)
    parser.add_argument("--mm2", type=float, default=150.0, help="tissue of a slide, assumed")
    parser.add_argument("--price", type=float, default=0.05, help="of a core for an hour")
    parser.add_argument("--gpu-price", type=float, default=3.0, help="of a GPU for an hour")
    add_outputs(parser)
    options = parser.parse_args()
    if options.measured is not None:
        measured = Measured(**json.loads(options.measured.read_text())["measured"])
    else:
        with ExitStack() as stack:
            measured = measure(options, stack)
    lines = [
        *measured_table(measured),
        "",
        f"{machine_line()}; load average of the minute before: {measured.load:.1f}.",
    ]
    assumed = Assumptions(options.slides, options.mm2, options.price, options.gpu_price)
    scaling = scaling_tables(asdict(measured), assumed)
    if options.scaling is not None:
        options.scaling.write_text("\n".join([*scaling, ""]), encoding="utf-8")
    print("\n".join([*scaling, ""]))
    report(options, lines, {"measured": asdict(measured)})


def measure(options: argparse.Namespace, stack: ExitStack) -> Measured:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="napari-past-bench-")))
    os.environ["NAPARI_PAST_CACHE"] = str(folder / "cache")
    slide = stack.enter_context(open_slide(options.slide, options.mpp))
    model = load_model(DEFAULT_MODEL, "cpu")
    plan = make_plan(slide, model, region=options.region, device="cpu")
    load = psutil.getloadavg()[0]
    stores, seconds, task_s = against(plan, folder, options.rounds, stack)
    one, two = (Cells(plan, model, store).compute() for store in stores)
    check_same(one, two, folder)
    stages = stage_seconds(plan, slide, model, folder)
    mm2 = tissue_mm2(slide, plan)
    return Measured(
        load=load,
        tiles=len(plan.tiles),
        cells=len(one),
        tile_mm2=plan.tiles[0].size_um ** 2 / 1e6,
        tissue_mm2=mm2,
        one_s=statistics.median(seconds["one"]),
        two_s=statistics.median(seconds["two"]),
        two_over_one=ratio(seconds["two"], seconds["one"]),
        **stages,
        slide_cpu_s=slide_seconds(options, model),
        store_bytes=stamp(one.store.folder)[0] / len(one),
        task_s=task_s,
        formats={form: format_cost(one, form, slide, folder) for form in FORMATS},
    )


# ---- two workers against one -------------------------------------------------------------------


def against(
    plan: Plan, folder: Path, rounds: int, stack: ExitStack
) -> tuple[list[Store], dict[str, list[float]], float]:
    """Stores of the last round, seconds of each round, and seconds of an empty task."""
    counts = {"one": 1, "two": 2}
    addresses = {name: stack.enter_context(dask_workers(n)) for name, n in counts.items()}
    connected = {
        name: stack.enter_context(Workers(address, device="cpu"))
        for name, address in addresses.items()
    }
    stores: dict[str, Store] = {}

    def run(name: str) -> Callable[[int], object]:
        def work(k: int) -> None:
            root = folder / f"{name}-{k}"
            stores[name] = Store(plan.key, root)
            run_plan(plan, stores[name], connected[name])
            shutil.rmtree(folder / f"{name}-{k - 1}", ignore_errors=True)

        return work

    seconds = in_turns({name: run(name) for name in connected}, rounds)
    size = int(statistics.mean(p.stat().st_size for p in stores["one"].folder.glob("*.tile")))
    return [stores["one"], stores["two"]], seconds, task_seconds(addresses["one"], size)


@contextmanager
def dask_workers(count: int) -> Iterator[str]:
    """The address of a scheduler with so many workers of one thread, as users start them."""
    folder = Path(tempfile.mkdtemp(prefix="napari-past-dask-"))
    file = folder / "scheduler.json"
    command = [sys.executable, "-m", "dask"]
    local = ["--host", "127.0.0.1", "--no-dashboard"]
    options = {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    started = [
        subprocess.Popen(
            [*command, "scheduler", *local, "--port", "0", "--scheduler-file", str(file)], **options
        )
    ]
    try:
        while not (file.exists() and file.read_text().endswith("}")):
            time.sleep(0.1)
        address = json.loads(file.read_text())["address"]
        worker = [*command, "worker", address, *local, "--no-nanny", "--nthreads", "1"]
        started += [subprocess.Popen(worker, **options) for _ in range(count)]
        from distributed import Client

        with Client(address) as client:
            client.wait_for_workers(count)
        yield address
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def task_seconds(address: str, size: int) -> float:
    """Seconds of a task that returns `size` bytes and does nothing else, many in flight."""
    from distributed import Client, as_completed

    with Client(address) as client:
        start = time.perf_counter()
        futures = [client.submit(os.urandom, size, pure=False) for _ in range(TASKS)]
        for _ in as_completed(futures, with_results=True):
            pass
        return (time.perf_counter() - start) / TASKS


def check_same(one: Cells, two: Cells, folder: Path) -> None:
    """Assert that tiles and tables are the same to the byte."""
    ours, theirs = (
        {p.name: p.read_bytes() for p in cells.store.folder.glob("*.tile")} for cells in (one, two)
    )
    assert ours == theirs, "one worker and two gave other tiles"
    digests = []
    for name, cells in (("a", one), ("b", two)):
        write_cells(cells.to_anndata(), folder / f"{name}.h5ad")
        digests.append(content_sha256(folder / f"{name}.h5ad"))
    assert digests[0] == digests[1], "one worker and two gave other tables"


# ---- stages ------------------------------------------------------------------------------------


def stage_seconds(plan: Plan, slide: Slide, model: Model, folder: Path) -> dict[str, float]:
    """Mean CPU seconds of the stages of a tile in this process, and bytes read."""
    every = max(1, len(plan.tiles) // SAMPLED_TILES)
    tiles = plan.tiles[::every]
    encoder, detector = model.card.encoder, plan.detector
    store = Store(plan.key, folder / "stages")
    process = psutil.Process()
    spent = dict.fromkeys(("read", "detect", "encode", "store"), 0.0)
    read_bytes = 0
    from napari_past.types import TileResult

    for k, tile in enumerate([tiles[0], *tiles]):
        before = process.io_counters().read_chars if hasattr(process, "io_counters") else 0
        clock = [time.process_time()]
        rgb, grid = read_block(slide, tile.rect, encoder.mpp, encoder.halo_px)
        clock.append(time.process_time())
        after = process.io_counters().read_chars if hasattr(process, "io_counters") else 0
        cells = cells_in(slide, tile.rect, detector, (rgb, grid))
        clock.append(time.process_time())
        vectors = model.encode_tile(rgb, grid, cells.centers_um)
        clock.append(time.process_time())
        store.write(TileResult(tile, cells, vectors, cells.areas_um2))
        clock.append(time.process_time())
        if k:  # the first warms torch up
            read_bytes += after - before
            for name, a, b in zip(spent, clock, clock[1:], strict=False):
                spent[name] += b - a
    n = len(tiles)
    return {
        **{f"{name}_cpu_s": seconds / n for name, seconds in spent.items()},
        "read_bytes": read_bytes / n,
    }


def slide_seconds(options: argparse.Namespace, model: Model) -> float:
    """CPU seconds that a slide takes whatever its tiles, in this process."""
    before = time.process_time()
    with open_slide(options.slide, options.mpp) as slide:
        make_plan(slide, model, device="cpu")
        unscored_of(slide, keep=False)
        look_of(slide)
    return time.process_time() - before


def format_cost(cells: Cells, form: str, slide: Slide, folder: Path) -> tuple[float, float, float]:
    """Bytes of a cell without genes, of a value, and CPU seconds for a million cells."""
    genes = [g for g in cells.model.genes if cells.model.reliability(g).learnable][:MORE]
    sizes = []
    for count in (FEW, MORE):
        file = folder / f"size-{count}.{form}"
        adata = cells.to_anndata(genes[:count])
        before = time.process_time()
        write_cells(adata, file, form, slide.require_mpp())
        seconds = time.process_time() - before
        sizes.append(stamp(file)[0])
    value = (sizes[1] - sizes[0]) / len(cells) / (MORE - FEW)
    return sizes[0] / len(cells) - FEW * value, value, 1e6 * seconds / len(cells)


# ---- tables ------------------------------------------------------------------------------------


def measured_table(m: Measured) -> list[str]:
    """The measurements, one a line."""
    tile_s = m.read_cpu_s + m.detect_cpu_s + m.encode_cpu_s + m.store_cpu_s
    rows: list[tuple[str, str]] = [
        ("tiles of the run, each", f"{m.tiles}, {m.tile_mm2:.4f} mm²"),
        ("cells", f"{m.cells:,}, {m.cells_mm2:,.0f} per mm² of tissue"),
        ("one worker of one thread", f"{m.one_s:.1f} s, {m.tiles / m.one_s:.2f} tiles/s, "
         f"{m.cells / m.one_s:,.0f} cells/s"),
        ("two workers of one thread", f"{m.two_s:.1f} s, {m.tiles / m.two_s:.2f} tiles/s, "
         f"{m.cells / m.two_s:,.0f} cells/s"),
        ("time of two workers by that of one", f"{m.two_over_one:.2f}, same bytes out"),
        ("CPU of a tile", f"{tile_s:.3f} s"),
        ("… reading and decoding", f"{m.read_cpu_s:.3f} s"),
        ("… finding nuclei", f"{m.detect_cpu_s:.3f} s"),
        ("… encoding", f"{m.encode_cpu_s:.3f} s"),
        ("… storing", f"{m.store_cpu_s:.4f} s"),
        ("CPU of this slide beside its tiles", f"{m.slide_cpu_s:.2f} s"),
        ("bytes read for a tile", f"{m.read_bytes / 1e3:,.0f} kB"),
        ("bytes of the store for a cell", f"{m.store_bytes:,.0f}"),
        ("dask's time for a task of a tile's size", f"{1e3 * m.task_s:.1f} ms"),
    ]  # fmt: skip
    rows += [
        (
            f".{form}, for a cell + for each of its values",
            f"{cell:,.0f} + {value:.1f} bytes, {seconds:.0f} CPU s for a million cells",
        )
        for form, (cell, value, seconds) in m.formats.items()
    ]
    return table(["what", "measured"], rows)


if __name__ == "__main__":
    told(main)
