"""Tokens of cells against the published rule, cell by cell."""

from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path

import anndata
import dask.array
import h5py
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from napari_past.errors import PastError
from napari_past.genes.gene_table import gene_table
from napari_past.model import count_rows, tokens
from napari_past.model.gene_match import GeneMatch
from napari_past.model.tokens import table_genes, token_blocks, tokenize
from napari_past.model.vocabulary import Vocabulary

XENIUM_HUMAN = [4, 9, 5]


def expected(
    counts: npt.NDArray, columns: list[int], vocabulary: Vocabulary, prefix: list[int]
) -> npt.NDArray[np.int32]:
    """The published rule in exact arithmetic; column k measures gene `columns[k]`, −1 for none."""
    means = [Fraction(float(m)) if m > 0 else Fraction(1) for m in vocabulary.means]
    rows = []
    for cell in counts:
        total = Fraction(int(cell.sum()) or 1)
        value: dict[int, Fraction] = {}
        for place, count in zip(columns, cell, strict=True):
            if place >= 0 and count > 0:
                scaled = Fraction(int(count)) * 10_000 / total / means[place]
                value[place] = value.get(place, Fraction(0)) + scaled
        ranked = sorted(value, key=lambda place: (-value[place], place))[:297]
        row = [*prefix, *(30 + place for place in ranked)]
        rows.append(row + [1] * (300 - len(row)))
    return np.array(rows, np.int32)


