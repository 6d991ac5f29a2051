"""Values of measured rows against sums by hand, and predictions against the model's own product."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import anndata
import numpy as np
import numpy.testing as npt
import pandas as pd
import pytest
import shapely
from qtpy.QtCore import QObject
from scipy.sparse import csr_array

from napari_past.genes import resolve
from napari_past.model import load_model
from napari_past.plugin.measured.counts import MeasuredCounts
from napari_past.plugin.measured.genes import shared_genes
from napari_past.plugin.measured.pointer import row_text
from napari_past.plugin.measured.tissue import Measured, OnSlide, moved, opened_on
from napari_past.plugin.measured.values import (
    DEVIATIONS,
    RESIDUAL_UNIT,
    RowsAsked,
    rows_shown,
)
from napari_past.plugin.staining import Look
from napari_past.slide import open_slide
from napari_past.spatial.errors import BadPairing
from napari_past.spatial.landmarks import Affine
from napari_past.spatial.measured import MeasuredAs
from napari_past.spatial.section import MeasuredSection
from napari_past.types import TUMOUR, Region
from napari_past.validation.row_cells import RowCells
from napari_past.validation.tissue import MEASURED_UNIT, tissue_of

GENES = ("CD3D", "CD3E", "ERBB2", "KRT19", "NOT1MODEL")
COUNTS = np.array(
    [[1, 3, 6, 0, 90], [0, 0, 0, 0, 0], [2, 2, 4, 2, 30], [5, 0, 5, 10, 80], [9, 9, 9, 3, 9]],
    np.float32,
)
PLACES = np.array([[50.0, 60.0], [120.0, 60.0], [200.0, 90.0], [300.0, 200.0], [-500.0, 10.0]])


@pytest.fixture
def here(drawn, analysed):
    """Five spots on the drawn slide: the second without a count, the last beside it."""
    slide = open_slide(drawn.path)
    section = MeasuredSection(
        name="S1", patient="unknown", species="human", tissue="", technology="ST",
        image=Path(drawn.path), mpp=slide.mpp, ids=("a", "b", "c", "d", "e"), centers_um=PLACES,
        counts=csr_array(COUNTS), genes=GENES, spot_diameter_um=100.0,
        types=("tumour", "", "stroma", "tumour", ""),
    )  # fmt: skip
    found = looked_at(section, slide, analysed)
    yield found
    slide.close()


def looked_at(section, slide, analysed) -> OnSlide:
    tissue = tissue_of(section, slide, slide.fingerprint)
    return OnSlide(
        Path("S1"), analysed.plan.slide, slide, section, section, tissue,
        MeasuredCounts(section), (), "",
    )  # fmt: skip


@pytest.fixture
def cells(here, analysed) -> RowCells:
    """Two cells of the drawn slide on the first spot, none on the second, one on the third."""
    vectors = np.asarray(analysed.embeddings[:3])
    return RowCells(analysed.model, vectors, np.array([0, 0, 2]), len(here.tissue))


def asked(here, gene: str, cells: RowCells | None, analysed, standard=False, look=None):
    model = analysed.model
    return RowsAsked(model.resolve(gene), here, model, cells, look or Look(), standard)


def test_measured_values_are_those_of_the_rows_that_lie_there(here, analysed):
    shown = rows_shown(asked(here, "ERBB2", None, analysed))
    expected = np.log1p(COUNTS[:, 2] / np.maximum(COUNTS.sum(axis=1), 1) * 1e4)
    assert here.on_slide.tolist() == [0, 2, 3]
    assert here.tissue.rows.tolist() == [0, 2, 3]
    npt.assert_allclose(shown.measured.values, expected[[0, 2, 3]], rtol=1e-6)
    assert np.isnan(shown.raw[0][1])
    assert shown.measured.unit == MEASURED_UNIT
    assert shown.predicted is None
    assert shown.residual is None


def test_predicted_values_are_means_of_cells_in_the_same_limits(here, cells, analysed):
    shown = rows_shown(asked(here, "ERBB2", cells, analysed))
    own = analysed.model.expression(cells.vectors, ["ERBB2"])[:, 0]
    npt.assert_allclose(shown.predicted.values, [own[:2].mean(), np.nan, own[2]], rtol=1e-5)
    assert shown.predicted.limits == shown.measured.limits
    low, high = shown.measured.limits
    both = np.concatenate([shown.measured.values, [own[:2].mean(), own[2]]])
    assert low == pytest.approx(both.min(), abs=0.1)
    assert high == pytest.approx(both.max(), abs=0.1)
    # Only rows with both count: two of them are one deviation up and down at each side.
    assert shown.residual.unit == RESIDUAL_UNIT
    assert np.isnan(shown.residual.values[1])
    assert set(np.round(np.abs(shown.residual.values[[0, 2]]), 3)) <= {0.0, 2.0}
    # The user's limits hold for both.
    fixed = rows_shown(asked(here, "ERBB2", cells, analysed, look=Look(limits=(1.0, 2.0))))
    assert fixed.predicted.limits == fixed.measured.limits == (1.0, 2.0)


def test_patterns_are_deviations_from_each_mean(here, cells, analysed):
    shown = rows_shown(asked(here, "KRT19", cells, analysed, standard=True))
    assert shown.standard
    assert shown.measured.unit == shown.predicted.unit == DEVIATIONS
    values = shown.measured.values.astype(float)
    assert values.mean() == pytest.approx(0, abs=1e-6)
    assert values.std() == pytest.approx(1, abs=1e-6)
    plain = rows_shown(asked(here, "KRT19", cells, analysed))
    npt.assert_array_equal(shown.raw[0], plain.raw[0])
    assert not plain.standard


def test_another_unit_is_told_and_not_laid_on_one_scale(here, write_tiny_model, tmp_path):
    model = load_model(write_tiny_model(tmp_path / "z.safetensors", expression_unit="z-score"))
    vectors = np.random.default_rng(2).normal(size=(3, 16)).astype(np.float16)
    cells = RowCells(model, vectors, np.array([0, 0, 2]), len(here.tissue))
    shown = rows_shown(RowsAsked(model.resolve("ERBB2"), here, model, cells, Look(), False))
    assert shown.standard
    assert "another unit (z-score)" in shown.note
    line = row_text(0, here, shown, cells, "m", ())
    assert f"{MEASURED_UNIT}, predicted" in line
    assert line.count("z-score") == 1


def test_of_a_marker_the_measured_genes_count_on_both_sides(here, cells, analysed):
    resolved = resolve("CD3", ("CD3D", "CD3E", "CD3G"))
    shown = rows_shown(RowsAsked(resolved, here, None, None, Look(), False))
    assert shown.name == "CD3D + CD3E"
    assert "CD3G was not measured" in shown.note
    totals = COUNTS.sum(axis=1, keepdims=True)[[0, 2, 3]]
    expected = np.log1p(COUNTS[[0, 2, 3], :2] / totals * 1e4).mean(axis=1)
    npt.assert_allclose(shown.measured.values, expected, rtol=1e-6)
    assert rows_shown(asked(here, "VIM", cells, analysed)) is None


def test_a_row_is_told_with_what_is_known_of_it(here, cells, analysed, square):
    shown = rows_shown(asked(here, "ERBB2", cells, analysed))
    measured, predicted = shown.raw
    assert row_text(0, here, shown, cells, "past-mini", (square,)) == (
        f"spot a · ERBB2 measured {measured[0]:.2f}, predicted {predicted[0]:.2f} (past-mini) "
        f"{MEASURED_UNIT} · 2 cells · tumour · Front"
    )
    assert "predicted no value (past-mini)" in row_text(2, here, shown, cells, "past-mini", ())
    assert row_text(4, here, shown, cells, "past-mini", ()).startswith("spot e · ERBB2 measured")
    assert "predicted" not in row_text(4, here, shown, cells, "past-mini", ())
    assert row_text(3, here, None, None, "", ()) == "spot d · tumour"


@pytest.fixture
def square() -> Region:
    return Region("Front", TUMOUR, shapely.box(0, 0, 100, 100))


def test_shared_genes_come_by_variance_and_then_by_r(here, analysed):
    plain = shared_genes(here, analysed.model, None)
    shared = [g for g in GENES if g in analysed.model.genes]
    assert plain.count == len(shared)
    deviation = here.tissue.sparse.toarray().std(axis=0)
    listed = [gene for _, gene in plain.listed]
    assert listed == sorted(listed, key=lambda g: -deviation[GENES.index(g)])
    vectors = np.asarray(analysed.embeddings[:3])
    full = RowCells(analysed.model, vectors, np.array([0, 1, 2]), 3)
    ranked = shared_genes(here, analysed.model, full)
    r = {
        gene: np.corrcoef(
            analysed.model.expression(vectors, [gene])[:, 0], here.tissue.measured([gene])[:, 0]
        )[0, 1]
        for gene in listed
    }
    assert [gene for _, gene in ranked.listed] == sorted(listed, key=lambda g: -r[g])
    assert ranked.listed[0][0].endswith(f"r {max(r.values()):.2f}")


def test_a_section_is_kept_by_slide_and_its_place_undone(here, qtbot):
    parent = QObject()
    measured = Measured(parent)
    told: list[object] = []
    measured.changed.connect(lambda: told.append(measured.here))
    measured.turn_to(here.ref)
    measured.keep(here)
    assert told[-1] is here
    assert measured.tissue is here.tissue
    assert not measured.can_undo
    nan = float("nan")
    away = Affine(((1.0, 0.0, 20.0), (0.0, 1.0, 0.0)), 0, nan, nan)
    there = moved(here, away, "an affine map")
    measured.keep(there)
    npt.assert_allclose(measured.section.centers_um, PLACES + (20.0, 0.0))
    assert measured.can_undo
    measured.undo()
    assert measured.here is here
    # Another slide has none; the first one's is there again when it is turned to.
    other = replace(here.ref, path="other.tif")
    measured.turn_to(other)
    assert measured.here is None
    measured.turn_to(here.ref)
    assert measured.here is here
    assert measured.forget(lambda ref: ref == here.ref) == [here.slide]
    assert measured.section is measured.tissue is measured.path is None


def test_counts_that_are_none_are_refused_but_a_wrong_place_is_told(tmp_path, analysed):
    table = anndata.AnnData(
        COUNTS[:4] + 1, obs=pd.DataFrame(index=list("abcd")), var=pd.DataFrame(index=list(GENES))
    )
    table.obsm["spatial"] = PLACES[:4] + 9000
    table.write_h5ad(tmp_path / "far.h5ad")
    found = opened_on(tmp_path / "far.h5ad", analysed.plan.slide, MeasuredAs(unit="um"))
    found.slide.close()
    assert found.tissue is None
    assert "0 of 4 cells" in found.why_not
    table.X = table.X / 3
    table.write_h5ad(tmp_path / "scaled.h5ad")
    with pytest.raises(BadPairing, match="not whole numbers"):
        opened_on(tmp_path / "scaled.h5ad", analysed.plan.slide, MeasuredAs(unit="um"))


def test_a_slide_open_with_another_size_keeps_rows_on_their_pixels(tmp_path, analysed, drawn):
    """ST spots lie 200 µm apart: their pitch tells the µm/px of their picture."""
    grid = np.stack(np.meshgrid(np.arange(2), np.arange(2)), axis=-1).reshape(-1, 2)
    px = grid * 250 + 100
    (tmp_path / "S1.tif").symlink_to(drawn.path)
    where = pd.DataFrame(np.hstack([grid, px]), columns=["x", "y", "pixel_x", "pixel_y"])
    where.to_csv(tmp_path / "S1_selection.tsv", sep="\t", index=False)
    ids = [f"{x}x{y}" for x, y in grid]
    pd.DataFrame(COUNTS[[0, 2, 3, 4]].astype(int), index=ids, columns=GENES).to_csv(
        tmp_path / "S1.tsv", sep="\t"
    )
    found = opened_on(tmp_path, analysed.plan.slide, MeasuredAs("st", section="S1"))
    found.slide.close()
    mpp = found.slide.require_mpp()
    npt.assert_allclose(found.section.centers_um, (px + 0.5) * mpp)
    assert "0.5 µm/px was given, though the pitch of the spots says 0.8" in found.section.notes[0]
    assert any("these are 125 µm; check the µm/px, 0.5" in text for text in found.odd)
    assert found.section.mpp == mpp
