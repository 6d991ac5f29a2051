"""``past-train hest``: a run from folder to page, and every mistake in one line."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from napari_past.model import load_model
from past_training.benchmark.recipe import DEFAULT_RECIPE, load_hest_recipe
from past_training.cli import main

REPOSITORY = Path(__file__).resolve().parents[3]
RECIPE = """
towers = ["past-mini", "past"]

[data]
repository = "lab/bench"
tasks = ["DRAWN", "OTHER"]
genes = "var_50genes.json"
patch_px = 64
mpp = 0.5

[probe]
components = 4
penalty = 100.0
iterations = 1000
seed = 1
"""


@pytest.fixture(scope="module")
def own_recipe(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "small.toml"
    path.write_text(RECIPE, encoding="utf-8")
    return path


def test_shipped_recipe():
    recipe = load_hest_recipe(DEFAULT_RECIPE)
    assert recipe.towers == ("uni2-h", "resnet50", "past-mini", "past")
    assert (recipe.probe.components, recipe.data.patch_px, recipe.data.mpp) == (256, 224, 0.5)
    assert len(recipe.data.tasks) == 9


def test_run_with_a_tower_that_is_not_here(drawn, own_recipe, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NAPARI_PAST_MODELS", str(tmp_path / "models"))
    words = (
        "hest", "--data", drawn, "--recipe", own_recipe, "--device", "cpu", "--trained-on",
        "past-mini=A,C", "--out",
    )  # fmt: skip
    assert main([str(w) for w in (*words, tmp_path / "hest.md")]) == 1
    out, err = capsys.readouterr()
    assert "past was not measured: There is no model 'past' here" in err
    assert "† past-mini was trained on 2 of the samples of DRAWN (A, C)" in out
    page = (tmp_path / "hest.md").read_text(encoding="utf-8")
    assert "| past-mini | PCA + ridge |" in page
    assert "| past-mini | its own read-out, nothing fitted |" in page
    assert "1 were not run (OTHER)" in page
    genes = pd.read_csv(tmp_path / "hest.genes.csv")
    assert len(genes) == 2 * 2 * 3
    assert list(genes["task"].unique()) == ["DRAWN"]

    assert main([str(w) for w in (*words, tmp_path / "hest.md")]) == 2
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--tasks", "IDC"], "There is no task IDC"),
        (["--tasks", "IDC", "--fetch"], "knows no task IDC to fetch; give some of DRAWN, OTHER"),
        (["--data", "nowhere"], "nowhere holds no task of the HEST-Benchmark"),
        (["--recipe", "nobody"], "There is no recipe 'nobody'"),
        (["--out", "x.html"], "give x.md"),
        (["--out", "nowhere/x.md"], "does not exist"),
        (["--random", "uni"], "--random names 'uni', which is none of the towers"),
        (["--weights", "uni=w.pth"], "--weights names 'uni'"),
        (["--trained-on", "uni=A"], "--trained-on names 'uni'"),
        (["--trained-on", "past-mini=A,Z"], "names 'Z', which is no sample of these tasks"),
        (["--random", "past-mini"], "past-mini is a model that brings its weights"),
        (["--towers", "past"], "There is no model 'past' here"),
        (["--towers", "none.safetensors"], "There is no model 'none.safetensors' here"),
    ],
)
def test_mistakes_are_told_in_one_line(
    options, told, drawn, own_recipe, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("NAPARI_PAST_MODELS", str(tmp_path / "models"))
    monkeypatch.chdir(tmp_path)
    given = {"--data": str(drawn), "--recipe": str(own_recipe), "--out": "x.md"}
    words = [w for pair in given.items() if pair[0] not in options for w in pair]
    assert main(["hest", *words, *options]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert told in lines[-1]
    assert lines[-1].startswith("past-train: ")
    assert not (tmp_path / "x.md").exists()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("components = 4", "components = 0", r"probe.components"),
        ("seed = 1", "seed = 1\nfolds = 3", r"probe.folds"),
        ("[probe]", "[probe", "is not a TOML file"),
    ],
)
def test_wrong_recipes_name_the_field(old, new, told, drawn, tmp_path, capsys):
    (tmp_path / "r.toml").write_text(RECIPE.replace(old, new), encoding="utf-8")
    words = ("hest", "--data", drawn, "--recipe", tmp_path / "r.toml", "--out", tmp_path / "x.md")
    assert main([str(w) for w in words]) == 2
    assert told in capsys.readouterr().err


def test_folder_made_of_real_sections_is_known_as_training_tissue(
    data_dir, tmp_path, monkeypatch, capsys
):
    """The generator's folder, as the documentation shows it, in small."""
    monkeypatch.syspath_prepend(str(REPOSITORY / "benchmarks"))
    import hest_folder

    hest_folder.write_folder(data_dir / "her2st", tmp_path, ["C2", "C3"], spots=6)
    words = ("hest", "--data", tmp_path, "--towers", "past-mini", "--out", tmp_path / "hest.md")
    assert main([str(w) for w in words]) == 0
    out = capsys.readouterr().out
    assert "past-mini was trained on 2 of the samples of HER2ST (C2, C3)" in out
    folds = pd.read_csv(tmp_path / "HER2ST" / "splits" / "test_0.csv")
    seen = load_model("past-mini").card.training_fingerprints
    assert folds["slide_fingerprint"][0] in seen
