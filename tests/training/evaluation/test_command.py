"""``past-train evaluate`` as it is typed."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys

import pytest

from napari_past.errors import CannotWrite, PastError, UnknownGene, UnknownModel
from past_training.evaluation import report
from past_training.evaluation.command import add_parser, execute


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers(dest="command", required=True))
    return execute(parser.parse_args(["evaluate", *(str(a) for a in arguments)]))


@pytest.fixture(autouse=True)
def maps_of_one_section(monkeypatch):
    """Drawing takes most of an evaluation's time; the pictures are looked at in `test_report`."""
    monkeypatch.setattr(report, "MOST_MAPS", 1)


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
    assert re.search(
        r"^training mean: mean r 0\.000, RMSE \d\.\d{3} on 4 of 4 sections$", told, re.M
    )
    text = out.read_text(encoding="utf-8")
    assert text.startswith("# tiny on drawn\n")
    assert "| ERBB2 |" in text
    assert "ridge on 40 colour statistics" in text
    assert "frozen" not in text.split("## Made with")[0].replace("fresh frozen", "")
    assert out.with_suffix(".html").is_file()


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


def test_a_gene_is_called_as_it_was_typed(typed, dataset_folder):
    """NOPE is an old name of IGDCC4; ERBB22 is nobody's."""
    words, _ = typed
    with pytest.raises(UnknownGene, match=r"drawn did not measure IGDCC4 \(NOPE\)") as told:
        run(*words, "--genes", "EPCAM,NOPE")
    assert f"listed in {dataset_folder}/dataset.json" in str(told.value)
    with pytest.raises(UnknownGene, match="did you mean ERBB2"):
        run(*words, "--genes", "ERBB22")
    with pytest.raises(UnknownGene, match=r"did not measure MS4A1 \(CD20\);"):
        run(*words, "--genes", "CD20")


def test_a_model_of_another_pixel_size_is_told_before_anything_is_fitted(
    write_tiny_model, dataset_folder, tmp_path, capsys
):
    path = write_tiny_model(tmp_path / "coarse.safetensors", encoder={"mpp": 1.0})
    words = ["--model", path, "--data", dataset_folder, "--out", tmp_path / "r.md"]
    # 64 px, and 18 µm of a spot, to both sides
    advice = rf"--dataset-mpp 1 --patch-px 164, or simply --for {re.escape(str(path))}\."
    with pytest.raises(PastError, match=advice):
        run(*words, "--device", "cpu")
    assert "fold" not in capsys.readouterr().err


def test_a_report_is_overwritten_only_when_asked(typed, tmp_path):
    words, out = typed
    out.with_suffix(".html").write_text("a year of work")
    with pytest.raises(CannotWrite, match=r"report\.html exists already; .*--force"):
        run(*words)
    assert out.with_suffix(".html").read_text() == "a year of work"
    assert run(*words, "--baselines", "none", "--force") == 0
    assert "a year" not in out.with_suffix(".html").read_text()
    assert "By how much" not in out.read_text(encoding="utf-8")  # over no baseline


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


@pytest.mark.parametrize("option", [("--genes", "NOPE"), ("--by", "block")])
def test_what_the_dataset_lacks_is_told_without_waiting(typed, option):
    code = (
        "import sys\n"
        "from past_training.cli import main\n"
        "code = main(sys.argv[1:])\n"
        "heavy = {'torch', 'timm', 'sklearn', 'matplotlib', 'pandas'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or code)"
    )
    words = [sys.executable, "-c", code, "evaluate", *map(str, typed[0]), *option]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1


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
    options = ("--buffer-um", "20", "--baselines", "none", "--force")
    assert run(*words, "--by", "block", "--blocks", "3", *options) == 0
    assert "a buffer of 48 µm" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--by", "block"], "too few for 4 blocks"),
        (["--by", "block", "--blocks", "3", "--buffer-um", "150"], "A buffer of 150 µm"),
        (["--by", "block", "--buffer-um=-1"], "but got -1"),
        (["--buffer-um", "20"], "belong to --by block, but got --by patient"),
        (["--by", "section", "--blocks", "3"], "belong to --by block, but got --by section"),
        (["--by", "block", "--blocks", "1"], "--blocks is at least 2, but got 1"),
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
