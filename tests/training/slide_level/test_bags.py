"""Bags give the same cells in the same order however they are read, and wherever they lie."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import shapely
from anndata import AnnData

from napari_past.engine import Store
from napari_past.engine.plan import StoreKey
from napari_past.errors import BadTable
from napari_past.hdf5 import written_here
from napari_past.quality import UNSCORED_KINDS, QualityMask
from napari_past.types import FoundCells, Outlines, Rect, Region, TileResult, TileSpec
from past_training.slide_level.bags.array_bag import ArrayBag
from past_training.slide_level.bags.chained import Chained
from past_training.slide_level.bags.copied import write_copy
from past_training.slide_level.bags.kept import kept_cells, read_kept, write_kept
from past_training.slide_level.bags.pathways import known_pathways, read_gmt
from past_training.slide_level.bags.stored_bag import ClearedCache, StoredBag
from past_training.slide_level.bags.summaries import Reading, summarised
from past_training.slide_level.bags.table_bag import TableBag, about_table
from past_training.slide_level.bags.tiles import tile_means

DIM = 5
SIZES = (7, 0, 12, 1)
KEY = StoreKey("f", "None", 0.5, "m", 0.5, "d")
TILES = [TileSpec(k, 0, 100.0) for k in range(len(SIZES))]


def cells(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, DIM)).astype(np.float16), rng.uniform(0, 100, (n, 2))


def result(tile: TileSpec, vectors: np.ndarray, places: np.ndarray) -> TileResult:
    n = len(places)
    outlines = Outlines(np.zeros((0, 2), np.float32), np.zeros(n + 1, np.int64))
    found = FoundCells(places, outlines, np.zeros(n, np.float32))
    return TileResult(tile, found, vectors, np.zeros(n, np.float32))


@pytest.fixture
def stored(tmp_path):
    """A bag of four tiles in a store, and what it must hold."""
    store, vectors, places = Store(KEY, tmp_path), [], []
    for k, (tile, n) in enumerate(zip(TILES, SIZES, strict=True)):
        v, p = cells(n, k)
        p[:, 0] += 100 * k
        store.write(result(tile, v, p))
        vectors.append(v)
        places.append(p)
    kept = np.ones(sum(SIZES), np.bool_)
    kept[[2, 9, 19]] = False
    bag = StoredBag("s", KEY, TILES, SIZES, kept, DIM, tmp_path)
    return bag, np.concatenate(vectors)[kept], np.concatenate(places)[kept]


@pytest.fixture
def table(tmp_path):
    """A bag of a table of twelve cells, of which three do not count."""
    vectors, places = cells(12, 8)
    obs = pd.DataFrame(
        {
            "ignored": np.arange(12) == 3,
            "unscored": pd.Categorical(["pen" if k in (3, 5, 6) else "" for k in range(12)]),
        },
        index=[f"c{k}" for k in range(12)],
    )
    adata = AnnData(np.zeros((12, 0), np.float32), obs=obs)
    adata.obsm["X_past"], adata.obsm["spatial"] = vectors, places
    adata.write_h5ad(tmp_path / "t.h5ad")
    written_here(tmp_path / "t.h5ad")
    kept = np.delete(np.arange(12), [3, 5, 6])
    return TableBag("t", tmp_path / "t.h5ad"), vectors[kept], places[kept]


def in_array():
    vectors, places = cells(17, 3)
    return ArrayBag("a", vectors, places), vectors, places


@pytest.mark.parametrize("kind", ["array", "store", "table", "chained", "copied"])
def test_every_bag_gives_its_cells_in_order(kind, stored, table, tmp_path):
    parts = {"array": [in_array()], "store": [stored], "table": [table]}.get(
        kind, [in_array(), stored, table]
    )
    vectors = np.concatenate([part[1] for part in parts])
    places = np.concatenate([part[2] for part in parts])
    bag = parts[0][0] if len(parts) == 1 else Chained("p", [part[0] for part in parts])
    slide = np.repeat(np.arange(len(parts)), [len(part[1]) for part in parts])
    if kind == "copied":
        bag, slide = write_copy(bag, tmp_path, "c"), slide * 0
    assert (bag.n, bag.dim) == (len(vectors), DIM)
    assert len(bag.slides) == slide.max() + 1
    for size in (1, 4, 1000):
        chunks = list(bag.chunks(size))
        assert max(map(len, chunks)) <= size
        np.testing.assert_array_equal(np.concatenate([c.vectors for c in chunks]), vectors)
        np.testing.assert_array_equal(np.concatenate([c.places_um for c in chunks]), places)
        np.testing.assert_array_equal(np.concatenate([c.slide for c in chunks]), slide)
        assert all(c.vectors.dtype == np.float16 for c in chunks)
    for index in (np.array([0, 3, 4, bag.n - 1]), np.array([1, 1, 2]), np.zeros(0, np.intp)):
        some = bag.take(index)
        np.testing.assert_array_equal(some.vectors, vectors[index])
        np.testing.assert_array_equal(some.places_um, places[index])
        np.testing.assert_array_equal(some.slide, slide[index])


def test_a_cleared_cache_is_told(stored, tmp_path):
    bag = stored[0]
    bag.check_there()
    next(tmp_path.rglob("2_0.tile")).unlink()
    for asked in (bag.check_there, lambda: list(bag.chunks()), lambda: bag.take(np.array([10]))):
        with pytest.raises(ClearedCache, match="`past-train slide prepare` again"):
            asked()
    assert len(bag.take(np.array([1]))) == 1, "tiles that are there are read"


class Planned:
    """What `kept_cells` asks of a plan."""

    slide_name = "s"
    area = Rect(0, 0, 350, 100)
    regions = (
        Region("all", "Include", shapely.box(0, 0, 300, 100)),
        Region("fold", "Ignore*", shapely.box(0, 0, 40, 100)),
    )


def test_cells_that_do_not_count_are_told_by_reason(stored, tmp_path):
    labels = np.zeros((10, 40), np.uint8)
    labels[:, :9] = UNSCORED_KINDS.index("pen") + 1
    kept = kept_cells(Planned, Store(KEY, tmp_path), TILES, QualityMask(labels, 10.0, "drawn"))
    places = np.concatenate([cells(n, k)[1] + (100 * k, 0) for k, n in enumerate(SIZES)])
    x = places[:, 0]
    np.testing.assert_array_equal(kept.rows, (x >= 90) & (x < 300))
    expected = {
        "outside the regions": int((x >= 300).sum()),
        "in Ignore* regions": int((x < 40).sum()),
        "pen": int(((x >= 40) & (x < 90)).sum()),
    }
    assert min(expected.values()) > 0
    assert kept.left_out == expected
    assert kept.sizes == SIZES
    write_kept(kept.rows, tmp_path, "k")
    np.testing.assert_array_equal(read_kept(tmp_path, "k", len(x)), kept.rows)


def test_tiles_are_means_of_squares():
    vectors = np.array([[1, 0], [3, 0], [0, 8], [5, 5]], np.float16)
    places = np.array([[10.0, 10], [90, 20], [110, 10], [10, 130]])
    bag = tile_means(ArrayBag("a", vectors, places), 100.0)
    (chunk,) = bag.chunks()
    assert chunk.vectors.tolist() == [[2, 0], [0, 8], [5, 5]]
    assert chunk.places_um.tolist() == [[50, 50], [150, 50], [50, 150]]


def test_a_table_says_what_it_is(tmp_path, table):
    assert table[0].left_out == {"in Ignore* regions": 1, "pen": 2}
    about = about_table(tmp_path / "t.h5ad")
    assert (about.rows, about.model.embed_dim) == (12, DIM)
    assert (about.fingerprint, about.mpp, about.size_um, about.model.sha256) == ("", None, None, "")


@pytest.mark.parametrize(
    ("obsm", "told"),
    [
        ({"spatial": np.zeros((3, 2))}, "has no vectors of cells"),
        ({"X_past": np.zeros((3, 2))}, "has no places of cells"),
        ({"X_past": np.zeros((3, 2)), "spatial": np.zeros((3, 1))}, "and places"),
        (None, "cannot be read as an AnnData file"),
    ],
)
def test_tables_that_are_no_bags(tmp_path, obsm, told):
    path = tmp_path / "t.h5ad"
    if obsm is None:
        path.write_text("no HDF5")
    else:
        AnnData(np.zeros((3, 1), np.float32), obsm=obsm).write_h5ad(path)
    with pytest.raises(BadTable, match=told):
        about_table(path)


def test_a_summary_is_of_all_cells():
    vectors, places = cells(9000, 1)
    summary = summarised(ArrayBag("a", vectors, places), Reading())
    np.testing.assert_allclose(summary.mean, vectors.astype(float).mean(axis=0), atol=1e-12)
    again = summarised(Chained("p", [ArrayBag("a", vectors, places)]), Reading())
    assert summary.cells == 9000
    assert summary.digest == again.digest
    vectors[8999, 2] += 1
    assert summarised(ArrayBag("a", vectors, places), Reading()).digest != summary.digest


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("A\td\n", "Line 1 of p.gmt is no set"),
        ("A\td\tX\nA\td\tY\n", "'A' twice"),
        ("\n", "holds no set"),
    ],
)
def test_sets_of_genes_that_are_none(tmp_path, text, told):
    (tmp_path / "p.gmt").write_text(text)
    with pytest.raises(BadTable, match=told):
        read_gmt(tmp_path / "p.gmt")


def test_sets_keep_the_genes_that_a_model_has():
    sets = {"whole": ["A", "B", "C"], "half": [*"ABCXYZW"], "none": ["A", "X", "Y"]}
    kept, notes = known_pathways(sets, [*"ABC"])
    assert kept == {"whole": ("A", "B", "C"), "half": ("A", "B", "C")}
    assert "1 of 3 pathways were left out" in notes[0]
    assert "fewer than half" in notes[1]
    with pytest.raises(BadTable, match="Of none of the 1 pathways"):
        known_pathways({"none": ["X"]}, ["A"])
