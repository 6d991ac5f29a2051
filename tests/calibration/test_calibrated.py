"""What a calibration in a card says of regions, checked by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path

import anndata
import numpy as np
import pytest
import shapely

from napari_past.calibration import check_model
from napari_past.calibration.calibrated import (
    calibrated_lines,
    calibrated_rows,
    calibrations_of,
    extrapolation,
)
from napari_past.calibration.files import carded
from napari_past.calibration.match import LEAST_CELLS
from napari_past.errors import BadTable
from napari_past.model import load_model
from napari_past.model.calibration import (
    Agreement,
    Calibration,
    PatientResiduals,
    parse_calibration,
)
from napari_past.model.files import copy_with_card
from napari_past.sample import write_phantom
from napari_past.stain import ScoreRules, count_cells, score_table
from napari_past.types import TUMOUR, Cutoffs, Region

CUTOFFS = Cutoffs(1.0, 2.0, 3.0, "by hand")
T_OF_2 = 4.302653
"""Student's t of two degrees of freedom, 97.5 %."""


def calibration(model, **changes) -> Calibration:
    """10 → 100 straight through 0; √(3² + 4²) = 5 off between new regions; three patients."""
    fields = {
        "marker": "ERBB2 (HER2)", "asked": "HER2", "genes": ("ERBB2",), "model": model.name,
        "model_version": model.card.version, "model_sha256": model.sha256,
        "predicted_unit": model.expression_unit, "quantity": "h-score", "level": "regions",
        "clone": "SP3", "scanner": "S360", "knots": ((0.0, 0.0), (10.0, 100.0)),
        "held_out": Agreement(
            patients=3, regions=6, bias=0.0, between_sd=3.0, within_sd=4.0, limits=(-9.8, 9.8),
            correlation=0.5, rank_correlation=0.5,
        ),
        "residuals": tuple(
            PatientResiduals(patient=f"{i:016x}", residuals=(-1.0, 1.0)) for i in range(3)
        ),
        "cell_sd": None,
    }  # fmt: skip
    return Calibration(**(fields | changes))


@pytest.fixture(scope="module")
def past_mini():
    return load_model("past-mini")


@pytest.fixture(scope="module")
def calibrated(past_mini, tmp_path_factory) -> Path:
    """The bundled model with a calibration of HER2 in its card."""
    card = past_mini.card.model_copy(update={"calibrations": (calibration(past_mini),)})
    folder = tmp_path_factory.mktemp("model")
    return copy_with_card(Path(past_mini.path), folder / "mini.past.safetensors", card)


@pytest.fixture
def table():
    """Forty cells of mean 4 in region A, twenty of mean 20 in B, none in C."""
    values = np.tile([2.0, 4, 4, 6, 15, 25], 10)
    centers = np.tile([[1.0, 1], [2, 1], [3, 1], [4, 1], [11, 1], [12, 1]], (10, 1))
    regions = [
        Region(name, TUMOUR, shapely.box(x, 0, x + 9, 9))
        for name, x in (("A", 0), ("B", 10), ("C", 20))
    ]
    counted = count_cells(centers, regions)
    return values, counted, score_table(values, centers, CUTOFFS, regions)


def test_a_row_for_each_region(past_mini, table):
    a, b, c = calibrated_rows(calibration(past_mini), *table)
    assert a.predicted.value == pytest.approx(40)
    assert a.predicted.low == pytest.approx(40 - T_OF_2 * 5)
    assert a.predicted.high == pytest.approx(40 + T_OF_2 * 5)
    assert a.sentence == (
        "predicted H-score (local calibration: SP3, 3 patients): 40 (95 % prediction interval "
        "18–62)"
    )
    assert a.short == "40 (18–62)"
    assert b.predicted.value == pytest.approx(100), "level beyond what was calibrated"
    assert math.isnan(b.predicted.low)
    assert "lies beyond what was calibrated, 0 to 10" in b.short
    assert c.short == "– (no cells)"


def test_too_few_cells_have_no_calibrated_score_either(past_mini, table):
    values, counted, _ = table
    rules = ScoreRules(("pseudo-h-score",), 500, "tumour nuclei", marker="X")
    regions = [row.shape for row in counted.rows]
    scores = score_table(values, counted.centers_um, CUTOFFS, regions, rules=rules)
    rows = calibrated_rows(calibration(past_mini), values, counted, scores)
    assert [row.short for row in rows] == ["insufficient"] * 3


