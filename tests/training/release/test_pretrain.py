"""The whole training in miniature, from the command line to predictions with its model."""

from __future__ import annotations

import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from napari_past.engine import Store, predict
from napari_past.errors import PastError
from napari_past.model import load_model
from napari_past.sample import write_phantom
from napari_past.slide import open_slide
from past_training.cli import main
from past_training.dataset.splits import leave_out
from past_training.evaluation.rows import all_rows
from past_training.release.pretrain import recipe_dataset, recipe_learner
from past_training.release.recipe import load_recipe


@pytest.fixture(scope="module")
def trained(drawn_data, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained") / "mini.safetensors"
    recipe = str(drawn_data / "mini.toml")
    code = main(["pretrain", "--recipe", recipe, "--data", str(drawn_data), "--out", str(out)])
    assert code == 0
    return out


def test_model_carries_its_evidence(trained):
    card = load_model(trained).card
    assert card.evidence.sections == ("S1", "S2", "S3")
    assert card.evidence.unseen_patients == 0
    assert set(card.genes) == {"EPCAM", "ERBB2", "ACTB", "VIM", "RARE"}
    assert all(len(card.evidence.r[g]) == 3 for g in card.genes)
    assert card.evidence.detected["EPCAM"] == 1.0
    assert len(card.training_fingerprints) == 3
    assert card.evidence.protocol.startswith("trained on the other sections")
    assert trained.with_suffix(".card.md").read_text(encoding="utf-8").startswith("# mini")


def test_report_stands_beside_the_model(trained):
    """Trained anew for each fold, beside baselines on the same rows."""
    report = trained.with_suffix(".md").read_text(encoding="utf-8")
    for name in ("mini", "training mean", "ridge on 40 colour statistics", "random tower"):
        assert name in report
    assert trained.with_suffix(".html").is_file()


def test_fold_learns_nothing_of_the_section_held_out(drawn_data, tmp_path):
    """With other counts in S3, what is learnt of S1 and S2 is the same to the bit."""
    recipe = load_recipe(str(drawn_data / "mini.toml"))
    shutil.copytree(drawn_data / "drawn", tmp_path / "b" / "drawn")
    other = tmp_path / "b" / "drawn" / "S3.tsv.gz"
    table = pd.read_csv(other, sep="\t", index_col=0)
    (table * 0 + 7 + np.arange(len(table))[:, None]).to_csv(other, sep="\t")
    states, weights = [], []
    for data, scratch in ((drawn_data, tmp_path / "1"), (tmp_path / "b", tmp_path / "2")):
        scratch.mkdir()
        dataset = recipe_dataset(recipe, data, scratch)
        fold = list(leave_out(dataset))[2]
        assert fold.name == "section S3"
        train = all_rows(fold.train)
        learned = recipe_learner(recipe, "cpu", scratch).learn(train, ["EPCAM", "VIM"])
        states.append(learned.state)
        weights.append(learned.fitted.readout.weight)
    for key, value in states[0].items():
        np.testing.assert_array_equal(value, states[1][key], err_msg=key)
    np.testing.assert_array_equal(*weights)


def test_dataset_prepared_otherwise_is_refused(drawn_data, tmp_path, trained):
    recipe = load_recipe(str(drawn_data / "mini.toml"))
    cut = recipe.data.cut.model_copy(update={"patch_px": 272})
    wider = recipe.model_copy(update={"data": recipe.data.model_copy(update={"cut": cut})})
    made = trained.parent / "mini.past"
    with pytest.raises(PastError, match=r"patch_px 256, but the recipe wants 272"):
        recipe_dataset(wider, made, tmp_path)


def test_training_cells_look_like_training_cells(trained):
    """The limit is the 99 % quantile of the training cells' own distances."""
    model = load_model(trained, "cpu")
    mean = model._tensors["statistics.mean"]
    assert model.unlike_training(mean[None])[0] == pytest.approx(0, abs=1e-6)
    assert model.unlike_training(mean[None] + 100)[0] > 1


def test_predictions_with_it(trained, tmp_path):
    path = write_phantom(tmp_path / "p.ome.tif", 500, 420, 0.5, seed=9)
    model = load_model(trained, "cpu")
    with open_slide(path) as slide:
        cells = predict(slide, model)
        cells.store = Store(cells.plan.key, tmp_path)
        adata = cells.to_anndata(["EPCAM", "ERBB2"])
    assert adata.n_obs > 20
    assert np.isfinite(adata.X).all()
    assert adata.uns["napari_past"]["model"]["name"] == "mini"


def test_same_recipe_same_weights(trained, drawn_data, tmp_path):
    """Without the evidence folds, which the final model does not depend on."""
    out = tmp_path / "again.safetensors"
    recipe = str(drawn_data / "mini.toml")
    arguments = ["pretrain", "--recipe", recipe, "--data", str(drawn_data), "--out", str(out)]
    assert main([*arguments, "--no-evidence"]) == 0
    first, second = load_model(trained), load_model(out)
    assert first._tensors.keys() == second._tensors.keys()
    for key, values in first._tensors.items():
        np.testing.assert_array_equal(values, second._tensors[key], err_msg=key)
    assert second.reliability("EPCAM").label.endswith("r not measured")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"--recipe": "past-maxi"}, "no recipe"),
        ({"--out": "model.pt"}, ".safetensors"),
        ({"--out": "nowhere/m.safetensors"}, "The folder nowhere of m.safetensors does not exist"),
        ({"--data": "nowhere"}, "not a folder"),
        ({"--data": "."}, "holds neither"),
    ],
)
def test_mistakes_exit_with_2(drawn_data, tmp_path, monkeypatch, capsys, changes, message):
    monkeypatch.chdir(tmp_path)
    options = {"--recipe": str(drawn_data / "mini.toml"), "--data": str(drawn_data),
               "--out": "m.safetensors", **changes}  # fmt: skip
    assert main(["pretrain", *(word for pair in options.items() for word in pair)]) == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert len(told) == 1
    assert told[0].startswith("past-train: ")
    assert message in told[0]
    assert not (tmp_path / "m.safetensors").exists()


@pytest.mark.parametrize("arguments", [[], ["--help"], ["pretrain"]])
def test_without_the_extra(arguments):
    code = (
        "import sys; sys.modules['lightning_fabric'] = None\n"
        "from past_training.cli import main\n"
        f"sys.exit(main({arguments!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "napari-past[training]" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_without_arguments(capsys):
    with pytest.raises(SystemExit) as left:
        main([])
    assert left.value.code == 2
    assert "command" in capsys.readouterr().err
