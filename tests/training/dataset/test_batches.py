"""Batches: the right pixels beside the right counts, everything once, and the same again."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from past_training.dataset.batches import Batch, Batches
from past_training.dataset.prefetch import THREADS
from past_training.dataset.read import PairedDataset
from past_training.dataset.schema import BadDataset

GENES = ("ACTB", "EPCAM")


@pytest.fixture(scope="module")
def dataset(write_to, cells, tmp_path_factory):
    """Two sections of 40 and 21 cells in shards of 8."""
    folder = tmp_path_factory.mktemp("two") / "made.past"
    return write_to(folder, cells("A", 40), cells("B", 21, 1, patient="Q"))


def rows(batches: Iterable[Batch]) -> list[int]:
    return [row for batch in batches for row in batch.row_index.tolist()]


def same(one: Batch, other: Batch) -> bool:
    return all(
        getattr(one, name) is getattr(other, name)
        or torch.equal(getattr(one, name), getattr(other, name))
        for name in Batch.__dataclass_fields__
    )


class Stored(NamedTuple):
    """A section's arrays, read once: each slice of those on disk is a read of its own."""

    patches: np.ndarray
    nuclei_yx: np.ndarray
    counts: np.ndarray
    total: np.ndarray


def stored(name: str, dataset: PairedDataset) -> Stored:
    arrays = dataset.section(name)
    counts = arrays.counts().toarray()
    return Stored(arrays.patches[:], arrays.nuclei_yx[:], counts, arrays.counts_total[:])


def test_pixels_counts_and_names_belong_together(dataset):
    batches = Batches(dataset, GENES, 7, seed=0, pool_shards=2)
    a, b = stored("A", dataset), stored("B", dataset)
    assert dataset.first_row("B") == 40
    for batch in batches.epoch(0):
        n = len(batch.patches)
        assert batch.patches.dtype == torch.uint8
        assert batch.where[:, 0].tolist() == list(range(n))  # a cell in each patch
        for k, row in enumerate(batch.row_index.tolist()):
            arrays, i = (a, row) if row < 40 else (b, row - 40)
            assert int(batch.section_index[k]) == (row >= 40)
            patch = int(batch.where[batch.row_of_nucleus == k][0, 0])
            np.testing.assert_array_equal(batch.patches[patch].numpy(), arrays.patches[i])
            np.testing.assert_array_equal(batch.where[patch, 1:].numpy(), arrays.nuclei_yx[i])
            counts = arrays.counts[i]
            assert batch.counts[k].tolist() == [counts[3], counts[0]]
            assert batch.total[k] == arrays.total[i] == counts.sum()


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("drop_last", [False, True])
def test_every_nucleus_once(dataset, workers, drop_last):
    batches = Batches(
        dataset, GENES, 8, seed=3, workers=workers, drop_last=drop_last, pool_shards=2
    )
    seen = list(batches.epoch(0))
    assert len(seen) == len(batches) == (7 if drop_last else 8)
    found = rows(seen)
    assert len(found) == len(set(found)) == (56 if drop_last else 61)
    if drop_last:
        assert {len(batch.patches) for batch in seen} == {8}
    else:
        assert sorted(found) == list(range(61))
        assert {len(batch.patches) for batch in seen} == {7, 8}


def test_the_same_whatever_the_workers(dataset):
    epochs = [
        list(Batches(dataset, GENES, 9, seed=1, workers=workers, pool_shards=3).epoch(2))
        for workers in (0, 1, 4)
    ]
    for other in epochs[1:]:
        assert all(same(x, y) for x, y in zip(epochs[0], other, strict=True))


def test_ranks_share_the_patches(dataset):
    ranks = [Batches(dataset, GENES, 6, seed=1, rank=r, world=3, pool_shards=2) for r in range(3)]
    assert len({len(batches) for batches in ranks}) == 1
    found = [rows(batches.epoch(0)) for batches in ranks]
    assert sorted(row for rank in found for row in rank) == list(range(61))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("step", [1, 4, 8])
