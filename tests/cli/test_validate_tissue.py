"""``validate SLIDE MEASURED``: from files to a page, a table of genes and a badge."""

from __future__ import annotations

from html import unescape

import anndata
import numpy as np
import pandas as pd
import pytest

from napari_past import find_cells, open_slide
from napari_past.model import load_model
from napari_past.model.lab_evidence import read_lab_evidence
from napari_past.types import RESEARCH_USE

PLACED = ("--unit", "px", "--mpp", 1)
GENES = ("ERBB2", "EPCAM", "CD3D", "KRT5", "ACTB", "GAPDH")


@pytest.fixture(scope="module")
def measured(phantom, tmp_path_factory):
    """Counts on the phantom's nuclei, in pixels, of which the first genes follow the place.

    It is shown at 1 µm/px, twice as large as it was drawn, so that strips can be held out.
    """
    with open_slide(phantom) as slide:
        xy_px = find_cells(slide).centers_um[::2] / 0.5 - 0.5
    rng = np.random.default_rng(0)
    wave = np.sin(xy_px[:, :1] / 120 + np.arange(6)) + np.cos(xy_px[:, 1:] / 100 + np.arange(6))
    table = anndata.AnnData(
        rng.poisson(np.exp(1.5 + wave)).astype(np.float32) + (np.arange(6) == 4),
        obs=pd.DataFrame(index=[f"cell-{i}" for i in range(len(xy_px))]),
        var=pd.DataFrame(index=list(GENES)), obsm={"spatial": xy_px},
    )  # fmt: skip
    table.obs["type"] = np.where(xy_px[:, 0] < 512, "left", "right")
    file = tmp_path_factory.mktemp("measured") / "measured.h5ad"
    table.write_h5ad(file)
    return file


@pytest.fixture(scope="module")
def predicted(measured):
    """What was measured and noise, by the cells' ids; the last gene is noise alone."""
    table = anndata.read_h5ad(measured)
    counts = np.asarray(table.X)
    values = np.log1p(counts / counts.sum(1, keepdims=True) * 1e4)
    values += np.random.default_rng(1).normal(0, 0.5, values.shape)
    values[:, 5] = np.random.default_rng(2).normal(size=len(values))
    file = measured.with_name("mine.csv")
    pd.DataFrame(values, index=table.obs_names, columns=list(GENES)).to_csv(file)
    return file


def r_of(out, gene):
    return pd.read_csv(out.with_suffix(".genes.csv"), index_col="gene").r[gene]


def test_an_imported_table(command, phantom, measured, predicted, tmp_path):
    out = tmp_path / "v.html"
    done = command(
        "validate", phantom, measured, *PLACED, "--types", "type", "--predictions",
        predicted, "--predicted-unit", "log1p(counts per 10k)", "--genes", "HER2", "--out", out,
    )  # fmt: skip
    assert done.code == 0, done.err
    table, counts = pd.read_csv(predicted, index_col=0), anndata.read_h5ad(measured).X
    truth = np.log1p(counts / counts.sum(1, keepdims=True) * 1e4)
    for i, gene in enumerate(GENES):
        expected = np.corrcoef(table[gene], truth[:, i])[0, 1]
        assert r_of(out, gene) == pytest.approx(expected, abs=1e-4)
    n = len(table)
    assert f"Compared on the 6 most variable genes, {n} rows" in done.out
    assert (
        f"note: {n} of {n} cells of measured have a prediction in mine.csv, found by id. It "
        "has no places to check that by" in done.out
    )
    assert "ridge on 40 colour statistics *" in done.out
    assert "ERBB2" in done.out
    assert done.out.endswith(f"{RESEARCH_USE}\n")
    for file in (out, out.with_suffix(".genes.csv"), out.with_suffix(".validation.json")):
        assert f"written to {file}" in done.out
    html = unescape(out.read_text(encoding="utf-8"))
    assert "Validation of mine.csv" in html
    assert "<td>left</td>" in html
    assert read_lab_evidence(out.with_suffix(".validation.json")).genes["ERBB2"].within.keys() == {
        "cell type left", "cell type right"
    }  # fmt: skip


