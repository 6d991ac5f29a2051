"""A validation against scipy, scikit-learn and truths that were planted."""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import roc_auc_score

from napari_past.errors import Cancelled, PastError, UnknownGene
from napari_past.model.traces import TrainingTraces
from napari_past.validation import bench, random_genes
from napari_past.validation.predictor import Watch
from napari_past.validation.protocol import validate
from napari_past.validation.seen import SeenTissue
from napari_past.validation.training_mean import TrainingMean

GENES = tuple(f"G{i:02}" for i in range(40))


def drawn(at, n=160, seed=0, side_um=3000.0, **fields):
    """Rows anywhere on a square, with counts that vary, some of them zero."""
    rng = np.random.default_rng(seed)
    level = rng.lognormal(0, 1, len(GENES)) * rng.lognormal(0, 0.7, (n, len(GENES)))
    return at(rng.uniform(0, side_um, (n, 2)), 1 + rng.poisson(level) - 1, GENES, **fields)


def noisy(tissue, weight=0.5, seed=1):
    """Predictions that know something of what was measured."""
    measured = tissue.measured(GENES)
    noise = np.random.default_rng(seed).normal(0, 1, measured.shape)
    return (weight * measured + noise).astype(np.float32)


@pytest.fixture(scope="module")
def one(at, told):
    tissue = drawn(at)
    values = noisy(tissue)
    return tissue, values, validate([tissue], told({"A": values}, GENES))


def test_figures_are_scipys_and_sklearns(one):
    tissue, predicted, found = one
    figures, measured = found.main.figures, tissue.measured(GENES)
    assert found.genes == GENES
    for g in range(0, 40, 5):
        p, m = predicted[:, g], measured[:, g]
        assert figures.r[g] == pytest.approx(pearsonr(p, m).statistic, abs=1e-6)
        assert figures.rho[g] == pytest.approx(spearmanr(p, m).statistic, abs=1e-6)
        if 10 <= np.count_nonzero(m) <= 150:
            assert figures.auc[g] == pytest.approx(roc_auc_score(m > 0, p), abs=1e-9)
        else:
            assert np.isnan(figures.auc[g])
        assert figures.rmse[g] == pytest.approx(np.sqrt(np.mean((p - m) ** 2)), abs=1e-6)
        assert figures.predicted_mean[g] == pytest.approx(p.mean(), abs=1e-6)
        assert figures.slope[g] == pytest.approx(np.polyfit(p, m, 1)[0], abs=1e-4)
        assert found.measured_mean[g] == pytest.approx(m.mean(), abs=1e-6)
        assert found.detected[g] == pytest.approx(np.mean(m > 0))


def test_what_a_validation_says_of_itself(one):
    tissue, predicted, found = one
    assert [r.name for r in found.results] == [
        "told",
        "ridge on 40 colour statistics",
        "training mean",
    ]
    assert [r.fitted_here for r in found.results] == [False, True, True]
    assert found.interval_over == "blocks"
    assert "4 strips" in found.held_out
    assert "of the 40 genes measured" in " ".join(found.warnings)
    facts = found.tissues[0]
    assert (facts.rows, facts.usable, facts.measured) == (160, 160, 160)
    assert facts.resolution == "single cells"
    maps = found.maps[0]
    np.testing.assert_array_equal(maps.predicted, predicted)
    np.testing.assert_array_equal(maps.measured, tissue.measured(GENES))
    inside = (found.main.figures.low <= found.main.figures.r) & (
        found.main.figures.r <= found.main.figures.high
    )
    assert inside.all()