def test_resumed_in_mid_epoch(dataset, workers, step):
    make = lambda: Batches(dataset, GENES, 8, seed=5, workers=workers, pool_shards=2)  # noqa: E731
    whole = [batch for epoch in (0, 1) for batch in make().epoch(epoch)]
    first = make()
    before = list(islice(first.epoch(0), step))
    state = first.state()
    assert all(type(value) is int for value in state.values())
    second = make()
    second.restore(state)
    after = list(second.epoch(state["epoch"]))
    after += list(second.epoch(state["epoch"] + 1))
    assert all(same(x, y) for x, y in zip(whole, before + after, strict=True))


def test_an_epoch_that_is_asked_for_again_begins_anew(dataset):
    batches = Batches(dataset, GENES, 8, seed=5)
    next(batches.epoch(0))
    for epoch in (0, 0, 1, 0):
        assert len(list(batches.epoch(epoch))) == 8


def test_resuming_something_else(dataset):
    state = Batches(dataset, GENES, 8, seed=5).state()
    with pytest.raises(BadDataset, match="had seed 5, but now it is 6"):
        Batches(dataset, GENES, 8, seed=6).restore(state)
    with pytest.raises(BadDataset, match="had patches 61, but now it is 40"):
        Batches(dataset.select(sections=["A"]), GENES, 8, seed=5).restore(state)


def test_a_selected_section_keeps_its_numbers(dataset):
    one = Batches(dataset.select(patients=["Q"]), GENES, 50, seed=0, shuffle=False)
    (batch,) = one.epoch(0)
    assert batch.row_index.tolist() == list(range(40, 61))
    assert set(batch.section_index.tolist()) == {0}


def test_spots_come_with_all_their_nuclei(write, spots):
    section = spots(nuclei_um=np.array([[86.0, 61.0], [24.0, 30.0], [26.0, 30.0]]))
    dataset = write(section, patch_px=48, shard_patches=4)
    (batch,) = Batches(dataset, GENES, 8, seed=0, shuffle=False).epoch(0)
    assert batch.row_index.tolist() == [0, 5]  # four spots hold no nucleus
    assert batch.row_of_nucleus.tolist() == [0, 0, 1]
    assert batch.where.tolist() == [[0, 23.5, 21.5], [0, 23.5, 25.5], [1, 25.5, 25.5]]
    assert batch.neighbours is None
    np.testing.assert_array_equal(batch.patches[1].numpy(), dataset.section("S").patches[5])


@pytest.mark.parametrize("kind", ["cells", "spots"])
def test_regions(write, cells, spots, kind):
    section = cells(rows=60) if kind == "cells" else spots()
    dataset = write(section, mode="regions", patch_px=64, halo_px=24, shard_patches=4)
    arrays = dataset.section(section.name)
    expected = arrays.counts().toarray()[:, [3, 0]]
    # Read once: each slice of those on disk is a read of its own.
    patches, row_start, nuclei_start = (
        array[:] for array in (arrays.patches, arrays.row_start, arrays.nuclei_start)
    )
    nuclei_yx, nuclei_row = arrays.nuclei_yx[:], arrays.nuclei_row[:]
    seen = []
    for batch in Batches(dataset, GENES, 3, seed=0, pool_shards=2).epoch(0):
        row = batch.row_index[batch.row_of_nucleus]
        assert len(set(batch.row_index.tolist())) == len(batch.row_index)
        np.testing.assert_array_equal(batch.counts.numpy(), expected[batch.row_index.numpy()])
        for patch in range(len(batch.patches)):
            inside = batch.where[:, 0] == patch
            owned = int(row[inside][0])
            p = int(np.searchsorted(row_start, owned, side="right")) - 1
            np.testing.assert_array_equal(batch.patches[patch].numpy(), patches[p])
            a, b = nuclei_start[p : p + 2]
            np.testing.assert_array_equal(batch.where[inside, 1:].numpy(), nuclei_yx[a:b])
            np.testing.assert_array_equal(row[inside].numpy(), nuclei_row[a:b])
            seen += nuclei_yx[a:b].tolist()
    assert len(seen) == dataset.sections[0].nuclei


