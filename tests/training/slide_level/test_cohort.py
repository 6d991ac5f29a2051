"""Tables of patients: what is read of good ones, and what is told of bad ones."""

from __future__ import annotations

from dataclasses import replace

import anndata
import numpy as np
import pandas as pd
import pytest

from napari_past.errors import PastError
from napari_past.slide.thumbprint import same_tissue
from past_training.slide_level.cohort.cohort import CohortSlide
from past_training.slide_level.cohort.columns import CohortColumns
from past_training.slide_level.cohort.errors import BadCohort
from past_training.slide_level.cohort.read import read_cohort
from past_training.slide_level.cohort.whose import alike, check_whose

COLUMNS = CohortColumns(
    slide="file",
    patient="id",
    time="months",
    event="died",
    covariates=("age", "stage"),
    site="site",
    classes=("msi",),
)
TIME = (3.5, 9, 4, 12, 7, 1, 15, 6, 2, 10, 5, 8)
DIED = (1, 0, 1, 0, 1, 0, 1, 1, 0, 0, 1, 0)
AGE = (61, 55, 70, 48, 66, 59, 73, 52, 64, 57, 69, 50)


def good() -> pd.DataFrame:
    """Twelve patients; the first has a second slide."""
    patients = [*range(12), 0]
    return pd.DataFrame(
        {
            "file": [f"s{i}.svs" for i in range(13)],
            "id": [f"{k:03}" for k in patients],
            "months": [TIME[k] for k in patients],
            "died": [DIED[k] for k in patients],
            "age": [AGE[k] for k in patients],
            "stage": [("II", "III", "II")[k % 3] for k in patients],
            "site": [("north", "south")[k % 2] for k in patients],
            "msi": [("high", "stable", None)[k % 3] for k in patients],
        }
    )


def written(frame: pd.DataFrame, folder) -> str:
    frame.to_csv(folder / "t.csv", index=False)
    return str(folder / "t.csv")


@pytest.mark.parametrize("suffix", ["csv", "tsv", "semicolon", "parquet"])
def test_what_is_read(tmp_path, suffix):
    frame, path = good(), tmp_path / f"t.{suffix}"
    if suffix == "parquet":
        frame.to_parquet(path)
    else:
        path = path.with_suffix(".csv") if suffix == "semicolon" else path
        separator = {"csv": ",", "tsv": "\t", "semicolon": ";"}[suffix]
        frame.to_csv(path, index=False, sep=separator, encoding="utf-8-sig")
    cohort = read_cohort(path, COLUMNS)
    assert cohort.patients == tuple(f"{k:03}" for k in range(12))
    assert [slide.name for slide in cohort.slides_of("000")] == ["s0.svs", "s12.svs"]
    assert cohort.slides[3].place == str(tmp_path / "s3.svs")
    np.testing.assert_array_equal(cohort.time, np.array(TIME, float))
    np.testing.assert_array_equal(cohort.event, np.array(DIED, bool))
    assert cohort.covariates["age"].tolist() == list(map(float, AGE))
    assert cohort.covariates["stage"].tolist() == ["II", "III", "II"] * 4
    assert cohort.site == ("north", "south") * 6
    assert cohort.classes["msi"] == ("high", "stable", None) * 4
    assert cohort.notes == ("msi: no label of 4 of 12 patients.",)


def test_missing_covariates_stay_missing_and_are_told(tmp_path):
    frame = good()
    frame.loc[[4, 7], "age"] = np.nan
    cohort = read_cohort(written(frame, tmp_path), COLUMNS)
    assert np.flatnonzero(cohort.covariates["age"].isna()).tolist() == [4, 7]
    assert any(note.startswith("age: missing in 2 of 12 patients") for note in cohort.notes)


def test_lonely_sites_are_told(tmp_path):
    frame = good()
    frame["site"] = ["east", "west", *["north"] * 10, "east"]
    notes = read_cohort(written(frame, tmp_path), COLUMNS).notes
    assert "Sites with a single patient: east, west." in notes
    assert "Sites where no event was seen: west." in notes


def cell(row, column, value):
    def change(frame):
        frame[column] = frame[column].astype(object)
        frame.loc[row, column] = value
        return frame

    return change


def column(name, values):
    return lambda frame: frame.assign(**{name: [values[k] for k in [*range(12), 0]]})


def fold(values):
    return {"fold": "fold"}, column("fold", values)


