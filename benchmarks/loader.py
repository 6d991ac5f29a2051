"""The loader of paired datasets: a training loop that streams against one that has its batch.

    python benchmarks/loader.py [--patches 20480] [--workers 0 1 2] [--formats [NAME ...]]

1. A dataset of crops of a drawn slide is prepared in a temporary folder.
2. A small tower trains, in turns, on one batch that lies in memory and on batches as `Batches`
   gives them: the ratio of batches a second is what the loader leaves of the machine.
3. ``--formats`` writes the same patches with their counts as zarr shards with several codecs and as
   WebDataset tar files (``pip install webdataset``), and reads each shuffled in a new process, with
   the files out of the page cache before.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import zarr
from common import add_outputs, in_turns, machine_line, report, table, told, versions_line
from PIL import Image
from zarr.codecs import BloscCodec, ZstdCodec

from past_training.dataset.prepare import prepare
from past_training.dataset.read import PairedDataset, open_dataset
from past_training.dataset.schema import PrepareConfig

MPP, SIDE_PX, GENES, BATCH = 0.5, 96, 300, 48
SLIDE_PX = 4000
TO_REACH = 0.95
POOL, SHARD = 8, 512
CODECS = {
    "none": None,
    "zstd-1": ZstdCodec(level=1, checksum=True),
    "zstd-3": ZstdCodec(level=3, checksum=True),
    "zstd-5": ZstdCodec(level=5, checksum=True),
    "blosc-lz4": BloscCodec(typesize=3, cname="lz4", clevel=5, shuffle="shuffle"),
}
FORMATS = (
    "zarr none 32", "zarr zstd-1 32", "zarr zstd-3 32", "zarr zstd-5 32", "zarr blosc-lz4 32",
    "zarr zstd-3 1", "zarr zstd-3 64", "zarr zstd-3 128", "tar raw", "tar png",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patches", type=int, default=20_480)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=40, help="batches in a turn")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, help="of torch, for the tower")
    parser.add_argument("--formats", nargs="*", metavar="NAME", help="compare files, not loops")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="of the dataset, for next time")
    parser.add_argument("--read", nargs=2, help=argparse.SUPPRESS)
    add_outputs(parser)
    options = parser.parse_args()
    if options.read:
        print(json.dumps(read_shuffled(*options.read)))
        return
    folder = options.keep or Path(tempfile.mkdtemp(prefix="napari-past-bench-"))
    try:
        if options.formats is not None:
            compare_formats(options, folder)
        else:
            compare_loops(options, folder)
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)


def drawn_dataset(folder: Path, patches: int) -> PairedDataset:
    """Crops around places on a drawn slide, with counts of 300 genes of which most are 0."""
    from scipy.sparse import random_array

    from napari_past.sample import write_phantom
    from napari_past.spatial.section import MeasuredSection

    out = folder / "drawn.past"
    if (out / "sections" / "drawn.zarr").is_dir():
        return open_dataset(out)
    folder.mkdir(exist_ok=True)
    picture = write_phantom(folder / "slide.ome.tif", SLIDE_PX, SLIDE_PX, MPP, 1)
    rng = np.random.default_rng(0)
    counts = random_array(
        (patches, GENES), density=0.2, format="csr", dtype=np.float32, rng=rng,
        data_sampler=lambda size: rng.geometric(0.5, size).astype(np.float32),
    )  # fmt: skip
    section = MeasuredSection(
        name="drawn",
        patient="P",
        species="human",
        tissue="",
        technology="other",
        image=picture,
        mpp=MPP,
        ids=tuple(f"{i}" for i in range(patches)),
        centers_um=rng.uniform(50, SLIDE_PX * MPP - 50, (patches, 2)),
        counts=counts,
        genes=tuple(f"G{k}" for k in range(GENES)),
        spot_diameter_um=None,
    )
    return prepare([section], out, PrepareConfig(mpp=MPP, patch_px=SIDE_PX))


def compare_loops(options: argparse.Namespace, folder: Path) -> None:
    import torch

    from past_training.dataset.batches import Batches

    if options.threads:
        torch.set_num_threads(options.threads)
    dataset = drawn_dataset(folder, options.patches)
    train = training_step(options.device)

    def stream(workers: int) -> Iterator:
        batches = Batches(
            dataset, dataset.genes, BATCH, seed=0, workers=workers, drop_last=True, pool_shards=POOL
        )
        return itertools.chain.from_iterable(batches.epoch(k) for k in itertools.count())

    streams = {workers: stream(workers) for workers in options.workers}
    held = next(stream(0))

    cpu_s: dict[str, list[float]] = {}

    def turn(name: str, batches: Iterator) -> Callable[[int], None]:
        def work(k: int) -> None:
            start = time.process_time()
            for batch in itertools.islice(batches, options.steps):
                train(batch)
            if options.device != "cpu":
                torch.cuda.synchronize()
            if k >= 0:
                cpu_s.setdefault(name, []).append(time.process_time() - start)

        return work

    works = {"in memory": turn("in memory", itertools.repeat(held))}
    works |= {f"{n} threads": turn(f"{n} threads", one) for n, one in streams.items()}
    seconds = in_turns(works, options.rounds)
    bare = loader_alone(stream(max(options.workers)), options.steps * 5)
    rows, numbers = [], {}
    for name, times in seconds.items():
        rate = options.steps * BATCH / statistics.median(times)
        share = statistics.median(a / b for a, b in zip(seconds["in memory"], times, strict=True))
        cpu_ms = 1e3 * statistics.median(cpu_s[name]) / (options.steps * BATCH)
        rows.append([
            name, f"{rate:.0f}", f"{share:.3f}", "" if name == "in memory" else TO_REACH,
            f"{cpu_ms:.2f}",
        ])  # fmt: skip
        numbers[name] = {
            "patches_per_s": rate, "ratio": share, "cpu_ms": cpu_ms, "seconds": times,
        }  # fmt: skip
    rows.append(["loader alone", f"{bare:.0f}", "", "", ""])
    head = ["batches", "patches/s", "of in memory", "to reach", "ms of CPU a patch"]
    lines = [
        *table(head, rows),
        "",
        f"{options.patches} crops of {SIDE_PX} px, {GENES} genes, batches of {BATCH}, tower "
        f"mobilenetv4_conv_small on {options.device} ({torch.get_num_threads()} threads of torch); "
        f"median of {options.rounds} rounds of {options.steps} batches. {machine_line()}",
    ]
    report(options, lines, {**numbers, "loader alone": {"patches_per_s": bare}})


def training_step(device: str) -> Callable:
    """Forward, loss, backward and step of a small tower with a probe of all genes."""
    import torch

    from napari_past.model.card import TowerCard
    from napari_past.model.tower import DenseTower

    torch.manual_seed(0)
    card = TowerCard(backbone="mobilenetv4_conv_small", stages=(2, 3), embed_dim=256)
    tower = DenseTower(card).to(device, memory_format=torch.channels_last)
    probe = torch.nn.Linear(256, GENES).to(device)
    optimizer = torch.optim.AdamW([*tower.parameters(), *probe.parameters()], lr=1e-4)

    def step(batch) -> None:
        batch = batch.to(device)
        image_BCHW = batch.patches.permute(0, 3, 1, 2).float() / 255
        image_BCHW = image_BCHW.contiguous(memory_format=torch.channels_last)
        rates_NG = torch.nn.functional.softplus(probe(tower(image_BCHW, batch.where)))
        counts_NG = batch.counts[batch.row_of_nucleus]
        loss = torch.nn.functional.poisson_nll_loss(rates_NG, counts_NG, log_input=False)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return step


def loader_alone(batches: Iterator, steps: int) -> float:
    """Patches a second when nobody else wants the processor."""
    for _ in itertools.islice(batches, steps // 5):
        pass
    start = time.perf_counter()
    for _ in itertools.islice(batches, steps):
        pass
    return steps * BATCH / (time.perf_counter() - start)


def compare_formats(options: argparse.Namespace, folder: Path) -> None:
    """Bytes, seconds to write, patches a second shuffled, memory: zarr shards beside tar files."""
    drawn_dataset(folder, options.patches)
    drawn = folder / "drawn.past"
    rows, numbers = [], {}
    for name in options.formats or FORMATS:
        place = folder / "copy.past"
        seconds = (write_tar if name.startswith("tar") else write_zarr)(drawn, place, name)
        files = [path for path in place.rglob("*") if path.is_file()]
        size = sum(path.stat().st_size for path in files)
        command = [sys.executable, __file__, "--read", name, str(place)]
        found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        shutil.rmtree(place)
        rows.append([
            name, len(files), f"{size / 1e6:.0f}", f"{seconds:.1f}",
            f"{found['patches_per_s']:.0f}",
            f"{found['cpu_ms']:.3f}", f"{found['memory_mb']:.0f}",
        ])  # fmt: skip
        numbers[name] = {"bytes": size, "files": len(files), "write_s": seconds, **found}
    head = ["files of", "files", "MB", "s to write", "patches/s", "ms of CPU a patch", "MB held"]
    raw = options.patches * SIDE_PX**2 * 3 / 1e6
    lines = [
        *table(head, rows),
        "",
        f"{options.patches} crops of {SIDE_PX} px ({raw:.0f} MB) with their counts; of zarr, codec "
        f"and patches in a chunk. Read in one process, shuffled over {POOL} shards of "
        f"{SHARD} patches, into batches of {BATCH}. {machine_line()}; "
        f"{versions_line(('zarr', 'numcodecs', 'webdataset'))}",
    ]
    report(options, lines, numbers)


def write_zarr(drawn: Path, place: Path, name: str) -> float:
    """The same dataset with its patches in other chunks and with another codec; seconds."""
    _, codec, chunk = name.split()
    source = open_dataset(drawn).section("drawn").patches
    folder = Path("sections") / "drawn.zarr"
    shutil.copytree(drawn, place, ignore=shutil.ignore_patterns("patches"))
    array = zarr.open_group(place / folder, mode="r+").create_array(
        "patches",
        shape=source.shape,
        dtype="uint8",
        chunks=(int(chunk), *source.shape[1:]),
        shards=(SHARD, *source.shape[1:]),
        compressors=CODECS[codec],
    )
    seconds = 0.0
    for first in range(0, source.shape[0], SHARD):
        patches = source[first : first + SHARD]
        start = time.perf_counter()
        array[first : first + SHARD] = patches
        seconds += time.perf_counter() - start
    return seconds


def write_tar(drawn: Path, place: Path, name: str) -> float:
    """WebDataset's layout: files of one patch share a name; its counts as (2, k) gene and count."""
    section = open_dataset(drawn).section("drawn")
    place.mkdir()
    seconds = 0.0
    for first in range(0, section.record.patches, SHARD):
        patches = section.patches[first : first + SHARD]
        counts = section.counts(first, first + len(patches))
        start = time.perf_counter()
        with tarfile.open(place / f"{first // SHARD:05d}.tar", "w") as tar:
            for i, patch in enumerate(patches):
                part = slice(counts.indptr[i], counts.indptr[i + 1])
                pairs = np.stack([counts.indices[part].astype(np.float32), counts.data[part]])
                suffix, content = (
                    ("png", as_png(patch)) if name == "tar png" else ("raw", patch.tobytes())
                )
                for ending, data in ((suffix, content), ("counts", pairs.tobytes())):
                    entry = tarfile.TarInfo(f"{first + i:08d}.{ending}")
                    entry.size = len(data)
                    tar.addfile(entry, io.BytesIO(data))
        seconds += time.perf_counter() - start
    return seconds