def test_the_training_mean_is_no_prediction_of_where(one):
    """Its values differ between strips, and would correlate negatively with what is held out."""
    mean = one[2].results[2]
    assert mean.figures.r.tolist() == [0.0] * 40
    seen = (one[0].measured(GENES) > 0).sum(axis=0)
    expected = np.where(np.minimum(seen, 160 - seen) >= 10, 0.5, np.nan)
    assert 0 < np.isnan(expected).sum() < 20
    np.testing.assert_array_equal(mean.figures.auc, expected)
    assert np.isnan(mean.figures.slope).all()
    assert (mean.mean_low, mean.mean_high) == (0.0, 0.0)
    main = one[2].main
    assert (mean.ahead_low, mean.ahead_high) == pytest.approx((main.mean_low, main.mean_high))
    assert main.mean_low < np.mean(main.figures.r) < main.mean_high
    assert np.isnan(main.ahead_low)


def test_genes_taken_a_few_at_a_time_have_the_same_figures(one, told, monkeypatch):
    tissue, predicted, _ = one
    monkeypatch.setattr(bench, "MATCHED_POOL", 10)
    monkeypatch.setattr(random_genes, "MATCHED_POOL", 10)
    whole = validate([tissue], told({"A": predicted}, GENES))
    monkeypatch.setattr(bench, "_VALUES_AT_ONCE", 1)
    monkeypatch.setattr(bench, "_FEWEST_GENES", 7)
    again = told({"A": predicted}, GENES)
    found = validate([tissue], again)
    # Those by which rows are chosen; seven with ten neighbours to each side; for the mean; maps.
    assert again.calls == [40, 17, 24, 27, 27, 22, 15, 40, *[7] * 5, 5]
    for a, b in zip(found.results, whole.results, strict=True):
        for name in ("r", "rho", "low", "high", "auc", "rmse", "predicted_mean", "slope"):
            np.testing.assert_allclose(
                getattr(a.figures, name), getattr(b.figures, name), atol=1e-5, err_msg=name
            )
    np.testing.assert_allclose(found.random_r, whole.random_r, atol=1e-6)
    np.testing.assert_allclose(found.percentile, whole.percentile, atol=1e-6)
    np.testing.assert_array_equal(found.maps[0].predicted, whole.maps[0].predicted)


def test_sections_that_differ_in_their_mean_add_nothing(at, told):
    """Noise within each of two sections; in one of them both values are higher."""
    rng = np.random.default_rng(3)
    places = rng.uniform(0, 2000, (80, 2))
    genes = ("A", "B", "REST")
    parts, values = [], {}
    for name, level in (("S1", 1), ("S2", 60)):
        counts = np.column_stack([rng.poisson(level, (80, 2)), np.full(80, 400)])
        parts.append(at(places, counts, genes, name=name))
        shift = float(parts[-1].measured(genes).mean())
        values[name] = (shift + rng.normal(0, 0.1, (80, 3))).astype(np.float32)
    found = validate(parts, told(values, genes), baselines=[])
    r = found.main.figures.r
    pooled = pearsonr(
        np.concatenate([values[t.section.name][:, 0] for t in parts]),
        np.concatenate([t.measured(genes)[:, 0] for t in parts]),
    ).statistic
    assert pooled > 0.8
    assert abs(r[0]) < 0.2
    each = [
        pearsonr(values[t.section.name][:, 0], t.measured(genes)[:, 0]).statistic for t in parts
    ]
    assert r[0] == pytest.approx(np.mean(each), abs=1e-6)
    by_section = {g.name: g.r[0] for g in found.groups if g.kind == "section"}
    assert by_section == pytest.approx({"S1": each[0], "S2": each[1]}, abs=1e-6)


def test_patients_count_alike(at, told):
    """Two sections of P and one of each other patient; the interval is over five patients."""
    names = ["P1", "P2", "Q", "R", "S", "T"]
    tissues = [drawn(at, 60, seed, name=name, patient=name[0]) for seed, name in enumerate(names)]
    values = {t.section.name: noisy(t, seed=i) for i, t in enumerate(tissues)}
    found = validate(tissues, told(values, GENES), baselines=[TrainingMean()])
    each = {
        t.section.name: pearsonr(values[t.section.name][:, 3], t.measured(GENES)[:, 3]).statistic
        for t in tissues
    }
    of_p = (each["P1"] + each["P2"]) / 2
    expected = np.mean([of_p, *(each[name] for name in names[2:])])
    assert found.main.figures.r[3] == pytest.approx(expected, abs=1e-6)
    assert {g.name: g.r[3] for g in found.groups if g.kind == "patient"}["P"] == pytest.approx(of_p)
    assert found.interval_over == "patients"
    assert "mean over 5 patients" in found.interval_note
    assert "5 patients were held out" in found.held_out
    assert found.main.figures.low[3] < expected < found.main.figures.high[3]
    assert found.main.mean_low < found.main.mean_high


