import re

import pytest

from napari_past.errors import AmbiguousGene, NotScorable, UnknownGene
from napari_past.genes import markers, resolve
from napari_past.genes.gene_table import gene_table


@pytest.mark.parametrize(
    ("name", "symbols"),
    [
        ("HER2", ["ERBB2"]),
        ("her-2", ["ERBB2"]),
        ("Ki67", ["MKI67"]),
        ("Ki-67", ["MKI67"]),
        ("KI 67", ["MKI67"]),
        ("PD-L1", ["CD274"]),
        ("PD‑L1", ["CD274"]),  # a non-breaking hyphen
        ("ER", ["ESR1"]),
        ("PR", ["PGR"]),
        ("CD20", ["MS4A1"]),
        ("TTF-1", ["NKX2-1"]),
        ("SMA", ["ACTA2"]),
        ("α-SMA", ["ACTA2"]),
        ("PSA", ["KLK3"]),
        ("CD3", ["CD3D", "CD3E", "CD3G"]),
        ("panCK", ["KRT5", "KRT7", "KRT8", "KRT18", "KRT19"]),
        ("p40", ["TP63"]),
        ("CD4", ["CD4"]),
        ("CD8", ["CD8A", "CD8B"]),
        ("CD68", ["CD68"]),
        ("Vimentin", ["VIM"]),
        ("E-cadherin", ["CDH1"]),
        ("AR", ["AR"]),
        ("CDX2", ["CDX2"]),
        ("S100", ["S100B", "S100A1"]),
        ("SOX10", ["SOX10"]),
        ("synaptophysin", ["SYP"]),
        ("chromogranin", ["CHGA"]),
        ("CD45", ["PTPRC"]),
        ("GATA3", ["GATA3"]),
        ("EpCAM", ["EPCAM"]),
        ("p53", ["TP53"]),
        ("MLH1", ["MLH1"]),
    ],
)
def test_markers(name, symbols):
    assert list(resolve(name).symbols) == symbols


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("HER2", "ERBB2 (HER2)"),
        ("erbb2", "ERBB2 (HER2)"),
        ("ENSG00000141736.14", "ERBB2 (HER2)"),
        ("CD3", "CD3D + CD3E + CD3G (CD3)"),
        ("TP63", "TP63 (p63)"),
        ("CD4", "CD4"),
        ("  KRT81 ", "KRT81"),
        ("WISP1", "CCN4"),
        ("kmt2d", "KMT2D"),
    ],
)
def test_the_resolved_symbol_is_shown(name, label):
    assert resolve(name).label == label


def test_every_marker_names_genes_of_the_table():
    assert len(markers()) > 60
    unknown = {g for m in markers() for g in m.genes} - gene_table().ensembl_ids.keys()
    assert not unknown


def test_spellings_of_markers_that_are_other_genes_are_refused():
    clashes = set()
    for marker in markers():
        for spelling in (marker.name, *marker.aliases):
            try:
                assert resolve(spelling).symbols == marker.genes
            except AmbiguousGene:
                clashes.add(spelling)
    assert clashes == {"TTF1", "MIB1"}


@pytest.mark.parametrize("available", [None, ["TTF1"], ["NKX2-1"], ["TTF1", "NKX2-1"]])
def test_ttf1_names_both_meanings(available):
    with pytest.raises(AmbiguousGene) as caught:
        resolve("TTF1", available)
    for word in ("TTF-1", "NKX2-1", "ENSG00000125482"):
        assert word in str(caught.value)
    assert resolve("ENSG00000125482").symbols == ("TTF1",)


@pytest.mark.parametrize("name", ["p53", "TP53", "MLH1", "MSH2", "MSH6", "PMS2", "p40", "p16"])
def test_markers_that_rna_cannot_score_say_why(name):
    resolved = resolve(name)
    assert "cannot be scored from gene RNA" in resolved.note
    with pytest.raises(NotScorable, match=r"cannot be scored from gene RNA: .+"):
        resolved.require_scorable()


def test_p40_warns_of_the_isoform_and_p63_does_not():
    assert "isoform" in resolve("p40").note
    assert resolve("p63").note == ""
    resolve("p63").require_scorable()


def test_an_alias_of_several_genes_is_refused_unless_one_is_available():
    with pytest.raises(AmbiguousGene, match="KMT2B and KMT2D"):
        resolve("MLL2")
    with pytest.raises(AmbiguousGene, match="KMT2B and KMT2D"):
        resolve("MLL2", ["KMT2B", "KMT2D"])
    assert resolve("MLL2", ["KMT2D", "ERBB2"]).symbols == ("KMT2D",)


def test_an_official_symbol_beats_an_alias():
    # AFP is an alias of TRIM26 too.
    assert resolve("AFP").symbols == ("AFP",)


def test_genes_are_found_as_they_are_written_where_they_are():
    assert resolve("CCN4", ["WISP1"]).symbols == ("WISP1",)
    assert resolve("HER2", ["ENSG00000141736.3"]).symbols == ("ENSG00000141736.3",)
    assert resolve("AC241377.1", ["AC241377.1"]).symbols == ("AC241377.1",)
    assert "written WISP1" in resolve("CCN4", ["WISP1"]).note


def test_the_available_genes_of_a_marker_are_kept():
    resolved = resolve("CD3", ["CD3E", "CD3D", "ERBB2"])
    assert resolved.symbols == ("CD3D", "CD3E")
    assert resolved.label == "CD3D + CD3E (CD3)"
    assert "Without CD3G" in resolved.note
    with pytest.raises(UnknownGene, match="The model does not have CD3D"):
        resolve("CD3", ["ERBB2"])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ERBB22", "did you mean .*ERBB2"),
        ("vimentine", "did you mean vimentin"),
        ("", "No gene was named"),
        ("§§§", "give an HGNC symbol"),
        ("ENSG99999999999", "No gene or marker is named"),
    ],
)
def test_unknown_names(name, message):
    with pytest.raises(UnknownGene, match=message) as caught:
        resolve(name)
    suggested = re.search(r"did you mean (.*)\?", str(caught.value))
    assert suggested is None or len(suggested[1].split(", ")) <= 3


def test_suggestions_are_among_the_available():
    with pytest.raises(UnknownGene, match=r"did you mean KRT19\?"):
        resolve("KRT1919", ["KRT19", "FOXP3"])


def test_who_lacks_a_gene_is_named():
    with pytest.raises(UnknownGene, match=r"^The table does not have FOXP3.*it has 1"):
        resolve("FOXP3", ["ERBB2"], holder="The table")


def test_the_names_of_a_real_panel(data_dir):
    text = (data_dir / "expression_breast" / "genes.txt").read_text()
    genes = text.split()
    assert len(genes) > 200
    found = [g for g in genes if g != "TTF1"]
    known = 0
    for gene in found:
        try:
            known += resolve(gene, genes).symbols == (gene,)
        except (UnknownGene, AmbiguousGene):
            continue
    assert known / len(found) > 0.97
