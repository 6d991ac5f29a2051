"""The vocabulary's files, and the columns of tables as its genes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from napari_past.errors import PastError
from napari_past.model.gene_match import match_genes
from napari_past.model.vocabulary import Vocabulary, read_vocabulary

ERBB2, ESR1, CD3D, KARS1 = (
    "ENSG00000141736",
    "ENSG00000091831",
    "ENSG00000167286",
    "ENSG00000065427",
)
MOUSE = "ENSMUSG00000062312"
GENES = (ERBB2, ESR1, CD3D, KARS1, MOUSE)
MEANS = np.array([1.5, 0, np.nan, 2.25, 0.1], np.float32)


@pytest.fixture
def vocabulary() -> Vocabulary:
    return Vocabulary(GENES, MEANS)


def _written(folder: Path, kind: str) -> Path:
    path = folder / f"genes.{kind}"
    if kind == "h5ad":
        AnnData(var=pd.DataFrame(index=[f"{g}.3" for g in GENES])).write_h5ad(path)
    elif kind == "csv":
        path.write_text("gene_id,symbol\n" + "".join(f'"{g}",x\n' for g in GENES))
    else:
        path.write_text("\n".join(GENES) + "\n\n")
    return path


def _written_means(folder: Path, kind: str) -> Path:
    path = folder / f"means.{kind}"
    if kind == "npy":
        np.save(path, MEANS)
    elif kind == "csv":
        path.write_text(
            "gene,mean\n" + "".join(f"{g},{m}\n" for g, m in zip(GENES, MEANS, strict=True))
        )
    else:
        path.write_text("".join(f"{m}\n" for m in MEANS))
    return path


@pytest.mark.parametrize("means", ["npy", "csv", "txt"])
@pytest.mark.parametrize("genes", ["h5ad", "csv", "txt"])
def test_all_forms_of_the_files_are_read(tmp_path: Path, genes: str, means: str) -> None:
    first, second = _written(tmp_path, genes), _written_means(tmp_path, means)
    found = read_vocabulary(first, second, technology="xenium")
    assert found.ensembl == GENES
    np.testing.assert_allclose(found.means, MEANS, rtol=1e-6)
    np.testing.assert_allclose(found.divisors, [1.5, 1, 1, 2.25, 0.1], rtol=1e-6)
    assert found.technology == "Xenium"
    assert found.sha256 == hashlib.sha256(first.read_bytes() + second.read_bytes()).hexdigest()


def test_means_keep_the_precision_of_their_file(tmp_path: Path) -> None:
    np.save(tmp_path / "means.npy", np.array([[0.1, 1, 1, 1, 1]]))
    found = read_vocabulary(_written(tmp_path, "txt"), tmp_path / "means.npy")
    assert found.divisors[0] == 0.1


def test_an_expected_hash_is_checked(tmp_path: Path) -> None:
    files = _written(tmp_path, "txt"), _written_means(tmp_path, "npy")
    actual = read_vocabulary(*files).sha256
    assert read_vocabulary(*files, sha256=actual.upper()).sha256 == actual
    other = "0" * 64
    with pytest.raises(PastError, match=f"{actual}.*{other}"):
        read_vocabulary(*files, sha256=other)


@pytest.mark.parametrize(
    ("genes", "means", "message"),
    [
        ("A\nB\nC\n", "1\n2\n", r"3 genes, but means of shape \(2,\)"),
        ("A\nB\nA\n", "1\n2\n3\n", "'A' more than once"),
        ("A\nB\nC\n", "1\n-2\n3\n", "mean of B is -2"),
        ("A\nB\nC\n", "1\ninf\n3\n", "mean of B is inf"),
        ("A\nB\nC\n", "1\ntwo\n3\n", "'two' where the mean number 2"),
        ("A\nB\nC\n", "A,1\nC,2\nB,3\n", "mean of C where the vocabulary has B"),
        ("", "1\n", "no genes"),
    ],
    ids=["lengths", "twice", "negative", "infinite", "text", "order", "empty"],
)
def test_files_that_do_not_fit_are_refused(
    tmp_path: Path, genes: str, means: str, message: str
) -> None:
    (tmp_path / "genes.txt").write_text(genes)
    (tmp_path / "means.csv").write_text(means)
    with pytest.raises(PastError, match=message):
        read_vocabulary(tmp_path / "genes.txt", tmp_path / "means.csv")


@pytest.mark.parametrize("broken", ["genes.h5ad", "means.npy"])
def test_damaged_and_missing_files_are_named(tmp_path: Path, broken: str) -> None:
    names = {"genes": _written(tmp_path, "h5ad"), "means": _written_means(tmp_path, "npy")}
    (tmp_path / broken).write_bytes(b"\xff\xfe nothing of the kind")
    with pytest.raises(PastError, match=f"{broken} cannot be read"):
        read_vocabulary(**names)
    (tmp_path / broken).unlink()
    with pytest.raises(PastError, match="no file"):
        read_vocabulary(**names)


def test_a_pickle_among_the_means_is_not_opened(tmp_path: Path) -> None:
    np.save(tmp_path / "means.npy", np.array([{}] * 5, object), allow_pickle=True)
    with pytest.raises(PastError, match=r"means\.npy cannot be read"):
        read_vocabulary(_written(tmp_path, "txt"), tmp_path / "means.npy")


def test_an_unknown_technology_is_refused() -> None:
    with pytest.raises(PastError, match="'Visium'; give one of MERFISH, CosMx, Xenium"):
        Vocabulary(GENES, MEANS, "Visium")


@pytest.mark.parametrize(
    ("name", "place"),
    [
        (f"{ERBB2}.14", 0),
        (ERBB2.lower(), 0),
        ("ERBB2", 0),
        ("erbb2", 0),
        ("HER2", 0),
        (" ESR1 ", 1),
        ("KARS", 3),
        (MOUSE, 4),
    ],
)
def test_names_lead_to_the_gene(vocabulary: Vocabulary, name: str, place: int) -> None:
    found = vocabulary.find(name)
    assert found is not None
    assert (found.place, found.ambiguous) == (place, False)


def test_what_a_name_is_not(vocabulary: Vocabulary) -> None:
    assert vocabulary.find("NegControlProbe_00042") is None
    assert vocabulary.find("Erbb2") is None, "the gene of a mouse"
    assert vocabulary.find("ERBB2", "mouse") is None
    found = vocabulary.find("EPCAM")
    assert found is not None
    assert found.place is None, "a gene, but none of these"


def test_an_alias_of_several_genes_is_ambiguous(vocabulary: Vocabulary) -> None:
    # p27 is an old name of many genes, CDKN1B first of all.
    for genes in (("CDKN1B", "ERBB2"), GENES):
        found = Vocabulary(genes, np.ones(len(genes), np.float32)).find("p27")
        assert found is not None
        assert (found.place, found.ambiguous) == (None, True)


def test_a_stand_in_of_symbols_is_found_by_every_name() -> None:
    vocabulary = Vocabulary(("KARS", "ERBB2", "Erbb2"), np.ones(3, np.float32))
    for name, place in (("KARS1", 0), (KARS1, 0), (ERBB2, 1), ("HER2", 1), ("Erbb2", 2)):
        found = vocabulary.find(name)
        assert found is not None
        assert found.place == place


def test_columns_of_a_table(vocabulary: Vocabulary) -> None:
    columns = [
        # index, gene_ids, feature_types, place
        ("first", f"{ERBB2}.2", "Gene Expression", 0),
        ("HER2", None, "Gene Expression", 0),
        ("p27", "", "Gene Expression", -1),
        ("EPCAM", "", "Gene Expression", -1),
        ("ERBB2", ESR1, "Gene Expression", 1),
        ("CD3D", "", "Negative Control Probe", -1),
        ("KARS", "ENSG99999999999", "Gene Expression", 3),
    ]
    index, ids, types, places = zip(*columns, strict=True)
    var = pd.DataFrame({"gene_ids": ids, "feature_types": types}, index=list(index))
    found = match_genes(var, vocabulary)
    assert found.place.tolist() == list(places)
    assert found.unknown == ("p27", "EPCAM")
    assert found.ambiguous == ("p27",)
    assert found.merged == (ERBB2,)
    assert (found.known, found.no_genes, found.share) == (4, 1, 4 / 6)
    assert [note.split(" ")[0] for note in found.notes()] == ["1", "2", "1", "1"]


def test_a_column_of_symbols_stands_in_for_an_index_of_numbers(vocabulary: Vocabulary) -> None:
    var = pd.DataFrame({"feature_name": ["CD3D", "ESR1", np.nan]}, index=["0", "1", "2"])
    assert match_genes(var, vocabulary).place.tolist() == [2, 1, -1]


def test_mouse_genes_are_known_as_the_vocabulary_writes_them(vocabulary: Vocabulary) -> None:
    var = pd.DataFrame(index=["Erbb2", f"{MOUSE}.5", "ERBB2", ERBB2])
    assert match_genes(var, vocabulary, "mouse").place.tolist() == [-1, 4, -1, 0]
    with pytest.raises(PastError, match="human or mouse, but got 'rat'"):
        match_genes(var, vocabulary, "rat")