def test_right_across_and_wrong_within(at, told):
    """Simpson: two annotated types, of which one has more of everything, and noise within each."""
    rng = np.random.default_rng(6)
    types = np.repeat(["tumour", "stroma"], 60)
    level = np.where(types == "tumour", 30, 2)
    counts = np.column_stack([rng.poisson(level), np.full(120, 500)])
    tissue = at(rng.uniform(0, 2500, (120, 2)), counts, ("A", "REST"), types=tuple(types))
    values = np.column_stack([level + rng.normal(0, 1, 120)] * 2).astype(np.float32)
    found = validate([tissue], told({"A": values}, ("A", "REST")), baselines=[])
    within = {g.name: (g.rows, g.r[0]) for g in found.groups}
    assert found.main.figures.r[0] > 0.8
    assert {name: rows for name, (rows, _) in within.items()} == {"stroma": 60, "tumour": 60}
    for name, (_, r) in within.items():
        mine = types == name
        measured = tissue.measured(["A"])[mine, 0]
        assert r == pytest.approx(pearsonr(values[mine, 0], measured).statistic, abs=1e-6)
        assert abs(r) < 0.3


def test_rows_that_one_cannot_predict_are_left_out_for_all(at, told):
    tissue = drawn(at)
    main, other = noisy(tissue), noisy(tissue, seed=7)
    main[:10] = np.nan
    other[5:20] = np.nan
    rival = told({"A": other}, GENES[::-1][:30], name="rival")
    rival.values = {"A": other[:, ::-1][:, :30]}
    found = validate([tissue], told({"A": main}, GENES), baselines=[rival])
    assert found.tissues[0].rows == 140
    assert found.genes == GENES[10:]
    assert "20 of 160 cells of A were left out" in " ".join(found.warnings)
    expected = pearsonr(main[20:, 15], tissue.measured(GENES)[20:, 15]).statistic
    assert found.main.figures.r[5] == pytest.approx(expected, abs=1e-6)
    assert len(found.maps[0].row_um) == 140


def test_a_section_without_predictions_adds_nothing(at, told):
    tissues = [drawn(at, 100, seed, name=name) for seed, name in enumerate("AB")]
    values = {"A": noisy(tissues[0]), "B": np.full((100, 40), np.nan, np.float32)}
    values["B"][:12] = 1
    found = validate(tissues, told(values, GENES), baselines=[])
    assert [facts.rows for facts in found.tissues] == [100, 12]
    assert "B has 12 cells to compare, fewer than 20" in " ".join(found.warnings)
    assert found.held_out == "Nothing was fitted on this tissue."
    expected = pearsonr(values["A"][:, 2], tissues[0].measured(GENES)[:, 2]).statistic
    assert found.main.figures.r[2] == pytest.approx(expected, abs=1e-6)
    assert np.isfinite(found.random_r).all()
    values["B"][:] = np.nan
    without = validate(tissues, told(values, GENES), baselines=[])
    assert [facts.name for facts in without.tissues] == ["A"]
    assert [maps.tissue for maps in without.maps] == ["A"]
    assert "B was left out, because not one of its 100 cells is predicted" in " ".join(
        without.warnings
    )