def test_fewer_cells_than_a_calibrated_region_has_are_not_mapped(past_mini):
    regions = [Region(n, TUMOUR, shapely.box(x, 0, x + 9, 9)) for n, x in (("A", 0), ("B", 10))]
    centers = np.repeat([[1.0, 1.0], [11.0, 1.0]], [LEAST_CELLS, LEAST_CELLS], axis=0)
    values = np.full(2 * LEAST_CELLS, 4.0)
    values[-1] = np.nan
    scores = score_table(values, centers, CUTOFFS, regions)
    counted = count_cells(centers, regions)
    a, b = calibrated_rows(calibration(past_mini), values, counted, scores)
    assert a.predicted.value == pytest.approx(40)
    assert math.isnan(b.predicted.value)
    assert b.short == "– (19 cells; 20 are needed, as in calibration)"
    of_cells = calibration(past_mini, quantity="od", level="cells", cell_sd=0.1)
    *_, b = calibrated_rows(of_cells, values, counted, scores)
    assert b.sentence == (
        "predicted H-score (local calibration: SP3, 3 patients): – (19 cells; 20 are needed, as in "
        "calibration)"
    )


def test_what_the_model_does_not_know_is_extrapolated(past_mini, table):
    assert extrapolation((), "") == ""
    told = extrapolation(("ESR1",), "The slide looks unlike the training tissue.")
    assert told == "extrapolated: ESR1 is not learnable and the slide looks unlike the training"
    a, _, c = calibrated_rows(calibration(past_mini), *table, told)
    assert a.sentence.endswith(f"40 (95 % prediction interval 18–62); {told}")
    assert c.sentence.endswith("– (no cells)"), "nothing there to extrapolate"
    (line,) = calibrated_lines([calibration(past_mini)], *table, told)
    assert line.endswith(f"are not calibrated. The values are {told}.")


def test_pseudo_h_scores_are_mapped_where_they_were_calibrated(past_mini, table):
    of_scores = calibration(
        past_mini, predicted_unit="pseudo-H-score", knots=((0.0, 0.0), (300.0, 150.0)),
        cutoffs=CUTOFFS.values,
    )  # fmt: skip
    a, *_ = calibrated_rows(of_scores, *table)
    # Classes 2+, 3+, 3+, 3+: 100 · (2 + 9) / 4 = 275, and half of that.
    assert a.predicted.value == pytest.approx(137.5)


def test_scores_at_other_cutoffs_are_not_mapped(past_mini, table):
    values, counted, _ = table
    of_scores = calibration(
        past_mini, predicted_unit="pseudo-H-score", knots=((0.0, 0.0), (300.0, 150.0)),
        cutoffs=CUTOFFS.values,
    )  # fmt: skip
    regions = [row.shape for row in counted.rows]
    moved = score_table(values, counted.centers_um, Cutoffs(1, 2, 5, "set by you"), regions)
    a, b, _ = calibrated_rows(of_scores, values, counted, moved)
    assert math.isnan(a.predicted.value)
    assert a.short == b.short == "– (calibrated at the cut-offs 1, 2, 3 alone)"
    untold = of_scores.model_copy(update={"cutoffs": None})
    a, *_ = calibrated_rows(untold, *table)
    assert a.short == "– (the cut-offs of the calibrated scores are not known)"
    # Values that are mapped themselves do not know of cut-offs.
    a, *_ = calibrated_rows(calibration(past_mini), values, counted, moved)
    assert a.predicted.value == pytest.approx(40)


def test_an_older_calibration_of_scores_is_at_the_cards_cutoffs(past_mini, tmp_path):
    old = calibration(past_mini, predicted_unit="pseudo-H-score", knots=((0.0, 0.0), (300.0, 1.0)))
    told = json.loads(old.model_dump_json())
    del told["cutoffs"]
    again = parse_calibration(json.dumps(told), "old.json")
    card = past_mini.card.model_copy(update={"calibrations": (again,)})
    path = copy_with_card(Path(past_mini.path), tmp_path / "old.past.safetensors", card)
    (found,) = calibrations_of(load_model(str(path)), past_mini.resolve("HER2"))
    assert found.cutoffs == past_mini.cutoffs("ERBB2").values


def test_density_of_matched_cells_gives_an_h_score(past_mini, table):
    knots = ((0.0, 0.0), (10.0, 1.0))
    of_cells = calibration(past_mini, quantity="od", level="cells", knots=knots, cell_sd=1e-6)
    a, *_ = calibrated_rows(of_cells, *table)
    # Densities 0.2, 0.4, 0.4 and 0.6 lie on the cut-offs: each is as likely above as below, by
    # half a class: 100 · (0.5 + 1.5 + 1.5 + 2.5) / 4.
    assert a.predicted.value == pytest.approx(150, abs=0.5)
    assert "predicted H-score" in a.sentence


