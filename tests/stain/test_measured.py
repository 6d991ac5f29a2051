"""Readings of a real stain, and what a marker's value is of them."""

from __future__ import annotations

import numpy as np
import pytest

from napari_past.errors import MissingCutoffs, UnknownGene
from napari_past.genes import markers
from napari_past.stain import rules_of
from napari_past.stain.compartments import RAYS
from napari_past.stain.dab import DAB_CUTOFFS
from napari_past.stain.measured import (
    COLUMNS,
    COMPLETENESS,
    DAB_UNIT,
    HER2_CLASS,
    MEMBRANE_TOUCHED,
    READINGS,
    check_cutoffs,
    columns_of,
    cutoffs_of,
    fits_kind,
    measured_values,
    resolve_measured,
    unit_of,
)
from napari_past.stain.membrane import her2_classes, membrane_positive
from napari_past.types import Cutoffs


def cell(nucleus=0.0, cytoplasm=0.0, membrane=0.0, sectors=0.0) -> np.ndarray:
    row = np.empty((1, READINGS), np.float32)
    row[0, :3] = nucleus, cytoplasm, membrane
    row[0, 3:] = sectors
    return row


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("Ki-67", ("DAB nucleus",)),
        ("CD3", ("DAB membrane",)),
        ("SMA", ("DAB cytoplasm",)),
        ("HER2", (HER2_CLASS,)),
        ("PD-L1", (MEMBRANE_TOUCHED,)),
        ("DAB membrane", ("DAB membrane",)),
        ("S100", ("DAB nucleus", "DAB cytoplasm")),
    ],
)
def test_a_marker_is_read_where_its_antibody_stains(name, columns):
    assert columns_of(name) == columns


def test_every_marker_of_the_panel_can_be_read():
    values = measured_values(cell(0.3, 0.5, 0.7, 0.7), [m.name for m in markers()])
    assert np.isfinite(values).all()
    with pytest.raises(UnknownGene, match="'KRT5' is no marker of the panel"):
        columns_of("KRT5")


def test_values_are_those_of_the_compartment():
    cells = np.concatenate([cell(0.3, 0.5, 0.7, 0.65), cell(0.6, 0.1, np.nan, np.nan)])
    values = measured_values(cells, ["ER", "SMA", "CD3", "S100", COMPLETENESS, "HER2", "PD-L1"])
    assert values.dtype == np.float32
    nothing = np.nan
    np.testing.assert_allclose(
        values,
        [[0.3, 0.5, 0.7, 0.5, 1, 3, 0.65], [0.6, 0.1, nothing, 0.6, nothing, nothing, nothing]],
        rtol=1e-6,
    )


def test_values_at_a_cutoff_reach_it():
    on_edge = np.concatenate([cell(nucleus=limit) for limit in DAB_CUTOFFS.values])
    assert (measured_values(on_edge, ["ER"])[:, 0] >= DAB_CUTOFFS.values).all()


@pytest.mark.parametrize("cutoff", [0.05, 0.1, 0.2, 0.37])
def test_pd_l1_reaches_a_cutoff_where_its_membrane_is_positive(cutoff):
    rng = np.random.default_rng(0)
    sectors = rng.uniform(0, 0.7, (3000, RAYS)).astype(np.float32) ** 2
    sectors[rng.random(sectors.shape) < rng.uniform(0, 0.8, (3000, 1))] = np.nan
    cells = np.column_stack([np.zeros((3000, 3), np.float32), sectors])
    values = measured_values(cells, ["PD-L1"])[:, 0]
    positive = membrane_positive(sectors, cutoff)
    assert 20 < positive.sum() < 2980
    np.testing.assert_array_equal(values >= np.float32(cutoff), positive)


def test_her2_has_the_class_of_its_membrane():
    sectors = np.zeros((5, RAYS), np.float32)
    sectors[1, :6], sectors[2], sectors[3], sectors[4] = 0.9, 0.3, 0.7, np.nan
    cells = np.column_stack([np.zeros((5, 3), np.float32), sectors])
    values = measured_values(cells, ["HER2"])[:, 0]
    np.testing.assert_array_equal(values, [0, 1, 2, 3, np.nan])
    np.testing.assert_array_equal(her2_classes(sectors, DAB_CUTOFFS), [0, 1, 2, 3, -1])
    assert cutoffs_of("HER2").values == (1, 2, 3)
    assert "class" in unit_of("HER2")


def test_densities_are_no_cutoffs_of_classes():
    with pytest.raises(MissingCutoffs, match="score DAB membrane with them"):
        check_cutoffs("HER2", DAB_CUTOFFS)
    for others in ((0.5, 0.7, 0.95), (0.5, 0.7, 1.5), (1, 2, 4)):
        with pytest.raises(MissingCutoffs, match="classes 0 to 3"):
            check_cutoffs("HER2", Cutoffs(*others, "given"))
    check_cutoffs("HER2", Cutoffs(1, 2, 3, "given"))
    check_cutoffs("ER", DAB_CUTOFFS)


@pytest.mark.parametrize("name", ["HER2", HER2_CLASS])
def test_classes_of_completeness_have_no_h_score(name):
    rules = rules_of(resolve_measured(name))
    assert not rules.h_score
    assert rules.score_name == "% positive"
    assert "is not reported as an H-score." in rules.sentence


@pytest.mark.parametrize("typed", ["Ki67", "ki-67", "MKI67", " MIB-1 "])
def test_what_is_typed_means_a_marker(typed):
    found = resolve_measured(typed)
    assert (found.name, found.symbols, found.measured) == ("Ki-67", ("Ki-67",), True)
    assert found.label == "Ki-67: DAB nucleus"
    rules = rules_of(found)
    assert rules.measured
    assert rules.least_cells == 500
    assert unit_of("Ki-67") == DAB_UNIT


def test_a_column_can_be_typed():
    found = resolve_measured("dab NUCLEUS")
    assert found.symbols == ("DAB nucleus",)
    assert rules_of(found).h_score_name == "H-score"


@pytest.mark.parametrize("name", ["p53", "p40", "MLH1"])
def test_the_stain_itself_can_be_counted(name):
    found = resolve_measured(name)
    found.require_scorable()
    assert not rules_of(found).h_score
    assert "RNA" not in found.note


def test_unknown_names_are_told():
    with pytest.raises(UnknownGene, match="choose a marker, or one of DAB nucleus"):
        resolve_measured("KRT5")
    with pytest.raises(UnknownGene, match="did you mean"):
        resolve_measured("Kii-67")


def test_a_kind_of_slide_fits_markers():
    by_name = {m.name: m for m in markers()}
    assert fits_kind(by_name["ER"], "nucleus")
    assert not fits_kind(by_name["HER2"], "nucleus")
    assert fits_kind(by_name["HER2"], "membrane")
    assert fits_kind(by_name["SMA"], "membrane")
    assert not fits_kind(by_name["ER"], "membrane")


def test_all_columns_have_a_unit():
    assert all(unit_of(column) for column in COLUMNS)