def drawn(
    cells: int, genes: int, *, high: int = 6, seed: int = 0
) -> tuple[npt.NDArray[np.int64], Vocabulary]:
    """Counts of which many are equal, and a vocabulary of the same genes in another order."""
    rng = np.random.default_rng(seed)
    counts = np.where(rng.random((cells, genes)) < 0.4, rng.integers(1, high, (cells, genes)), 0)
    counts[cells // 2] = 0
    means = rng.choice(np.array([0, 0.3, 0.9, 1, 1.5, 3], np.float32), genes)
    names = tuple(f"G{k}" for k in rng.permutation(genes))
    return counts, Vocabulary(names, means)


def table_of(counts: object, genes: int) -> AnnData:
    return AnnData(counts, var=pd.DataFrame(index=[f"G{k}" for k in range(genes)]))


def places(vocabulary: Vocabulary, genes: int) -> list[int]:
    return [vocabulary.ensembl.index(f"G{k}") for k in range(genes)]


def test_a_cell_by_hand() -> None:
    vocabulary = Vocabulary(
        ("A", "B", "C", "D", "E"), np.array([2, 0, 0.5, 1, 4], np.float32), "CosMx"
    )
    table = AnnData(
        np.array([[4, 2, 1, 0, 0, 9], [0, 0, 0, 0, 0, 9]], np.float32),
        var=pd.DataFrame(index=["E", "B", "C", "A", "D", "elsewhere"]),
    )
    found = tokenize(table, vocabulary, species="mouse", modality="dissociated")
    # E 4/4 = 1; B 2/1 = 2 (its mean is 0); C 1/0.5 = 2: B stands before C.
    assert found.ids[0, :8].tolist() == [3, 8, 6, 31, 32, 34, 1, 1]
    assert found.ids[1, :4].tolist() == [3, 8, 6, 1]
    assert found.ids.shape == (2, 300)
    assert found.ids.dtype == np.int32
    assert (found.known, found.unknown, found.without_genes) == (5, ("elsewhere",), 1)


@pytest.mark.parametrize(
    ("technology", "species", "modality", "prefix"),
    [
        ("Xenium", "human", "spatial", [4, 9, 5]),
        ("CosMx", "human", "dissociated", [3, 8, 5]),
        ("MERFISH", "mouse", "spatial", [4, 7, 6]),
    ],
)
def test_the_prefix_says_modality_assay_and_species(
    technology: str, species: str, modality: str, prefix: list[int]
) -> None:
    found = tokenize(
        table_of(np.ones((2, 1)), 1),
        Vocabulary(("G0",), np.ones(1, np.float32), technology),
        technology=technology.lower(),
        species=species,
        modality=modality,
    )
    assert found.ids[:, :4].tolist() == [[*prefix, 30]] * 2


FORMS = ("ndarray", "csr", "csc", "dask", "h5ad csr", "h5ad csc", "h5ad dense", "zarr csr",
         "zarr dense", "backed")  # fmt: skip


def in_form(form: str, counts: npt.NDArray, folder: Path) -> AnnData | Path:
    genes = counts.shape[1]
    layout = form.rpartition(" ")[2]
    made = {"csr": sparse.csr_matrix, "backed": sparse.csr_matrix, "csc": sparse.csc_matrix}
    if layout == "dask":
        return table_of(dask.array.from_array(counts, chunks=(7, 50)), genes)
    table = table_of(made.get(layout, np.asarray)(counts), genes)
    if form.startswith("zarr"):
        table.write_zarr(folder / "cells.zarr")
        return folder / "cells.zarr"
    if form == "backed" or form.startswith("h5ad"):
        table.write_h5ad(folder / "cells.h5ad")
        path = folder / "cells.h5ad"
        return anndata.read_h5ad(path, backed="r") if form == "backed" else path
    return table


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_table_gives_the_tokens_of_the_rule(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So few that a file of columns is read in several passes, and in several reads each.
    monkeypatch.setattr(count_rows, "_ENTRIES_AT_ONCE", 900)
    counts, vocabulary = drawn(37, 131)
    table = in_form(form, counts, tmp_path)
    found = tokenize(table, vocabulary, rows_at_once=8)
    wanted = expected(counts, places(vocabulary, 131), vocabulary, XENIUM_HUMAN)
    np.testing.assert_array_equal(found.ids, wanted)
    blocks = list(token_blocks(table, vocabulary, rows_at_once=8))
    assert [start for start, _ in blocks] == [0, 8, 16, 24, 32]
    np.testing.assert_array_equal(np.concatenate([ids for _, ids in blocks]), wanted)
    assert found.without_genes == 1


def test_more_genes_than_positions_keep_the_highest() -> None:
    counts, vocabulary = drawn(5, 1000)
    found = tokenize(table_of(sparse.csr_array(counts), 1000), vocabulary)
    wanted = expected(counts, places(vocabulary, 1000), vocabulary, XENIUM_HUMAN)
    np.testing.assert_array_equal(found.ids, wanted)
    assert (found.ids[0] != 1).all()


@pytest.mark.parametrize("ranked", [0, 300, 1 << 22], ids=["none", "some blocks", "all"])
def test_counts_too_many_to_rank_in_advance(ranked: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_RANKED_PAIRS", ranked)
    counts, vocabulary = drawn(24, 40, high=5)
    counts[8:12] *= 30
    counts[20, 3] = 1_000_000
    found = tokenize(table_of(counts.astype(np.float32), 40), vocabulary, rows_at_once=4)
    wanted = expected(counts, places(vocabulary, 40), vocabulary, XENIUM_HUMAN)
    np.testing.assert_array_equal(found.ids, wanted)


def test_columns_of_one_gene_are_added_up(caplog: pytest.LogCaptureFixture) -> None:
    vocabulary = Vocabulary(("ERBB2", "EPCAM", "KRT5"), np.ones(3, np.float32))
    table = AnnData(
        # 200 + 100 overflow the bytes that they are stored in.
        sparse.csr_matrix(np.array([[200, 250, 100], [1, 2, 0]], np.uint8)),
        var=pd.DataFrame(index=["HER2", "EPCAM", "ERBB2"]),
    )
    with caplog.at_level(logging.WARNING, "napari_past.tokens"):
        found = tokenize(table, vocabulary)
    assert found.ids[:, 3:6].tolist() == [[30, 31, 1], [31, 30, 1]]
    assert found.genes.merged == ("ERBB2",)
    assert "1 genes are measured by several columns" in caplog.text


def test_entries_that_are_stored_twice_are_one_count(tmp_path: Path) -> None:
    data, column, start = np.array([2, 3, 4.0]), np.array([1, 0, 1]), np.array([0, 3])
    table = table_of(sparse.csr_matrix((data, column, start), shape=(1, 2)), 2)
    vocabulary = Vocabulary(("G0", "G1"), np.array([1, 1.9], np.float32))
    # G1 has 6 / 1.9 > 3, but neither 2 / 1.9 nor 4 / 1.9 is.
    assert tokenize(table, vocabulary).ids[0, 3:6].tolist() == [31, 30, 1]


def test_unknown_genes_and_empty_cells_are_told(caplog: pytest.LogCaptureFixture) -> None:
    counts, vocabulary = drawn(9, 20)
    table = table_of(counts, 20)
    table.var_names = [f"G{k}" for k in range(12)] + [f"control {k}" for k in range(8)]
    with caplog.at_level(logging.WARNING, "napari_past.tokens"):
        found = tokenize(table, vocabulary)
    assert found.known == 12
    assert found.unknown == tuple(f"control {k}" for k in range(8))
    assert isinstance(found.genes, GeneMatch)
    assert table_genes(table, vocabulary).unknown == found.unknown
    assert "8 of 20 genes are not in the vocabulary" in caplog.text
    assert "control 0, control 1, control 2, control 3, control 4 …" in caplog.text
    assert "1 of 9 cells have no gene" in caplog.text
    with pytest.raises(PastError, match=r"Of 20 genes .* only 12 \(60%\) .* least 70%"):
        tokenize(table, vocabulary, least_known=0.7)
    # What is wrong with the names is raised before the first block is asked for.
    with pytest.raises(PastError, match="only 12"):
        token_blocks(table, vocabulary, least_known=0.7)


def test_a_table_without_any_known_gene_is_refused() -> None:
    _, vocabulary = drawn(4, 5)
    table = AnnData(np.ones((2, 2)), var=pd.DataFrame(index=["x", "y"]))
    with pytest.raises(PastError, match="only 0"):
        tokenize(table, vocabulary, least_known=0)


@pytest.mark.parametrize("layout", [np.asarray, sparse.csr_matrix], ids=["dense", "csr"])
@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf, 0.5], ids=str)
def test_values_that_are_no_counts_are_refused(layout: type, value: float) -> None:
    counts, vocabulary = drawn(9, 20)
    wrong = counts.astype(np.float32)
    wrong[6, 11] = value
    table = table_of(layout(wrong), 20)
    table.layers["counts"] = layout(counts)
    with pytest.raises(PastError, match=rf"X of .* holds {value:g} \(row 6, gene G11\).*counts"):
        tokenize(table, vocabulary, rows_at_once=4)
    wanted = expected(counts, places(vocabulary, 20), vocabulary, XENIUM_HUMAN)
    np.testing.assert_array_equal(tokenize(table, vocabulary, layer="counts").ids, wanted)


def test_a_layer_of_a_file_is_streamed(tmp_path: Path) -> None:
    counts, vocabulary = drawn(9, 20)
    table = table_of(np.log1p(counts), 20)
    table.layers["counts"] = sparse.csr_matrix(counts)
    table.write_h5ad(tmp_path / "cells.h5ad")
    found = tokenize(tmp_path / "cells.h5ad", vocabulary, layer="counts", rows_at_once=4)
    wanted = expected(counts, places(vocabulary, 20), vocabulary, XENIUM_HUMAN)
    np.testing.assert_array_equal(found.ids, wanted)
    with pytest.raises(PastError, match=r"cells\.h5ad holds .*layer= \(the table has counts\)"):
        tokenize(tmp_path / "cells.h5ad", vocabulary)
    with pytest.raises(PastError, match=r"no layer 'raw' \(it has counts\)"):
        tokenize(tmp_path / "cells.h5ad", vocabulary, layer="raw")


def _no_table(folder: Path, kind: str) -> Path:
    path = folder / "cells.h5ad"
    if kind == "text":
        path.write_text("cells")
    elif kind == "no var":
        h5py.File(path, "w").close()
    elif kind == "no X":
        AnnData(var=pd.DataFrame(index=["G0", "G1"])).write_h5ad(path)
    elif kind == "folder":
        path.mkdir()
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "no file"),
        ("text", "cannot be read as an AnnData file"),
        ("no var", "names no genes"),
        ("no X", "has no X"),
        ("folder", "cannot be read as a zarr folder"),
    ],
)
def test_what_is_no_table_is_told_in_one_sentence(tmp_path: Path, kind: str, message: str) -> None:
    _, vocabulary = drawn(4, 5)
    with pytest.raises(PastError, match=message):
        tokenize(_no_table(tmp_path, kind), vocabulary)


