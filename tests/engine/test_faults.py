"""Disks, slides and memory that fail in mid-run: a complete result, or one sentence and all that
was finished."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
import zarr

from napari_past import files
from napari_past.engine import Cells, Store, TileQueue, make_plan, run_plan, seam
from napari_past.engine.cache import cache_entries, mark_use
from napari_past.errors import CannotWrite, SlideChanged, SlideError, WorkerFailed
from napari_past.model import load_model
from napari_past.sample import draw_phantom, write_phantom
from napari_past.slide import open_slide


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch) -> None:
    monkeypatch.setattr(files, "RETRY_AFTER_S", (0.0,) * 4)


def after(tiles: int, action) -> object:
    """For `on_tile`: does something once, when so many tiles are done."""

    def told(progress) -> None:
        if progress.done == tiles and progress.result is not None:
            action()

    return told


# ---- disks -------------------------------------------------------------------------------------


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of 200 kB."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(folder)]
    mounted = shutil.which("mount") is not None and sys.platform == "linux"
    if not mounted or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def file_limit(n_bytes: int) -> Iterator[None]:
    """No file may grow beyond so many bytes, as with a quota (`ulimit -f`)."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_full_disk_keeps_what_is_finished(plan, tmp_path, undisturbed, tile_bytes) -> None:
    """A real one: tiles are written until there is no room, and again once there is."""
    whole = undisturbed().store
    size = sum(len(content) for content in tile_bytes(whole).values())
    with small_disk(tmp_path / "disk") as disk:
        store = Store(plan.key, disk)
        filler = disk / "somebody's"
        filler.write_bytes(bytes(200 * 1024 - size // 2 - 20_000))
        with pytest.raises(CannotWrite, match=r"is full; free some space .* tiles are kept"):
            deque(map(store.write, map(whole.read, plan.tiles)), maxlen=0)
        kept = tile_bytes(store)
        assert kept
        assert kept.items() < tile_bytes(whole).items()
        assert not list(store.folder.glob("*.part"))
        filler.unlink()
        run_plan(plan, store)
        assert tile_bytes(store) == tile_bytes(whole)


def test_quota_keeps_what_is_finished(plan, tmp_path, undisturbed, tile_bytes) -> None:
    whole = undisturbed().store
    sizes = {tile: len(whole._path(tile).read_bytes()) for tile in plan.tiles}
    small, large = (pick(plan.tiles, key=sizes.__getitem__) for pick in (min, max))
    store = Store(plan.key, tmp_path)
    with file_limit((sizes[small] + sizes[large]) // 2):
        store.write(whole.read(small))
        with pytest.raises(CannotWrite, match="finished tiles are kept"):
            store.write(whole.read(large))
    assert store.finished(plan.tiles) == {small}
    assert [p.suffix for p in store.folder.iterdir() if p.suffix == ".part"] == []
    store.write(whole.read(large))
    assert tile_bytes(store).items() <= tile_bytes(whole).items()


class FailingDisk:
    """`os.replace` and `Path.read_bytes` fail so many times with the errors of a network disk."""

    def __init__(self, patch: pytest.MonkeyPatch, name: str, number: int, times: float) -> None:
        owner = Path if name == "read_bytes" else os
        real, self.left = getattr(owner, name), times

        def failing(*arguments):
            if self.left > 0 and str(arguments[-1]).endswith(".tile"):
                self.left -= 1
                raise OSError(number, os.strerror(number))
            return real(*arguments)

        patch.setattr(owner, name, failing)


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ETIMEDOUT])
def test_network_disk_that_fails_for_a_while(
    plan, tmp_path, undisturbed, tile_bytes, monkeypatch, number
) -> None:
    whole = undisturbed().store
    store = Store(plan.key, tmp_path)
    FailingDisk(monkeypatch, "replace", number, times=3)
    for tile in plan.tiles:
        store.write(whole.read(tile))
    assert tile_bytes(store) == tile_bytes(whole)
    assert not list(store.folder.glob("*.part"))
    FailingDisk(monkeypatch, "read_bytes", number, times=3)
    assert store.read(plan.tiles[0]) is not None


def test_network_disk_that_fails_for_good(plan, tmp_path, undisturbed, monkeypatch) -> None:
    whole = undisturbed().store
    store = Store(plan.key, tmp_path)
    store.write(whole.read(plan.tiles[0]))
    results = [whole.read(tile) for tile in plan.tiles]
    disk = FailingDisk(monkeypatch, "replace", errno.ESTALE, times=np.inf)
    with pytest.raises(CannotWrite, match=r"Stale.*finished tiles are kept"):
        store.write(results[1])
    assert store.finished(plan.tiles) == {plan.tiles[0]}
    disk.left = 0
    reading = FailingDisk(monkeypatch, "read_bytes", errno.EIO, times=np.inf)
    assert store.read(plan.tiles[0]) is None
    assert store.has(plan.tiles[0]), "what is out of reach is not removed"
    reading.left = 0
    assert store.read(plan.tiles[0]) is not None


def test_file_that_shrinks_while_it_is_read(plan, tmp_path, undisturbed) -> None:
    """A map of it would end the process (SIGBUS)."""
    whole = undisturbed().store
    store = Store(plan.key, tmp_path)
    store.write(whole.read(plan.tiles[0]))
    result = store.read(plan.tiles[0])
    os.truncate(store._path(plan.tiles[0]), 0)
    assert np.isfinite(result.embeddings.astype(np.float32)).all()


# ---- clocks ------------------------------------------------------------------------------------


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="Linux counts ticks since boot")
def test_clock_that_is_set_takes_nobodys_folder(plan, tmp_path, monkeypatch) -> None:
    store = Store(plan.key, tmp_path)
    real = psutil.Process.create_time
    for shift_s in (-86_400.0, 3600.0):
        monkeypatch.setattr(psutil.Process, "create_time", lambda p, s=shift_s: real(p) + s)
        assert cache_entries(tmp_path)[0][0].in_use
    del store


