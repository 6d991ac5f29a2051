"""Opening datasets, wherever they lie, and noticing what is wrong with them."""

from __future__ import annotations

import functools
import http.server
import json
import re
import threading
import zipfile

import fsspec
import numpy as np
import pytest
from scipy.sparse import csr_array

from past_training.dataset.batches import Batches
from past_training.dataset.read import open_dataset
from past_training.dataset.schema import BadDataset


@pytest.fixture
def dataset(write, cells):
    return write(cells("A", 20), cells("B", 9, 1, patient="Q", genes=("VIM", "CD8A")))


@pytest.fixture
def folder(dataset, tmp_path):
    return tmp_path / "made.past"


def test_what_it_says(dataset):
    assert (dataset.name, dataset.mpp, dataset.patch_px) == ("made", 0.5, 24)
    assert dataset.genes == ("EPCAM", "VIM", "CD3E", "ACTB", "CD8A")
    assert dataset.common_genes == ("VIM",)
    assert dataset.select(sections=["B"]).common_genes == ("VIM", "CD8A")
    assert dataset.patients == ("P", "Q")
    assert [dataset.first_row(name) for name in ("A", "B")] == [0, 20]
    assert dataset.sections[0].background == (243, 243, 243)


def test_select(dataset):
    assert [r.name for r in dataset.select(patients=["Q"]).sections] == ["B"]
    assert [r.name for r in dataset.select(sections=["B", "A"]).sections] == ["A", "B"]
    assert dataset.select(sections=["B"]).first_row("B") == 20
    with pytest.raises(BadDataset, match="no patient 'R'; choose among P, Q"):
        dataset.select(patients=["R"])
    with pytest.raises(BadDataset, match="no section 'A'"):
        dataset.select(sections=["B"]).section("A")
    with pytest.raises(BadDataset, match="at once"):
        dataset.select(patients=["P"], sections=["B"])


def test_rows_that_are_not_seen(dataset):
    odd = np.arange(20) % 2 == 1
    seen = dataset.with_rows({"A": odd})
    assert dataset.rows_kept("A") is None
    assert seen.rows_kept("B") is None
    np.testing.assert_array_equal(seen.rows_kept("A"), odd)
    np.testing.assert_array_equal(seen.select(sections=["A"]).rows_kept("A"), odd)
    assert seen != dataset
    assert seen == dataset.with_rows({"A": odd})
    fewer = seen.with_rows({"A": np.arange(20) < 10, "B": np.arange(9) < 1})
    assert np.flatnonzero(fewer.rows_kept("A")).tolist() == [1, 3, 5, 7, 9]
    assert fewer.rows_kept("B").sum() == 1
    assert fewer.first_row("B") == 20
    odd[:] = True  # what was given is not held on to
    assert seen.rows_kept("A").sum() == 10


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"C": np.ones(20, bool)}, "no section 'C'"),
        ({"A": np.ones(19, bool)}, r"20 values of True or False, but got bool of shape \(19,\)"),
        ({"A": np.arange(20)}, "but got int64"),
        ({"B": np.zeros(9, bool)}, "No row of section B is left"),
    ],
)
def test_masks_that_do_not_fit(dataset, rows, message):
    with pytest.raises(BadDataset, match=message):
        dataset.with_rows(rows)
    with pytest.raises(BadDataset, match="no section 'A'"):
        dataset.select(sections=["B"]).with_rows({"A": np.ones(20, bool)})


def test_usable_rows(write, spots):
    """Nuclei lie in the first and the last of six spots; the last has no count."""
    counts = csr_array(np.array([[1, 0, 0, 2]] * 5 + [[0] * 4], np.float32))
    nuclei_um = np.array([[86.0, 61.0], [24.0, 30.0]])
    dataset = write(spots(counts=counts, nuclei_um=nuclei_um), patch_px=48)
    assert dataset.usable_rows("S").tolist() == [True] + [False] * 5
    hidden = dataset.with_rows({"S": np.arange(6) > 0})
    assert not hidden.usable_rows("S").any()


def check_values(dataset, expected):
    for name in ("A", "B"):
        ours, theirs = dataset.section(name), expected.section(name)
        np.testing.assert_array_equal(ours.patches[3:9], theirs.patches[3:9])
        np.testing.assert_array_equal(ours.counts().toarray(), theirs.counts().toarray())
        assert ours.row_id[:].tolist() == theirs.row_id[:].tolist()
    batches = [Batches(d, ("VIM",), 8, seed=0, workers=2) for d in (dataset, expected)]
    for one, other in zip(batches[0].epoch(0), batches[1].epoch(0), strict=True):
        assert one.patches.equal(other.patches)
        assert one.counts.equal(other.counts)
    dataset.verify()


def test_in_a_bucket(dataset, folder):
    store = fsspec.filesystem("memory")
    store.put(str(folder), "/bucket/made.past", recursive=True)
    try:
        check_values(open_dataset("memory://bucket/made.past"), dataset)
    finally:
        store.rm("/bucket", recursive=True)


def test_in_a_zip_file(dataset, folder, tmp_path):
    with zipfile.ZipFile(tmp_path / "made.zip", "w") as archive:
        for path in folder.rglob("*"):
            archive.write(path, path.relative_to(tmp_path))
    check_values(open_dataset(f"zip://made.past::{tmp_path / 'made.zip'}"), dataset)


def test_behind_http(dataset, tmp_path):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format, *args):
            pass

    handler = functools.partial(Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            url = f"http://127.0.0.1:{server.server_port}/made.past"
            opened = open_dataset(url)
            np.testing.assert_array_equal(
                opened.section("A").patches[:], dataset.section("A").patches[:]
            )
            with pytest.raises(BadDataset, match="no paired dataset"):
                open_dataset(url + "/sections")
        finally:
            server.shutdown()


def test_a_whole_dataset_verifies(dataset):
    told = []
    dataset.verify(told.append)
    assert len(told) == len(set(told))
    assert "sections/B.zarr/patches/c/1/0/0/0" in told


def test_a_flipped_byte_is_found_and_named(dataset, folder):
    files = [p for p in (folder / "sections").rglob("*") if p.is_file()]
    assert len(files) > 40
    for path in files:
        content = path.read_bytes()
        place = len(content) // 2
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(BadDataset, match=re.escape(path.relative_to(folder).as_posix())):
            dataset.verify()
        path.write_bytes(content)


def test_a_missing_file_is_found_and_named(dataset, folder):
    (folder / "sections/B.zarr/row_id/c/0").unlink()
    with pytest.raises(BadDataset, match=r"sections/B\.zarr/row_id/c/0 is missing"):
        dataset.verify()
    dataset.select(sections=["A"]).verify()


def test_a_missing_array(dataset, folder):
    (folder / "sections/B.zarr/row_um/zarr.json").unlink()
    with pytest.raises(BadDataset, match="lacks the array row_um"):
        _ = open_dataset(folder).section("B").row_um


def test_nothing_there(tmp_path):
    with pytest.raises(BadDataset, match="past-train prepare"):
        open_dataset(tmp_path / "none.past")


def test_no_such_kind_of_place():
    with pytest.raises(BadDataset, match="nonsense"):
        open_dataset("nonsense://bucket/made.past")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 2}, "reads 1"),
        ({"patch_px": "wide"}, "patch_px"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_dataset_json_that_is_not_right(dataset, folder, change, message):
    path = folder / "dataset.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(BadDataset, match=message):
        open_dataset(folder)


def test_a_dataset_json_that_is_cut(dataset, folder):
    path = folder / "dataset.json"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(BadDataset, match="damaged"):
        open_dataset(folder)