def test_options_that_do_not_exist_are_refused() -> None:
    counts, vocabulary = drawn(4, 5)
    table = table_of(counts, 5)
    with pytest.raises(PastError, match="means are of Xenium"):
        tokenize(table, vocabulary, technology="CosMx")
    with pytest.raises(PastError, match="technology 'Visium'"):
        tokenize(table, vocabulary, technology="Visium")
    with pytest.raises(PastError, match="modality 'bulk'"):
        tokenize(table, vocabulary, modality="bulk")
    with pytest.raises(PastError, match="human or mouse"):
        tokenize(table, vocabulary, species="rat")
    with pytest.raises(PastError, match="from 0 to 1"):
        tokenize(table, vocabulary, least_known=50)
    with pytest.raises(PastError, match="rows_at_once is 0"):
        tokenize(table, vocabulary, rows_at_once=0)


def stand_in(names: list[str], counts: npt.NDArray) -> Vocabulary:
    """Genes with the means of their counts that are not 0, in the order of the alphabet."""
    seen = (counts > 0).sum(0)
    means = np.where(seen > 0, counts.sum(0) / np.maximum(seen, 1), 0).astype(np.float32)
    order = np.argsort(names)
    return Vocabulary(tuple(names[i] for i in order), means[order])


def test_xenium_lung_with_a_stand_in_vocabulary(data_dir: Path) -> None:
    path = data_dir / "xenium_lung" / "NCBI858.h5ad"
    table = anndata.read_h5ad(path)
    counts, names = np.asarray(table.X), list(table.var_names)
    vocabulary = stand_in(names, counts)
    found = tokenize(path, vocabulary, rows_at_once=64)
    columns = [vocabulary.ensembl.index(name) for name in names]
    np.testing.assert_array_equal(found.ids, expected(counts, columns, vocabulary, XENIUM_HUMAN))
    assert (found.known, found.unknown, found.without_genes) == (338, (), 0)


