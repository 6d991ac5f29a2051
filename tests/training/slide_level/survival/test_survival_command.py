"""``past-train slide evaluate`` from a table to a page, and its mistakes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from napari_past.types import RESEARCH_USE
from past_training.cli import main


@pytest.fixture
def table(tmp_path):
    random = np.random.default_rng(0)
    age = random.normal(60, 10, 60)
    time, lost = random.exponential(np.exp(-0.1 * (age - 60))), random.exponential(3, 60)
    frame = pd.DataFrame({"id": [f"p{i}" for i in range(60)], "age": age})
    frame["months"], frame["died"] = np.minimum(time, lost) * 10, (time <= lost).astype(int)
    path = tmp_path / "patients.csv"
    frame.to_csv(path, index=False)
    return path


COLUMNS = ["--patient", "id", "--time", "months", "--event", "died", "--covariates", "age"]


def test_a_table_gives_a_page_with_the_protocol_the_arm_and_its_plots(table, tmp_path, capsys):
    out = tmp_path / "page.md"
    given = ["slide", "evaluate", str(table), *COLUMNS, "--time-unit", "months", "--folds", "3"]
    assert main([*given, "--out", str(out)]) == 0
    page = out.read_text(encoding="utf-8")
    assert RESEARCH_USE in page
    assert "3 folds of patients, stratified by event (seed 0)" in page
    assert "Uno's" in page
    assert "| clinical | 0." in page
    assert "Proportional hazards" in page
    assert "Numbers at risk" in page
    for plot in ("forest", "survival-clinical", "calibration-clinical"):
        assert (tmp_path / f"page-{plot}.svg").read_text(encoding="utf-8").startswith("<svg")
    assert "clinical: Harrell's C 0." in capsys.readouterr().out
    before = out.read_bytes()
    assert main([*given, "--out", str(out)]) == 2
    assert main([*given, "--out", str(out), "--force"]) == 0
    assert out.read_bytes() == before


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--out", "x.pdf"], "html or .md"),
        (["--out", "x.md", "--maps", "m"], "name it (--model FILE)"),
        (["--out", "x.md", "--times", "soon"], "--times are numbers"),
        (["--out", "x.md", "--leave-site-out"], "tells no sites"),
        (["--out", "x.md", "--arms", "mean-ridge"], "no mean vectors"),
        (["--out", "x.md", "--task", "bulk"], "past-train slide prepare"),
        (["--out", "x.md", "--task", "bulk", "--tau", "3"], "--tau belongs to --task survival"),
        (["--out", "x.md", "--pooling", "mean"], "--arms network:mean:cox"),
        (["--out", "x.md", "--folds", "1"], "--folds 2 or more"),
    ],
)
def test_a_mistake_is_told_in_one_line(table, tmp_path, monkeypatch, capsys, options, sentence):
    monkeypatch.chdir(tmp_path)
    assert main(["slide", "evaluate", str(table), *COLUMNS, *options]) == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert sentence in told[-1]
    assert not (tmp_path / "x.md").exists()
