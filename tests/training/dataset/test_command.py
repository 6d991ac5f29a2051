"""``past-train prepare`` as it is typed."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

from napari_past.errors import PastError
from past_training.cli import main
from past_training.dataset.command import add_parser, execute
from past_training.dataset.read import open_dataset


def run(*arguments: object) -> int:
    root = argparse.ArgumentParser()
    add_parser(root.add_subparsers(required=True))
    return execute(root.parse_args(["prepare", *map(str, arguments)]))


def write_table(section, path):
    """An AnnData with positions in µm."""
    adata = anndata.AnnData(
        section.counts.toarray(),
        obs=pd.DataFrame(index=list(section.ids)),
        var=pd.DataFrame(index=list(section.genes)),
        obsm={"spatial": section.centers_um},
    )
    adata.write_h5ad(path)
    return path


@pytest.fixture
def table(cells, tmp_path):
    return write_table(cells(), tmp_path / "cells.h5ad")


@pytest.fixture
def arguments(table, picture, tmp_path):
    return [
        "anndata", table, "--image", picture, "--mpp", 0.5, "--spatial-unit", "um",
        "--out", tmp_path / "mine.past",
    ]  # fmt: skip


def test_a_table_and_its_picture(arguments, cells, tmp_path, capsys):
    assert run(*arguments, "--patient", "P1", "--name", "N1", "--option", "tissue=breast") == 0
    dataset = open_dataset(tmp_path / "mine.past")
    (record,) = dataset.sections
    assert (record.name, record.patient, record.tissue, record.rows) == ("N1", "P1", "breast", 40)
    assert dataset.patch_px == 96  # 48 µm
    order = [cells().ids.index(name) for name in dataset.section("N1").row_id[:]]
    np.testing.assert_allclose(dataset.section("N1").row_um[:], cells().centers_um[order])
    captured = capsys.readouterr()
    size = sum(
        p.stat().st_size for p in (tmp_path / "mine.past/sections").rglob("*") if p.is_file()
    )
    assert f"rows 40, nuclei 40, patches 40, genes 4, bytes {size}" in captured.out
    assert "N1: 40/40 rows ·" in captured.err
    assert "rows/s" in captured.err
    assert run(*arguments, "--patient", "P1", "--name", "N1", "--option", "tissue=breast") == 0
    assert "N1: 40/40 rows (made before)" in capsys.readouterr().err


def test_regions(arguments, tmp_path):
    assert run(*arguments, "--mode", "regions", "--patch-px", 128, "--halo-px", 16) == 0
    dataset = open_dataset(tmp_path / "mine.past")
    assert (dataset.info.mode, dataset.patch_px, dataset.info.core_px) == ("regions", 128, 96)


def test_for_a_model(arguments, tiny_model_file, tmp_path):
    """It reads 0.5 µm/px and sees 64 px around a nucleus; nothing else was said."""
    assert run(*arguments, "--for", tiny_model_file) == 0
    dataset = open_dataset(tmp_path / "mine.past")
    assert (dataset.mpp, dataset.patch_px) == (0.5, 128)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--patch-px", 4], "patch_px"),
        (["--dataset-mpp", 0], "--dataset-mpp is a positive"),
        (["--halo-px", 8], "halo_px belongs to regions"),
        (["--for", "past-maxi"], "past-maxi"),
        (["--for", "past-mini", "--dataset-mpp", 0.5], "--for past-mini means 1 µm/px"),
        (["--for", "past-mini", "--patch-px", 200], "give 288 or more"),
        (["--option", "tissue"], "KEY=VALUE"),
        (["--option", "colour=red"], "no option 'colour'"),
        (["--alignment", "a.csv"], "no option 'alignment'"),
        (["--image", "missing.png"], "missing.png"),
    ],
)
def test_mistakes_are_one_sentence(arguments, extra, message):
    with pytest.raises(PastError, match=message) as told:
        run(*arguments, *extra)
    assert "\n" not in str(told.value)


def test_one_name_for_two_sources(table, picture, tmp_path):
    with pytest.raises(PastError, match="2 sources"):
        run("anndata", table, table, "--image", picture, "--spatial-unit", "um", "--mpp", 0.5,
            "--name", "N", "--out", tmp_path / "mine.past")  # fmt: skip


SLOWLY = """
import argparse, sys
from past_training.dataset.command import add_parser, execute
root = argparse.ArgumentParser()
add_parser(root.add_subparsers(required=True))
sys.exit(execute(root.parse_args(sys.argv[1:])))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no Ctrl-C to one child")
def test_ctrl_c_keeps_what_is_whole(arguments, cells, tmp_path):
    write_table(cells(rows=100), tmp_path / "cells.h5ad")
    command = [*map(str, arguments), "--shard-patches", "1"]
    child = subprocess.Popen(
        [sys.executable, "-c", SLOWLY, "prepare", *command], stderr=subprocess.PIPE, text=True,
        # A shell starts what it puts into the background deaf to interrupts, and children inherit.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    journal = tmp_path / "mine.past" / "sections" / "cells.partial" / "journal"
    limit_s = time.monotonic() + 30
    while len(list(journal.glob("*.safetensors"))) < 3:
        assert time.monotonic() < limit_s
        assert child.poll() is None
        time.sleep(0.005)
    child.send_signal(signal.SIGINT)
    _, told = child.communicate(timeout=30)
    assert child.returncode == 130
    assert "Traceback" not in told
    assert "the same command goes on" in told
    kept = len(list(journal.glob("*.safetensors")))
    assert 3 <= kept < 100
    assert run(*command) == 0
    open_dataset(tmp_path / "mine.past").verify()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")
def test_ctrl_c_before_the_first_shard(table, tmp_path):
    """While the picture is read: nothing is there, and nothing is said to be."""
    pipe = tmp_path / "slide.png"
    os.mkfifo(pipe)
    words = ["anndata", table, "--image", pipe, "--mpp", 0.5, "--spatial-unit", "um"]
    child = subprocess.Popen(
        [sys.executable, "-m", "past_training", "prepare", *map(str, words), "--out",
         str(tmp_path / "mine.past")], stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    with pipe.open("wb", buffering=0) as end:  # waits until the child opens its end
        child.send_signal(signal.SIGINT)
        _, told = child.communicate(timeout=30)
        assert not end.closed
    assert child.returncode == 130
    assert told == "past-train: cancelled; nothing was written.\n"
    assert not (tmp_path / "mine.past").exists()


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs Linux's /proc")
def test_a_place_where_nothing_can_be_made_is_no_lock(arguments, capsys):
    assert main(["prepare", *map(str, arguments), "--out", "/proc/m.past"]) == 2
    (told,) = capsys.readouterr().err.strip().splitlines()
    assert told.startswith("past-train: The dataset /proc/m.past cannot be written: ")
    assert "Another" not in told


HOLDS = """
import sys, time
from pathlib import Path
from past_training.dataset.lock import only_writer
with only_writer(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_second_writer_is_told_and_a_killed_one_does_not_block(arguments, tmp_path, capsys):
    out = tmp_path / "mine.past"
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(out)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        assert main(["prepare", *map(str, arguments)]) == 2
        (told,) = capsys.readouterr().err.strip().splitlines()
        assert told.startswith("past-train: Another past-train prepare is writing ")
        assert str(out) in told
        assert not out.exists()
    finally:
        child.kill()
        child.wait()
    assert main(["prepare", *map(str, arguments)]) == 0
    open_dataset(out).verify()
