"""``past-train bank`` from a table to the file, with a small cell tower of random weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from anndata import AnnData
from scipy.sparse import csr_matrix

from napari_past import load_model, open_slide, predict
from napari_past.engine import CellTable
from napari_past.errors import PastError
from napari_past.model import Card, read_model_file, write_model_file
from napari_past.model.bank import read_bank
from napari_past.model.card import CellTowerCard
from napari_past.model.past_network import CellEncoder, ProjectionHead
from napari_past.model.prototypes import nearest_types, prototypes
from napari_past.model.retrieval import nearest, type_votes
from napari_past.model.tokens import tokenize
from napari_past.model.vocabulary import read_vocabulary
from napari_past.sample import write_phantom
from past_training.cli import main
from past_training.release.bank import BankConfig, build_bank

CELLS = {
    "vocabulary": 340, "dim": 16, "heads": 2, "layers": 1, "feed_forward": 16, "graph": False
}  # fmt: skip
SIZE = 8
GENES = ("EPCAM", "KRT8", "CD3D", "CD3E", "VIM", "ACTB")
NOT_KNOWN = "NOT-A-GENE"
CELL_TYPES = ("tumour", "T cell")


@pytest.fixture(scope="module")
def model_file(
    tmp_path_factory, tiny_card: Callable[..., Card], tiny_tensors: Mapping[str, np.ndarray]
) -> Path:
    fields = tiny_card().model_dump(mode="json")
    card = Card.model_validate(fields | {"cell_tower": CELLS, "projection_dim": SIZE})
    with torch.random.fork_rng():
        torch.manual_seed(3)
        parts = {
            "cell.": CellEncoder(CellTowerCard(**CELLS), SIZE),
            "image_projection.": ProjectionHead(16, SIZE),
        }
    tensors = dict(tiny_tensors) | {"temperature": np.array(0.07, np.float32)}
    for prefix, part in parts.items():
        tensors |= {prefix + key: value.numpy() for key, value in part.state_dict().items()}
    return write_model_file(tmp_path_factory.mktemp("m") / "cells.safetensors", card, tensors)


@pytest.fixture(scope="module")
def vocabulary_files(tmp_path_factory) -> list[str]:
    folder = tmp_path_factory.mktemp("vocabulary")
    (folder / "genes.txt").write_text("\n".join(GENES))
    np.save(folder / "means.npy", np.arange(1, 7, dtype=np.float32))
    return ["--genes", str(folder / "genes.txt"), "--means", str(folder / "means.npy")]


COUNTS = np.array(
    # EPCAM KRT8 CD3D CD3E VIM ACTB ERBB4
    [
        [9, 4, 0, 0, 0, 1, 1],
        [8, 5, 0, 0, 0, 2, 0],
        [0, 0, 0, 0, 0, 0, 0],
        [0, 0, 7, 6, 1, 1, 5],
        [0, 0, 0, 0, 0, 0, 3],
        [0, 0, 9, 5, 2, 1, 0],
    ],
    np.float32,
)


@pytest.fixture
def cells(tmp_path) -> Path:
    obs = pd.DataFrame(
        {
            "cell_type": ["tumour", "tumour", "x", "T cell", "x", "T cell"],
            "patient": list("ABABAB"),
            "batch": ["one"] * 6,
        },
        index=[f"c{i}" for i in range(6)],
    )
    var = pd.DataFrame(index=[*GENES[:4], "VIM", "ACTB", "ERBB4"])
    AnnData(csr_matrix(COUNTS), obs=obs, var=var).write_h5ad(tmp_path / "cells.h5ad")
    return tmp_path / "cells.h5ad"


def run(model: Path, cells: Path, vocabulary: list[str], out: Path, *options: str) -> int:
    return main(
        ["bank", "--model", str(model), "--cells", str(cells), *vocabulary, "--out", str(out),
         "--device", "cpu", *options]
    )  # fmt: skip


def test_table_to_bank(model_file, cells, vocabulary_files, tmp_path, capsys):
    out = tmp_path / "bank.h5ad"
    options = ("--batch", "2", "--study-key", "batch")
    assert run(model_file, cells, vocabulary_files, out, *options) == 0
    told = capsys.readouterr()
    assert "4 cells (2 without genes were left out), 7 genes, 2 types, 2 patients" in told.out
    assert "6 of 6 cells" in told.err
    bank = read_bank(out)
    kept = [0, 1, 3, 5]
    model = load_model(str(model_file), "cpu")
    assert (bank.made_by.name, bank.made_by.sha256) == (model.name, model.cell_sha256)
    assert bank.ids(np.arange(4)) == ("c0", "c1", "c3", "c5")
    assert bank.types.names == ("T cell", "tumour")
    assert [bank.patients[i] for i in range(4)] == list("ABBB")
    assert [bank.studies[i] for i in range(4)] == ["one"] * 4
    share = COUNTS[kept] / COUNTS[kept].sum(axis=1, keepdims=True)
    assert bank.genes == (*GENES, "ERBB4")
    np.testing.assert_allclose(bank.values(bank.genes).toarray(), np.log1p(1e4 * share), rtol=1e-5)
    vocabulary = read_vocabulary(vocabulary_files[1], vocabulary_files[3])
    vectors = model.encode_tokens(tokenize(cells, vocabulary).ids[kept])
    np.testing.assert_allclose(bank.vectors, vectors, atol=1e-3)


def test_patients_are_measured(model_file, cells, vocabulary_files, tmp_path, capsys):
    out = tmp_path / "bank.h5ad"
    assert run(model_file, cells, vocabulary_files, out) == 0
    assert f"report: {tmp_path / 'bank.md'}" in capsys.readouterr().out
    text = (tmp_path / "bank.md").read_text(encoding="utf-8")
    # Of patient A one cell was kept, so that B's have a single reference.
    assert "4 cells of 2 patients were looked up without their own patient" in text
    assert "k = 1" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--type-key", "kind"], "no column 'kind' in obs (there are: cell_type, patient, batch)"),
        (["--layer", "raw"], "has no layer 'raw'"),
        (["--batch", "0"], "--batch is at least 1, but got 0"),
        (["--out", "bank.csv"], "must be a .h5ad file, or a folder that does not exist yet"),
        (["--cells", "none.h5ad", "--out", "folder"], "There is no file none.h5ad"),
        (["--out", "missing/bank.h5ad"], "does not exist"),
        (["--cells", "none.h5ad"], "There is no file none.h5ad"),
        (["--model", "past-mini"], "no cell tower"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_mistakes(model_file, cells, vocabulary_files, tmp_path, capsys, options, message):
    before = set(tmp_path.iterdir())
    assert run(model_file, cells, vocabulary_files, tmp_path / "bank.h5ad", *options) == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert told[-1].startswith("past-train: ")
    assert message in told[-1]
    assert set(tmp_path.iterdir()) == before


def test_neither_a_bank_nor_the_cells_are_overwritten(
    model_file, cells, vocabulary_files, tmp_path, capsys
):
    out = tmp_path / "old.h5ad"
    out.write_text("years of work")
    assert run(model_file, cells, vocabulary_files, out) == 2
    assert "exists already; give another --out, or --force" in capsys.readouterr().err
    assert out.read_text() == "years of work"
    before = cells.read_bytes()
    assert run(model_file, cells, vocabulary_files, cells, "--force") == 2
    assert f"{cells} is read by this command" in capsys.readouterr().err
    assert cells.read_bytes() == before
    assert run(model_file, cells, vocabulary_files, out, "--force") == 0
    assert len(read_bank(out)) == 4


def test_stopping_leaves_nothing(model_file, cells, vocabulary_files, tmp_path):
    def stop(done: int, of: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    before = set(tmp_path.iterdir())
    vocabulary = read_vocabulary(vocabulary_files[1], vocabulary_files[3])
    model, out = load_model(str(model_file), "cpu"), tmp_path / "bank.h5ad"
    with pytest.raises(KeyboardInterrupt):
        build_bank(model, cells, vocabulary, out, BankConfig(batch=2), stop)
    assert set(tmp_path.iterdir()) == before


def test_a_model_with_its_bank_stains_a_slide(
    model_file, cells, vocabulary_files, tmp_path, monkeypatch
):
    """Genes of the read-out come from it, all others from the reference cells that are nearest."""
    folder = tmp_path / "with-bank"
    assert run(model_file, cells, vocabulary_files, folder) == 0
    model = load_model(str(folder), "cpu")
    alone = load_model(str(model_file), "cpu")
    assert model.sha256 == alone.sha256
    assert set(model.genes) == set(alone.genes) | {*GENES, "ERBB4"}

    monkeypatch.setenv("NAPARI_PAST_CACHE", str(tmp_path / "cache"))
    write_phantom(tmp_path / "slide.tif", 500, 400, 0.5, seed=5)
    with open_slide(tmp_path / "slide.tif") as slide:
        found = predict(slide, model=str(folder))
        own, looked_up = alone.genes[0], "ERBB4"
        table = found.to_anndata(genes=[own, looked_up])
        vectors = found.embeddings
        np.testing.assert_allclose(
            table[:, own].X[:, 0], alone.expression(vectors, [own])[:, 0], rtol=1e-5
        )
    bank = read_bank(folder / "bank.h5ad")
    similarity = model.project(vectors) @ bank.vectors.astype(np.float32).T
    weight = np.exp(similarity / 0.07)
    weight /= weight.sum(1, keepdims=True)
    wanted = weight @ bank.values([looked_up]).toarray()[:, 0]
    np.testing.assert_allclose(table[:, looked_up].X[:, 0], wanted, rtol=1e-4)
    assert set(table.obs["cell_type"].cat.categories) == set(CELL_TYPES)
    assert (table.obs["cell_type_margin"] >= 0).all()
    assert table.var.loc[looked_up, "evidence"] == ("looked up in bank: 4 cells · r not measured")
    assert table.var.loc[looked_up, "detected_fraction"] == 0.5
    assert table.uns["napari_past"]["model"]["bank"].startswith("bank: 4 reference cells")

    # The viewer's table gives the same, whether looked up at once or tile by tile.
    grown = CellTable(model, found.plan.key.fingerprint)
    for tile in found.plan.tiles:
        grown.append([found.store.read(tile)])
        grown.expression([looked_up])
    np.testing.assert_allclose(
        np.sort(grown.expression([looked_up, own])[:, 0]), np.sort(wanted), rtol=1e-4
    )


def test_a_bank_of_another_model_is_refused(
    model_file, cells, vocabulary_files, tmp_path, tiny_card, tiny_tensors
):
    folder = tmp_path / "with-bank"
    assert run(model_file, cells, vocabulary_files, folder) == 0
    weights = folder / "weights.safetensors"
    card, tensors, _ = read_model_file(weights)
    write_model_file(weights, card.model_copy(update={"version": "9"}), tensors)
    assert "ERBB4" in load_model(str(folder), "cpu").genes  # the cell side is the same
    tensors["cell.projection.enter.bias"] = tensors["cell.projection.enter.bias"] + 1
    write_model_file(weights, card, tensors)
    with pytest.raises(PastError, match="was made by the model"):
        _ = load_model(str(folder), "cpu").genes


def test_no_cell_with_genes(model_file, vocabulary_files, tmp_path, capsys):
    table = AnnData(csr_matrix(np.zeros((3, 6), np.float32)), var=pd.DataFrame(index=GENES))
    table.write_h5ad(tmp_path / "cells.h5ad")
    out = tmp_path / "bank.h5ad"
    assert run(model_file, tmp_path / "cells.h5ad", vocabulary_files, out) == 2
    assert "No cell of cells.h5ad has counts of genes" in capsys.readouterr().err
    assert not out.exists()


def test_real_cells_find_their_type(model_file, data_dir, tmp_path, capsys):
    """Even by a tower of random weights, cells of a type have like genes in like places."""
    folder = data_dir / "expression_breast"
    counts = pd.read_csv(folder / "expr_mat_breast_demo.csv", index_col=0).set_index("cell_id")
    types = pd.read_csv(folder / "cell_types_breast_demo.csv", index_col=0)["ct_idx"]
    counts = counts.iloc[::4]
    table = AnnData(
        csr_matrix(counts.to_numpy(np.float32)),
        obs=pd.DataFrame(
            {"cell_type": types.loc[counts.index].astype(str).to_numpy()},
            index=counts.index.astype(str),
        ),
        var=pd.DataFrame(index=counts.columns),
    )
    table.write_h5ad(tmp_path / "cells.h5ad")
    (tmp_path / "genes.txt").write_text("\n".join(counts.columns))
    np.save(tmp_path / "means.npy", counts.where(counts > 0).mean().to_numpy(np.float32))
    files = ["--genes", str(tmp_path / "genes.txt"), "--means", str(tmp_path / "means.npy")]
    assert run(model_file, tmp_path / "cells.h5ad", files, tmp_path / "bank.h5ad") == 0
    assert "Patients are not told apart" in capsys.readouterr().out
    bank = read_bank(tmp_path / "bank.h5ad")
    assert len(bank) > 1300
    assert len(bank.genes) == 280
    # Half of the cells look for the other half.
    odd = np.arange(len(bank)) % 2 == 1
    votes = type_votes(bank, nearest(bank, bank.vectors[odd], 15, odd))
    own = bank.types.codes[odd]
    most_frequent = np.bincount(bank.types.codes).max() / len(bank)
    assert (votes.code == own).mean() > most_frequent + 0.1
    found = nearest_types(prototypes(bank, odd), bank.vectors[odd])
    balanced = [(found.code[own == t] == t).mean() for t in np.unique(own)]
    assert np.mean(balanced) > 1.5 / len(bank.types.names)