def test_times_of_files_change_nothing(plan, tmp_path, undisturbed, tile_bytes) -> None:
    """Whatever a clock or a time zone made of them: 1970, 2100."""
    whole = undisturbed().store
    store = Store(plan.key, tmp_path)
    for tile in plan.tiles[:-1]:
        store.write(whole.read(tile))
    for k, path in enumerate(store.folder.iterdir()):
        os.utime(path, (4e9 * (k % 2),) * 2)
    done = []
    run_plan(plan, store, on_tile=lambda p: done.append(p.result is not None))
    assert sum(done) == 1
    assert tile_bytes(store) == tile_bytes(whole)
    assert [entry.in_use for entry in cache_entries(tmp_path)[0]] == [True]


def test_mark_of_another_machine_is_renewed(plan, tmp_path, monkeypatch) -> None:
    """Its processes cannot be seen: what it uses is told by the time of its mark."""
    store = Store(plan.key, tmp_path)
    [mark] = store.folder.glob("*.use")
    mark.write_text(json.dumps({**json.loads(mark.read_text()), "host": "elsewhere"}))
    os.utime(mark, (0, 0))
    assert not cache_entries(tmp_path)[0][0].in_use
    monkeypatch.setattr("napari_past.engine.store.USED_S", 0.0)
    store._use()
    assert cache_entries(tmp_path)[0][0].in_use
    assert mark_use(store.folder).name != mark.name


# ---- slides ------------------------------------------------------------------------------------


@pytest.fixture
def own_slide(slide_file, tmp_path) -> Path:
    return Path(shutil.copy(slide_file, tmp_path / "slide.ome.tif"))


@pytest.fixture(scope="module")
def other_slide(tmp_path_factory) -> Path:
    """Of the same size in pixels."""
    path = tmp_path_factory.mktemp("other") / "other.ome.tif"
    return Path(write_phantom(path, 1150, 800, 0.5, seed=99))