@pytest.fixture(scope="module")
def kinds(write_to, cells, spots, tmp_path_factory):
    """Two sections each: cells and spots, in crops and in regions."""

    def written(name, *sections, **config):
        return write_to(tmp_path_factory.mktemp(name) / "made.past", *sections, **config)

    grid = {"mode": "regions", "patch_px": 64, "halo_px": 24, "shard_patches": 4}
    near = np.arange(0, 241, 4), np.repeat(np.arange(60), 4)[::-1].copy()
    others = np.zeros(22, np.int64), np.zeros(0, np.int64)
    pair = cells("A", 60, neighbours=near), cells("B", 21, 1, patient="Q", neighbours=others)
    return {
        "cells in crops": written("one", *pair),
        "cells in regions": written("two", *pair, **grid),
        "spots in crops": written("three", spots("A"), spots("B", 1), patch_px=48, shard_patches=2),
        "spots in regions": written("four", spots("A"), spots("B", 1), **grid),
    }


KINDS = ("cells in crops", "cells in regions", "spots in crops", "spots in regions")


def expected_nuclei(dataset, masks):
    """(row, pixels of the patch, y, x) of every nucleus of a row that is seen, one by one; and how
    many patches hold one.
    """
    found, filled = [], set()
    for record in dataset.sections:
        arrays, first = dataset.section(record.name), dataset.first_row(record.name)
        starts, patches = arrays.nuclei_start[:], arrays.patches[:]
        rows, places = arrays.nuclei_row[:], arrays.nuclei_yx[:]
        for patch in range(record.patches):
            for n in range(starts[patch], starts[patch + 1]):
                if record.name not in masks or masks[record.name][rows[n]]:
                    found.append((first + rows[n], patches[patch].tobytes(), *places[n].tolist()))
                    filled.add((record.name, patch))
    return found, len(filled)


@pytest.mark.parametrize("world", [1, 2])
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_rows_that_are_not_seen_never_come(kinds, kind, workers, world):
    dataset = kinds[kind]
    a, b = (record.rows for record in dataset.sections)
    counts = np.concatenate([dataset.section(name).counts().toarray() for name in "AB"])
    for masks in ({"A": np.arange(a) % 3 == 1}, {"A": np.arange(a) > 2, "B": np.arange(b) < 4}):
        view = dataset.with_rows(masks)
        expected, filled = expected_nuclei(dataset, masks)
        size = 2 if "spots" in kind else 6
        seen, rows_seen, patches = [], [], 0
        for rank in range(world):
            feed = Batches(
                view, GENES, size, seed=2, rank=rank, world=world, workers=workers, pool_shards=2
            )
            for batch in feed.epoch(1):
                row = batch.row_index[batch.row_of_nucleus].tolist()
                for n, (patch, y, x) in enumerate(batch.where.tolist()):
                    pixels = batch.patches[int(patch)].numpy().tobytes()
                    seen.append((row[n], pixels, y, x))
                assert set(batch.row_index.tolist()) == set(row)
                assert set(batch.where[:, 0].tolist()) == set(range(len(batch.patches)))
                rows_seen += batch.row_index.tolist()
                patches += len(batch.patches)
                for k, number in enumerate(batch.row_index.tolist()):
                    assert batch.counts[k].tolist() == counts[number, [3, 0]].tolist()
        assert len(expected) > 3
        assert sorted(seen) == sorted(expected)
        assert sorted(rows_seen) == sorted({row for row, *_ in expected})
        assert patches == filled