def test_a_gene_that_is_missing_in_many_rows_does_not_cost_them(at, told):
    tissue = drawn(at, 300)
    values = noisy(tissue)
    values[:100, 4] = values[7, 5] = np.nan
    found = validate([tissue], told({"A": values}, GENES), baselines=[])
    assert found.tissues[0].rows == 299
    assert np.isnan(found.main.figures.r[4])
    assert np.isfinite(found.main.figures.r[5])
    assert "1 gene that told does not predict on all rows" in " ".join(found.warnings)
    values[np.arange(300), np.arange(300) % 40] = np.nan
    with pytest.raises(PastError, match=r"because 292 have some and lack others \(NaN\)"):
        validate([tissue], told({"A": values}, GENES), baselines=[])


def test_a_gene_without_some_values_has_no_figures(at, told):
    tissue = drawn(at, 300)
    values = noisy(tissue)
    variable = validate([tissue], told({"A": values}, GENES), baselines=[]).variable
    assert len(variable) == 40  # all of them: a gene with some NaN costs rows, not the gene
    values[:, 4] = np.nan
    found = validate([tissue], told({"A": values}, GENES), baselines=[])
    assert found.tissues[0].rows == 300
    figures = found.main.figures
    assert all(np.isnan(getattr(figures, f)[4]) for f in ("r", "rho", "auc", "rmse", "low"))
    assert np.isnan(found.percentile[4])
    assert np.isfinite(figures.r[5])
    assert "1 gene that told does not predict" in " ".join(found.warnings)


def test_tissue_that_was_trained_on_is_refused(at, told):
    tissues = [drawn(at, 40, seed, name=name) for seed, name in enumerate("AB")]
    values = {t.section.name: noisy(t) for t in tissues}
    knows = told(values, GENES, traces=TrainingTraces(images=(tissues[1].fingerprint,)))
    with pytest.raises(SeenTissue, match=r"trained on the H&E of B.*--seen-tissue"):
        validate(tissues, knows)
    assert knows.calls == []
    found = validate(tissues, knows, allow_seen=True, baselines=[], warnings=["Given."])
    assert found.seen == ("B",)
    assert found.warnings[0] == "Given."
    assert "was trained on the H&E of B" in found.warnings[1]


def test_values_of_an_unknown_unit_have_no_errors(at, told):
    tissue = drawn(at)
    found = validate([tissue], told({"A": noisy(tissue)}, GENES, unit=None), baselines=[])
    assert np.isnan(found.main.figures.rmse).all()
    assert np.isnan(found.main.figures.slope).all()
    assert np.isfinite(found.main.figures.r).all()
    assert "unknown unit" in " ".join(found.warnings)


@pytest.mark.parametrize(
    ("remark", "same"),
    [("", True), (", fitted to 100 µm spots", True), (" (at 20x)", True), (" z-scored", False)],
)
def test_a_remark_leaves_the_unit_and_another_word_does_not(at, told, remark, same):
    tissue = drawn(at, 40)
    unit = f"log1p(counts per 10k){remark}"
    found = validate([tissue], told({"A": noisy(tissue)}, GENES, unit=unit), baselines=[])
    assert np.isfinite(found.main.figures.rmse).all() == same
    assert ("errors and the slope are not told" in " ".join(found.warnings)) != same


def test_one_slide_is_not_of_two_patients(at, told):
    """By the file's content, and by what it looks like in another file."""
    for fields in ({"fingerprint": "a" * 64}, {"looks_like": "P1"}):
        given = {"P1": fields, "P2": {}, "P3": fields}
        parts = [drawn(at, 40, name=name, patient=name, **more) for name, more in given.items()]
        predictor = told({t.section.name: noisy(t) for t in parts}, GENES)
        with pytest.raises(
            PastError, match=r"^P1 and P3 show the same H&E .* P1 and P3; give"
        ) as e:
            validate(parts, predictor)
        assert "\n" not in str(e.value)
        assert predictor.calls == []


