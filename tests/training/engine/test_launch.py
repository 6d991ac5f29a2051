"""PAST's launch line: it starts, under torchrun too, and each option does what it says."""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from past_training.__main__ import main
from past_training.dataset.read import open_dataset
from past_training.engine.checkpoint import checkpoints, read_checkpoint
from past_training.engine.launch import held_out
from past_training.engine.loop import BEST, LAST
from past_training.engine.options import add_arguments
from past_training.engine.weights import read_weights

TINY = (
    "--image-tower", "test_resnet", "--cell-dim", "16", "--num-workers", "0", "--device", "cpu",
    "--batch-size", "50", "--epochs", "1", "--log-interval", "1",
)  # fmt: skip


@pytest.fixture
def launch(dataset, tmp_path) -> Callable[..., Path]:
    """``launch("--lr", "1e-3")``: a run of one epoch; returns its folder."""

    def run(*options: str, name: str = "run", data: Path = dataset) -> Path:
        line = ["--exp-name", name, "--output-dir", str(tmp_path), "--data", str(data)]
        assert main(["pretrain", *line, *TINY, *options]) == 0
        return tmp_path / name

    return run


@pytest.fixture(scope="module")
def plain(dataset, tmp_path_factory) -> Path:
    """The folder of a run of one epoch in which every other option is as it comes."""
    folder = tmp_path_factory.mktemp("plain")
    line = ["--exp-name", "run", "--output-dir", str(folder), "--data", str(dataset)]
    assert main(["pretrain", *line, *TINY]) == 0
    return folder / "run"