@pytest.mark.parametrize("kind", KINDS)
def test_a_mask_of_all_rows_changes_nothing(kinds, kind):
    dataset = kinds[kind]
    every = dataset.with_rows({r.name: np.ones(r.rows, bool) for r in dataset.sections})
    whole, masked = (list(Batches(d, GENES, 3, seed=0).epoch(0)) for d in (dataset, every))
    assert all(same(x, y) for x, y in zip(whole, masked, strict=True))


def test_neighbours_that_are_not_seen_are_not_named(kinds):
    dataset = kinds["cells in crops"]
    mask = np.arange(60) % 3 > 0
    start, index = (array[:] for array in dataset.section("A").neighbours)
    named = 0
    for batch in Batches(dataset.with_rows({"A": mask}), GENES, 8, seed=0).epoch(0):
        for row, told in zip(batch.row_index.tolist(), batch.neighbours.tolist(), strict=True):
            near = index[start[row] : start[row + 1]] if row < 60 else []
            expected = [i for i in near if mask[i]]
            assert told == expected + [-1] * (8 - len(expected))
            named += len(expected)
    assert named > 20


@pytest.mark.parametrize("workers", [0, 2])
def test_resumed_among_the_rows_that_are_seen(kinds, workers):
    view = kinds["cells in regions"].with_rows({"A": np.arange(60) % 2 > 0})
    make = lambda: Batches(view, GENES, 3, seed=5, workers=workers, pool_shards=2)  # noqa: E731
    whole = [batch for epoch in (0, 1) for batch in make().epoch(epoch)]
    first = make()
    before = list(islice(first.epoch(0), 2))
    second = make()
    second.restore(first.state())
    after = list(second.epoch(0)) + list(second.epoch(1))
    assert all(same(x, y) for x, y in zip(whole, before + after, strict=True))


def test_resuming_among_other_rows(kinds):
    """As many patches as before, but others: the fold that was held out would be trained on."""
    dataset = kinds["cells in crops"]
    odd, even = (dataset.with_rows({"A": np.arange(60) % 2 == k}) for k in (1, 0))
    state = Batches(odd, GENES, 8, seed=5).state()
    assert all(type(value) is int for value in state.values())
    with pytest.raises(BadDataset, match="saw other rows"):
        Batches(even, GENES, 8, seed=5).restore(state)
    Batches(odd, GENES, 8, seed=5).restore(state)
    old = Batches(dataset, GENES, 8, seed=5).state()
    del old["masks"]  # as a run of an older version left it
    Batches(dataset, GENES, 8, seed=5).restore(old)


def test_nothing_is_read_before_it_is_asked_for(write, cells, tmp_path):
    dataset = write(cells("A", 24))
    (tmp_path / "made.past" / "sections" / "A.zarr" / "nuclei_start" / "c" / "0").unlink()
    assert len(Batches(dataset, GENES, 8, seed=0)) == 3
    with pytest.raises(BadDataset, match="Section A lacks nuclei"):
        Batches(dataset.with_rows({"A": np.arange(24) > 3}), GENES, 8, seed=0)


def test_no_nucleus_among_the_rows_that_are_seen(write, spots):
    dataset = write(spots(nuclei_um=np.array([[24.0, 30.0]])), patch_px=48)
    with pytest.raises(BadDataset, match="has 0 patches with nuclei"):
        Batches(dataset.with_rows({"S": np.arange(6) > 0}), GENES, 1, seed=0)


