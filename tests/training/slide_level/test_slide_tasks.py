"""`past-train slide fit`, and `evaluate` of bulk expression and classes, on planted tables."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from napari_past.hdf5 import written_here
from past_training.cli import main
from past_training.slide_level.cohort.errors import BadCohort
from past_training.slide_level.fitting import read_network
from past_training.slide_level.tasks.alignment import by_lot, ranked
from past_training.slide_level.tasks.bulk import explained_share, mean_r
from past_training.slide_level.tasks.classes import balanced_accuracy, macro_auc
from past_training.slide_level.tasks.held_out import estimates, splits

PATIENTS, DIM = 18, 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Patients whose share of one kind of cell makes classes and genes; prepared as `cohort`."""
    root = tmp_path_factory.mktemp("tasks")
    rng = np.random.default_rng(3)
    share = rng.permutation(np.linspace(0.05, 0.7, PATIENTS))
    for i in range(PATIENTS):
        driver = rng.random(60) < share[i]
        vectors = rng.normal(size=(60, DIM)) + 4 * driver[:, None] * np.eye(DIM)[0]
        obsm = {"X_past": vectors.astype(np.float16), "spatial": rng.uniform(0, 50, (60, 2))}
        AnnData(np.zeros((60, 1), np.float32), obsm=obsm).write_h5ad(root / f"{i}.h5ad")
        written_here(root / f"{i}.h5ad")
    patients = [f"P{i}" for i in range(PATIENTS)]
    pd.DataFrame(
        {
            "slide": [f"{i}.h5ad" for i in range(PATIENTS)],
            "patient": patients,
            "months": 30 - 20 * share,
            "died": np.arange(PATIENTS) % 4 > 0,
            "grade": np.where(share > 0.38, "high", "low"),
            "site": np.where(np.arange(PATIENTS) % 2, "A", "B"),
        }
    ).to_csv(root / "t.csv", index=False)
    genes = pd.DataFrame({"patient": patients, "UP": 5 + 3 * share, "FLAT": 2.0})
    genes["NOISE"] = rng.normal(size=PATIENTS)
    genes.to_csv(root / "rna.csv", index=False)
    command = f"""slide prepare {root}/t.csv --out {root}/cohort --slide slide --patient patient
        --time months --event died --classes grade --site site --rna {root}/rna.csv"""
    assert main(command.split()) == 0
    return root


def run(folder: Path, command: str) -> int:
    return main(["slide", *command.replace("COHORT", f"{folder}/cohort").split()])


FAST = "--epochs 15 --width 8 --lr 0.03 --dropout 0"


def test_fit_each_task_and_go_on(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for task, head in (("classification", "classification"), ("bulk", "bulk"), ("align", "align")):
        assert run(folder, f"fit COHORT --task {task} --out {tmp_path}/{task} {FAST}") == 0
        assert f"{head}, attention, fitted on 18 patients (18 slides)." in capsys.readouterr().out
    command = f"fit COHORT --task survival --loss discrete --out {tmp_path}/s {FAST[:11]}"
    assert run(folder, f"{command} --start {tmp_path}/bulk --freeze") == 0
    told = capsys.readouterr().out
    assert "18 patients (18 slides), 13 events." in told
    assert "Evidence: none: fitted on all rows" in told
    assert "research use only" in told
    assert read_network(tmp_path / "s").card.started_from == read_network(tmp_path / "bulk").sha256


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("--task survival --freeze", "--start FILE"),
        ("--task bulk --loss cox", "--loss belongs to --task survival"),
        ("--task survival --classes grade", "--classes belongs to --task classification"),
        ("--task classification --classes msi", "no classes 'msi'; give some of grade"),
        ("--task survival --epochs 0", "--epochs must be at least 1"),
        ("--task survival --instances few", "--instances is a number of cells, or all"),
        ("--task survival --pooling transformer --width 6", "--width must be a multiple of 4"),
        ("--task survival --start COHORT/../t.csv", "is no slide network"),
    ],
)
def test_mistakes_are_one_sentence(
    options: str, told: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, f"fit COHORT {options} --out {tmp_path}/n") == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert not (tmp_path / "n").exists()


def figures(page: str, arm: str) -> list[float]:
    """The first numbers of an arm's row."""
    row = re.findall(rf"^\|(?:[^|\n]*\|)*? {re.escape(arm)} \|(.*)$", page, re.MULTILINE)[0]
    return [float(x.replace("−", "-")) for x in re.findall(r"[+−]?\d\.\d+", row)]


