"""The page, its table of genes and its pictures say what the validation found, and nothing else."""

from __future__ import annotations

import io
import re
from base64 import b64decode
from dataclasses import replace
from html import unescape

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from napari_past.errors import CannotWrite
from napari_past.model.lab_evidence import read_lab_evidence
from napari_past.report.document import Warnings
from napari_past.report.palette import DIVERGING, colours
from napari_past.types import RESEARCH_USE
from napari_past.validation.page import predictor_table, signed, validation_page, write_validation
from napari_past.validation.protocol import validate
from napari_past.validation.result import RowMaps, Validation, mean_r, standardised
from napari_past.validation.row_map import gene_maps

GENES = tuple(f"G{i}" for i in range(8)) + ("EPCAM", "COL1A1", "PTPRC", "ACTB")


@pytest.fixture(scope="module")
def found(at, told) -> Validation:
    """Cells of three types on a wavy tissue; genes are predicted ever worse along their list."""
    rng = np.random.default_rng(0)
    xy = rng.uniform(0, (3000, 2400), (240, 2))
    wave = np.sin(xy[:, :1] / 500 + np.arange(12)) + np.cos(xy[:, 1:] / 400 + np.arange(12))
    counts = rng.poisson(np.exp(1 + 0.6 * wave)) + 1.0 * (np.arange(12) == 11)
    part = at(xy, counts, GENES, fingerprint="a" * 64, types=("tumour", "stroma", "immune") * 80)
    noise = rng.normal(0, 1, (240, 12)) * np.linspace(0.1, 4, 12)
    values = (part.measured(GENES) + noise).astype(np.float32)
    return validate(
        [part], told({"A": values}, GENES, name="mine <1>"), asked=["CD45"],
        warnings=["Cells lie 3 µm beside their nuclei."],
    )  # fmt: skip


def cells_of(html: str, title: str) -> list[list[str]]:
    """The table below a heading, as text."""
    table = html.split(f"<h2>{title}</h2>")[1].split("</table>")[0]
    rows = re.findall(r"<tr>(.*?)</tr>", table)
    return [[unescape(c) for c in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row)] for row in rows]


def as_number(text: str) -> float:
    return float(text.replace("−", "-").rstrip("%"))


def test_page_has_the_figures_of_the_validation(found, tmp_path):
    page, *_ = write_validation(found, tmp_path / "v.html")
    html = page.read_text(encoding="utf-8")
    main = found.main.figures
    head, *rows = cells_of(html, "Compared on the 12 most variable genes")
    assert [row[0] for row in rows] == [
        "mine <1>", "ridge on 40 colour statistics *", "training mean *"
    ]  # fmt: skip
    for row, result in zip(rows, found.results, strict=True):
        assert as_number(row[1]) == pytest.approx(mean_r(result.figures, found.variable), abs=0.005)
        low, high = (as_number(t) for t in row[2].split(" to "))
        assert (low, high) == pytest.approx((result.mean_low, result.mean_high), abs=0.005)
    head, *rows = cells_of(html, "Genes, by r")
    assert head[:3] == ["gene", "r", "95 % interval"]
    assert head[-2:] == ["r of ridge on 40 colour statistics", "r of training mean"]
    r = [as_number(row[1]) for row in rows]
    assert r == sorted(r, reverse=True)
    place = {gene: i for i, gene in enumerate(found.genes)}
    for row in rows:
        gene = place[row[0]]
        assert as_number(row[1]) == pytest.approx(main.r[gene], abs=0.005)
        assert as_number(row[5]) == pytest.approx(found.percentile[gene], abs=0.5)
        assert as_number(row[6]) == pytest.approx(100 * found.detected[gene], abs=0.5)
    groups = cells_of(html, "Within regions, cell types, sections and patients")[1:]
    assert [row[:3] for row in groups] == [
        ["cell type", name, "80"] for name in ("immune", "stroma", "tumour")
    ]
    assert RESEARCH_USE in unescape(html)
    assert "mine &lt;1&gt;" in html
    assert "mine <1>" not in html
    assert html.index("3 µm beside their nuclei") < html.index("<h2>")
    assert found.interval_note in unescape(html)
    assert not re.search(r'(src|href)="http', html)


def test_what_nobody_knows_is_not_denied(found, tmp_path):
    page, *_ = write_validation(found, tmp_path / "v.html")
    html = unescape(page.read_text(encoding="utf-8"))
    assert cells_of(html, "Tissue")[1][-1] == "not known"
    known = replace(found, traced=True)
    page, *_ = write_validation(known, tmp_path / "w.html")
    assert cells_of(page.read_text(encoding="utf-8"), "Tissue")[1][-1] == "no"
    scored = np.isfinite(found.main.figures.auc[found.variable]).sum()
    assert 0 < scored < 12
    assert f"The mean AUC is over {scored} of these genes" in html


