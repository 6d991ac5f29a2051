from __future__ import annotations

import json
import zipfile

import anndata
import numpy as np
import pytest

from napari_past.cli.models import evidence_line
from napari_past.model import Card, load_model, write_model_file


def test_list(command):
    done = command("models", "list")
    assert done.code == 0
    model = load_model()
    for part in (model.name, model.card.licence, model.card.training_data, model.path):
        assert part in done.out
    assert f"{len(model.genes)} genes" in done.out


def test_card(command):
    model = load_model()
    done = command("models", "card", "past-mini")
    assert done.code == 0
    for part in (model.card.evidence.protocol, model.card.attribution, model.card.cutoffs_source):
        assert part in done.out
    detected = model.card.evidence.detected
    poor = sum(detected.get(gene, 0) < model.card.min_detected for gene in model.genes)
    assert f"not learnable  {poor} genes" in done.out


def test_card_as_json_is_the_whole_card(command):
    model = load_model()
    text = command("models", "card", model.path, "--json").out
    assert json.loads(text) == json.loads(model.card.model_dump_json())


def test_evidence_line_tells_the_mean_over_measured_genes():
    model = load_model()
    values = [
        np.mean([v for v in r if v is not None])
        for gene, r in model.card.evidence.r.items()
        if model.reliability(gene).learnable and any(v is not None for v in r)
    ]
    expected = f"mean r {np.mean(values):.2f}" if values else "r not measured"
    assert expected in evidence_line(model)


@pytest.fixture(scope="module")
def without_readout(tmp_path_factory, tiny_card, tiny_tensors):
    """A folder of models with one that predicts no gene, "bare"."""
    folder = tmp_path_factory.mktemp("models")
    card = tiny_card(name="bare").model_dump()
    card |= {"genes": (), "cutoffs": {}, "unlike_training_limit": None, "slide_unlike_limit": None}
    card["evidence"] |= {"r": {}, "detected": {}}
    tensors = {k: v for k, v in tiny_tensors.items() if k.startswith("tower.")}
    write_model_file(folder / "bare.safetensors", Card.model_validate(card), tensors)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAPARI_PAST_MODELS", str(folder))
        yield folder


def test_installed_model(command, without_readout):
    listed = command("models", "list").out
    assert "past-mini" in listed
    assert "bare  version 1 · no read-out" in listed
    told = command("models", "card", "bare").out
    assert "predicts       no gene by itself" in told
    assert "not learnable" not in told


def test_run_without_a_read_out(command, without_readout, phantom, tmp_path):
    out = tmp_path / "cells.h5ad"
    done = command("run", phantom, "--model", "bare", "--region", "0,0,100,100", "--out", out)
    assert done.code == 0, done.err
    assert "none: bare has no read-out" in done.out
    table = anndata.read_h5ad(out)
    assert table.n_vars == 0
    assert table.obsm["X_past"].shape == (table.n_obs, 16)
    assert "unlike_training" not in table.obs  # nobody knows


def test_gene_of_a_model_without_a_read_out(command, told_once, without_readout, phantom, tmp_path):
    out = tmp_path / "cells.h5ad"
    done = command("run", phantom, "--model", "bare", "--genes", "HER2", "--out", out)
    assert "bare has no read-out" in told_once(done)
    assert not out.exists()


def test_name_of_several_models(command, told_once, without_readout):
    for digit in "ab":
        copy = without_readout / f"bare2-{digit * 12}.safetensors"
        copy.write_bytes((without_readout / "bare.safetensors").read_bytes())
    assert command("models", "card", f"bare2-{'a' * 12}").code == 0
    told = told_once(command("models", "card", "bare2"))
    assert f"several models 'bare2': give one of bare2-{'a' * 12}, bare2-{'b' * 12}" in told
    (without_readout / f"bare2-{'b' * 12}.safetensors").unlink()
    assert command("models", "card", "bare2").code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("past-mini",), "comes with the package"),
        (("past", "--from", "none.pth"), "There is no file none.pth"),
        (("past", "--from", "none.pth", "--sha256", "xyz"), "64 hex digits"),
    ],
)
def test_fetch_mistakes(command, told_once, arguments, message):
    assert message in told_once(command("models", "fetch", *arguments))


def test_model_that_was_not_fetched(command, told_once, without_readout):
    told = told_once(command("models", "card", "past"))
    assert "napari-past models fetch past" in told


def test_fetch_keeps_weights_of_a_detector(command, tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_PAST_DATA_HOME", str(tmp_path / "home"))
    with zipfile.ZipFile(tmp_path / "published.zip", "w") as archive:
        archive.writestr("instanseg/instanseg.pt", b"weights")
    fetch = ("models", "fetch", "instanseg", "--from", tmp_path / "published.zip")
    done = command(*fetch)
    assert done.code == 0, done.err
    [kept] = (tmp_path / "home").rglob("*.pt")
    assert kept.read_bytes() == b"weights"
    assert str(kept) in done.out
    assert "--mpp is of models" in command(*fetch, "--mpp", 0.5).err
    assert "past, instanseg" in command("models", "fetch", "nothing").err