def test_expression_breast_with_a_stand_in_vocabulary_of_ensembl_ids(
    data_dir: Path, tmp_path: Path
) -> None:
    source = data_dir / "expression_breast" / "expr_mat_breast_demo.csv"
    frame = pd.read_csv(source, index_col=1).iloc[:, 1:]
    counts, names = frame.to_numpy(), list(frame.columns)
    ids = [gene_table().ensembl_ids.get(name, (name,))[0] for name in names]
    missing = set(range(4, len(names), 5))
    kept = [i for i in range(len(names)) if i not in missing]
    vocabulary = stand_in([ids[i] for i in kept], counts[:, kept])
    table = AnnData(sparse.csr_matrix(counts), var=pd.DataFrame(index=names))
    table.write_h5ad(tmp_path / "breast.h5ad", compression="gzip")
    found = tokenize(tmp_path / "breast.h5ad", vocabulary)
    assert found.unknown == tuple(names[i] for i in sorted(missing))
    columns = [-1 if i in missing else vocabulary.ensembl.index(ids[i]) for i in range(len(names))]
    wanted = expected(counts[::7], columns, vocabulary, XENIUM_HUMAN)
    assert len(found.ids) == len(counts) == 5508
    np.testing.assert_array_equal(found.ids[::7], wanted)
