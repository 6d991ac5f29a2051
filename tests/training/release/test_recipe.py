"""Recipes: found by name, checked field by field."""

from __future__ import annotations

import pytest

from napari_past.errors import PastError
from past_training.release.recipe import load_recipe


def test_shipped_recipe():
    recipe = load_recipe("past-mini")
    assert recipe.card.name == "past-mini"
    assert recipe.encoder.mode == "dense"
    assert recipe.data.reader["sections"] == ("C2", "C3", "C4", "C5")


def test_own_file(drawn_data):
    recipe = load_recipe(str(drawn_data / "mini.toml"))
    assert recipe.fit.epochs == 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("epochs = 1", "", r"fit\.epochs"),
        ("epochs = 1", "epochs = 1\nwarmup = 3", r"fit\.warmup"),
        ("epochs = 1", 'epochs = "many"', r"fit\.epochs"),
        ("halo_px = 64", "halo_px = 63", "halo_px 63"),
        ("patch_px = 256", "patch_px = 8", r"data\.cut\.patch_px"),
        ('[encoder]\nmode = "dense"\nmpp = 0.5', '[encoder]\nmode = "dense"\nmpp = 0.4', "0.4"),
        ("[fit]", "[fit", "not a TOML file"),
    ],
)
def test_first_wrong_field_is_named(drawn_data, tmp_path, old, new, message):
    text = (drawn_data / "mini.toml").read_text(encoding="utf-8")
    path = tmp_path / "r.toml"
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(PastError, match=message):
        load_recipe(str(path))


def test_no_such_recipe(tmp_path):
    with pytest.raises(PastError, match="past-mini"):
        load_recipe("past-maxi")
    (tmp_path / "r.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(PastError, match="not a TOML file"):
        load_recipe(str(tmp_path / "r.toml"))
