"""Sections on disk: the values, and that nothing is lost, doubled or changed by a kill."""

from __future__ import annotations

import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from scipy.sparse import csr_array

from napari_past.errors import Cancelled, CannotWrite
from past_training.dataset.schema import BadDataset, PrepareConfig
from past_training.dataset.write import write_section

CONFIG = PrepareConfig(patch_px=24, shard_patches=8)
GENES = {"EPCAM": 0, "VIM": 1, "CD3E": 2, "ACTB": 3}


def test_cells_round_trip(write, cells, picture):
    tokens = np.arange(40 * 300).reshape(40, 300)
    section = cells(tokens=tokens)
    dataset = write(section, neighbour_radius_um=15.0)
    arrays, record = dataset.section("A"), dataset.sections[0]
    order = [section.ids.index(name) for name in arrays.row_id[:]]
    assert sorted(order) == list(range(40))
    assert (record.rows, record.patches, record.nuclei, record.genes) == (40, 40, 40, 4)
    assert record.filled == (8, 8, 8, 8, 8)
    np.testing.assert_array_equal(arrays.row_um[:], section.centers_um[order])
    np.testing.assert_array_equal(arrays.counts().toarray(), section.counts.toarray()[order])
    np.testing.assert_array_equal(
        arrays.counts(5, 9).toarray(), section.counts.toarray()[order[5:9]]
    )
    np.testing.assert_array_equal(arrays.counts_total[:], section.counts.sum(axis=1)[order])
    np.testing.assert_array_equal(arrays.tokens[:], tokens[order])
    np.testing.assert_array_equal(arrays.row_start[:], np.arange(41))
    np.testing.assert_array_equal(arrays.nuclei_start[:], np.arange(41))
    np.testing.assert_array_equal(arrays.nuclei_row[:], np.arange(40))
    # Each nucleus is where the picture has it: its patch's corner and its place in the patch.
    back_um = arrays.patch_um[:] + (arrays.nuclei_yx[:][:, ::-1] + 0.5) * 0.5
    np.testing.assert_allclose(back_um, arrays.row_um[:], atol=1e-4)
    assert np.abs(arrays.nuclei_yx[:] - 11.5).max() <= 0.5
    # Pixels are the picture's own, and beyond it lies its glass.
    rgb = np.pad(np.asarray(Image.open(picture)), ((24, 24), (24, 24), (0, 0)), constant_values=243)
    for patch, (x_um, y_um) in zip(arrays.patches[:], arrays.patch_um[:], strict=True):
        x_px, y_px = round(x_um / 0.5) + 24, round(y_um / 0.5) + 24
        np.testing.assert_array_equal(patch, rgb[y_px : y_px + 24, x_px : x_px + 24])
    away = np.linalg.norm(arrays.row_um[:][:, None] - arrays.row_um[:], axis=2)
    start, index = (lists[:] for lists in arrays.neighbours)
    for i in range(40):
        near = [j for j in np.argsort(away[i]) if j != i and away[i, j] <= 15]
        assert index[start[i] : start[i + 1]].tolist() == near


def test_another_pixel_size(write, cells):
    section = cells(rows=1, centers_um=np.array([[60.0, 45.0]]))
    dataset = write(section, mpp=1.0)
    arrays = dataset.section("A")
    assert arrays.patch_um[:].tolist() == [[48.0, 33.0]]  # 24 px of 1 µm around (60, 45)
    assert arrays.nuclei_yx[:].tolist() == [[11.5, 11.5]]
    # Twice as coarse: a pixel is the mean of four to within the filter's reach.
    assert arrays.patches[0].std() < 0.7 * 37.5  # uniform noise of 90…220 has 37.5


