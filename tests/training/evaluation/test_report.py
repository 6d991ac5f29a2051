"""The report: honest sentences, all points, one file that needs nothing else."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from html import unescape

import numpy as np
import pytest
from PIL import Image

from napari_past.types import RESEARCH_USE
from past_training.dataset.read import open_dataset
from past_training.dataset.splits import leave_out
from past_training.evaluation.colour import ColourStatistics
from past_training.evaluation.marker_sets import MarkerCheck, MarkerScore
from past_training.evaluation.predictors import RidgeOn, TrainingMean
from past_training.evaluation.protocol import evaluate
from past_training.evaluation.report import html_report, markdown_report, write_report
from past_training.evaluation.result import ModelFacts, Standing, Unavailable
from past_training.evaluation.tables import plain

FOUR = {"P": [("S1", [0.1, 0.3]), ("S2", [0.3, 0.5]), ("S3", [0.0, 0.0]), ("S4", [0.2, 0.2])]}


def cells(text: str, heading: str, row: str) -> list[str]:
    """Cells of one row of the first table below a heading that has it."""
    part = text.split(f"## {heading}\n")[1].split("\n## ")[0]
    line = next(line for line in part.splitlines() if line.startswith(f"| {row}"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_four_sections_of_one_patient_are_points_without_an_interval(hand_made):
    text = markdown_report(hand_made(FOUR, others={"training mean": -0.2}), {})
    assert cells(text, "Section by section", "ours")[1:] == ["0.200", "0.400", "0.000", "0.200"]
    assert cells(text, "The table", "ours")[1] == "0.200"
    assert cells(text, "Section by section", "over training mean")[1:5] == ["0.200"] * 4
    assert "4 sections of one patient: the points are shown and no interval" in text
    assert "bootstrap" not in text
    assert "nothing here tells of another patient" in text


def test_five_patients_have_an_interval(hand_made):
    five = {name: [(f"S{name}", [k / 10])] for k, name in enumerate("ABCDE")}
    text = markdown_report(hand_made(five, by="patient"), {})
    found = re.fullmatch(r"0\.200 \((0\.\d+) to (0\.\d+)\)", cells(text, "The table", "ours")[1])
    assert found
    assert 0 < float(found[1]) < 0.2 < float(found[2]) < 0.4
    assert "bootstrap over 5 patients" in text
    assert "no interval" not in text


def test_a_model_that_saw_the_tissue_is_not_compared(hand_made):
    seen = {("ours", s): Standing.SAME_SECTION for s in ("S1", "S2", "S3", "S4")}
    text = markdown_report(hand_made(FOUR, others={"ridge": -0.1}, standing=seen), {})
    head, value, *_ = cells(text, "The table", "ours")
    assert head == "ours (trained on this section: not compared)"
    assert value == "–"
    assert set(cells(text, "Section by section", "ours")[1:]) == {"trained on this section"}
    assert "over ridge" not in text
    told = cells(text, "On tissue that was trained on", "ours")
    assert told[2] == "0.400 (trained on this section)"
    some = dict(list(seen.items())[:1])
    text = markdown_report(hand_made(FOUR, others={"ridge": -0.1}, standing=some), {})
    assert cells(text, "The table", "ours (3 of 4 sections")[1] == "0.200"
    assert "On tissue" not in markdown_report(hand_made(FOUR), {})


def test_blocks_of_one_section_are_never_taken_for_sections(hand_made):
    nine = {"P": [(f"block {k} of S", [0.1 * k, 0.3]) for k in range(1, 10)]}
    evaluation = replace(hand_made(nine, by="block", others={"mean": -0.2}), gap_um=144.7)
    text = markdown_report(evaluation, {})
    told = (
        "Same section: training and test are blocks of the same section, with a buffer of 144 µm "
        "between them. This says nothing of another section or patient."
    )
    head, _, rest = text.partition("## What was measured")
    assert f"**{told}**" in head
    assert told in rest.split("## The table\n")[1].partition("\n|")[0]
    assert "9 blocks of the same section: the points are shown and no interval" in text
    assert "bootstrap" not in text
    assert "other sections were trained on" not in text
    assert cells(text, "The table", "ours")[1] == "0.400"
    assert len(cells(text, "Block by block", "ours")) == 10
    assert "Section by section" not in text
    assert "without a buffer between them" in markdown_report(replace(evaluation, gap_um=0.4), {})
    assert "Same section" not in markdown_report(hand_made(FOUR), {})


@pytest.mark.parametrize("by", ["patient", "section", "block"])
def test_what_was_held_out_once_was_not_held_out_in_turn(hand_made, by):
    one = markdown_report(hand_made({"P": [("S1", [0.1, 0.3])]}, by), {})
    two = markdown_report(hand_made({"P": [("S1", [0.1, 0.3]), ("S2", [0.3, 0.5])]}, by), {})
    assert re.search(rf"Protocol: one {by}( of the section)? was held out[,;]", one)
    assert "in turn" not in one
    assert re.search(rf"Protocol: one {by}( of the section)? was held out in turn[,;]", two)


def test_one_section_and_one_predictor_are_drawn_too(hand_made):
    text = markdown_report(hand_made({"P": [("S1", [0.1, 0.3])]}))
    assert re.findall(r"^\[(.*)\]: data:image/png", text, re.M) == [
        "points",
        "histograms",
        "maps-1",
    ]


def test_gene_figures(hand_made):
    text = markdown_report(hand_made(FOUR), {})
    row = cells(text, "Genes", "EPCAM")
    assert row[1:] == ["0.10, 0.30, 0.00, 0.20", "0.15", "0.07", "0.85", "0.57"] or row[3] == "0.08"
    assert cells(text, "Retrieval", "a guess")[1:] == ["0.050", "0.500", "–"]
    assert cells(text, "Retrieval", "ours")[1:] == ["0.100", "0.600", "–"]
    assert "S1 20, S2 20" in text


def test_genes_nobody_asked_for_are_not_said_to_be(hand_made):
    found = hand_made(FOUR)
    text = markdown_report(found, {})
    assert "Genes of the marker panel, by ours" in text
    assert "asked" not in text.replace("EPCAM asked for", "")
    folds = [
        replace(fold, subsets=dict(fold.subsets) | {"asked": np.array([0])}) for fold in found.folds
    ]
    text = markdown_report(replace(found, folds=tuple(folds)), {})
    assert "Genes of the marker panel and those asked for, by ours" in text
    assert "r, asked: over the genes that were asked for" in text


def test_model_and_missing_baselines_and_markers_are_told(hand_made):
    facts = ModelFacts(
        "ours", "3", ("ab" * 32, "cd" * 32), "BSD", "By nobody.", "tissue", "log1p(counts per 10k)"
    )
    score = MarkerScore(
        "epithelial", ("EPCAM",), 40, 0.812, float("nan"), 0.9, tuple(np.linspace(0.3, 0.9, 61))
    )
    evaluation = replace(
        hand_made(FOUR), model=facts, versions={"python": "3.11.9"},
        unavailable=(Unavailable("uni", "log in first"),),
        markers=MarkerCheck("ours", 3, (score,)),
    )  # fmt: skip
    text = markdown_report(evaluation, {})
    assert "SHA-256 abababababababab…, cdcdcdcdcdcdcdcd…" in text
    assert "version 3" in text
    assert "python 3.11.9" in text
    assert "uni is missing: log in first" in text
    row = cells(text, "Single cells, without paired data", "epithelial")
    assert row[1:] == ["EPCAM", "40", "0.81", "–", "0.90", "0.60", "85"]


def test_names_are_text_and_nothing_else(hand_made):
    evaluation = hand_made({"P": [("<b>S|1", [0.5])]}, others={"a*b_c[d": 0.1})
    page = html_report(markdown_report(evaluation, {}), "<t>")
    assert "<b>" not in page
    assert "<title>&lt;t&gt;</title>" in page
    assert "&lt;b&gt;S|1" in page.replace("&#124;", "|")
    assert "a*b_c[d" in page
    assert plain("two\nlines") == "two lines"


@pytest.fixture(scope="module")
def report(dataset_folder, tmp_path_factory):
    dataset = open_dataset(dataset_folder)
    predictors = [RidgeOn(ColourStatistics()), TrainingMean()]
    found = evaluate(dataset, predictors, leave_out(dataset), ["EPCAM"], rows_limit=15, shuffles=20)
    out = tmp_path_factory.mktemp("report") / "r.html"
    write_report(found, out)
    return found, out.with_suffix(".md"), out


def test_page_needs_nothing_else(report):
    _, _, page = report
    text = page.read_text(encoding="utf-8")
    sources = re.findall(r'(?:src|href)="([^"]*)"', text)
    assert len(sources) == 2 + 4
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    for word in ("http:", "https:", "<script", "<link", "@import", "url("):
        assert word not in text
    for source in sources:
        picture = Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2])))
        picture.load()
        assert min(picture.size) > 200
    assert unescape(text).count(RESEARCH_USE) == 2


def test_markdown_and_page_say_the_same(report):
    _, markdown, page = report
    text, shown = markdown.read_text(encoding="utf-8"), page.read_text(encoding="utf-8")
    assert RESEARCH_USE in text
    for heading in re.findall(r"^## (.*)$", text, re.MULTILINE):
        assert f"<h2>{heading}</h2>" in shown
    for figure in re.findall(r"\b0\.\d{3}\b", text.split("[points]: data")[0]):
        assert figure in shown
    assert text.count("data:image/png") == 6


def test_chance_is_beside_the_best_genes_of_the_test(report):
    _found, markdown, _ = report
    text = markdown.read_text(encoding="utf-8")
    row = cells(text, "Against chance", "ridge on 40 colour statistics")
    mean, null, high, best, best_null = (float(v) for v in row[1:])
    assert best > mean
    assert best_null > null + 0.1
    assert high > null
    assert abs(null) < 0.1
    assert "best 50 genes of the test" in text


def test_same_evaluation_same_bytes(report, tmp_path):
    found, markdown, page = report
    again = write_report(found, tmp_path / "again.md")
    assert again[0].read_bytes() == markdown.read_bytes()
    assert again[1].read_bytes() == page.read_bytes()
