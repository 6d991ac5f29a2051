"""Runs that are resumed, cancelled, killed and damaged end like one that was left alone."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import tifffile

from napari_past import files
from napari_past.engine import Cells, Store, make_plan, run_plan, run_tile, seam
from napari_past.errors import BadModel, Cancelled, CannotWrite, WorkerFailed
from napari_past.model import load_model
from napari_past.sample import draw_phantom
from napari_past.sample.ome_tiff import write_pyramid
from napari_past.slide import open_slide


@pytest.fixture
def two_tiles(plan):
    """The first two tiles of the plan."""
    return replace(plan, tiles=plan.tiles[:2])


def counted(plan, store, **options):
    """Tiles that were computed, and what was told."""
    told = []
    run_plan(plan, store, on_tile=told.append, **options)
    return [p.result.tile for p in told if p.result is not None], told


def test_progress_and_resume(two_tiles, tmp_path, undisturbed, tile_bytes):
    store = Store(two_tiles.key, tmp_path)
    first = replace(two_tiles, tiles=two_tiles.tiles[:1])
    assert counted(first, store)[0] == [two_tiles.tiles[0]]
    computed, told = counted(two_tiles, store)
    assert computed == [two_tiles.tiles[1]]
    assert [(p.done, p.total) for p in told] == [(1, 2), (2, 2)]
    assert counted(two_tiles, store)[0] == []
    whole = tile_bytes(undisturbed().store)
    assert tile_bytes(store).items() <= whole.items()


def test_tile_is_what_the_slide_holds_there(plan, slide):
    result = run_tile(plan.slide, plan.tiles[0], plan.model, plan.detector)
    cells = result.cells
    assert len(cells) > 20
    assert plan.tiles[0].rect.contains(cells.centers_um).all()
    assert result.embeddings.shape == (len(cells), 16)
    assert result.embeddings.dtype == np.float16
    assert result.hematoxylin_od.dtype == np.float32
    assert result.hematoxylin_od.min() > 0.05
    assert not result.unreadable


def test_tiles_leave_the_threads_of_torch_as_they_were(plan):
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        one = run_tile(plan.slide, plan.tiles[0], plan.model, plan.detector, plan.threads)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    again = run_tile(plan.slide, plan.tiles[0], plan.model, plan.detector, plan.threads)
    np.testing.assert_array_equal(one.embeddings, again.embeddings)


def test_threads_share_one_slide_and_one_model(plan, undisturbed, monkeypatch):
    """Four threads from the first moment on: each is opened once, and tiles are the same."""
    opened = []
    for name in ("open_slide", "load_model"):
        real = getattr(seam, name)
        monkeypatch.setattr(
            seam, name, lambda *a, real=real, name=name: opened.append(name) or real(*a)
        )
    seam.forget_slides()
    seam._model.cache_clear()
    with ThreadPoolExecutor(4) as pool:
        results = list(
            pool.map(
                lambda t: run_tile(plan.slide, t, plan.model, plan.detector, plan.threads),
                plan.tiles * 2,
            )
        )
    assert sorted(opened) == ["load_model", "open_slide"]
    store = undisturbed().store
    for result in results:
        expected = store.read(result.tile)
        np.testing.assert_array_equal(result.cells.centers_um, expected.cells.centers_um)
        np.testing.assert_array_equal(result.embeddings, expected.embeddings)


def test_tile_without_memory_is_told(two_tiles, tmp_path, monkeypatch):
    def refuse(*args):
        raise MemoryError

    monkeypatch.setattr(seam, "read_block", refuse)
    with pytest.raises(WorkerFailed, match="not enough memory"):
        run_plan(two_tiles, Store(two_tiles.key, tmp_path))


def test_cancel_keeps_what_is_finished(plan, tmp_path):
    store = Store(plan.key, tmp_path)
    finished = []
    with pytest.raises(Cancelled, match="finished tiles are kept"):
        run_plan(
            plan,
            store,
            on_tile=lambda p: finished.append(p.done),
            cancelled=lambda: bool(finished) and finished[-1] >= 1,
        )
    assert [store.has(t) for t in plan.tiles[:3]] == [True, False, False]


def test_cancelled_in_the_middle_of_a_tile_of_crops(slide, tmp_path, write_tiny_model):
    crop = {"mode": "crop", "stride_px": 1, "halo_px": 48, "crop_px": 96}
    model = load_model(write_tiny_model(tmp_path / "crops.safetensors", encoder=crop), "cpu")
    plan = make_plan(slide, model)
    store = Store(plan.key, tmp_path / "store")
    asked = []

    def cancelled():
        asked.append(1)
        return len(asked) == 2  # before the tile, and before its first batch

    with pytest.raises(Cancelled, match="goes on from there"):
        run_plan(plan, store, cancelled=cancelled)
    assert len(asked) == 2
    assert store.finished(plan.tiles) == set()


def test_kill_in_mid_write(stain_plan, slide_file, tmp_path, stain_bytes, tile_bytes):
    """The process dies by signal 9 just before its third tile would get its name."""
    script = textwrap.dedent(
        f"""
        import os, signal
        from pathlib import Path
        import napari_past as past
        from napari_past.cells import get_detector
        from napari_past.engine import Store, make_plan, run_plan
        from napari_past.engine.measured import assay_of
        detector = get_detector({stain_plan.detector.name!r})
        plan = make_plan(past.open_slide({str(slide_file)!r}), assay_of(None, detector, "cpu"),
                         detector, device="cpu")
        store = Store(plan.key, Path({str(tmp_path)!r}))
        replace, left = os.replace, [2]
        def dying(*args):
            if str(args[1]).endswith(".tile"):
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left[0] -= 1
            replace(*args)
        os.replace = dying
        run_plan(plan, store)
        """
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    plan = stain_plan
    store = Store(plan.key, tmp_path)
    assert [store.has(t) for t in plan.tiles[:3]] == [True, True, False]
    assert list(store.folder.glob("*.part"))
    assert len(counted(plan, store)[0]) == len(plan.tiles) - 2
    for left in store.folder.glob("*.part"):
        left.unlink()
    assert tile_bytes(store) == stain_bytes


@pytest.mark.parametrize("damage", ["empty", "cut", "zeros", "other shapes"])
def test_damaged_tile_is_computed_anew(two_tiles, model, tmp_path, undisturbed, tile_bytes, damage):
    whole = tile_bytes(undisturbed().store)
    names = [f"{t.column}_{t.row}.tile" for t in two_tiles.tiles]
    store = Store(two_tiles.key, tmp_path)
    for name in names:
        (store.folder / name).write_bytes(whole[name])
    content = whole[names[0]]
    other = store.read(two_tiles.tiles[1])
    (store.folder / names[0]).write_bytes(
        {"empty": b"", "cut": content[:-3], "zeros": bytes(len(content)), "other shapes": b""}[
            damage
        ]
    )
    if damage == "other shapes":
        from safetensors.numpy import save_file

        arrays = {
            "centers_um": other.cells.centers_um,
            "vertices_um": other.cells.outlines.vertices_um,
            "offsets": other.cells.outlines.offsets,
            "areas_um2": other.cells.areas_um2,
            "embeddings": other.embeddings[:-1],
            "hematoxylin_od": other.hematoxylin_od,
        }
        save_file(arrays, store.folder / names[0])
    cells = Cells(two_tiles, model, store)
    assert len(cells) == sum(len(undisturbed().store.read(t).cells) for t in two_tiles.tiles)
    assert tile_bytes(store).items() <= whole.items()


def test_store_that_cannot_be_read_back_is_told(two_tiles, model, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "RETRY_AFTER_S", (0.0,))
    store = Store(two_tiles.key, tmp_path)
    for tile in two_tiles.tiles:
        path = store.folder / f"{tile.column}_{tile.row}.tile"
        path.symlink_to("/proc/self/mem" if os.path.exists("/proc/self/mem") else os.devnull)
    with pytest.raises(CannotWrite, match="cannot be read back"):
        Cells(two_tiles, model, store).compute()


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "disk .* is full"),
        (errno.EROFS, "cannot be written"),
        (errno.EACCES, "cannot"),
    ],
)
def test_disk_that_takes_no_more(two_tiles, tmp_path, monkeypatch, number, message):
    store = Store(two_tiles.key, tmp_path)

    def refuse(*args):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(CannotWrite, match=message) as told:
        run_plan(two_tiles, store)
    assert "NAPARI_PAST_CACHE" in str(told.value)
    assert not list(store.folder.glob("*.tile*"))


def test_cache_folder_that_is_a_file(plan, tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(CannotWrite, match="NAPARI_PAST_CACHE"):
        Store(plan.key, tmp_path / "taken")


def test_model_file_that_changed_meanwhile(slide, tmp_path, write_tiny_model):
    path = write_tiny_model(tmp_path / "m.safetensors")
    plan = make_plan(slide, str(path), device="cpu")
    write_tiny_model(path, version="2")
    with pytest.raises(BadModel, match="changed since"):
        run_plan(plan, Store(plan.key, tmp_path))


def test_unreadable_tile_is_marked_and_tried_again(tmp_path, model):
    """JPEG data of one file tile of level 0 lost; the coarse level and the rest are whole."""
    path = tmp_path / "damaged.ome.tif"
    write_pyramid(path, draw_phantom(1280, 640, 0.5, seed=1).rgb, 0.5, "damaged", jpeg=True)
    with tifffile.TiffFile(path) as tif:
        page = tif.series[0].levels[0].keyframe
        start, count = page.dataoffsets[2], page.databytecounts[2]  # px 512–768, 0–256
    with path.open("r+b") as file:
        file.seek(start)
        file.write(bytes(count))
    with open_slide(path) as slide:
        plan = make_plan(slide, model)
        cells = Cells(plan, model, Store(plan.key, tmp_path)).compute()
        lost = {(t.column, t.row) for t in cells.unreadable}
        assert lost == {(0, 0), (1, 0)}  # the first one's halo reaches into it
        assert len(plan.tiles) - len(lost) == sum(cells.store.has(t) for t in plan.tiles)
        assert len(cells) > 50
        assert not any(t.rect.contains(cells.centers_um).any() for t in cells.unreadable)
        assert cells.to_anndata().uns["napari_past"]["unreadable_tiles"] == ["0,0", "1,0"]
        again = Cells(plan, model, cells.store).compute()
        assert again.unreadable == cells.unreadable
        assert again.ids == cells.ids
