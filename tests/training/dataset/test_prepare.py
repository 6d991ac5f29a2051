"""Several sections into one dataset: order of genes, adding, resuming, refusing."""

from __future__ import annotations

import pytest
from scipy.sparse import csr_array

from napari_past.errors import CannotWrite
from napari_past.spatial.errors import BadPairing
from past_training.dataset.prepare import prepare
from past_training.dataset.read import open_dataset
from past_training.dataset.schema import BadDataset, PrepareConfig

CONFIG = PrepareConfig(patch_px=24, shard_patches=8)


def test_sections_of_different_panels(cells, tmp_path):
    told = []
    dataset = prepare(
        iter([cells("A", 20), cells("B", 9, 1, patient="Q", genes=("CD8A", "VIM"))]),
        tmp_path / "mine.past",
        CONFIG,
        lambda p: told.append((p.section, p.done)),
        source="xenium",
    )
    assert dataset.name == "mine"
    assert dataset.genes == ("EPCAM", "VIM", "CD3E", "ACTB", "CD8A")
    assert [r.name for r in dataset.sections] == ["A", "B"]
    assert {r.made_by.source for r in dataset.sections} == {"xenium"}
    assert told == [("A", 8), ("A", 16), ("A", 20), ("B", 8), ("B", 9)]
    dataset.verify()


def test_sections_are_added(cells, tmp_path, content):
    prepare([cells("A"), cells("B", seed=1)], tmp_path / "once.past", CONFIG)
    prepare([cells("A")], tmp_path / "twice.past", CONFIG)
    dataset = prepare([cells("B", seed=1)], tmp_path / "twice.past", CONFIG)
    assert [r.name for r in dataset.sections] == ["A", "B"]
    assert content(tmp_path / "once.past" / "sections") == content(
        tmp_path / "twice.past" / "sections"
    )


def test_given_again_nothing_changes(cells, tmp_path, content):
    sections = [cells("A"), cells("B", seed=1)]
    prepare(sections, tmp_path / "mine.past", CONFIG)
    before = content(tmp_path)
    prepare(sections, tmp_path / "mine.past", CONFIG)
    assert content(tmp_path) == before


def test_interrupted_and_given_again(cells, tmp_path, content):
    sections = [cells("A"), cells("B", seed=1)]
    for name in ("whole", "cut"):
        (tmp_path / name).mkdir()
    prepare(sections, tmp_path / "whole" / "mine.past", CONFIG)

    def interrupt(progress):
        if (progress.section, progress.done) == ("B", 16):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(sections, tmp_path / "cut" / "mine.past", CONFIG, interrupt)
    told = []
    prepare(sections, tmp_path / "cut" / "mine.past", CONFIG, told.append)
    assert [(p.section, p.kept) for p in told if p.done == p.total] == [("A", 40), ("B", 16)]
    assert content(tmp_path / "cut") == content(tmp_path / "whole")


def test_warnings_are_told_once(cells, tmp_path):
    told = []
    empty = csr_array(([1.0], ([0], [0])), shape=(40, 4))
    prepare(
        [cells("A", notes=("Three cells were dropped.",), counts=empty), cells("B", seed=1)],
        tmp_path / "mine.past",
        CONFIG,
        on_warning=told.append,
    )
    assert "A: Three cells were dropped." in told
    assert any("39 of 40 cells have no counts" in text for text in told)
    assert len(told) == len(set(told))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"counts": csr_array([[-1.0, 0, 0, 0]] * 40)}, BadPairing, "negative"),
        ({"genes": ("W", "X", "Y", "Z")}, BadPairing, "B has no gene in common"),
        ({"name": "A"}, BadPairing, "Two sections are named A"),
        ({"name": "a b"}, BadDataset, "--name"),
    ],
)
def test_mistakes_are_found_before_a_section_is_cut(cells, tmp_path, change, error, message):
    told = []
    wrong = cells(**({"name": "B"} | change))
    with pytest.raises(error, match=message):
        prepare([cells("A"), wrong], tmp_path / "mine.past", CONFIG, told.append)
    assert {p.section for p in told} == {"A"}


def test_other_settings(cells, tmp_path):
    out = tmp_path / "mine.past"
    prepare([cells("A")], out, CONFIG)
    other = CONFIG.model_copy(update={"patch_px": 32})
    with pytest.raises(BadDataset, match="made with patch_px 24, but this is asked with 32"):
        prepare([cells("B")], out, other)
    dataset = prepare([cells("B")], out, other, force=True)
    assert [r.name for r in dataset.sections] == ["B"]
    assert not (out / "sections" / "A.zarr").exists()


def test_another_section_of_the_same_name(cells, tmp_path):
    out = tmp_path / "mine.past"
    prepare([cells("A")], out, CONFIG)
    with pytest.raises(BadDataset, match="section A already"):
        prepare([cells("A", seed=1)], out, CONFIG)


def test_what_is_no_dataset_is_left_alone(cells, tmp_path):
    out = tmp_path / "thesis.past"
    out.mkdir()
    (out / "chapter.txt").write_text("years of work")
    for force in (False, True):
        with pytest.raises(BadDataset, match="no dataset"):
            prepare([cells("A")], out, CONFIG, force=force)
    assert (out / "chapter.txt").read_text() == "years of work"


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("mine", BadDataset, "mine.past"),
        ("missing/mine.past", CannotWrite, "create it first"),
        ("file.past", CannotWrite, "is a file"),
    ],
)
def test_places_that_cannot_be_written(cells, tmp_path, name, error, message):
    (tmp_path / "file.past").write_text("")
    with pytest.raises(error, match=message):
        prepare([cells("A")], tmp_path / name, CONFIG)


def test_a_bad_source_leaves_nothing_behind_and_what_is_there(cells, tmp_path):
    bad = cells("B", counts=csr_array([[-1.0, 0, 0, 0]] * 40))
    with pytest.raises(BadPairing):
        prepare([bad], tmp_path / "mine.past", CONFIG)
    assert not (tmp_path / "mine.past").exists()
    prepare([cells("A")], tmp_path / "mine.past", CONFIG)
    with pytest.raises(BadPairing):
        prepare([bad], tmp_path / "mine.past", CONFIG, force=True)
    assert [r.name for r in open_dataset(tmp_path / "mine.past").sections] == ["A"]


def test_one_writer_at_a_time(cells, tmp_path, content):
    """Who comes second is told so and changes nothing; afterwards the way is free."""
    out = tmp_path / "mine.past"
    refused = []

    def sections():
        yield cells("A")
        before = content(out)
        with pytest.raises(
            CannotWrite, match=r"Another past-train prepare is writing .*mine\.past"
        ):
            prepare([cells("B", seed=1)], out, CONFIG, force=True)
        refused.append(content(out) == before)
        yield cells("C", seed=2)

    prepare(sections(), out, CONFIG)
    assert refused == [True]
    dataset = prepare([cells("B", seed=1)], out, CONFIG)
    assert [r.name for r in dataset.sections] == ["A", "C", "B"]
    assert list(tmp_path.glob(".*")) == []


def test_datasets_of_one_folder_do_not_wait_for_each_other(cells, tmp_path):
    def sections():
        prepare([cells("B", seed=1)], tmp_path / "other.past", CONFIG)
        yield cells("A")

    assert len(prepare(sections(), tmp_path / "mine.past", CONFIG).sections) == 1


def test_no_section(tmp_path):
    with pytest.raises(BadDataset, match="at least one source"):
        prepare([], tmp_path / "mine.past", CONFIG)
