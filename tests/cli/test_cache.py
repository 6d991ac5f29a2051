from __future__ import annotations

import io
import json
import sys

import pytest


@pytest.fixture
def analysed(command, phantom, tmp_path, monkeypatch):
    """A cache of its own with one analysed slide."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("NAPARI_PAST_CACHE", str(cache))
    done = command("run", phantom, "--out", tmp_path / "x.csv", "--region", "0,0,90,90")
    assert done.code == 0, done.err
    return cache


def test_list_and_clear(command, told_once, analysed, phantom):
    done = command("cache", "list")
    assert done.code == 0
    assert phantom.name in done.out
    assert "past-mini" in done.out
    told = json.loads(command("cache", "list", "--json").out)
    [entry] = told["entries"]
    assert (entry["slide"], entry["path"], entry["tiles"]) == (phantom.name, str(phantom), 1)
    assert told["size_bytes"] == entry["size_bytes"] > 1000
    assert entry["key"][:8] in done.out

    assert "--all" in told_once(command("cache", "clear"))
    assert "other.svs" in told_once(command("cache", "clear", "other.svs"))
    assert "not both" in told_once(command("cache", "clear", "--all", phantom.name))
    assert list(analysed.rglob("*.tile"))
    done = command("cache", "clear", phantom.name)
    assert (done.code, done.err) == (0, "")
    assert "1 analysed slides" in done.out
    assert not list(analysed.rglob("*.tile"))
    assert "No slide was analysed yet" in command("cache", "list").out
    assert command("cache", "clear", "--all").code == 0


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("\n", 130), ("", 130)])
def test_clear_asks_on_a_terminal(command, analysed, monkeypatch, answer, code):
    terminal = io.StringIO(answer)
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stdin", terminal)
    assert command("cache", "clear").code == code
    assert bool(list(analysed.rglob("*.tile"))) == (code != 0)


def test_what_is_in_use_or_foreign_stays(command, analysed):
    from napari_past.engine.cache import mark_use

    [tile] = analysed.rglob("*.tile")
    mark_use(tile.parent)
    (tile.parent.parent / "notes.txt").write_text("mine")
    done = command("cache", "clear", "--all")
    assert done.code == 1
    assert "is in use and stays" in done.err
    assert "notes.txt is not of the cache and is left alone" in done.err
    assert tile.exists()


def test_no_cache_yet(command, tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_PAST_CACHE", str(tmp_path / "none"))
    assert command("cache", "list").code == 0
    assert json.loads(command("cache", "list", "--json").out)["entries"] == []
    assert command("cache", "clear").code == 0
    assert not (tmp_path / "none").exists()


def test_limit_that_is_no_number(command, told_once, monkeypatch):
    monkeypatch.setenv("NAPARI_PAST_CACHE_LIMIT_GB", "much")
    assert "NAPARI_PAST_CACHE_LIMIT_GB" in told_once(command("cache", "list"))


def test_copies_of_pictures_are_listed_and_removed(command, tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_PAST_CACHE", str(tmp_path))
    copy = tmp_path / "pictures" / "ab" / "C5.ome.tif"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(bytes(2_000_000))
    assert "copies of plain pictures: 2.0 MB" in command("cache", "list").out
    done = command("cache", "clear", "--all")
    assert (done.code, copy.exists()) == (0, False)
    assert "2.0 MB freed" in done.out
    assert "plain pictures" not in command("cache", "list").out