@pytest.mark.parametrize("how", ["renamed over", "written over", "cut in the middle", "removed"])
def test_slide_replaced_under_the_run(
    own_slide, other_slide, model, tmp_path, undisturbed, tile_bytes, how
) -> None:
    """No tile of the other one is kept as the first one's, and the first one's stay."""

    def replaced() -> None:
        if how == "renamed over":
            os.replace(shutil.copy(other_slide, tmp_path / "new"), own_slide)
        elif how == "written over":
            own_slide.write_bytes(other_slide.read_bytes())
        elif how == "cut in the middle":
            os.truncate(own_slide, own_slide.stat().st_size // 2)
        else:
            own_slide.unlink()

    with open_slide(own_slide) as slide:
        plan = make_plan(slide, model)
        store = Store(plan.key, tmp_path / "store")
        with pytest.raises(SlideError) as told:
            run_plan(plan, store, on_tile=after(2, replaced))
    if how.endswith("over"):
        assert isinstance(told.value, SlideChanged)
        assert "finished tiles are kept" in str(told.value)
    assert "\n" not in str(told.value)
    whole = tile_bytes(undisturbed().store)
    assert len(tile_bytes(store)) == 2
    assert tile_bytes(store).items() <= whole.items()
    os.replace(shutil.copy(undisturbed().plan.slide.path, tmp_path / "old"), own_slide)
    run_plan(plan, store)
    assert tile_bytes(store) == whole


def test_slide_that_is_touched_goes_on(
    own_slide, model, tmp_path, undisturbed, tile_bytes, monkeypatch
) -> None:
    """A backup, or a clock that is set, changes a file's times, not its content."""
    opened = []
    real = seam.open_slide
    monkeypatch.setattr(seam, "open_slide", lambda *a: opened.append(a) or real(*a))
    with open_slide(own_slide) as slide:
        plan = make_plan(slide, model)
        store = Store(plan.key, tmp_path / "store")
        run_plan(plan, store, on_tile=after(2, lambda: os.utime(own_slide, (0, 0))))
    assert len(opened) == 2
    assert tile_bytes(store) == tile_bytes(undisturbed().store)


def test_slide_changed_while_a_tile_was_read(own_slide, other_slide, model, tmp_path) -> None:
    """Written over between the first read of a tile and its end: pixels of both are in it."""
    with open_slide(own_slide) as slide:
        plan = make_plan(slide, model)
        store = Store(plan.key, tmp_path / "store")
        real, reads = seam.read_block, []

        def overtaken(*arguments):
            block = real(*arguments)
            if not reads:
                own_slide.write_bytes(other_slide.read_bytes())
            reads.append(1)
            return block

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(seam, "read_block", overtaken)
            with pytest.raises(SlideChanged):
                run_plan(plan, store)
    assert reads
    assert store.finished(plan.tiles) == set()


def test_folder_written_anew_while_a_tile_was_read(model, tmp_path) -> None:
    """The own time of a folder does not change with the files of an OME-Zarr in it."""
    folder, rgb = tmp_path / "a.zarr", draw_phantom(300, 300, 0.5, seed=4).rgb

    def write(pixels) -> None:
        group = zarr.open_group(folder, mode="a", zarr_format=3)
        data = np.ascontiguousarray(pixels.transpose(2, 0, 1))
        group.create_array("0", data=data, chunks=(1, 128, 128), overwrite=True)
        axes = [{"name": "c", "type": "channel"}]
        axes += [{"name": a, "type": "space", "unit": "micrometer"} for a in "yx"]
        scale = {"type": "scale", "scale": [1.0, 0.5, 0.5]}
        levels = [{"path": "0", "coordinateTransformations": [scale]}]
        group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": levels}]}

    write(rgb)
    with open_slide(folder) as slide, pytest.MonkeyPatch.context() as patch:
        plan = make_plan(slide, model)
        store = Store(plan.key, tmp_path / "store")
        real = seam.read_block

        def overtaken(*arguments):
            block = real(*arguments)
            write(rgb[::-1])
            return block

        patch.setattr(seam, "read_block", overtaken)
        with pytest.raises(SlideChanged):
            run_plan(plan, store)
        assert plan.tiles
        assert store.finished(plan.tiles) == set()


# ---- memory, and what nobody foresaw -----------------------------------------------------------


class Exhausted(torch.nn.Module):
    """A tower whose GPU has no memory, whatever the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.batches: list[int] = []

    def forward(self, x: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
        self.batches.append(len(x))
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def test_gpu_without_memory_is_told(slide, tmp_path, write_tiny_model) -> None:
    """Batches are halved down to one crop; then it is a sentence, and finished tiles are kept."""
    crop = {"mode": "crop", "stride_px": 1, "halo_px": 48, "crop_px": 96}
    path = write_tiny_model(tmp_path / "crops.safetensors", encoder=crop)
    plan = make_plan(slide, load_model(path, "cpu"), region=(150, 150, 100, 60))
    store = Store(plan.key, tmp_path / "store")
    first = replace(plan, tiles=plan.tiles[:1])
    run_plan(first, store)
    loaded = seam._model(plan.model)
    sound, loaded._tower = loaded._tower, Exhausted()
    try:
        with pytest.raises(WorkerFailed, match="not enough memory to encode"):
            run_plan(plan, store)
        assert loaded._tower.batches[-1] == 1
    finally:
        loaded._tower = sound
    assert store.finished(plan.tiles) == set(first.tiles)


def test_unforeseen_failure_of_a_driver_is_a_sentence(plan, tmp_path, monkeypatch) -> None:
    def failing(*arguments):
        raise RuntimeError("CUDA error: an illegal memory access was encountered\nCompile with …")

    monkeypatch.setattr(seam, "read_block", failing)
    with pytest.raises(WorkerFailed, match=r"illegal memory access.*Finished tiles are kept") as e:
        run_plan(plan, Store(plan.key, tmp_path))
    assert "\n" not in str(e.value)


def test_queue_survives_whoever_listens(plan, tmp_path, undisturbed) -> None:
    """Else a run would wait for ever for tiles that nobody is computing."""

    class NoWorkers:
        width = 2

    whole = undisturbed().store
    store = Store(plan.key, tmp_path)
    for tile in plan.tiles[:2]:
        store.write(whole.read(tile))
    errors, told = [], []

    def listening(result) -> None:
        told.append(result.tile)
        if len(told) == 1:
            raise KeyError("a mistake of the listener's")

    queue = TileQueue(NoWorkers(), plan, store, listening, errors.append)
    queue.want(plan.tiles[:2])
    while not errors:
        pass
    assert isinstance(errors[0], WorkerFailed)
    assert "KeyError" in str(errors[0])
    queue.want(plan.tiles[:2])
    while len(told) < 2:
        pass
    queue.close()
    assert told == list(plan.tiles[:2])


def test_read_only_folder_of_results_is_a_sentence(plan, model, tmp_path, undisturbed) -> None:
    """What it holds is read; a tile more cannot be kept, and that is told."""
    if os.geteuid() == 0 and sys.platform == "linux":
        folder = tmp_path / "proc"
        folder.symlink_to("/proc/self")  # nobody, not even root, may write there
    else:
        folder = tmp_path / "store"
        folder.mkdir()
        folder.chmod(0o500)
    with pytest.raises(CannotWrite, match="NAPARI_PAST_CACHE"):
        Store(plan.key, folder / "cache")
    assert len(Cells(plan, model, undisturbed().store)) > 0