def test_one_slide_given_twice_is_one_section(at, told):
    """Of five patients; one has the same H&E in two files, and a section more."""
    given = [("P1", "P", "P1"), ("P2", "P", "P1"), ("P3", "P", "P3")]
    given += [(name, name, name) for name in "QRST"]
    tissues = [
        drawn(at, 60, seed, name=name, patient=patient, looks_like=looks)
        for seed, (name, patient, looks) in enumerate(given)
    ]
    values = {t.section.name: noisy(t, seed=i) for i, t in enumerate(tissues)}
    found = validate(tissues, told(values, GENES), baselines=[])
    r = [pearsonr(values[t.section.name][:, 3], t.measured(GENES)[:, 3]).statistic for t in tissues]
    of_p = ((r[0] + r[1]) / 2 + r[2]) / 2
    assert found.main.figures.r[3] == pytest.approx(np.mean([of_p, *r[3:]]), abs=1e-6)
    # Of the two files alone: nothing is held out, and no block counts twice.
    pair = validate(tissues[:2], told(values, GENES))
    assert [r.name for r in pair.results] == ["told"]
    assert pair.interval_over is None
    assert "lie on the same tissue would count twice" in pair.interval_note


def test_rows_that_are_apart_on_one_slide_keep_their_blocks(at, told):
    parts = [drawn(at, 200, i, name=name, fingerprint="a" * 64) for i, name in enumerate("AB")]
    predictor = told({part.section.name: noisy(part) for part in parts}, GENES)
    assert validate(parts, predictor, baselines=[]).interval_over is None
    parts[1].row_um[:, 0] += 4000
    assert validate(parts, predictor, baselines=[]).interval_over == "blocks"


def test_patients_with_too_few_rows_do_not_count(at, told):
    """Four large patients and one of 15 cells: no interval over five, but one over blocks."""
    tissues = [drawn(at, 200, seed, name=name, patient=name) for seed, name in enumerate("PQRS")]
    tissues.append(drawn(at, 15, 9, name="T", patient="T"))
    values = {t.section.name: noisy(t, seed=i) for i, t in enumerate(tissues)}
    found = validate(tissues, told(values, GENES), baselines=[])
    assert found.interval_over == "blocks"
    assert np.isfinite(found.main.figures.low).all()
    more = drawn(at, 40, 10, name="U", patient="U")
    values["U"] = noisy(more)
    found = validate([*tissues, more], told(values, GENES), baselines=[])
    assert found.interval_over == "patients"
    assert "mean over 5 patients" in found.interval_note
    assert "of the mean over such patients" in found.interval_note
    assert np.isfinite(found.main.figures.low).all()


def test_what_is_not_known_is_not_denied(at, told):
    """Neither what a table's maker was trained on, nor how far it sees."""
    tissue = drawn(at)
    values = {"A": noisy(tissue)}
    unknown = validate([tissue], told(values, GENES), baselines=[TrainingMean()])
    assert not unknown.traced
    said = " ".join(unknown.warnings)
    assert "What told was trained on is not known here" in said
    assert "How much H&E told sees around a row is not known" in said
    assert "training mean sees" not in said
    assert "as the validated predictor was not" not in unknown.held_out
    traces = TrainingTraces(images=("e" * 64,))
    known = validate(
        [tissue], told(values, GENES, traces=traces, field_um=60.0), baselines=[TrainingMean()]
    )
    assert known.traced
    assert "not known" not in " ".join(known.warnings)
    assert "as the validated predictor was not" in known.held_out


def test_spots_lie_where_nobody_can_tell(at, told):
    cells, spots = drawn(at, 40), drawn(at, 40, 1, name="ST1", spot_um=100.0)
    values = {"A": noisy(cells), "ST1": noisy(spots)}
    found = validate([cells, spots], told(values, GENES), baselines=[])
    assert sum("How far the spots of ST1 lie off" in one for one in found.warnings) == 1
    alone = validate([cells], told(values, GENES), baselines=[])
    assert "lie off" not in " ".join(alone.warnings)