def test_evaluated_bulk_and_classes_find_what_was_planted(folder: Path, tmp_path: Path) -> None:
    shared = f"--folds 3 --epochs 15 --out {tmp_path}"
    assert run(folder, f"evaluate COHORT --task bulk {shared}/b.md") == 0
    page = (tmp_path / "b.md").read_text(encoding="utf-8")
    assert "research use only" in page
    for arm in ("network: attention", "ridge on mean vectors"):
        assert figures(page, arm)[0] > 0.2
    by_gene = figures(page, "UP")
    assert min(by_gene) > 0.6
    assert "FLAT | not defined | not defined" in page
    command = f"evaluate COHORT --task classification --leave-site-out {shared}/c.md"
    assert run(folder, command.replace("--folds 3 ", "")) == 0
    page = (tmp_path / "c.md").read_text(encoding="utf-8")
    for arm in ("network: attention", "logistic regression on mean vectors"):
        assert figures(page, arm)[0] > 0.85


def test_figures_by_hand() -> None:
    measured = np.array([[1.0, 5], [2, 5], [3, 5]])
    predicted = np.array([[1.0, 0], [2, 9], [3, 1]])
    # The second gene does not vary, so it is left out; a constant prediction counts as 0.
    assert mean_r(predicted, measured) == pytest.approx(1)
    assert mean_r(np.ones((3, 2)), measured) == 0
    # 1 - 0 / 2 of the first gene; the training mean gives the second exactly.
    mean = np.array([2.0, 5.0])
    assert explained_share(predicted, measured, mean) == pytest.approx(1)
    assert explained_share(np.tile(mean, (3, 1)), measured, mean) == pytest.approx(0)
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.8, 0.2]])
    codes = np.array([0, 0, 1, 1])
    assert macro_auc(probabilities, codes) == pytest.approx(3 / 4)
    assert balanced_accuracy(probabilities, codes) == pytest.approx(3 / 4)


def test_folds_part_patients_and_a_gain_is_paired() -> None:
    made = splits(20, "folds", 4, 0, labels=["a"] * 12 + ["b"] * 8)
    held = np.concatenate([split.test for split in made])
    assert sorted(held) == list(range(20))
    for split in made:
        assert not set(split.train) & set(split.test)
        assert (split.test < 12).sum() == 3
    by_site = splits(4, "sites", 5, 0, groups=["x", "y", "x", "y"])
    assert [split.test.tolist() for split in by_site] == [[0, 2], [1, 3]]
    with pytest.raises(BadCohort, match="do not fill 5 folds"):
        splits(9, "folds", 5, 0)
    with pytest.raises(BadCohort, match="rarest class has 2"):
        splits(20, "folds", 4, 0, labels=["a"] * 18 + ["b"] * 2)
    with pytest.raises(BadCohort, match="no two sites"):
        splits(9, "sites", 5, 0, groups=["x"] * 9)
    rng = np.random.default_rng(0)
    truth = [rng.normal(size=(30, 1)) for _ in range(3)]
    noisy = [t + rng.normal(size=t.shape) for t in truth]
    values, gains = estimates(mean_r, truth, [noisy, noisy, truth], 0)
    assert values[0].low < values[0].value < values[0].high
    assert values[0].value == pytest.approx(np.mean(values[0].per_fold))
    # An arm that is the first itself gains nothing in any draw.
    assert (gains[1].low, gains[1].high) == (0, 0)
    assert gains[2].low > 0


def test_alignment_finds_the_right_profile_among_those_held_out(
    folder: Path, tmp_path: Path
) -> None:
    command = f"evaluate COHORT --task align --folds 3 --epochs 15 --out {tmp_path}/a.md"
    assert run(folder, command) == 0
    page = (tmp_path / "a.md").read_text(encoding="utf-8")
    assert "part of any skill may be that of knowing the site" in page
    # Two searches, each beside chance: the planted gene orders patients, six in a fold.
    assert page.count("| chance | 0.500 | – | 0.167 | 0.833 | 1.000 | 3.5 |") == 2
    assert figures(page, "ridge on mean vectors")[0] > 0.6


def test_ranks_by_hand() -> None:
    likeness = np.array([[0.9, 0.1, 0.2], [0.5, 0.5, 0.1], [0.3, 0.2, 0.1]])
    # Ties share their mean rank, so that a constant answer is chance.
    assert ranked(likeness).tolist() == [1, 1.5, 3]
    assert ranked(np.zeros((3, 3))).tolist() == [2, 2, 2]
    # One who is near to all leaves nothing to a lot; else a lot lies as far from 0.5 on both sides.
    near_to_all = np.tile([3.0, 2, 1], (3, 1))
    assert by_lot([near_to_all], 0) == (0.5, 0.5)
    low, high = by_lot([np.random.default_rng(0).normal(size=(6, 6))], 0)
    # Six ranks by lot have a deviation of 1.71 / 5 each; of six, with the doubled variance:
    assert high - 0.5 == pytest.approx(1.96 * np.sqrt(2 / 6) * 1.71 / 5, rel=0.25)
    assert low == pytest.approx(1 - high)
