"""``past-train evaluate`` as it is typed."""

from __future__ import annotations

import argparse
import subprocess
import sys

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


@pytest.fixture
def single(tmp_path, alone, tiny_model_file):
    """The words for a dataset of one section, and the report's place."""
    out = tmp_path / "r.md"
    return ["--model", tiny_model_file, "--data", alone.place.url, "--out", out,
            "--device", "cpu"], out  # fmt: skip


def test_single_section(single):
    words, _ = single
    with pytest.raises(PastError, match=r"nothing can be held out as a whole.*--by block"):
        run(*words)


def test_blocks_of_a_single_section(single, capsys):
    """Spots stand 48 µm apart: what the model sees, 32 µm to both sides, needs the next but one."""
    words, out = single
    assert run(*words, "--by", "block", "--blocks", "3", "--baselines", "mean") == 0
    told = capsys.readouterr().out
    assert "tiny: mean r" in told
    assert "on 3 of 3 blocks" in told
    assert "a buffer of 96 µm between them. This says nothing of another section" in told
    assert "a buffer of 96 µm" in out.read_text(encoding="utf-8").split("## What")[0]
    assert run(*words, "--by", "block", "--blocks", "3", "--buffer-um", "20") == 0
    assert "a buffer of 48 µm" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--by", "block"], "too few for 4 blocks"),
        (["--by", "block", "--blocks", "3", "--buffer-um", "150"], "A buffer of 150 µm"),
        (["--by", "block", "--buffer-um=-1"], "but got -1"),
        (["--buffer-um", "20"], "belong to --by block, but got --by patient"),
        (["--by", "section", "--blocks", "3"], "belong to --by block, but got --by section"),
    ],
)
def test_blocks_that_do_not_fit(single, options, message):
    words, out = single
    with pytest.raises(PastError, match=message) as told:
        run(*words, *options)
    assert "\n" not in str(told.value)
    assert not out.exists()


def test_blocks_of_several_sections(typed):
    words, _ = typed
    with pytest.raises(PastError, match="Blocks are held out of a single section, but drawn has 4"):
        run(*words, "--by", "block")
