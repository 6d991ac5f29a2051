"""``past-train``: what is told, and how soon."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from past_training.cli import main

FITTED = ("--model", "past-mini", "--data", "nowhere.past")
HEAVY = "torch, timm, pandas, anndata, zarr, sklearn, matplotlib, lightning_fabric"


def ended(code: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=False
    )


INTERRUPTED = """
import sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            raise KeyboardInterrupt

sys.meta_path.insert(0, Finder())
from past_training.cli import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize("where", ["past_training.dataset.command", "pandas"])
def test_ctrl_c_while_something_is_imported(where, tmp_path):
    words = ("prepare", "st", str(tmp_path), "--out", str(tmp_path / "x.past"))
    done = ended(INTERRUPTED, where, *words)
    assert done.returncode == 130
    assert done.stderr == "past-train: cancelled; nothing was written.\n"
    assert list(tmp_path.iterdir()) == []


SWALLOWED = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            try:
                os.kill(os.getpid(), signal.SIGINT)
            except KeyboardInterrupt:
                raise ImportError("no datetime") from None  # as extensions do

sys.meta_path.insert(0, Finder())
from past_training.cli import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no Ctrl-C to one process")
@pytest.mark.parametrize("where", ["pydantic_core", "pandas"])
def test_ctrl_c_that_a_library_makes_another_error_of(where, tmp_path):
    words = ("prepare", "st", str(tmp_path), "--out", str(tmp_path / "x.past"))
    done = ended(SWALLOWED, where, *words)
    assert done.returncode == 130
    assert done.stderr == "past-train: cancelled; nothing was written.\n"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no Ctrl-C to one process")
def test_in_the_background_a_command_stays_deaf(tmp_path):
    code = SWALLOWED.replace("signal.default_int_handler", "signal.SIG_IGN")
    done = ended(code, "pandas", "prepare", "st", "nowhere", "--out", str(tmp_path / "x.past"))
    assert done.returncode == 2
    assert "nowhere is no folder" in done.stderr


def test_the_handler_of_others_is_left_as_it_was(capsys):
    before = signal.getsignal(signal.SIGINT)
    assert main(["prepare", "st", "nowhere", "--out", "x.zarr"]) == 2
    assert signal.getsignal(signal.SIGINT) is before


AT_ONCE = f"""
import contextlib, io, json, sys
from past_training.cli import main

ends, loaded = [], set()
for words in json.loads(sys.argv[1]):
    told = io.StringIO()
    with contextlib.redirect_stderr(told):
        code = main(words)
    heavy = {{*"{HEAVY}".split(", ")}} & set(sys.modules) - loaded
    loaded |= heavy
    ends.append((code, told.getvalue(), sorted(heavy)))
print(json.dumps(ends))
"""
MISTAKES = (
    (["prepare", "st", ".", "--out", "x.zarr"], "ends in .past"),
    (["prepare", "st", ".", "--out", "no/x.past"], "The folder no of x.past does not exist"),
    (["prepare", "st", ".", "--out", "x.past", "--dataset-mpp", "0"], "--dataset-mpp is a"),
    (["finetune", *FITTED, "--out", "m.safetensors", "--epochs", "0"], "--epochs is at least"),
    (["finetune", *FITTED, "--out", "m.safetensors", "--blocks", "1"], "--blocks is at least"),
    (["finetune", *FITTED, "--out", "m.pt"], "must be a .safetensors file; give m.safeten"),
    (["finetune", *FITTED, "--out", "there.safetensors"], "exists already; give another --out"),
    (["evaluate", *FITTED, "--out", "r.pdf"], "give r.md"),
    (["evaluate", *FITTED, "--out", "there.md"], "exists already; give another --out"),
    (["evaluate", *FITTED, "--out", "r.md", "--by", "block", "--blocks", "1"], "is at least 2"),
    (["evaluate", "--model", "past-maxi", "--data", "d", "--out", "r.md"], "no model 'past-ma"),
    (["tower", "uni", "--out", "there.safetensors"], "exists already; give another --out"),
    (
        [
            "export",
            "--weights",
            "there.safetensors",
            "--data",
            "d",
            "--out",
            "there.safetensors",
        ],
        "there.safetensors is read by this command",
    ),
    (
        [
            "distill",
            "--teacher",
            "past-mini",
            "--slides",
            "a.svs",
            "--out",
            "there.safetensors",
        ],
        "exists already; give another --out",
    ),
    (
        [
            "bank",
            "--model",
            "past-mini",
            "--cells",
            "there.h5ad",
            "--genes",
            "g",
            "--means",
            "m",
            "--out",
            "there.h5ad",
        ],
        "there.h5ad is read by this command",
    ),
    (["pretrain", "--data", ".", "--out", "there.safetensors"], "exists already; give another"),
)


@pytest.fixture(scope="module")
def at_once(tmp_path_factory) -> list[tuple[int, str, list[str]]]:
    """Of each mistake, made in one process one after the other: the code, what was told, and which
    of the heavy libraries it was the first to load.
    """
    folder = tmp_path_factory.mktemp("mistakes")
    for name in ("there.safetensors", "there.md", "there.h5ad"):
        (folder / name).write_text("years of work")
    typed = json.dumps([words for words, _ in MISTAKES])
    done = subprocess.run(
        [sys.executable, "-c", AT_ONCE, typed], capture_output=True, text=True, check=False,
        cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("number", "message"),
    [(number, message) for number, (_, message) in enumerate(MISTAKES)],
    ids=[" ".join(words) for words, _ in MISTAKES],
)
def test_mistakes_are_told_at_once(at_once, number, message):
    """Libraries that take many seconds to load are not waited for."""
    code, told, heavy = at_once[number]
    assert heavy == []
    assert code == 2, told
    assert message in told
    assert told.count("\n") == 1


def test_options_of_prepare_are_known_at_once():
    code = "import sys; from past_training.cli import parser; parser('prepare'); "
    done = ended(f"{code}sys.exit(', '.join({{*'{HEAVY}'.split(', ')}} & set(sys.modules)) or 0)")
    assert done.returncode == 0, done.stderr