def test_little_tissue_has_neither_baseline_nor_interval(at, told):
    tissue = drawn(at, 60, side_um=250.0)
    found = validate([tissue], told({"A": noisy(tissue)}, GENES))
    assert [r.name for r in found.results] == ["told"]
    assert found.interval_over is None
    assert np.isnan(found.main.figures.low).all()
    assert np.isnan(found.main.mean_low)
    assert found.held_out.startswith("No baseline was fitted")
    assert found.interval_note.startswith("No interval")
    assert re.search(r"amount to [0-5]\.\d\.$", found.interval_note)
    with pytest.raises(PastError, match="cannot be fitted on this tissue"):
        validate([tissue], told({"A": noisy(tissue)}, GENES, fitted_here=True))


def test_genes_that_were_asked_for(at, told):
    rng = np.random.default_rng(0)
    genes = ("ERBB2", "EPCAM", "REST")
    tissue = at(rng.uniform(0, 900, (30, 2)), rng.poisson(9, (30, 3)), genes)
    predictor = told({"A": noisy_of(tissue, genes)}, genes)
    found = validate([tissue], predictor, asked=["HER2", "EPCAM"], baselines=[])
    assert found.asked.tolist() == [0, 1]
    with pytest.raises(UnknownGene, match="both measured and predicted"):
        validate([tissue], predictor, asked=["KRT5"], baselines=[])


def noisy_of(tissue, genes):
    measured = tissue.measured(genes)
    return (measured + np.random.default_rng(2).normal(size=measured.shape)).astype(np.float32)


def test_many_genes_are_mapped_in_part(at, told, monkeypatch):
    monkeypatch.setattr("napari_past.validation.protocol._MAPPED_VALUES", 100)
    monkeypatch.setattr("napari_past.validation.protocol._EXTREMES", 2)
    monkeypatch.setattr("napari_past.validation.gene_choice.VARIABLE", 3)
    tissue = drawn(at)
    values = noisy(tissue)
    found = validate([tissue], told({"A": values}, GENES), asked=[GENES[7]], baselines=[])
    maps = found.maps[0]
    ranked = np.argsort(found.main.figures.r)
    assert {7, *found.variable.tolist(), *ranked[:2].tolist(), *ranked[-2:].tolist()} == set(
        maps.genes.tolist()
    )
    column = maps.column(7)
    assert column is not None
    np.testing.assert_array_equal(maps.predicted[:, column], values[:, 7])
    assert maps.column(next(g for g in range(40) if g not in maps.genes)) is None
    # The residual is of standardised values, whatever the units.
    p, m = (v[:, column].astype(float) for v in (maps.predicted, maps.measured))
    expected = (p - p.mean()) / p.std() - (m - m.mean()) / m.std()
    np.testing.assert_allclose(maps.residual(column), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"genes": ("OTHER",)}, "None of the 40 measured genes", id="genes"),
        pytest.param({"rows": 15}, "Only 15 of 160 measured rows", id="rows"),
        pytest.param({"shape": (3, 40)}, r"shape \(3, 40\) for 160 rows", id="shape"),
    ],
)
def test_what_cannot_be_compared(at, told, change, message):
    tissue = drawn(at)
    values = noisy(tissue)
    values[change.get("rows", 160) :] = np.nan
    if "shape" in change:
        values = values[: change["shape"][0]]
    with pytest.raises(PastError, match=message):
        validate([tissue], told({"A": values}, change.get("genes", GENES)), baselines=[])


def test_sections_need_names_of_their_own(at, told):
    tissue = drawn(at, 40)
    with pytest.raises(PastError, match="Two sections are called A"):
        validate([tissue, drawn(at, 40)], told({"A": noisy(tissue)}, GENES))
    with pytest.raises(PastError, match="No measured section"):
        validate([], told({}, GENES))


def test_it_can_be_stopped_between_steps(at, told):
    tissue = drawn(at)
    steps: list[str] = []
    predictor = told({"A": noisy(tissue)}, GENES)
    with pytest.raises(Cancelled):
        validate([tissue], predictor, watch=Watch(steps.append, cancelled=lambda: len(steps) > 1))
    assert steps == ["told predicts", "ridge on 40 colour statistics predicts"]