HOSTILE = {
    "no time": (cell(3, "months", None), "no time of follow-up for 1 patient (003)"),
    "negative time": (cell(3, "months", -2), "a negative time of follow-up for 1 patient (003)"),
    "time of 0": (cell(3, "months", 0), "a time of follow-up of 0 for 1 patient"),
    "endless time": (cell(3, "months", "inf"), "no time of follow-up"),
    "time in words": (cell(3, "months", "a year"), "'a year' is none"),
    "event 2": (cell(3, "died", 2), "The event of patient 003 is '2'; write 1"),
    "no event told": (cell(3, "died", None), "The event of patient 003 is 'missing'"),
    "all censored": (column("died", [0] * 12), "No event was seen in any patient"),
    "two outcomes": (cell(12, "months", 4), "The patient 000 has two outcomes in t.csv"),
    "two ages": (cell(12, "age", 4), "The patient 000 has two values in t.csv: 'age'"),
    "no patient": (cell(3, "id", None), "Row 4 below the header of t.csv names no patient"),
    "no slide": (cell(3, "file", None), "1 row of t.csv without a slide (of 003)"),
    "slide of two": (cell(3, "file", "s2.svs"), "given for the patients 002 and 003; whose"),
    "slide twice": (cell(12, "file", "./s0.svs"), "s0.svs is given twice for the patient 000"),
    "row twice": (
        lambda f: pd.concat([f, f.iloc[[3]]]), "Rows 4 and 14 below the header of t.csv are alike",
    ),
    "constant": (column("age", [60] * 12), "'age' is the same in all patients"),
    "never told": (column("age", [None] * 12), "'age' is missing in all patients"),
    "endless": (cell(3, "age", "inf"), "'age' has an infinite value"),
    "a name": (column("stage", [f"x{k}" for k in range(12)]), "12 different texts in 12 patients"),
    "the time": (column("age", [30 * t + 1 for t in TIME]), "orders the patients as the time"),
    "time, falling": (column("age", [-t for t in TIME]), "orders the patients as the time does"),
    "the event": (column("stage", [("alive", "dead")[e] for e in DIED]), "tells the event of ever"),
    "by event": (column("age", [a + 100 * e for a, e in zip(AGE, DIED, strict=True)]), "parts the"),
    "missing by event": (
        column("age", [a if e else None for a, e in zip(AGE, DIED, strict=True)]),
        "is missing just where the event",
    ),
    "no site": (cell(3, "site", None), "'site' has no site for 1 patient (003)"),
    "one class": (column("msi", ["high", None] * 6), "'msi' has only 'high'"),
    "no such column": (lambda f: f.rename(columns={"died": "dead"}), "no column 'died'; did you"),
    "no row": (lambda f: f.iloc[:0], "has a header but no rows"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "told"), HOSTILE.values(), ids=HOSTILE)
def test_what_is_wrong_is_told(tmp_path, change, told):
    path = written(change(good()), tmp_path)
    with pytest.raises(BadCohort) as caught:
        read_cohort(path, COLUMNS)
    assert told in str(caught.value)


FOLDS = {
    "split": ([*"aabbccaabbcc"], 12, "b", "The patient 000 is in two folds"),
    "one": (["a"] * 12, None, None, "All patients are in the fold 'a'"),
    "no event": (
        ["b" if k in (1, 3) else "a" for k in range(12)], None, None,
        "No event was seen in the fold 'b' (all of its 2 patients censored)",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("values", "row", "value", "told"), FOLDS.values(), ids=FOLDS)
def test_folds_that_were_given(tmp_path, values, row, value, told):
    frame = column("fold", values)(good())
    columns = replace(COLUMNS, fold="fold")
    if row is not None:
        frame.loc[row, "fold"] = value
    with pytest.raises(BadCohort) as caught:
        read_cohort(written(frame, tmp_path), columns)
    assert told in str(caught.value)


def test_a_table_without_slides_has_a_patient_in_each_row(tmp_path):
    frame = good().iloc[:12].drop(columns="file")
    bare = CohortColumns(time="months", event="died", covariates=("age",))
    assert read_cohort(written(frame, tmp_path), bare).patients[:2] == ("1", "2")
    frame.loc[3, "id"] = "002"
    with pytest.raises(BadCohort, match="The patient 002 stands in several rows"):
        read_cohort(written(frame, tmp_path), replace(bare, patient="id"))


def test_pixel_sizes_and_regions_of_slides(tmp_path):
    frame = good().assign(mpp=[0.25, *[None] * 12], rois=["r.geojson", *[None] * 12])
    columns = replace(COLUMNS, mpp="mpp", rois="rois")
    slides = read_cohort(written(frame, tmp_path), columns).slides
    assert [slide.mpp for slide in slides[:2]] == [0.25, None]
    assert [slide.rois for slide in slides[:2]] == [str(tmp_path / "r.geojson"), None]
    frame.loc[4, "mpp"] = -1
    with pytest.raises(BadCohort, match="'mpp' must hold µm/px above 0"):
        read_cohort(written(frame, tmp_path), columns)


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"time": "months"}, "name both columns"),
        ({"slide": "file"}, r"\(--patient\)"),
        ({"time": "t", "event": "e", "covariates": ("t",)}, "as time and as a covariate"),
    ],
)
def test_columns_that_contradict_each_other(columns, told):
    with pytest.raises(BadCohort, match=told):
        CohortColumns(**columns)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("t.xlsx", "PK", "give a .csv, .tsv or .parquet"),
        ("t.csv", "id,id\n1,2\n", "the column 'id' twice"),
        ("t.parquet", "no parquet", "cannot be read as a table"),
        ("t.csv", "", "cannot be read as a table"),
    ],
)
def test_files_that_are_no_tables(tmp_path, name, text, told):
    (tmp_path / name).write_text(text)
    with pytest.raises(BadCohort, match=told):
        read_cohort(tmp_path / name, CohortColumns(patient="id"))


