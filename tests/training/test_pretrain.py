"""The whole training in miniature, from the command line to predictions with its model."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from napari_past.engine import Store, predict
from napari_past.model import load_model
from napari_past.sample import write_phantom
from napari_past.slide import open_slide
from past_training.cli import main


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
    assert set(card.genes) == {"EPCAM", "ERBB2", "ACTB", "VIM"}
    assert all(len(card.evidence.r[g]) == 3 for g in card.genes)
    assert card.evidence.detected["EPCAM"] == 1.0
    assert len(card.training_fingerprints) == 3
    report = json.loads(trained.with_suffix(".report.json").read_text())
    assert report["sections"] == ["S1", "S2", "S3"]
    assert trained.with_suffix(".md").read_text(encoding="utf-8").startswith("# mini")


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
        ({"--out": "nowhere/m.safetensors"}, "folder that exists"),
        ({"--data": "nowhere"}, "not a folder"),
        ({"--data": "."}, "lacks S1.jpg"),
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


def test_batches_larger_than_the_data(drawn_data, tmp_path, capsys):
    recipe = tmp_path / "r.toml"
    text = (drawn_data / "mini.toml").read_text(encoding="utf-8")
    recipe.write_text(text.replace("batch_spots = 4", "batch_spots = 400"), encoding="utf-8")
    out = str(tmp_path / "m.safetensors")
    assert main(["pretrain", "--recipe", str(recipe), "--data", str(drawn_data), "--out", out]) == 2
    assert "batch_spots" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["--help"], ["pretrain"]])
def test_without_the_extra(arguments):
    code = (
        "import sys; sys.modules['lightning'] = None\n"
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