def test_spots_round_trip(write, spots):
    section = spots()
    dataset = write(section, patch_px=48)
    arrays, record = dataset.section("S"), dataset.sections[0]
    assert not record.has_neighbours
    assert arrays.neighbours is None
    assert arrays.tokens is None
    places = arrays.patch_um[:][np.repeat(np.arange(6), np.diff(arrays.nuclei_start[:]))]
    nuclei_um = places + (arrays.nuclei_yx[:][:, ::-1] + 0.5) * 0.5
    away = np.linalg.norm(nuclei_um - arrays.row_um[:][arrays.nuclei_row[:]], axis=1)
    assert away.max() <= 10.0
    inside = np.linalg.norm(section.nuclei_um[:, None] - section.centers_um, axis=2) <= 10.0
    per_spot = dict(zip(section.ids, inside.sum(axis=0), strict=True))
    found = np.bincount(arrays.nuclei_row[:], minlength=6)
    assert dict(zip(arrays.row_id[:], found, strict=True)) == per_spot
    assert record.nuclei == inside.sum() > 6


def test_rows_of_nuclei_by_hand(write, spots):
    section = spots(nuclei_um=np.array([[86.0, 61.0], [24.0, 30.0], [26.0, 30.0], [40.0, 45.0]]))
    arrays = write(section, patch_px=48).section("S")
    # One tile: from top to bottom and left to right, so rows keep the order of the source.
    assert list(arrays.row_id[:]) == list(section.ids)
    assert arrays.nuclei_row[:].tolist() == [0, 0, 5]  # (40, 45) lies in no spot
    assert arrays.nuclei_start[:].tolist() == [0, 2, 2, 2, 2, 2, 3]
    # Patch of 24 µm around (25, 30): x from 13 µm, y from 18 µm.
    assert arrays.nuclei_yx[:2].tolist() == [[23.5, 21.5], [23.5, 25.5]]
    assert arrays.nuclei_yx[2].tolist() == [25.5, 25.5]


@pytest.mark.parametrize("kind", ["cells", "spots"])
def test_in_regions_each_nucleus_is_in_one_patch(write, cells, spots, kind):
    section = cells(rows=60) if kind == "cells" else spots()
    arrays = write(section, mode="regions", patch_px=64, halo_px=24).section(section.name)
    start, row_start = arrays.nuclei_start[:], arrays.row_start[:]
    patch = np.repeat(np.arange(len(start) - 1), np.diff(start))
    row = arrays.nuclei_row[:]
    assert (row >= row_start[patch]).all()
    assert (row < row_start[patch + 1]).all()  # a row's nuclei lie in the patch that owns it
    nuclei_um = arrays.patch_um[:][patch] + (arrays.nuclei_yx[:][:, ::-1] + 0.5) * 0.5
    assert len(np.unique(np.round(nuclei_um, 3), axis=0)) == len(row)
    yx = arrays.nuclei_yx[:] + 0.5
    assert (yx >= 0).all()
    assert (yx < 64).all()
    if kind == "cells":
        assert sorted(row) == list(range(60))
        np.testing.assert_allclose(nuclei_um, arrays.row_um[:][row], atol=1e-4)
        assert (yx >= 24 - 1e-3).all()
        assert (yx < 40 + 1e-3).all()


def test_counts_are_put_in_the_dataset_s_order_of_genes(write, cells):
    one = cells("A", rows=2, genes=("VIM", "EPCAM"), counts=csr_array([[1.0, 2.0], [0.0, 3.0]]))
    two = cells("B", rows=1, genes=("CD8A", "VIM"), counts=csr_array([[5.0, 4.0]]))
    dataset = write(one, two)
    assert dataset.genes == ("VIM", "EPCAM", "CD8A")
    first = dict(
        zip(dataset.section("A").row_id[:], dataset.section("A").counts().toarray(), strict=True)
    )
    assert first["A-0"].tolist() == [1, 2, 0]
    assert first["A-1"].tolist() == [0, 3, 0]
    assert dataset.section("B").counts().toarray().tolist() == [[4, 0, 5]]
    assert dataset.section("B").genes == ("VIM", "CD8A")


