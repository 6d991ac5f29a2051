"""The cache as a whole: bounded, told, safe for who uses it, readable where it is read-only."""

from __future__ import annotations

import errno
import gc
import json
import logging
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from napari_past.engine import Store, run_plan
from napari_past.engine import cache as cache_module
from napari_past.engine import store as store_module
from napari_past.engine.cache import (
    LIMIT,
    cache_entries,
    matching,
    remove_entry,
    removed_before,
    trim,
)
from napari_past.errors import CannotWrite, PastError


@pytest.fixture
def filled(plan, undisturbed):
    """``filled(root, "a", used_s)``: a key of its own with two tiles, last used then, closed."""

    def fill(root: Path, name: str, used_s: float) -> Path:
        store = Store(replace(plan.key, detector=name), root)
        store.describe(replace(plan, slide_name=f"{name}.svs"))
        for tile in plan.tiles[:2]:
            store.write(undisturbed().store.read(tile))
        folder = store.folder
        del store
        gc.collect()
        os.utime(folder / "key.json", (used_s, used_s))
        return folder

    return fill


def test_entries_tell_slide_model_size_and_last_use(filled, plan, tmp_path) -> None:
    late, early = filled(tmp_path, "late", 2e9), filled(tmp_path, "early", 1e9)
    entries, foreign = cache_entries(tmp_path)
    assert foreign == []
    assert [e.folder for e in entries] == [early, late]
    entry = entries[0]
    assert (entry.slide, entry.model, entry.tiles) == ("early.svs", "tiny", 2)
    assert entry.path == plan.slide.path
    assert Path(entry.path).is_absolute()
    assert entry.size_bytes == sum(p.stat().st_size for p in early.iterdir())
    assert entry.used_s == 1e9
    assert entry.created.startswith("20")
    assert not entry.in_use
    assert matching(entries, "early.svs") == [entry]
    assert matching(entries, entry.key[:6]) == [entry]
    assert matching(entries, entry.key[:5]) == []


def test_run_notes_whose_tiles_they_are(plan, undisturbed, tmp_path) -> None:
    store = Store(plan.key, tmp_path)
    run_plan(replace(plan, tiles=()), store)
    [entry] = cache_entries(tmp_path)[0]
    assert (entry.slide, entry.model) == (plan.slide_name, "tiny")
    assert entry.in_use
    del store
    gc.collect()
    assert not cache_entries(tmp_path)[0][0].in_use


def test_least_recently_used_goes_first_and_is_told(
    filled, plan, tmp_path, monkeypatch, caplog
) -> None:
    folders = [filled(tmp_path, name, 1e9 + k) for k, name in enumerate("abc")]
    size_bytes = cache_entries(tmp_path)[0][0].size_bytes
    monkeypatch.setenv(LIMIT, str(2.5 * size_bytes / 1e9))
    with caplog.at_level(logging.WARNING, "napari_past.cache"):
        Store(plan.key, tmp_path)
    assert [folder.exists() for folder in folders] == [False, True, True]
    [record] = caplog.records
    assert "a.svs (tiny, 2 tiles)" in record.getMessage()
    [note] = removed_before(tmp_path)
    assert (note["slide"], note["tiles"], note["size_bytes"]) == ("a.svs", 2, size_bytes)
    assert cache_entries(tmp_path)[1] == [], "the notes are not foreign"


def test_growth_over_the_limit_removes_others_and_never_itself(
    filled, plan, undisturbed, tmp_path, monkeypatch
) -> None:
    other = filled(tmp_path, "other", 1e9)
    size_bytes = cache_entries(tmp_path)[0][0].size_bytes
    whole = undisturbed().store
    first = (whole.folder / f"{plan.tiles[0].column}_{plan.tiles[0].row}.tile").stat().st_size
    monkeypatch.setenv(LIMIT, str((size_bytes + first + 9_000) / 1e9))
    store = Store(plan.key, tmp_path)
    store.write(undisturbed().store.read(plan.tiles[0]))
    assert other.exists()
    for tile in plan.tiles:
        store.write(undisturbed().store.read(tile))
    assert not other.exists()
    assert store.finished(plan.tiles) == set(plan.tiles)


