"""Many slides into one folder."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from napari_past.cli.slide_record import claimed, read_record, write_record
from napari_past.io import read_cells
from napari_past.sample import write_phantom

SIZES = {"a.ome.tif": (256, 208), "b c.tif": (208, 256), "sub/ä.tif": (224, 224)}


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    """Three slides of one tile each, two folders deep."""
    folder = tmp_path_factory.mktemp("archive") / "slides"
    for name, size in SIZES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_phantom(folder / name, *size)
    return folder


@pytest.fixture
def slides(drawn, tmp_path):
    return shutil.copytree(drawn, tmp_path / "slides")


@pytest.fixture
def run(command, tiny_model_file, tmp_path):
    """``run(slides, "--jobs", 2)``: into the folder `tmp_path` / "out"."""

    def started(slides, *options):
        named = ("--model", tiny_model_file, "--genes", "ERBB2", "--format", "csv")
        return command("run", slides, "--out", tmp_path / "out", *named, *options)

    return started


def summary(folder):
    with (folder / "summary.csv").open(encoding="utf-8", newline="") as file:
        return {row["slide"]: row for row in csv.DictReader(file)}


def contents(folder):
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.parent.name != ".napari-past"
    }


def test_a_folder_of_slides(run, slides, tmp_path):
    out = tmp_path / "out"
    (slides / "bad.svs").write_text("not a slide")
    done = run(slides)
    assert done.code == 1
    rows = summary(out)
    assert list(rows) == ["a.ome.tif", "b c.tif", "bad.svs", "sub/ä.tif"]
    assert rows["bad.svs"]["status"] == "failed"
    assert rows["bad.svs"]["reason"].startswith("bad.svs is no image")
    assert str(tmp_path) not in (out / "summary.csv").read_text(encoding="utf-8")
    assert "bad.svs is no image" in done.err.splitlines()[-2]
    assert done.err.splitlines()[-1].startswith("napari-past: 4 slides: 3 analysed, 1 failed")
    assert done.out.count("  model  tiny") == 1, "once for all slides"
    for name in SIZES:
        row = rows[name]
        assert (row["status"], row["unreadable_tiles"]) == ("done", "0")
        assert read_cells(out / row["file"]).n_obs == int(row["cells"]) > 0
        assert 0 < float(row["area_mm2"]) < 0.02
    before = contents(out)
    assert {"a.csv", "b c.csv", "sub/ä.csv", "summary.csv"} <= before.keys()

    # Again, with the bad one mended: what is finished is passed over, and nothing of it changes.
    shutil.copy(slides / "a.ome.tif", slides / "bad.svs")
    again = run(slides, "--jobs", 3)
    assert again.code == 0, again.err
    assert "1 analysed, 3 finished before" in again.err
    after = contents(out)
    assert {name: after[name] for name in before if name != "summary.csv"} == {
        name: content for name, content in before.items() if name != "summary.csv"
    }

    # Two undisturbed runs, one of them in parallel, give the same bytes as all of this.
    shutil.rmtree(out)
    assert run(slides, "--jobs", 2, "--no-cache").code == 0
    assert contents(out) == after


def test_what_changed_is_noticed(run, slides, tmp_path):
    out = tmp_path / "out"
    assert run(slides).code == 0
    before = contents(out)

    asked = ("--genes", "KRT5")
    done = run(slides, *asked)
    assert done.code == 2
    assert "3 of the 3 slides, a.ome.tif first" in done.err
    assert "genes ERBB2, now KRT5" in done.err
    assert contents(out) == before

    (out / "a.csv.json").unlink()
    (out / "b c.csv").write_bytes(before["b c.csv"] + b"mine")
    os.utime(out / "sub" / "ä.csv")  # a new date alone is no change
    done = run(slides, "--format", "csv")
    assert done.code == 1
    assert "a.csv.json was removed, and is written again" in done.err
    reason = summary(out)["b c.tif"]["reason"]
    assert reason.startswith("b c.csv or b c.csv.json was changed"), "without the folder"
    assert "1 analysed, 1 finished before, 1 failed" in done.err
    assert (out / "b c.csv").read_bytes().endswith(b"mine")
    assert (out / "a.csv.json").read_bytes() == before["a.csv.json"]

    (out / "a.csv.json").write_text("mine")
    assert "a.csv.json was changed since it was written" in run(slides / "a.ome.tif").err
    assert run(slides, "--force").code == 0
    assert contents(out) == before

    shutil.copy(slides / "b c.tif", slides / "a.ome.tif")
    done = run(slides)
    assert done.code == 0
    assert "a.ome.tif: its slide changed since it was analysed" in done.err
    assert (out / "a.csv").read_bytes() != before["a.csv"]


def test_a_file_of_somebody_else_stays(run, slides, tmp_path):
    file = tmp_path / "out" / "a.csv"
    file.parent.mkdir()
    file.write_text("theirs")
    done = run(slides)
    assert done.code == 1
    assert "a.csv exists already, and it is not known how it was made" in done.err
    assert "2 analysed, 1 failed" in done.err
    assert file.read_text() == "theirs"


def test_a_result_that_was_being_written_is_written_again(run, slides, tmp_path):
    out = tmp_path / "out"
    assert run(slides / "sub").code == 0
    before = contents(out)
    record = read_record(out, "ä.csv")
    assert record is not None
    # As a run leaves it that ends between the result and its record.
    write_record(out, type(record)(record.slide, record.file, record.inputs, record.options))
    (out / "ä.csv").write_text("half")
    assert run(slides / "sub").code == 0
    assert contents(out) == before


def test_two_runs_share_a_folder(run, slides, tmp_path):
    out = tmp_path / "out"
    (out / ".napari-past").mkdir(parents=True)
    with claimed(out, "a.csv") as mine:
        assert mine
        done = run(slides)
    assert done.code == 1
    assert "2 analysed, 1 in hand of another run" in done.err
    assert summary(out)["a.ome.tif"]["status"] == "elsewhere"
    assert not (out / "a.csv").exists()
    done = run(slides)
    assert (done.code, "1 analysed, 2 finished before" in done.err) == (0, True)


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise on Windows")
def test_ctrl_c_keeps_what_is_finished(run, slides, tmp_path):
    out = tmp_path / "out"

    def press():
        while not (out / "a.csv").exists():
            time.sleep(0.002)
        signal.raise_signal(signal.SIGINT)

    thread = threading.Thread(target=press)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        thread.start()
        done = run(slides)
        thread.join()
    finally:
        signal.signal(signal.SIGINT, before)
    assert done.code == 130, done.err
    assert "slides are finished: finished tiles and slides are kept" in done.err
    states = [row["status"] for row in summary(out).values()]
    assert states[0] == "done"
    assert "waiting" in states
    assert run(slides).code == 0
    assert {row["status"] for row in summary(out).values()} == {"done"}


def test_a_list_has_its_own_options(run, slides, tmp_path):
    text = "slide,mpp,out\nslides/a.ome.tif,,first\nslides/a.ome.tif,1.0,wide/second\n"
    (tmp_path / "list.csv").write_text(text)
    done = run(tmp_path / "list.csv")
    assert done.code == 0, done.err
    first, second = (read_cells(tmp_path / "out" / n) for n in ("first.csv", "wide/second.csv"))
    assert done.out.count("a.ome.tif states 0.5 µm/px, but 1 was given and used") == 1
    assert first.obsm["spatial"].max() < 130 < second.obsm["spatial"].max()


def test_slides_of_one_name_are_told_apart(run, slides, tmp_path):
    """Neither failure hides the other."""
    (slides / "case.svs").write_text("nothing")
    (slides / "sub" / "case.svs").write_text("nothing")
    (tmp_path / "list.csv").write_text("slide,out\nslides/case.svs,1\nslides/sub/case.svs,2\n")
    done = run(tmp_path / "list.csv")
    assert done.code == 1
    assert done.err.count("napari-past: case.svs is no image") == 2
    assert "2 slides: 0 analysed, 2 failed" in done.err


def test_a_full_disk_is_told_and_the_rest_goes_on(run, slides, tmp_path, monkeypatch):
    real, asked = shutil.disk_usage, []

    def usage(path):
        asked.append(path)
        return SimpleNamespace(free=10) if len(asked) == 3 else real(path)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    done = run(slides)
    assert done.code == 1
    states = {name: row["status"] for name, row in summary(tmp_path / "out").items()}
    assert states == {"a.ome.tif": "done", "b c.tif": "failed", "sub/ä.tif": "done"}
    assert "GB free" in done.err


def test_a_file_for_many_slides(run, command, slides, tmp_path):
    done = command("run", slides, "--out", tmp_path / "x.csv")
    assert done.code == 2
    assert "3 slides were given; give a folder" in done.err