RNA = pd.DataFrame({"id": ["003", "000", "zz"], "ERBB2": [1.0, 2, 3], "ESR1": [4.0, 5, 6]})


@pytest.mark.parametrize("suffix", ["csv", "parquet", "h5ad"])
def test_measured_rna_is_matched_by_patient(tmp_path, suffix):
    path = tmp_path / f"rna.{suffix}"
    if suffix == "csv":
        RNA.to_csv(path, index=False)
    elif suffix == "parquet":
        RNA.set_index("id").to_parquet(path)
    else:
        anndata.AnnData(RNA.set_index("id")).write_h5ad(path)
    cohort = read_cohort(written(good(), tmp_path), COLUMNS, rna=path)
    assert cohort.rna_genes == ("ERBB2", "ESR1")
    assert cohort.rna[[0, 3]].tolist() == [[2, 5], [1, 4]]
    assert np.isnan(cohort.rna[[1, 2, 4]]).all()
    assert "There is no measured RNA of 10 patients" in " ".join(cohort.notes)
    assert f"1 id in {path.name} of nobody in the table (zz)." in cohort.notes


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda f: f.assign(id=["x", "y", "z"]), "None of the 3 ids"),
        (lambda f: f.assign(id=["000", "000", "001"]), "1 id twice"),
        (lambda f: f.assign(ESR1=[np.nan, 1, 2]), "missing or infinite values of 1 patient (003)"),
        (lambda f: f.assign(ESR1=["high", "1", "2"]), "something that is no number"),
        (lambda f: f[["id"]], "no numbers beside its ids"),
    ],
)
def test_rna_that_cannot_be_used(tmp_path, change, told):
    change(RNA).to_csv(tmp_path / "rna.csv", index=False)
    with pytest.raises(BadCohort) as caught:
        read_cohort(written(good(), tmp_path), COLUMNS, rna=tmp_path / "rna.csv")
    assert told in str(caught.value)


def test_vectors_of_reports(tmp_path):
    vectors = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.savez(tmp_path / "text.npz", ids=np.array(["001", "000"]), vectors=vectors)
    cohort = read_cohort(written(good(), tmp_path), COLUMNS, text=tmp_path / "text.npz")
    np.testing.assert_array_equal(cohort.text[:2], vectors[::-1])
    np.savez(tmp_path / "text.npz", ids=np.array(["001"], object), vectors=vectors)
    with pytest.raises(PastError, match="must hold the arrays ids"):
        read_cohort(written(good(), tmp_path), COLUMNS, text=tmp_path / "text.npz")


def thumbprints() -> list[str]:
    """Three drawn ones: the second is the first mirrored, turned and with some noise."""
    rng = np.random.default_rng(4)
    first, third = rng.integers(0, 16, (2, 32, 32))
    noise = rng.integers(-1, 2, (32, 32))
    second = np.clip(np.rot90(first[:, ::-1]) + noise, 0, 15)
    return ["".join(f"{v:x}" for v in fields.ravel()) for fields in (first, second, third)]


def test_tissue_is_known_again_as_one_by_one():
    prints = thumbprints()
    expected = [
        (i, j) for i in range(3) for j in range(i + 1, 3) if same_tissue(prints[i], prints[j])
    ]
    assert expected == [(0, 1)]
    assert alike(["", prints[0], "", prints[1], prints[2]]) == [(1, 3)]


def slides(*given):
    return [CohortSlide(name, name, patient, mark) for name, patient, mark in given]


def test_one_slide_under_two_names():
    prints = thumbprints()
    two = slides(("a.svs", "P", "f1"), ("b.tif", "Q", "f2"))
    with pytest.raises(BadCohort, match=r"a.svs of the patient P and b.tif of .* the same tissue"):
        check_whose(two, prints[:2])
    same = slides(("a.svs", "P", "f1"), ("b.h5ad", "Q", "f1"))
    with pytest.raises(BadCohort, match="are the same H&E"):
        check_whose(same, [prints[0], ""])
    twice = slides(("a.svs", "P", "f1"), ("b.h5ad", "P", "f1"))
    with pytest.raises(BadCohort, match="would count twice"):
        check_whose(twice, [prints[0], ""])
    parts = slides(("a.h5ad", "P", "f1"), ("b.h5ad", "P", "f1"), ("c.h5ad", "Q", ""))
    assert check_whose(parts, ["", "", ""]) == ["a.h5ad and b.h5ad hold cells of the same H&E."]
