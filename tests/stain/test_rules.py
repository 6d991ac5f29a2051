import numpy as np
import pytest
import shapely

from napari_past.genes import resolve
from napari_past.stain import rules_of, score_table
from napari_past.types import Cutoffs, Region

CUTOFFS = Cutoffs(1.0, 2.0, 3.0, "given")


def table_of(name, n, role="Tumour"):
    everywhere = Region("A", role, shapely.box(-1, -1, 1, 1))
    values = np.arange(n) % 4
    return score_table(
        values, np.zeros((n, 2)), CUTOFFS, [everywhere], rules=rules_of(resolve(name))
    )


def test_a_plain_gene_has_the_pseudo_h_score():
    rules = rules_of(resolve("MKI67"))
    assert rules.h_score
    assert rules.score_name == "pseudo-H-score"
    assert rules.insufficient(0) == ""
    assert rules.sentence == ""


def test_ki67_is_a_percentage_without_h_score():
    table = table_of("Ki67", 600)
    assert table.score_name == "% positive"
    assert not table.rules.h_score
    assert table.rules.hot_spot
    assert table.rules.least_in_hot_spot == 500
    assert table.rules.sentence == "Ki-67 is not reported as an H-score."
    assert table.rows[0].pct_positive == 75.0, "at any intensity"


@pytest.mark.parametrize(
    ("name", "n", "role", "told"),
    [
        ("Ki67", 312, "Tumour", "insufficient: 312 of 500 tumour nuclei"),
        ("Ki67", 499, "Tumour", "insufficient: 499 of 500 tumour nuclei"),
        ("Ki67", 500, "Tumour", ""),
        ("Ki67", 0, "Tumour", "insufficient: 0 of 500 tumour nuclei"),
        ("Ki67", 9, "Include", "insufficient: 9 of 500 tumour nuclei (all nuclei counted)"),
        ("PD-L1", 99, "Tumour", "insufficient: 99 of 100 viable tumour cells"),
        ("PD-L1", 100, "Tumour", ""),
        ("ER", 1, "Tumour", ""),
    ],
)
def test_under_the_minimum_a_region_is_insufficient(name, n, role, told):
    assert table_of(name, n, role).rows[0].insufficient == told


def test_er_has_an_allred_score_and_her2_none():
    assert rules_of(resolve("ER")).allred
    assert table_of("ER", 4).rows[0].allred.total == 7
    assert not rules_of(resolve("HER2")).allred


def test_what_needs_a_real_stain_is_told():
    assert "TPS, CPS of PD-L1: on real stain only." in rules_of(resolve("PD-L1")).sentence
    assert rules_of(resolve("HER2")).sentence == "0/1+/2+/3+ of HER2: on real stain only."


def test_on_a_real_stain_nothing_is_pseudo():
    predicted, measured = (rules_of(resolve("ER"), measured=m) for m in (False, True))
    assert (predicted.h_score_name, predicted.allred_name) == ("pseudo-H-score", "pseudo-Allred")
    assert (measured.h_score_name, measured.allred_name) == ("H-score", "Allred")
    assert rules_of(resolve("HER2")).h_score
    assert not rules_of(resolve("HER2"), measured=True).h_score, "its values are classes"
    assert rules_of(resolve("PSMA"), measured=True).h_score
    assert rules_of(resolve("p53"), measured=True).scores == ("percent",)