def test_the_same_validation_gives_the_same_bytes(found, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_validation(found, tmp_path / name / "v.md")
    files = sorted(p.name for p in (tmp_path / "a").iterdir())
    assert {
        "v.md",
        "v-r.svg",
        "v-means.svg",
        "v-map-PTPRC.svg",
        "v.genes.csv",
        "v.validation.json",
    } <= set(files)
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    text = (tmp_path / "a" / "v.md").read_text(encoding="utf-8")
    for name in files:
        assert name in (*("v.md", "v.genes.csv", "v.validation.json"),) or f"({name})" in text


def test_files_beside_it(found, tmp_path):
    _, genes, evidence = write_validation(found, tmp_path / "v.html")
    table = pd.read_csv(genes, index_col="gene")
    assert table.r.is_monotonic_decreasing
    assert set(table.index) == set(GENES)
    place = {gene: i for i, gene in enumerate(found.genes)}
    order = [place[gene] for gene in table.index]
    np.testing.assert_allclose(table.r, found.main.figures.r[order], atol=1e-6)
    np.testing.assert_allclose(table.detection_auc, found.main.figures.auc[order], atol=1e-6)
    tumour = next(g for g in found.groups if g.name == "tumour")
    np.testing.assert_allclose(table["r in cell type tumour"], tumour.r[order], atol=1e-6)
    kept = read_lab_evidence(evidence)
    assert kept.model == "mine <1>"
    assert kept.genes["EPCAM"].r == pytest.approx(table.r["EPCAM"], abs=1e-4)


def test_trained_tissue_is_told_where_nobody_overlooks_it(at, told, tmp_path):
    from napari_past.model.traces import TrainingTraces

    rng = np.random.default_rng(1)
    part = at(rng.uniform(0, 900, (60, 2)), rng.poisson(3, (60, 4)) + 1.0, GENES[:4])
    values = rng.normal(size=(60, 4)).astype(np.float32)
    model = told({"A": values}, GENES[:4], traces=TrainingTraces(images=(part.fingerprint,)))
    page = validation_page(validate([part], model, allow_seen=True))
    warnings = next(part for part in page.parts if isinstance(part, Warnings))
    assert "was trained on the H&E of A" in warnings.sentences[0]
    table = predictor_table(validate([part], model, allow_seen=True))
    assert table.rows[0][0] == "told (trained on this tissue)"


@pytest.mark.parametrize("name", ["v.validation.json", "v.genes.csv"])
def test_files_of_others_beside_it_stay(found, tmp_path, name):
    (tmp_path / "v.json").write_text("{}")
    for _ in range(2):  # its own are written anew
        write_validation(found, tmp_path / "v.html")
    assert (tmp_path / "v.json").read_text() == "{}"
    (tmp_path / name).write_text('{"gene": 1}')
    page = (tmp_path / "v.html").stat().st_mtime_ns
    with pytest.raises(CannotWrite, match=f"{name} would be written beside v.html, but is there"):
        write_validation(found, tmp_path / "v.html")
    assert (tmp_path / name).read_text() == '{"gene": 1}'
    assert (tmp_path / "v.html").stat().st_mtime_ns == page


def test_zero_has_no_sign():
    assert [signed(v) for v in (-0.004, 0.004, -0.006, float("nan"))] == [
        "0.00",
        "0.00",
        "−0.01",
        "–",
    ]


def test_other_suffixes_are_refused(found, tmp_path):
    with pytest.raises(CannotWrite, match=r"end the name in \.html or \.md"):
        write_validation(found, tmp_path / "v.pdf")


# ---- maps -----------------------------------------------------------------------------------


def pictures(svg: str) -> list[np.ndarray]:
    """The pixels of the pictures in an SVG, in order, without their opacity."""
    data = re.findall(r"base64,([^\"]+)", svg)
    return [np.asarray(Image.open(io.BytesIO(b64decode(d))).convert("RGBA")) for d in data]


@pytest.mark.parametrize("same_unit", [True, False], ids=["one unit", "two units"])
def test_maps_have_the_colours_of_the_values(same_unit):
    """A spot at each corner of a square of 2 mm, and one in the middle."""
    xy = np.array([[0, 0], [2000, 0], [0, 2000], [2000, 2000], [1000, 1000]], float) + 500
    measured = np.array([0, 1, 2, 3, 4], np.float32)
    predicted = np.array([4, 1, 2, 3, 0], np.float32)
    maps = RowMaps("A", xy, 200.0, np.array([7]), measured[:, None], predicted[:, None])
    svg = gene_maps(maps, 0, "ERBB2", "mine", same_unit)
    shown = (
        [measured, predicted] if same_unit else [standardised(measured), standardised(predicted)]
    )
    low, high = np.quantile(np.concatenate(shown), (0.01, 0.99))
    one, _, two, _, three, _ = pictures(svg)
    residual = colours(maps.residual(0), -2, 2, DIVERGING)
    expected = [*(colours(v, low, high) for v in shown), residual]
    for picture, rgb in zip((one, two, three), expected, strict=True):
        side = picture.shape[0]
        assert picture.shape[1] == side
        # 150 µm beyond the outermost centres.
        at = ((xy - xy.min(0) + 150) / 2300 * side).astype(int)
        np.testing.assert_array_equal(picture[at[:, 1], at[:, 0], :3], rgb)
        assert (picture[at[:, 1], at[:, 0], 3] == 255).all()
        assert picture[side // 2, side // 4, 3] == 0
    assert "500 µm" in svg
    assert "by mine" in svg
    assert ("log1p(counts per 10k)" in svg) == same_unit
    # The bar is as long as it says: 2300 µm are 60 mm.
    (length_mm,) = re.findall(r'<path d="M0\.00 [\d.]+L([\d.]+) ', svg)
    assert float(length_mm) == pytest.approx(500 / 2300 * 60, abs=0.01)