def test_few_patients_have_no_interval(past_mini, table):
    agreement = Agreement(
        patients=2, regions=2, bias=0.0, between_sd=None, within_sd=None, limits=None,
        correlation=None, rank_correlation=None,
    )  # fmt: skip
    residuals = tuple(PatientResiduals(patient=f"{i:016x}", residuals=(0.0,)) for i in range(2))
    two = calibration(past_mini, held_out=agreement, residuals=residuals)
    a, *_ = calibrated_rows(two, *table)
    assert a.short == "40 (no interval: fewer than 3 patients)"
    (line,) = calibrated_lines([two], *table)
    assert line.startswith("predicted H-score (local calibration: SP3, 2 patients): A 40 (no int")


def test_calibrations_fit_marker_unit_and_model(past_mini, calibrated):
    model = load_model(str(calibrated))
    her2, er = model.resolve("HER2"), model.resolve("ER")
    assert calibrations_of(past_mini, her2) == ()
    (found,) = calibrations_of(model, her2)
    assert calibrations_of(model, er) == ()
    # Cells of the model before it was calibrated are its own; those of another are not.
    assert calibrations_of(model, her2, past_mini.sha256) == (found,)
    with pytest.raises(BadTable, match="calibrate that model too"):
        calibrations_of(model, her2, "c" * 64)
    assert calibrations_of(model, er, "c" * 64) == ()


def test_a_model_that_was_calibrated_twice_knows_its_own_cells(past_mini, calibrated, tmp_path):
    once = load_model(str(calibrated))
    er = {"marker": "ESR1 (ER)", "asked": "ER", "genes": ("ESR1",)}
    second = calibration(once, clone="SP1", **er)
    path = tmp_path / "twice.past.safetensors"
    twice = load_model(str(copy_with_card(Path(once.path), path, carded(once, second))))
    hashes = {past_mini.sha256, once.sha256, twice.sha256}
    assert len(hashes) == 3
    for marker in ("HER2", "ER"):
        resolved = twice.resolve(marker)
        for sha256 in hashes:
            (found,) = calibrations_of(twice, resolved, sha256)
            check_model(found, twice)
        with pytest.raises(BadTable, match="calibrate that model too"):
            calibrations_of(twice, resolved, "c" * 64)


def test_score_and_card_tell_the_calibration(calibrated, command, tmp_path):
    slide = write_phantom(tmp_path / "slide.ome.tif", 512, 384)
    cells = tmp_path / "cells.h5ad"
    done = command("run", slide, "--genes", "HER2", "--out", cells)
    assert done.code == 0, done.err
    done = command("score", cells, "--marker", "HER2")
    assert "calibration" not in done.out, "the bundled model has none"
    done = command("score", cells, "--marker", "HER2", "--model", calibrated)
    assert done.code == 0, done.err
    adata = anndata.read_h5ad(cells)
    scored = adata[(adata.obs["unscored"] == "").to_numpy()]
    estimate = 10 * float(scored[:, "ERBB2"].X.mean())
    (line,) = (text for text in done.out.splitlines() if "local calibration" in text)
    assert line.startswith(
        f"slide: predicted H-score (local calibration: SP3, 3 patients): {estimate:.0f} (95 % pred"
    )
    done = command("models", "card", calibrated)
    assert (
        "calibrated     ERBB2 (HER2): predicted H-score (local calibration: SP3, 3 patients), "
        "6 regions, scanner S360; held-out patients: r 0.50, limits of agreement -9.8 to 9.8"
    ) in done.out
    assert "calibrated     to no stain" in command("models", "card", "past-mini").out


def test_values_of_another_model_are_refused_by_score(calibrated, command, tmp_path):
    slide = write_phantom(tmp_path / "slide.ome.tif", 256, 256)
    cells = tmp_path / "cells.h5ad"
    assert command("run", slide, "--genes", "HER2", "--out", cells).code == 0
    adata = anndata.read_h5ad(cells)
    adata.uns["napari_past"]["model"]["sha256"] = "c" * 64
    adata.write_h5ad(cells)
    done = command("score", cells, "--marker", "HER2", "--cutoffs", "1,2,3", "--model", calibrated)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "calibrate that model too" in done.err
