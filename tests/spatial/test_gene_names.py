"""Features under the names of the genes that they measure."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

from napari_past.spatial.errors import BadSource
from napari_past.spatial.gene_names import (
    checked_species,
    gene_counts,
    named_species,
    species_of,
)


def counted(names, species="human", **kwargs):
    counts = csr_array(np.array([[10**i for i in range(len(names))]], np.int64))
    summed, genes, notes = gene_counts(counts, names, species, **kwargs)
    return dict(zip(genes, summed.toarray()[0].tolist(), strict=True)), notes


@pytest.mark.parametrize(
    ("name", "ids", "gene"),
    [
        ("ERBB2", None, "ERBB2"),
        ("erbb2", None, "ERBB2"),
        ("C1ORF159", None, "C1orf159"),
        ("ENSG00000141736", None, "ERBB2"),
        ("ENSG00000141736.14", None, "ERBB2"),
        ("FAM132A", None, "C1QTNF12"),
        ("panel-17", ["ENSG00000141736"], "ERBB2"),
        ("nobody", ["custom"], "nobody"),
        ("ENSG99999999999.3", None, "ENSG99999999999"),
        # A marker's name is no gene's: the gene TTF1 is not the marker TTF-1 (NKX2-1).
        ("TTF1", None, "TTF1"),
    ],
)
def test_symbol(name, ids, gene):
    found, _ = counted([name], ids=ids)
    assert found == {gene: 1.0}


def test_a_name_that_several_genes_had_is_kept():
    # CAP1 is a gene; AIP1 was the name of several
    found, notes = counted(["CAP1", "AIP1"])
    assert found == {"CAP1": 1.0, "AIP1": 10.0}
    assert "1 of 2 genes have no HGNC symbol" in notes[0]
    assert "(AIP1)" in notes[0]


def test_an_old_name_beside_the_symbol_is_kept():
    found, _ = counted(["C1QTNF12", "FAM132A"])
    assert found == {"C1QTNF12": 1.0, "FAM132A": 10.0}


def test_two_old_names_of_one_gene_are_kept():
    found, _ = counted(["FAM132A", "CTRP12"])
    assert found == {"FAM132A": 1.0, "CTRP12": 10.0}


def test_features_of_one_gene_are_added_up():
    found, notes = counted(["ERBB2", "EPCAM", "ENSG00000141736"])
    assert found == {"ERBB2": 101.0, "EPCAM": 10.0}
    assert notes == (
        "1 features measure a gene that another one measures too: their counts were added up.",
    )


@pytest.mark.parametrize(
    "control",
    [
        "NegControlProbe_00042",
        "NegControlCodeword_0500",
        "BLANK_0069",
        "Blank-12",
        "antisense_PROKR2",
        "UnassignedCodeword_0006",
        "DeprecatedCodeword_0001",
        "Intergenic_Region_1081",
        "NegPrb7",
        "Negative03",
        "SystemControl12",
        "FalseCode4",
    ],
)
def test_controls_are_dropped(control):
    found, notes = counted([control, "ERBB2"])
    assert found == {"ERBB2": 10.0}
    assert notes == ("1 features that are no genes were left out.",)


def test_genes_that_sound_like_controls_stay():
    genes = ["NEGR1", "BLNK", "SYS1"]
    assert list(counted(genes)[0]) == genes


def test_types_tell_what_is_a_gene():
    types = ["Gene Expression", "Protein Expression", "Gene Expression"]
    found, _ = counted(["ERBB2", "CD3E", "EPCAM"], types=types)
    assert found == {"ERBB2": 1.0, "EPCAM": 100.0}


def test_mouse_genes_keep_their_names():
    found, notes = counted(["Erbb2", "Epcam", "Blank-1"], species="mouse")
    assert found == {"Erbb2": 1.0, "Epcam": 10.0}
    assert len(notes) == 1


def test_dtype_and_order():
    counts = csr_array(np.array([[0, 3, 0], [2, 0, 1]], np.uint16))
    summed, genes, notes = gene_counts(counts, ["KRT19", "ACTB", "CD74"], "human")
    assert (summed.dtype, genes, notes) == (np.float32, ("KRT19", "ACTB", "CD74"), ())
    assert summed.nnz == 3
    np.testing.assert_array_equal(summed.toarray(), counts.toarray())


def test_species():
    assert species_of(["ENSG00000141736", "ENSG00000119888.4", "x"]) == "human"
    assert species_of(["ENSMUSG00000045394", "ENSMUSG00000062312"]) == "mouse"
    assert species_of(["ENSG00000141736", "x", "y"]) is None
    assert species_of(["ENSRNOG00000006450"]) is None
    assert species_of([]) is None
    assert checked_species("Homo sapiens") == checked_species(" Human ") == "human"
    assert checked_species("mm10") == "mouse"
    with pytest.raises(BadSource, match="human or mouse, but got ''"):
        checked_species("")


@pytest.mark.parametrize(
    ("names", "species", "told"),
    [
        (["ERBB2", "C1orf159", "nobody", "x"], "human", ""),
        (["Erbb2", "Epcam", "KRT5"], "mouse", "written as those of mice (Erbb2)"),
        (["ERBB2", "Epcam"], "human", ""),
        (["ENSMUSG00000045394", "ENSMUSG00000062312"], "mouse", ""),
        (["probe-1", "probe-2"], "", "--option species=human"),
        ([], "", "No gene's name tells the species"),
    ],
)
def test_species_by_the_names(names, species, told):
    found, notes = named_species(names)
    assert found == species
    assert told in " ".join(notes)
    assert bool(notes) == bool(told)


def test_genes_of_no_known_species_keep_their_names():
    assert counted(["FAM132A", "probe-1"], species="")[0] == {"FAM132A": 1.0, "probe-1": 10.0}