def as_png(patch: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(patch).save(buffer, "png", compress_level=1)
    return buffer.getvalue()


def read_shuffled(name: str, place: str) -> dict[str, float]:
    """One epoch in this process, after what it needs was imported and the page cache emptied."""
    for path in Path(place).rglob("*"):
        if path.is_file() and hasattr(os, "posix_fadvise"):
            with path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    batches = tar_batches(place) if name.startswith("tar") else zarr_batches(place)
    before = resource.getrusage(resource.RUSAGE_SELF)
    start, patches = time.perf_counter(), 0
    for image, counts in batches:
        patches += len(image)
        assert counts.shape == (len(image), GENES)
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "patches_per_s": patches / seconds,
        "cpu_ms": 1e3 * cpu_s / patches,
        "memory_mb": (after.ru_maxrss - before.ru_maxrss) * 1024 / 1e6,
    }


def zarr_batches(place: str) -> Iterator[tuple]:
    from past_training.dataset.batches import Batches

    dataset = open_dataset(place)
    batches = Batches(dataset, dataset.genes, BATCH, seed=0, pool_shards=POOL)
    return ((batch.patches, batch.counts) for batch in batches.epoch(0))


def tar_batches(place: str) -> Iterator[tuple]:
    import torch
    import webdataset

    def sample(parts: dict) -> tuple[np.ndarray, np.ndarray]:
        if "png" in parts:
            patch = np.asarray(Image.open(io.BytesIO(parts["png"])))
        else:
            patch = np.frombuffer(parts["raw"], np.uint8).reshape(SIDE_PX, SIDE_PX, 3)
        genes, values = np.frombuffer(parts["counts"], np.float32).reshape(2, -1)
        counts = np.zeros(GENES, np.float32)
        counts[genes.astype(np.intp)] = values
        return patch, counts

    def batch(samples: list) -> tuple:
        return tuple(torch.from_numpy(np.stack(part)) for part in zip(*samples, strict=True))

    urls = sorted(map(str, Path(place).glob("*.tar")))
    return iter(
        webdataset.WebDataset(urls, shardshuffle=len(urls), seed=0)
        .shuffle(POOL * SHARD)
        .map(sample)
        .batched(BATCH, collation_fn=batch)
    )


if __name__ == "__main__":
    told(main)