def test_neighbours_of_the_source_come_first(write, cells):
    lists = np.array([0, 1, 3, 3]), np.array([2, 0, 2])
    section = cells(rows=3, neighbours=lists)
    arrays = write(section).section("A")
    start, index = (part[:] for part in arrays.neighbours)
    names = arrays.row_id[:]
    told = {
        names[i]: [names[j] for j in index[start[i] : start[i + 1]]] for i in range(3)
    }  # fmt: skip
    assert told == {"A-0": ["A-2"], "A-1": ["A-0", "A-2"], "A-2": []}


KILLED = """
from pathlib import Path
import numpy as np
from scipy.sparse import csr_array
from past_training.dataset.schema import PrepareConfig
from past_training.dataset.write import write_section
from napari_past.spatial.section import MeasuredSection

given = np.load({arrays!r})
section = MeasuredSection(
    "S", "P", "human", "breast", "ST", Path({image!r}), 0.5, tuple(given["ids"].tolist()),
    given["centers"], csr_array(given["counts"]), ("EPCAM", "VIM", "CD3E", "ACTB"), 20.0,
    nuclei_um=given["nuclei"],
)
config = PrepareConfig(patch_px=48, shard_patches=1)
write_section(Path({out!r}), section, config, dict(EPCAM=0, VIM=1, CD3E=2, ACTB=3),
              lambda p: print(p.done, flush=True))
"""


def test_a_kill_in_mid_section_leaves_no_trace(spots, picture, tmp_path, content):
    x_um, y_um = np.meshgrid(np.arange(12.0, 110, 6), np.arange(12.0, 80, 6))
    centers = np.stack([x_um.ravel(), y_um.ravel()], axis=1)
    rows = len(centers)
    rng = np.random.default_rng(3)
    counts = rng.poisson(2.0, (rows, 4)).astype(np.float32)
    section = spots(
        ids=tuple(f"S-{i}" for i in range(rows)),
        centers_um=centers,
        counts=csr_array(counts),
        nuclei_um=rng.uniform(10, 80, (500, 2)),
    )
    config = PrepareConfig(patch_px=48, shard_patches=1)
    write_section(tmp_path / "whole", section, config, GENES)
    arrays = tmp_path / "given.npz"
    np.savez(
        arrays, ids=section.ids, centers=centers, counts=counts, nuclei=section.nuclei_um
    )  # fmt: skip
    out = tmp_path / "killed"
    script = KILLED.format(arrays=str(arrays), image=str(picture), out=str(out))
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    for line in child.stdout:
        if int(line) >= 20:
            child.kill()
            break
    child.stdout.close()
    assert child.wait() == -signal.SIGKILL
    partial = out / "sections" / "S.partial"
    assert partial.is_dir()
    # What a kill within zarr's own write leaves behind.
    (partial / "patches" / "c" / "30" / "0" / "0").mkdir(parents=True, exist_ok=True)
    (partial / "patches" / "c" / "30" / "0" / "0" / "0.abc.partial").write_bytes(b"half")
    told = []
    write_section(out, section, config, GENES, told.append)
    assert 20 <= told[-1].kept < rows
    assert content(out) == content(tmp_path / "whole")


def test_cancelling_keeps_whole_shards(cells, tmp_path, content):
    section = cells()
    done = []
    with pytest.raises(Cancelled, match="goes on from 16 of 40 rows"):
        write_section(tmp_path, section, CONFIG, GENES, done.append, lambda: len(done) == 2)
    told = []
    write_section(tmp_path, section, CONFIG, GENES, told.append)
    assert [(p.done, p.kept) for p in told] == [(8, 8), (16, 16), (24, 16), (32, 16), (40, 16)]
    write_section(tmp_path / "whole", section, CONFIG, GENES)
    assert content(tmp_path / "sections") == content(tmp_path / "whole" / "sections")


