"""The dialog that builds a bank, and the process that it starts."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import psutil
import pytest
from anndata import AnnData
from qtpy.QtCore import QObject, Qt
from scipy.sparse import csr_matrix

from napari_past.errors import PastError
from napari_past.io import read_table_parts
from napari_past.model import load_model
from napari_past.plugin.bank_build import EXTRA, BankBuild
from napari_past.plugin.bank_dialog import NOT_TOLD, BankDialog
from napari_past.plugin.bank_request import BankRequest

LONG_MS = 120_000
GENES = ("EPCAM", "KRT8", "CD3D", "CD3E", "VIM", "ACTB")


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    kinds = np.array(["tumour", "T cell"])[np.arange(30) % 2]
    obs = pd.DataFrame(
        {"cell_type": kinds, "who": [f"P{i % 3}" for i in range(30)], "batch": ["one"] * 30},
        index=[f"c{i}" for i in range(30)],
    )
    means = np.where(kinds[:, None] == "tumour", [9, 9, 1, 1, 2, 5], [1, 1, 9, 9, 2, 5])
    counts = rng.poisson(means)
    table = AnnData(csr_matrix(np.log1p(counts).astype(np.float32)), obs=obs,
                    var=pd.DataFrame(index=GENES))  # fmt: skip
    table.layers["counts"] = csr_matrix(counts.astype(np.float32))
    table.write_h5ad(tmp_path / "cells.h5ad")
    return tmp_path / "cells.h5ad"


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "genes.txt").write_text("\n".join(GENES))
    np.save(tmp_path / "means.npy", np.arange(1, 7, dtype=np.float32))
    return tmp_path / "genes.txt", tmp_path / "means.npy"


@pytest.fixture
def request_of(cells: Path, files: tuple[Path, Path], banked_folder: Path, tmp_path: Path):
    def made(**changes: str) -> BankRequest:
        fields = {
            "model": str(banked_folder), "cells": str(cells), "genes": str(files[0]),
            "means": str(files[1]), "out": str(tmp_path / "new v1.0"), "layer": "counts",
            "type_key": "cell_type", "patient_key": "who", "study_key": "",
        }  # fmt: skip
        return BankRequest(**(fields | changes))

    return made


@pytest.fixture
def build_with(qtbot) -> Callable[[str], BankBuild]:
    """``build_with(python)``: a program in place of the training package; its words are argv."""
    owner, made = QObject(), []

    def build(program: str) -> BankBuild:
        made.append(BankBuild(owner, (sys.executable, "-c", program)))
        return made[-1]

    yield build
    for part in made:
        part.cancel()
    owner.deleteLater()


def test_columns_and_layers_are_offered(cells: Path, tmp_path: Path) -> None:
    parts = read_table_parts(cells)
    assert parts.columns == ("cell_type", "who", "batch")
    assert parts.layers == ("counts",)
    assert parts.cells == 30
    (tmp_path / "text.h5ad").write_text("no table")
    h5py.File(tmp_path / "empty.h5ad", "w").close()
    for name in ("text.h5ad", "empty.h5ad", "none.h5ad"):
        with pytest.raises(PastError, match=name):
            read_table_parts(tmp_path / name)


def test_dialog_offers_what_the_file_has(qtbot, cells, files, banked_folder, tmp_path) -> None:
    dialog = BankDialog()
    qtbot.addWidget(dialog)
    assert not dialog.start.isEnabled()  # no model
    dialog.set_model(load_model(str(banked_folder)))
    assert dialog.start.isEnabled()
    qtbot.keyClicks(dialog.cells.edit, str(cells))
    qtbot.keyClick(dialog.cells.edit, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: dialog.message.text() == "30 cells.")
    assert dialog.start.isEnabled()
    assert dialog.layer.currentText() == "counts"
    assert dialog.type_key.currentText() == "cell_type"
    assert dialog.type_key.findText(NOT_TOLD) < 0
    assert dialog.patient_key.currentText() == NOT_TOLD
    assert dialog.out.text == str(tmp_path / "past-mini-cells")
    dialog.patient_key.setCurrentText("who")
    request = dialog.request()
    assert (request.type_key, request.patient_key, request.study_key) == ("cell_type", "who", "")
    assert (request.layer, request.technology, request.species) == ("counts", "Xenium", "human")
    words = request.arguments(Path("place"))
    assert words[words.index("--patient-key") + 1] == "who"
    assert "--study-key" not in words
    # A folder that the user names stays, whatever cells are chosen then.
    dialog.out.edit.setText(str(tmp_path / "mine"))
    dialog.out._on_edited()
    dialog.cells.edit.setText(str(tmp_path / "none.h5ad"))
    dialog.cells._on_edited()
    qtbot.waitUntil(lambda: "There is no file" in dialog.message.text())
    assert dialog.type_key.currentText() == NOT_TOLD
    assert dialog.out.text == str(tmp_path / "mine")


def test_a_model_without_a_cell_tower_cannot_build(qtbot) -> None:
    dialog = BankDialog()
    qtbot.addWidget(dialog)
    dialog.set_model(load_model("past-mini"))
    assert not dialog.start.isEnabled()
    assert "past-mini has no cell tower" in dialog.model.text()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cells": ""}, "Choose the file of the cells"),
        ({"genes": "/nowhere/genes.txt"}, "There is no file"),
        ({"means": " "}, "Choose the file of the mean counts"),
        ({"out": ""}, "Choose a name for the folder"),
        ({"out": "/nowhere/new"}, "does not exist; create it first"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_what_is_missing_is_told_before_any_work(request_of, build_with, changes, message) -> None:
    build = build_with("raise SystemExit(3)")
    with pytest.raises(PastError, match=message):
        build.start(request_of(**changes))
    assert not build.running


def test_a_folder_that_is_there_is_left_alone(request_of, build_with, tmp_path) -> None:
    kept = tmp_path / "new v1.0"
    kept.mkdir()
    (kept / "mine.txt").write_text("mine")
    with pytest.raises(PastError, match="already"):
        build_with("pass").start(request_of())
    assert (kept / "mine.txt").read_text() == "mine"


HALF = """
import pathlib, sys, time
out = pathlib.Path(sys.argv[sys.argv.index("--out") + 1])
out.mkdir()
(out / "half.h5ad").write_text("half of a bank")
print("1,024 of 9,000 cells, 50 cells/s", file=sys.stderr, flush=True)
"""


def test_cancel_kills_the_process_and_leaves_no_half_file(
    request_of, build_with, tmp_path, qtbot
) -> None:
    before = set(tmp_path.iterdir())
    build = build_with(HALF + "time.sleep(600)")
    told = []
    build.progressed.connect(lambda done, cells: told.append((done, cells)))
    build.start(request_of())
    process = build._process
    qtbot.waitUntil(lambda: told == [(1024, 9000)], timeout=LONG_MS)
    assert build.running
    assert len(set(tmp_path.iterdir()) - before) == 1  # the half that is being written
    with qtbot.waitSignal(build.cancelled):
        build.cancel()
    assert not build.running
    assert process.state() == process.ProcessState.NotRunning
    assert set(tmp_path.iterdir()) == before


def test_nothing_is_left_where_the_window_goes_first(request_of, tmp_path, qtbot) -> None:
    before = set(tmp_path.iterdir())
    owner, told = QObject(), []
    build = BankBuild(owner, (sys.executable, "-c", HALF + "time.sleep(600)"))
    build.progressed.connect(lambda done, cells: told.append(done))
    build.start(request_of())
    qtbot.waitUntil(lambda: told == [1024], timeout=LONG_MS)
    process = psutil.Process(build._process.processId())
    owner.deleteLater()
    qtbot.waitUntil(lambda: not process.is_running(), timeout=LONG_MS)
    build.cancel()
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("program", "why"),
    [
        (HALF + "print('past-train: The bank is too small.', file=sys.stderr); sys.exit(2)",
         "The bank is too small."),
        (HALF + "raise ZeroDivisionError('by zero')",
         "The bank could not be built: ZeroDivisionError: by zero"),
        ("import os; os.kill(os.getpid(), 9)", "was lost, perhaps for want of memory"),
        ("import sys; print(\"past-train needs the training extra: pip install "
         "'napari-past[training]'.\", file=sys.stderr); sys.exit(2)",
         f"Building a bank needs the training extra: pip install '{EXTRA}'."),
        ("import runpy; raise ModuleNotFoundError('No module named past_training')",
         f"Building a bank needs the training extra: pip install '{EXTRA}'."),
    ],
    ids=["mistake", "crash", "killed", "no extra", "no package"],
)  # fmt: skip
def test_why_there_is_no_bank_is_told_in_a_sentence(
    request_of, build_with, tmp_path, qtbot, program, why
) -> None:
    before = set(tmp_path.iterdir())
    build = build_with(program)
    with qtbot.waitSignal(build.failed, timeout=LONG_MS) as told:
        build.start(request_of())
    assert why in told.args[0]
    assert "\n" not in told.args[0]
    assert not build.running
    assert set(tmp_path.iterdir()) == before


def test_a_program_that_is_not_there_is_told(request_of, tmp_path, qtbot) -> None:
    owner = QObject()
    build = BankBuild(owner, (str(tmp_path / "no-python"),))
    with qtbot.waitSignal(build.failed, timeout=LONG_MS) as told:
        build.start(request_of())
    assert "cannot be started" in told.args[0]
    assert not build.running


def test_a_bank_is_built_and_is_a_model(
    qtbot, cells, files, banked_folder, request_of, tmp_path
) -> None:
    """The training package itself, through the buttons of the dialog."""
    dialog = BankDialog()
    qtbot.addWidget(dialog)
    dialog.set_model(load_model(str(banked_folder)))
    for field, path in ((dialog.cells, cells), (dialog.genes, files[0]), (dialog.means, files[1])):
        field.edit.setText(str(path))
        field._on_edited()
    qtbot.waitUntil(dialog.start.isEnabled)
    dialog.patient_key.setCurrentText("who")
    dialog.out.edit.setText(str(tmp_path / "new v1.0"))
    told = []
    dialog.build.progressed.connect(lambda done, of: told.append((done, of)))
    with qtbot.waitSignal(dialog.built, timeout=LONG_MS) as folder:
        qtbot.mouseClick(dialog.start, Qt.MouseButton.LeftButton)
        assert dialog.stop.isEnabled()
        assert not dialog.start.isEnabled()
    assert folder.args == [str(tmp_path / "new v1.0")]
    assert told[-1] == (30, 30)
    assert "30 cells (0 without genes were left out), 6 genes, 2 types, 3 patients" in (
        dialog.message.text()
    )
    assert str(tmp_path / "new v1.0") in dialog.message.text()
    model = load_model(folder.args[0])
    assert model.bank.bank.types.names == ("T cell", "tumour")
    # Of the layer: no bank takes the logarithms in X.
    assert set(GENES) <= set(model.genes)
    assert sorted(p.name for p in (tmp_path / "new v1.0").iterdir()) == [
        "bank.h5ad", "bank.md", "weights.safetensors",
    ]  # fmt: skip
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]
    assert dialog.start.isEnabled()
