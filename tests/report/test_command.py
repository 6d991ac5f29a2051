from __future__ import annotations

import json
import shutil
from html.parser import HTMLParser
from pathlib import Path

import anndata
import pytest
from pypdf import PdfReader

from napari_past.model import load_model
from napari_past.model.calibration import Agreement, Calibration, PatientResiduals
from napari_past.model.files import copy_with_card
from napari_past.sample import write_phantom
from napari_past.slide import open_slide
from napari_past.types import MEASURED_RESEARCH_USE, RESEARCH_USE


class _Reader(HTMLParser):
    """Cells of tables by line, texts, and all values of attributes that could fetch something."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[list[str]] = []
        self.texts: list[str] = []
        self.fetched: list[str] = []
        self._cell = False

    def handle_starttag(self, tag, attrs):
        self.fetched += [v for k, v in attrs if k in ("href", "src", "srcset", "data", "action")]
        if tag in ("link", "script", "iframe", "object", "form", "input"):
            self.fetched.append(tag)
        if tag == "tr":
            self.lines.append([])
        self._cell = tag in ("td", "th")

    def handle_endtag(self, tag):
        self._cell = False

    def handle_data(self, data):
        self.texts.append(data)
        if self._cell:
            self.lines[-1].append(data)


def read_html(path):
    reader = _Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    return reader


def pdf_texts(path):
    return [" ".join(page.extract_text().split()) for page in PdfReader(path).pages]


def by_column(reader):
    head, *rows = reader.lines
    return [dict(zip(head, row, strict=True)) for row in rows]


@pytest.fixture(scope="module")
def rois(tmp_path_factory):
    """Three regions of the slide, the last ignored, in pixels."""

    def feature(name, role, x0, y0, x1, y1):
        ring = [[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]
        return {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [ring]},
            "properties": {
                "objectType": "annotation",
                "name": name,
                "classification": {"name": role},
            },
        }

    features = [
        feature("Left <1>", "Tumor", 100, 100, 500, 700),
        feature("Right", "Stroma", 500, 100, 1000, 700),
        feature("Fold", "Ignore*", 400, 300, 600, 400),
    ]
    path = tmp_path_factory.mktemp("rois") / "rois.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def scored(command, cells, *options):
    """The rows that `score` prints, as {column: text}; names of regions hold one blank at most."""
    done = command("score", cells, *options)
    assert done.code == 0, done.err
    lines = [line.split("  ") for line in done.out.splitlines() if "  " in line]
    lines = [[text.strip() for text in line if text.strip()] for line in lines]
    head = lines[0]
    return [dict(zip(head, line, strict=True)) for line in lines[1:]]


@pytest.mark.parametrize("marker", ["HER2", "MKI67", "Ki67"])
@pytest.mark.parametrize("from_slide", [False, True], ids=["cells", "slide"])
def test_the_numbers_are_those_of_score(command, slide, cells, rois, tmp_path, marker, from_slide):
    asked = ("--marker", marker, "--rois", rois)
    out = tmp_path / "report.html"
    done = command("report", slide if from_slide else cells, *asked, "--out", out)
    assert done.code == 0, done.err
    told = by_column(read_html(out))
    expected = scored(command, cells, *asked)
    assert [row["region"] for row in told] == ["Left <1>", "Right"]
    names = {"area mm²": "mm²", "cells/mm²": "n/mm²"}
    for ours, theirs in zip(told, expected, strict=True):
        assert ours.pop("no.")
        ours = {names.get(name, name): text for name, text in ours.items()}
        assert ours == theirs


def test_html_needs_nothing_else(command, cells, tmp_path):
    out = tmp_path / "report.html"
    done = command("report", cells, "--marker", "HER2", "--case", "<S 26>", "--out", out)
    assert done.code == 0, done.err
    reader = read_html(out)
    assert reader.fetched
    assert all(value.startswith("data:image/jpeg;base64,") for value in reader.fetched)
    text = " ".join(reader.texts)
    assert "http" not in text
    assert "url(" not in text
    assert "@import" not in text
    assert RESEARCH_USE in text
    assert "<S 26>" in text
    for field in ("diagnosis", "signature", "signed"):
        assert field not in text.lower()


def test_a_page_for_each_slide_of_a_folder(command, slide, tmp_path):
    folder = tmp_path / "slides"
    folder.mkdir()
    shutil.copy(slide, folder / "a.tif")
    write_phantom(folder / "b.tif", 640, 512, seed=3)
    (folder / "notes.txt").write_text("no slide")
    out = tmp_path / "all.pdf"
    done = command("report", folder, "--marker", "HER2", "--case", "S26-7 Ä", "--out", out)
    assert done.code == 0, done.err
    assert done.out.splitlines()[0] == f"{out}: 2 pages of 2 slides"
    texts = pdf_texts(out)
    assert len(texts) == 2
    for i, (text, name) in enumerate(zip(texts, ("a.tif", "b.tif"), strict=True), 1):
        with open_slide(folder / name) as opened:
            fingerprint = opened.fingerprint
        assert name in text
        assert RESEARCH_USE in text
        assert "S26-7 Ä" in text
        assert f"past-mini, version {load_model('past-mini').card.version}" in text
        assert load_model("past-mini").sha256 in text
        assert fingerprint in text
        assert " ".join(fingerprint[k : k + 4] for k in range(0, 16, 4)) in text
        assert "not calibrated" in text
        assert f"page {i} of 2" in text


def test_a_slide_that_fails_leaves_the_others(command, slide, tmp_path):
    bad = tmp_path / "bad.svs"
    bad.write_bytes(b"II*\0 and nothing else")
    out = tmp_path / "some.pdf"
    done = command("report", slide, bad, "--marker", "HER2", "--out", out)
    assert done.code == 1
    assert "bad.svs: " in done.err
    assert len(pdf_texts(out)) == 1


def test_stored_tiles_are_used_and_the_bytes_repeat(command, slide, cells, tmp_path):
    one, two = tmp_path / "one.pdf", tmp_path / "two.pdf"
    for out in (one, two):
        done = command("report", slide, "--marker", "CD3", "--out", out)
        assert done.code == 0, done.err
        assert "from the cache" in done.err
    assert one.read_bytes() == two.read_bytes()
    assert "no case code given" in pdf_texts(one)[0]


def test_four_markers_take_two_pages(command, cells, tmp_path):
    out = tmp_path / "four.pdf"
    marker = "HER2,Ki67,CD3,CD3E"
    done = command("report", cells, "--marker", marker, "--out", out)
    assert done.code == 0, done.err
    first, second = pdf_texts(out)
    assert "MKI67 (Ki-67) by region" in first
    assert "CD3E by region" in second


def test_without_a_marker_the_panel_is_gone_through(command, cells, tmp_path):
    out = tmp_path / "first.pdf"
    done = command("report", cells, "--out", out)
    assert done.code == 0, done.err
    assert "ERBB2 (HER2)" in pdf_texts(out)[0]


def test_values_of_others_are_not_called_predicted(command, tmp_path):
    table = tmp_path / "cells.csv"
    table.write_text("x_um,y_um,ERBB2\n10,10,0.5\n30,10,1\n10,30,2.5\n30,30,3\n")
    out = tmp_path / "others.pdf"
    done = command("report", table, "--marker", "HER2", "--cutoffs", "1,2,3", "--out", out)
    assert done.code == 0, done.err
    (text,) = pdf_texts(out)
    assert "values as given in the file" in text
    assert "slide All nuclei 4 1 1 1 1 0 75.0 150 –" in text
    assert "Calibration" not in text


def test_an_old_report_stays_unless_forced(command, cells, tmp_path):
    out = tmp_path / "report.html"
    out.write_text("old")
    asked = ("report", cells, "--marker", "HER2", "--out", out)
    done = command(*asked)
    assert (done.code, done.out) == (2, "")
    assert "--force" in done.err
    assert out.read_text() == "old"
    assert command(*asked, "--force").code == 0
    assert "ERBB2 (HER2)" in out.read_text(encoding="utf-8")


MISTAKES = {
    "unknown marker": (("--marker", "HER22"), "HER22"),
    "not scorable": (("--marker", "MLH1"), "cannot be scored"),
    "no such folder": (("--out", "missing/report.pdf"), "does not exist"),
    "suffix": (("--out", "report.docx"), ".html or .pdf"),
    "two markers, one set of cut-offs": (
        ("--marker", "HER2,Ki67", "--cutoffs", "1,2,3"),
        "one marker",
    ),
    "long case code": (("--case", "x" * 33), "33 letters"),
    "case code that the PDF cannot show": (("--case", "Ł-1"), "Ł"),
    "blank in the case code": (("--case", "a\tb"), "not printed"),
    "no regions": (("--rois", "empty.geojson"), "empty.geojson"),
}


@pytest.mark.parametrize(("options", "told"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_one_sentence(command, slide, tmp_path, monkeypatch, options, told):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    given = dict(zip(options[::2], options[1::2], strict=True))
    given.setdefault("--out", "report.pdf")
    done = command("report", slide, *(part for pair in given.items() for part in pair))
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("napari-past: ")
    assert done.err.count("\n") == 1, done.err
    assert told in done.err
    assert not (tmp_path / "report.pdf").exists()


def test_no_cells_no_report(command, cells, slide, tmp_path):
    empty = tmp_path / "empty.h5ad"
    anndata.read_h5ad(cells)[:0].copy().write_h5ad(empty)
    out = tmp_path / "report.pdf"
    done = command("report", empty, "--marker", "HER2", "--out", out)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "holds no cells" in done.err
    nothing = tmp_path / "folder"
    nothing.mkdir()
    done = command("report", nothing, "--out", out)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "no slide" in done.err
    done = command("report", cells, slide, "--rois", "x.geojson", "--out", out)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "one by one" in done.err
    assert not out.exists()


def test_a_calibration_in_the_card_is_told_with_its_name_and_interval(command, slide, tmp_path):
    model = load_model("past-mini")
    residuals = ((-10.0, 10.0), (0.0, 0.0), (-10.0, 10.0))
    calibration = Calibration(
        marker="ERBB2 (HER2)",
        asked="HER2",
        genes=("ERBB2",),
        model=model.name,
        model_version=model.card.version,
        model_sha256=model.sha256,
        predicted_unit=model.expression_unit,
        quantity="h-score",
        level="regions",
        clone="SP3",
        knots=((0.0, 0.0), (10.0, 100.0)),
        held_out=Agreement(
            patients=3,
            regions=6,
            bias=0.0,
            between_sd=3.0,
            within_sd=4.0,
            limits=(-9.8, 9.8),
            correlation=0.5,
            rank_correlation=0.5,
        ),
        residuals=tuple(
            PatientResiduals(patient=f"{i:016x}", residuals=r) for i, r in enumerate(residuals)
        ),
        cell_sd=None,
    )
    card = model.card.model_copy(update={"calibrations": (calibration,)})
    file = copy_with_card(Path(model.path), tmp_path / "calibrated.past.safetensors", card)
    cells = tmp_path / "cells.h5ad"
    done = command("run", slide, "--model", file, "--genes", "HER2", "--out", cells)
    assert done.code == 0, done.err
    table = anndata.read_h5ad(cells)
    scored_cells = table[(table.obs["unscored"] == "").to_numpy()]
    estimate = 10 * float(scored_cells[:, "ERBB2"].X.mean())
    # Student's t of two degrees of freedom, 4.30265, times √(3² + 4²).
    low, high = max(0, estimate - 21.51), estimate + 21.51
    for given in (slide, cells):
        out = tmp_path / "report.html"
        asked = ("--marker", "HER2", "--model", file, "--out", out, "--force")
        done = command("report", given, *asked)
        assert done.code == 0, done.err
        (told,) = (t for t in read_html(out).texts if "local calibration: SP3, 3 patients" in t)
        assert f"slide {estimate:.0f} ({low:.0f}–{high:.0f})" in told
        assert "95 % prediction intervals" in told
        assert "-9.8 to 9.8" in told


def test_a_slide_of_real_ihc_is_measured(command, slide, tmp_path):
    out = tmp_path / "ihc.pdf"
    asked = ("report", slide, "--detector", "ihc-nuclear", "--out", out)
    done = command(*asked)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "name it with --marker" in done.err
    done = command(*asked, "--marker", "Ki67")
    assert done.code == 0, done.err
    (text,) = pdf_texts(out)
    assert "measured on the stained slide" in text
    assert MEASURED_RESEARCH_USE in text
    assert "past-mini" not in text
    cells = tmp_path / "ihc.h5ad"
    done = command("run", slide, "--detector", "ihc-nuclear", "--out", cells)
    assert done.code == 0, done.err
    done = command("report", cells, "--marker", "Ki67", "--out", tmp_path / "cells.pdf")
    assert done.code == 0, done.err
    (text,) = pdf_texts(tmp_path / "cells.pdf")
    assert "measured on the stained slide" in text