def test_neighbours_and_tokens(write, cells):
    tokens = np.arange(80).repeat(300).reshape(80, 300)
    # Row 0 of the source has nine others near, row 1 none.
    near = np.concatenate([[0, 9, 9], np.full(78, 9)]).astype(np.int64)
    section = cells(rows=80, tokens=tokens, neighbours=(near, np.arange(9, 0, -1)))
    other = cells("B", 5, 2, tokens=tokens[:5])
    dataset = write(other, section)
    arrays = dataset.section("A")
    names = arrays.row_id[:].tolist()
    for batch in Batches(dataset, GENES, 16, seed=0).epoch(0):
        for k, row in enumerate(batch.row_index.tolist()):
            if row < 5:
                continue
            source = int(names[row - 5].split("-")[1])
            assert set(batch.tokens[k].tolist()) == {source}
            told = batch.neighbours[k].tolist()
            if source == 0:
                assert [names[i - 5] for i in told] == [f"A-{i}" for i in range(9, 1, -1)]
            else:
                assert told == [-1] * 8


def test_what_not_all_sections_have_is_left_out(write, cells):
    tokens = np.zeros((5, 300), np.int64)
    dataset = write(cells("A", 5, tokens=tokens), cells("B", 5))
    assert all(batch.tokens is None for batch in Batches(dataset, GENES, 4, seed=0).epoch(0))


def test_tokens_without_counts(write, cells):
    tokens = np.ones((9, 300), np.int64)
    section = cells("A", 9, genes=(), counts=csr_array((9, 0), dtype=np.float32), tokens=tokens)
    (batch,) = Batches(write(section), (), 9, seed=0).epoch(0)
    assert batch.counts.shape == batch.measured.shape == (9, 0)
    assert batch.total.tolist() == [0] * 9
    assert batch.tokens.shape == (9, 300)


def test_a_gene_that_a_section_did_not_measure_is_no_zero(write, cells):
    dataset = write(cells("A", 9), cells("B", 9, genes=("CD8A", "ACTB")))
    (batch,) = Batches(dataset, ("CD8A", "ACTB", "VIM"), 18, seed=0).epoch(0)
    for k, section in enumerate(batch.section_index.tolist()):
        assert batch.measured[k].tolist() == [section == 1, True, section == 0]
        assert not batch.counts[k][~batch.measured[k]].any()


def test_stopping_early_stops_the_threads(dataset):
    def ours() -> int:
        return sum(thread.name.startswith(THREADS) for thread in threading.enumerate())

    epoch = Batches(dataset, GENES, 4, seed=0, workers=2, pool_shards=2).epoch(0)
    next(epoch)
    assert ours() == 3  # two that read and one that puts batches together
    epoch.close()
    assert ours() == 0


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("name", ["patches/c/2/0/0/0", "nuclei_start/c/0"])
@pytest.mark.parametrize("damage", ["missing", "flipped"])
def test_a_damaged_file_is_no_tissue(write, cells, tmp_path, workers, name, damage):
    dataset = write(cells("A", 24))
    path = tmp_path / "made.past" / "sections" / "A.zarr" / name
    if damage == "missing":
        path.unlink()
    else:
        content = bytearray(path.read_bytes())
        content[10] ^= 1
        path.write_bytes(content)
    with pytest.raises(BadDataset, match="Section A"):
        list(Batches(dataset, GENES, 8, seed=0, workers=workers).epoch(0))


@pytest.mark.parametrize(
    ("genes", "size", "settings", "message"),
    [
        (("ACTB", "NOPE"), 8, {}, "has no gene NOPE"),
        (("ACTB", "VIM", "ACTB"), 8, {}, "Gene ACTB is asked for twice"),
        (GENES, 80, {"drop_last": True}, "take other batches"),
        (GENES, 8, {"world": 62}, "take other batches"),
        (GENES, 1, {"world": 2}, "take other batches"),
    ],
)
def test_what_cannot_be_batched(dataset, genes, size, settings, message):
    with pytest.raises(BadDataset, match=message):
        Batches(dataset, genes, size, seed=0, **settings)


def test_to_another_device(dataset):
    batch = next(Batches(dataset, GENES, 4, seed=0).epoch(0))
    moved = batch.to("meta")
    assert moved.patches.device.type == moved.counts.device.type == "meta"
    assert moved.tokens is None