def test_a_model_becomes_this_labs_evidence(
    command, phantom, measured, tiny_model_file, tmp_path, monkeypatch
):
    monkeypatch.setenv("NAPARI_PAST_DATA_HOME", str(tmp_path / "home"))
    out = tmp_path / "v.md"
    asked = (
        "validate",
        phantom,
        measured,
        *PLACED,
        "--model",
        tiny_model_file,
        "--out",
        out,
    )
    done = command(*asked, "--patient", "Jane", "--use")
    assert done.code == 0, done.err
    assert "this lab's evidence of tiny from now on" in done.out
    evidence = read_lab_evidence(out.with_suffix(".validation.json"))
    assert evidence.genes.keys() == {"ERBB2", "EPCAM", "CD3D", "KRT5"}
    assert evidence.model_sha256 == load_model(tiny_model_file).sha256
    label = load_model(tiny_model_file).reliability("ERBB2").label
    assert label.startswith(f"your lab: 1 patient · single cells · r {r_of(out, 'ERBB2'):.2f}")
    assert "Jane" not in out.with_suffix(".validation.json").read_text()
    assert command("models", "evidence", tiny_model_file, "--own").code == 0
    assert "your lab" not in load_model(tiny_model_file).reliability("ERBB2").label


def test_a_tower_gets_a_ridge(command, phantom, measured, tiny_model_file, tmp_path):
    done = command(
        "validate", phantom, measured, *PLACED, "--tower", tiny_model_file, "--out",
        tmp_path / "v.html",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "ridge on the frozen tower of tiny *" in done.out


def test_training_tissue_is_refused_unless_asked_for(
    command, told_once, phantom, measured, write_tiny_model, tmp_path
):
    with open_slide(phantom) as slide:
        model = write_tiny_model(
            tmp_path / "t.safetensors", training_fingerprints=(slide.fingerprint,)
        )
    out = tmp_path / "v.html"
    asked = (
        "validate",
        phantom,
        measured,
        "--unit",
        "px",
        "--mpp",
        1,
        "--model",
        model,
        "--out",
        out,
    )
    done = command(*asked)
    assert done.code == 2
    assert "was trained on the H&E of measured" in done.err
    assert done.err.rstrip().endswith("with --seen-tissue, and the result will say so.")
    assert not out.exists()
    done = command(*asked, "--seen-tissue")
    assert done.code == 0, done.err
    assert "(trained on this tissue)" in done.out
    assert read_lab_evidence(out.with_suffix(".validation.json")).seen == ("measured",)


def test_sections_of_a_table(command, phantom, measured, predicted, tmp_path):
    """Halves of the tissue as two sections of a patient, each with predictions of its own."""
    whole, values = anndata.read_h5ad(measured), pd.read_csv(predicted, index_col=0)
    lines = []
    for name, rows in (("a", slice(None, None, 2)), ("b", slice(1, None, 2))):
        whole[rows].copy().write_h5ad(tmp_path / f"{name}.h5ad")
        values.iloc[rows].to_csv(tmp_path / f"{name}.csv")
        lines.append(f"{phantom},{name}.h5ad,P,px,1.0,{name}.csv")
    table = tmp_path / "sections.csv"
    table.write_text("slide,measured,patient,unit,mpp,predictions\n" + "\n".join(lines) + "\n")
    done = command("validate", table, "--out", tmp_path / "v.html")
    assert done.code == 0, done.err
    table = pd.read_csv(tmp_path / "v.genes.csv", index_col="gene")
    assert {"r in section a", "r in section b"} <= set(table.columns)
    mean = (table["r in section a"] + table["r in section b"]) / 2
    np.testing.assert_allclose(table.r, mean, atol=1e-5)


def test_a_told_field_keeps_rows_apart(command, told_once, phantom, measured, predicted, tmp_path):
    asked = ("validate", phantom, measured, *PLACED, "--predictions", predicted)
    done = command(*asked, "--field-um", 170, "--out", tmp_path / "v.html")
    assert done.code == 0, done.err
    assert "rows 170 µm or more away from those that were held out" in done.out
    (tmp_path / "x.validation.json").write_text("{}")
    told = told_once(command(*asked, "--out", tmp_path / "x.html"))
    assert "x.validation.json would be written beside x.html, but is there already" in told


def test_ctrl_c_is_told(command, phantom, measured, tmp_path):
    (tmp_path / "m.py").write_text(
        "class M:\n    name, mpp, crop_px = 'm', 1.0, 16\n"
        "    def embed(self, crops, xy_um):\n        raise KeyboardInterrupt\n"
    )
    done = command(
        "validate", phantom, measured, *PLACED, "--adapter", f"{tmp_path}/m.py:M",
        "--out", tmp_path / "v.html",
    )  # fmt: skip
    assert done.code == 130
    assert "napari-past: cancelled" in done.err
    assert not (tmp_path / "v.html").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["SLIDE"], "1 file was given where SLIDE MEASURED, or a table of sections"),
        (["SLIDE", "MEASURED", "MEASURED"], "3 files were given"),
        (["SLIDE", "nowhere.h5ad"], "nowhere.h5ad does not exist"),
        (["SLIDE", "MEASURED"], "does not tell the unit of its positions"),
        (["SLIDE", "MEASURED", "--section", "C"], "--section means nothing for anndata"),
        (["SLIDE", "MEASURED", "--seen-patients"], "--seen-patients means nothing here"),
        (["SLIDE", "MEASURED", "--tower", "x", "--model", "y"], "one predictor is validated"),
        (["SLIDE", "MEASURED", "--tower", "resnet50"], "`past-train tower resnet50 --out"),
        (["SLIDE", "MEASURED", "--use", "--predictions", "MEASURED"], "give it with --model alone"),
        (["SLIDE", "MEASURED", "--placed-in", "um"], "but none was given"),
        (["SLIDE", "MEASURED", "--field-um", "9"], "--field-um is of a table of predictions"),
        (["SLIDE", "MEASURED", "--field-um", "nan"], "--field-um is nan, but the width in µm"),
        (["SLIDE", "MEASURED", "--unit", "px", "--spot-diameter", "nan"], "given as nan µm, but"),
        (["SLIDE", "MEASURED", "--genes", "all"], "--genes names some genes"),
        (["SLIDE", "MEASURED", "--adapter", "mine.py"], "where FILE.py:NAME was expected"),
        (["TABLE"], "has a column 'colour'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_are_one_sentence(command, told_once, phantom, measured, words, message, tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("slide,measured,colour\na,b,c\n")
    files = {"SLIDE": phantom, "MEASURED": measured, "TABLE": table}
    done = command("validate", *(files.get(w, w) for w in words), "--out", tmp_path / "v.html")
    assert done.code == 2
    # Before the sentence a line may tell what was being read.
    assert message in done.err.splitlines()[-1]
    assert done.out == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("measured\na\n", "has no column slide"),
        ("slide,measured\n", "names no section"),
        ("slide,measured\na,\n", "Line 2 of t.csv has no measured"),
        ("slide,measured,mpp\na,b,much\n", "has mpp 'much' where a number was expected"),
        ("slide,measured,unit\na,b,mm\n", "has unit 'mm'; give um or px"),
    ],
    ids=["slide", "empty", "cell", "number", "unit"],
)
def test_mistakes_in_a_table_are_one_sentence(command, told_once, text, message, tmp_path):
    (tmp_path / "t.csv").write_text(text)
    assert message in told_once(command("validate", tmp_path / "t.csv", "--out", tmp_path / "v.md"))
