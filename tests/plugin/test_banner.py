"""The sentence on what a model was trained on."""

from __future__ import annotations

from napari_past.model import load_model
from napari_past.plugin.banner import provenance

UNSTATED = {"species": "not stated", "organ": "not stated", "preparation": "not stated"}


def test_what_is_stated_is_told(tmp_path, write_tiny_model):
    whole = load_model(write_tiny_model(tmp_path / "whole.safetensors"), "cpu")
    assert "tiny was trained on human breast (FFPE, H&E): none. Check" in provenance(whole)
    organ = {**UNSTATED, "organ": "lung"}
    lung = load_model(write_tiny_model(tmp_path / "lung.safetensors", **organ), "cpu")
    assert "was trained on lung: none." in provenance(lung)


def test_where_nothing_is_stated_that_is_told(tmp_path, write_tiny_model):
    path = write_tiny_model(tmp_path / "unstated.safetensors", **UNSTATED)
    told = provenance(load_model(path, "cpu"))
    assert "is not stated (training data: none), so nobody can say" in told
    assert "not stated not stated" not in told
