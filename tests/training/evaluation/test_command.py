"""``past-train evaluate`` as it is typed."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from napari_past.errors import PastError, UnknownGene, UnknownModel
from past_training.evaluation.command import add_parser, execute


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers(dest="command", required=True))
    return execute(parser.parse_args(["evaluate", *(str(a) for a in arguments)]))


@pytest.fixture
def typed(dataset_folder, tiny_model_file, tmp_path):
    """``typed(…)``: the words that are always there, and the report's place."""
    out = tmp_path / "report.md"
    return ["--model", tiny_model_file, "--data", dataset_folder, "--out", out, "--rows", "8",
            "--device", "cpu"], out  # fmt: skip


def test_report_from_the_command_line(typed, capsys):
    words, out = typed
    assert run(*words, "--genes", "HER2,EPCAM", "--baselines", "mean,colour") == 0
    told = capsys.readouterr().out
    assert "tiny: mean r" in told
    assert "training mean: mean r 0.000 on 4 of 4 sections" in told
    text = out.read_text(encoding="utf-8")
    assert text.startswith("# tiny on drawn\n")
    assert "| ERBB2 |" in text
    assert "ridge on 40 colour statistics" in text
    assert "frozen" not in text.split("## Made with")[0].replace("fresh frozen", "")
    assert out.with_suffix(".html").is_file()


def test_without_baselines(typed):
    words, out = typed
    assert run(*words, "--baselines", "none") == 0
    assert "By how much" not in out.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("option", "value", "error", "message"),
    [
        ("--out", "report.pdf", PastError, "give report.md"),
        ("--out", "no/report.md", PastError, "does not exist"),
        ("--model", "past-maxi", UnknownModel, "past-maxi"),
        ("--data", "nowhere.past", PastError, "no paired dataset"),
        ("--baselines", "colours", PastError, "no baseline"),
        ("--genes", "KRT7", UnknownGene, "KRT7"),
        ("--crc", ".", PastError, "holds no tiles"),
    ],
)
def test_mistakes_are_told_before_any_work(
    typed, monkeypatch, tmp_path, option, value, error, message
):
    monkeypatch.chdir(tmp_path)
    words, out = typed
    with pytest.raises(error, match=message) as told:
        run(*words, option, value)
    assert "\n" not in str(told.value)
    assert not out.exists()


@pytest.mark.parametrize("value", ["0", "many", "-3"])
def test_rows_are_a_number(typed, value, capsys):
    words, _ = typed
    with pytest.raises(SystemExit):
        run(*words, f"--rows={value}")
    assert "above zero" in capsys.readouterr().err


def test_options_are_known_without_waiting():
    """``past-train --help`` must not load torch, scikit-learn or matplotlib."""
    code = (
        "import argparse, sys\n"
        "from past_training.evaluation.command import add_parser\n"
        "add_parser(argparse.ArgumentParser().add_subparsers())\n"
        "heavy = {'torch', 'timm', 'sklearn', 'matplotlib', 'zarr'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_single_section(tmp_path, drawn, write, tiny_model_file):
    write(tmp_path / "one.past", drawn[:1])
    words = ["--model", tiny_model_file, "--data", tmp_path / "one.past"]
    with pytest.raises(PastError, match="nothing can be held out"):
        run(*words, "--out", Path(tmp_path) / "r.md")