def steps(folder: Path) -> list[dict[str, str]]:
    with (folder / "steps.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return read_weights(folder / LAST)[0]


def test_the_line_starts_under_torchrun(dataset, tmp_path):
    """PAST's own line on two CPU processes; upstream's start-up was broken."""
    line = (
        "--nproc_per_node=2 -m past_training pretrain --exp-name two --batch-size 12 "
        "--num-workers 2 --accum-iter 3 --save-interval 1 --epochs 2 --image-tower test_resnet "
        f"--cell-dim 16 --output-dir {tmp_path}/out --log-dir {tmp_path}/logs --data {dataset} "
        "--device cpu"
    )
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", *line.split()],
        capture_output=True, text=True, check=False, timeout=170,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    # 100 rows of two sections for two processes: 50 each, 5 batches of 12 at most, 2 steps.
    assert "2 processes on cpu, 24 patches in a joint batch, 2 steps an epoch" in done.stderr
    assert "held out: patient Q" in done.stderr
    assert done.stdout.strip() == f"{tmp_path}/out/two: 4 steps, 2 epochs"
    assert [p.name for p in checkpoints(tmp_path / "out" / "two")] == [
        "checkpoint-00000003.pt",
        "checkpoint-00000004.pt",
    ]
    content = read_checkpoint(tmp_path / "out" / "two" / "checkpoint-00000004.pt")
    assert len(content["random"]) == 2
    assert not torch.equal(content["random"][0]["torch"], content["random"][1]["torch"])
    with (tmp_path / "logs" / "two" / "validation.csv").open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2"]


def test_something_is_held_out_without_being_asked(plain):
    """Upstream had no validation."""
    with (plain / "validation.csv").open(newline="") as file:
        [line] = list(csv.DictReader(file))
    assert float(line["loss"]) > 0
    assert (plain / BEST).is_file()


@pytest.mark.parametrize(
    ("validation", "train", "name"),
    [
        ("auto", ["S0", "S1"], "patient Q"),
        ("P", ["S2"], "patient P"),
        ("S1", ["S0", "S2"], "section S1"),
        ("none", ["S0", "S1", "S2"], "nothing"),
    ],
)
def test_validation(dataset, validation, train, name):
    split = held_out(open_dataset(dataset), validation)
    assert [record.name for record in split.train.sections] == train
    assert split.name == name


def test_auto_takes_a_section_where_there_is_one_patient(dataset):
    one = open_dataset(dataset).select(patients=["P"])
    assert held_out(one, "auto").name == "section S1"
    assert held_out(one.select(sections=["S0"]), "auto").held is None


def test_batches_and_steps(launch):
    """100 rows: batches of 10 are 10 steps an epoch, three at a time 4, in two epochs 8."""
    folder = launch("--batch-size", "10", "--accum-iter", "3", "--epochs", "2")
    assert [row["epoch"] for row in steps(folder)] == ["1"] * 4 + ["2"] * 4
    assert [p.name for p in checkpoints(folder)] == ["checkpoint-00000008.pt"]


def test_save_interval_and_log_interval(launch):
    folder = launch("--batch-size", "10", "--save-interval", "4", "--log-interval", "5")
    assert [p.stem[-2:] for p in checkpoints(folder)] == ["08", "10"]
    assert [row["step"] for row in steps(folder)] == ["5", "10"]


def test_log_dir(launch, tmp_path):
    folder = launch("--log-dir", str(tmp_path / "elsewhere"))
    assert (tmp_path / "elsewhere" / "run" / "steps.csv").is_file()
    assert not (folder / "steps.csv").exists()


def test_rates_of_the_schedule(launch):
    folder = launch(
        "--batch-size", "10", "--epochs", "2", "--lr", "2e-3", "--min-lr", "1e-5",
        "--warmup-epochs", "0.5", "--encoder-lr-factor", "0.25",
    )  # fmt: skip
    rest = [float(row["lr_rest"]) for row in steps(folder)]
    encoder = [float(row["lr_encoder"]) for row in steps(folder)]
    # Five steps up, then down to the last of twenty.
    assert rest[:5] == pytest.approx([4e-4, 8e-4, 1.2e-3, 1.6e-3, 2e-3])
    assert rest[4] == max(rest)
    assert rest[-1] == pytest.approx(1e-5)
    assert encoder == pytest.approx([0.25 * rate for rate in rest])


def test_seed_and_precision(launch, plain):
    """Without being asked it is 0, and the precision on a CPU that of single numbers."""
    said = (("--seed", "0", "--precision", "32-true"), ("--seed", "2"))
    runs = [weights(plain), *(weights(launch(*line, name=line[1])) for line in said)]
    name = "image_head.first.weight"
    assert torch.equal(runs[0][name], runs[1][name])
    assert not torch.equal(runs[0][name], runs[2][name])


def test_workers_change_nothing(launch, plain):
    a, b = weights(plain), weights(launch("--num-workers", "3"))
    for name, value in a.items():
        assert torch.equal(value, b[name]), name


@pytest.mark.parametrize(
    ("options", "columns", "absent"),
    [
        ((), {"contrastive", "expression"}, {"anchor", "self_supervised"}),
        (("--contrastive", "0"), {"expression"}, {"contrastive"}),
        (("--expression", "0", "--self-supervised", "1", "--anchor", "1"),
         {"contrastive", "self_supervised", "anchor"}, {"expression"}),
    ],
)  # fmt: skip
def test_objectives(launch, plain, options, columns, absent):
    [*_, last] = steps(launch(*options) if options else plain)
    assert columns <= last.keys()
    assert not absent & last.keys()
    assert all(float(last[name]) == float(last[name]) for name in columns)


@pytest.mark.parametrize(
    ("option", "given", "default"),
    [
        ("--targets", ("projected", "hard"), "pre"),
        ("--expression-loss", ("poisson", "log1p-mse"), "negative-binomial"),
        ("--weight-decay", ("0", "0.5"), 0.02),
        ("--clip-norm", ("0.01",), 1.0),
        ("--stain-jitter", ("0",), 0.1),
        ("--precision", ("bf16-mixed",), "auto"),
        ("--image-tower", ("test_convnext",), "test_resnet"),
    ],
)
def test_options_that_change_what_is_learnt(launch, plain, option, given, default):
    """Each other value than that of the plain run."""
    losses = [steps(launch(option, value, name=value.replace(".", "")))[-1]["loss"]
              for value in given]  # fmt: skip
    assert len({steps(plain)[-1]["loss"], *losses}) == 1 + len(given)
    assert read_weights(plain / LAST)[1].get(option, default) == default


def test_genes_change_what_is_learnt(launch, panels):
    common, every = (
        steps(launch("--genes", genes, name=genes, data=panels))[-1]["loss"]
        for genes in ("common", "all")
    )
    assert common != every


@pytest.mark.parametrize("flag", ["--pooled", "--spare-neighbours"])
def test_flags_that_change_what_is_learnt(launch, plain, flag):
    assert steps(plain)[-1]["loss"] != steps(launch(flag))[-1]["loss"]


def test_grad_checkpointing_changes_nothing_but_memory(launch):
    pooled = ("--image-tower", "test_vit", "--pooled")
    a = weights(launch(*pooled, name="a"))
    b = weights(launch(*pooled, "--grad-checkpointing", name="b"))
    for name, value in a.items():
        torch.testing.assert_close(value, b[name], rtol=1e-4, atol=1e-6)


def test_cell_dim(launch):
    state = weights(launch("--cell-dim", "48"))
    assert state["cell_head.first.weight"].shape == (256, 48)


def test_tokens_without_counts(launch, tokens):
    """The published layout: a transformer, contrasts alone, as many layers as asked for."""
    folder = launch("--cell-layers", "2", data=tokens)
    layers = {name.split(".")[3] for name in weights(folder) if "encoder.layers" in name}
    assert layers == {"0", "1"}
    assert not {"expression"} & steps(folder)[0].keys()


def test_where_weights_come_from(launch, capsys, monkeypatch, tmp_path, dataset):
    """A tag means trained weights, scratch does not ask for them, hub always does."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    tagged = ("--image-tower", "test_resnet.r160_in1k")
    launch(*tagged, "--weights", "scratch")
    line = ["--exp-name", "y", "--output-dir", str(tmp_path), "--data", str(dataset), *TINY]
    for options in (tagged, ("--weights", "hub")):
        assert main(["pretrain", *line, *options]) == 2
        assert "cannot be reached" in capsys.readouterr().err


def test_patience(launch):
    """A rate of almost nothing: float32 stands still and the second epoch is no better."""
    line = ("--lr", "1e-30", "--min-lr", "0", "--patience", "1", "--epochs", "9",
            "--image-tower", "test_convnext")  # fmt: skip
    folder = launch(*line)
    with (folder / "validation.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 2
    assert read_checkpoint(checkpoints(folder)[-1])["position"]["epoch"] == 2
    assert read_weights(folder / LAST)[1]["--patience"] == 1


def test_resume_goes_on_and_refuses_another_run(launch, dataset, tmp_path, capsys):
    folder = launch("--batch-size", "10", "--save-interval", "4")
    first = checkpoints(folder)[0]
    again = launch("--batch-size", "10", "--resume", str(first), name="again")
    for name, value in weights(folder).items():
        assert torch.equal(value, weights(again)[name]), name
    line = ["--exp-name", "run", "--output-dir", str(tmp_path), "--data", str(dataset), *TINY]
    capsys.readouterr()
    assert main(["pretrain", *line]) == 2
    assert "--resume auto" in capsys.readouterr().err
    assert main(["pretrain", *line, "--resume", "auto", "--lr", "1"]) == 2
    [told] = capsys.readouterr().err.strip().splitlines()[-1:]
    assert "--batch-size 10, but this one has 50" in told


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--data", "nowhere.past"], "no paired dataset"),
        (["--batch-size", "0"], "--batch-size is at least 1, but got 0"),
        (["--lr", "0"], "--lr is above 0"),
        (["--min-lr", "1"], "--min-lr 1 is not between"),
        (["--contrastive", "0", "--expression", "0"], "nothing to learn"),
        (["--anchor", "-1"], "--anchor"),
        (["--validation", "Z"], "no such patient or section; choose among P, Q, S0"),
        (["--image-tower", "test_resnett"], "test_resnet"),
        (["--cell-dim", "20"], "no multiple of 16"),
        (["--exp-name", "a/b"], "without slashes"),
        (["--resume", "nowhere.pt"], "nothing to resume"),
        (["--precision", "16-mixed"], "needs a GPU"),
        (["--epochs", "0"], "epochs is at least 1"),
        (["--patience", "0"], "at least 1 validation"),
        (["--stain-jitter", "-1"], "--stain-jitter is at least 0"),
        (["--log-dir", "/dev/null/logs"], "cannot be made"),
    ],
    ids=lambda value: value[0].strip("-") if isinstance(value, list) else None,
)
def test_mistakes_are_one_sentence(dataset, tmp_path, capsys, options, message):
    line = ["--exp-name", "x", "--output-dir", str(tmp_path), "--data", str(dataset), *TINY]
    assert main(["pretrain", *line, *options]) == 2
    told = [x for x in capsys.readouterr().err.splitlines() if x.startswith("past-train")]
    assert len(told) == 1
    assert message in told[0]
    assert not list(tmp_path.rglob("*.pt"))


def test_every_option_is_explained():
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    text = parser.format_help()
    for option in ("--exp-name", "--batch-size", "--num-workers", "--accum-iter", "--resume",
                   "--save-interval", "--output-dir", "--log-dir", "--data"):  # fmt: skip
        assert option in text


def test_other_commands_are_those_of_past_train(capsys):
    with pytest.raises(SystemExit) as left:
        main(["no-such-command"])
    assert left.value.code == 2
    assert "past-train" in capsys.readouterr().err