def test_what_another_process_has_open_stays(filled, tmp_path, monkeypatch) -> None:
    folder = filled(tmp_path, "a", 1e9)
    script = (
        "import sys; from pathlib import Path; from napari_past.engine.cache import mark_use\n"
        "mark_use(Path(sys.argv[1])); print(flush=True); sys.stdin.read()"
    )
    monkeypatch.setenv(LIMIT, "0")
    with subprocess.Popen(
        [sys.executable, "-c", script, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert trim(tmp_path)[0] == []
        process.kill()
        process.wait()
    assert list(folder.glob("*.use")), "a killed process leaves its mark"
    assert [e.folder for e in trim(tmp_path)[0]] == [folder]
    assert not folder.exists()


def test_mark_of_a_number_that_is_used_again_counts_for_nothing(filled, tmp_path) -> None:
    folder = filled(tmp_path, "a", 1e9)
    mark = cache_module.mark_use(folder)
    assert cache_entries(tmp_path)[0][0].in_use
    mark.write_text(json.dumps({**json.loads(mark.read_text()), "started": 12.0}))
    assert not cache_entries(tmp_path)[0][0].in_use
    mark.write_text("")
    assert not cache_entries(tmp_path)[0][0].in_use


def test_what_is_not_ours_is_left_alone_and_told(filled, tmp_path, monkeypatch) -> None:
    folder = filled(tmp_path, "a", 1e9)
    schema = folder.parent
    (schema / "notes.txt").write_text("mine")
    (schema / ("0" * 32)).mkdir()
    assert set(cache_entries(tmp_path)[1]) == {schema / "notes.txt", schema / ("0" * 32)}
    (folder / "mine.txt").write_text("mine")
    monkeypatch.setenv(LIMIT, "0")
    trim(tmp_path)
    assert [p.name for p in folder.iterdir()] == ["mine.txt"]
    assert (schema / "notes.txt").exists()


def test_damaged_about_is_no_reason_to_fail(filled, tmp_path) -> None:
    folder = filled(tmp_path, "a", 1e9)
    for content in (b"{", b"[]", b"\xff"):
        (folder / "about.json").write_bytes(content)
        [entry] = cache_entries(tmp_path)[0]
        assert (entry.slide, entry.tiles) == ("", 2)


def test_removal_that_was_killed_is_finished_later(filled, plan, tmp_path) -> None:
    folder = filled(tmp_path, "a", 1e9)
    going = folder.rename(folder.with_name(f"{folder.name}.going-12ab34cd"))
    assert cache_entries(tmp_path) == ([], [])
    Store(plan.key, tmp_path)
    assert not going.exists()


def test_tile_is_written_though_the_cache_was_cleared(plan, undisturbed, tmp_path) -> None:
    store = Store(plan.key, tmp_path)
    remove_entry(cache_entries(tmp_path)[0][0])
    store.write(undisturbed().store.read(plan.tiles[0]))
    assert Store(plan.key, tmp_path).read(plan.tiles[0]) is not None


def test_read_only_cache_can_be_read(plan, undisturbed, model, tmp_path, monkeypatch) -> None:
    """Every way of changing something refused, as by a read-only disk."""
    before = undisturbed()
    whole = len(before)

    def refuse(*args: object, **options: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    for name in ("utime", "replace", "mkdir", "unlink", "fsync"):
        monkeypatch.setattr(os, name, refuse)
    for name in ("write_text", "mkdir", "unlink"):
        monkeypatch.setattr(Path, name, refuse)
    monkeypatch.setattr(store_module, "_replace", refuse)
    assert len(undisturbed()) == whole
    store = Store(plan.key, before.store.folder.parents[1])
    with pytest.raises(CannotWrite, match="NAPARI_PAST_CACHE"):
        store.write(store.read(plan.tiles[0]))
    with pytest.raises(CannotWrite, match="NAPARI_PAST_CACHE"):
        Store(plan.key, tmp_path / "new")


@pytest.mark.parametrize("limit", ["many", "-1", "inf", "nan"])
def test_limit_that_is_no_number(plan, tmp_path, monkeypatch, limit) -> None:
    monkeypatch.setenv(LIMIT, limit)
    with pytest.raises(PastError, match=LIMIT):
        Store(plan.key, tmp_path)