def test_a_whole_section_is_not_made_again(cells, tmp_path):
    record = write_section(tmp_path, cells(), CONFIG, GENES)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
    told = []
    assert write_section(tmp_path, cells(), CONFIG, GENES, told.append) == record
    assert [(p.done, p.kept) for p in told] == [(40, 40)]
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} == before


@pytest.mark.parametrize("name", ["patches/c/2/0/0/0", "counts_data/c/0", "row_um/zarr.json"])
def test_a_damaged_section_is_made_again(cells, tmp_path, name, content):
    write_section(tmp_path, cells(), CONFIG, GENES)
    whole = content(tmp_path)
    path = tmp_path / "sections" / "A.zarr" / name
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    write_section(tmp_path, cells(), CONFIG, GENES)
    assert content(tmp_path) == whole


def test_a_damaged_shard_of_a_half_section_is_made_again(cells, tmp_path, content):
    done = []
    with pytest.raises(Cancelled):
        write_section(tmp_path, cells(), CONFIG, GENES, done.append, lambda: len(done) == 3)
    (tmp_path / "sections/A.partial/patches/c/1/0/0/0").write_bytes(b"\0" * 100)
    told = []
    write_section(tmp_path, cells(), CONFIG, GENES, told.append)
    assert told[-1].kept == 16
    write_section(tmp_path / "whole", cells(), CONFIG, GENES)
    assert content(tmp_path / "sections") == content(tmp_path / "whole" / "sections")


def test_a_half_section_of_other_settings_is_dropped(cells, tmp_path):
    done = []
    with pytest.raises(Cancelled):
        write_section(tmp_path, cells(), CONFIG, GENES, done.append, lambda: len(done) == 3)
    told = []
    other = PrepareConfig(patch_px=32, shard_patches=8)
    write_section(tmp_path, cells(), other, GENES, told.append)
    assert told[-1].kept == 0


def test_two_sections_of_one_name(cells, tmp_path):
    write_section(tmp_path, cells(), CONFIG, GENES)
    with pytest.raises(BadDataset, match="section A already"):
        write_section(tmp_path, cells(seed=1), CONFIG, GENES)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"patch_px": 40}, "at least 41 px"),
        ({"patch_px": 128, "mode": "regions", "halo_px": 20}, "halo of at least 21 px"),
    ],
)
def test_spots_that_do_not_fit(spots, tmp_path, config, message):
    with pytest.raises(BadDataset, match=message):
        write_section(tmp_path, spots(), PrepareConfig(**config), GENES)


def test_a_section_without_rows(cells, tmp_path):
    with pytest.raises(BadDataset, match="no rows"):
        write_section(tmp_path, cells(rows=0), CONFIG, GENES)


FULL = """
import resource, sys
from pathlib import Path
import numpy as np
from scipy.sparse import csr_array
from napari_past.errors import CannotWrite
from past_training.dataset.schema import PrepareConfig
from past_training.dataset.write import write_section
from napari_past.spatial.section import MeasuredSection

centers = np.random.default_rng(0).uniform(20, 70, (64, 2))
section = MeasuredSection(
    "A", "P", "human", "breast", "Xenium", Path({image!r}), 0.5, tuple(map(str, range(64))),
    centers, csr_array(np.ones((64, 1), np.float32)), ("EPCAM",), None,
)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
config = PrepareConfig(patch_px=64, shard_patches=32)
try:
    write_section(Path({out!r}), section, config, dict(EPCAM=0))
except CannotWrite as exc:
    print(exc)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of a process's files")
def test_a_disk_that_takes_no_more(picture, tmp_path):
    script = FULL.format(image=str(picture), out=str(tmp_path / "full"))
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert "cannot be written" in told.stdout
    assert "whole shards are kept" in told.stdout


def test_a_folder_that_cannot_be_made(cells, tmp_path):
    (tmp_path / "sections").write_text("a file")
    with pytest.raises(CannotWrite, match="cannot be written"):
        write_section(tmp_path, cells(), CONFIG, GENES)
