"""Embeddings to numbers that a user sees: numpy alone."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from napari_past.errors import BadModel, UnknownGene
from napari_past.model import Model, load_model
from napari_past.model.files import read_model_file
from napari_past.model.readout import MlpReadout


@pytest.fixture(scope="module")
def model(tiny_model_file):
    return load_model(tiny_model_file, "cpu")


@pytest.fixture(scope="module")
def embeddings():
    return np.random.default_rng(1).normal(size=(9, 16)).astype(np.float16)


def test_expression_is_one_row_of_the_read_out(model, embeddings, tiny_tensors):
    weight = tiny_tensors["readout.weight"].astype(np.float64)
    bias = tiny_tensors["readout.bias"].astype(np.float64)
    values = model.expression(embeddings, ["CD3E", "ERBB2"])
    assert values.shape == (9, 2)
    assert values.dtype == np.float32
    rows = [e.astype(np.float64) for e in embeddings]
    expected = [[float(e @ weight[k] + bias[k]) for k in (3, 0)] for e in rows]
    np.testing.assert_allclose(values, expected, atol=1e-4)


@pytest.fixture(scope="module")
def layered(tmp_path_factory, write_tiny_model):
    """The tiny model with five hidden units in its read-out."""
    rng = np.random.default_rng(3)
    shapes = {"hidden.weight": (5, 16), "hidden.bias": (5,), "weight": (6, 5), "bias": (6,)}
    drawn = {
        f"readout.{key}": rng.normal(size=shape).astype(np.float32) for key, shape in shapes.items()
    }
    path = tmp_path_factory.mktemp("mlp") / "layered.safetensors"
    return load_model(write_tiny_model(path, drawn, hidden_units=5), "cpu"), drawn


def test_expression_through_a_hidden_layer(layered, embeddings):
    model, drawn = layered
    values = model.expression(embeddings, ["CD3E", "ERBB2"])
    assert (values.shape, values.dtype) == ((9, 2), np.float32)
    expected = []
    for vector in embeddings.astype(np.float64):
        units = [
            max(float(w @ vector + b), 0.0)
            for w, b in zip(
                drawn["readout.hidden.weight"], drawn["readout.hidden.bias"], strict=True
            )
        ]
        weight, bias = drawn["readout.weight"], drawn["readout.bias"]
        expected.append([float(weight[k] @ units + bias[k]) for k in (3, 0)])
    np.testing.assert_allclose(values, expected, atol=1e-3)
    assert expected[0] != expected[1]


def test_hidden_units_of_many_cells_are_never_held_at_once(layered):
    """Blocks give what the whole would."""
    model, _ = layered
    readout = model.readouts.own
    assert isinstance(readout, MlpReadout)
    many = np.random.default_rng(4).normal(size=(9000, 16)).astype(np.float16)
    together = readout.hidden(many) @ readout.weight.T + readout.bias
    np.testing.assert_allclose(readout.expression(many), together, atol=1e-5)
    some = model.expression(many[4090:4100], list(model.genes))
    np.testing.assert_allclose(some, together[4090:4100], atol=1e-5)


@pytest.mark.parametrize(
    ("tensors", "fields", "message"),
    [
        ({}, {"hidden_units": 7}, r"readout\.weight .* 6 x 7"),
        ({}, {"hidden_units": None}, r"readout\.weight .* 6 x 16"),
        ({"readout.hidden.bias": None}, {}, r"lacks the tensor readout\.hidden\.bias"),
        ({"readout.hidden.weight": np.zeros((5, 3), np.float32)}, {}, r"asks for 5 x 16"),
    ],
)
def test_hidden_layers_that_do_not_fit_the_card(
    layered, tmp_path, write_tiny_model, tensors, fields, message
):
    _, drawn = layered
    path = write_tiny_model(
        tmp_path / "m.safetensors", {**drawn, **tensors}, **{"hidden_units": 5, **fields}
    )
    with pytest.raises(BadModel, match=message):
        load_model(path, "cpu")


def test_a_gene_does_not_depend_on_the_others_or_on_other_cells(model, embeddings):
    together = model.expression(embeddings, list(model.genes))
    for k, gene in enumerate(model.genes):
        alone = model.expression(embeddings[4:5], [gene])[0, 0]
        np.testing.assert_allclose(alone, together[4, k], rtol=1e-5)


def test_unknown_gene(model, embeddings):
    for ask in (lambda: model.expression(embeddings, ["TP53"]), lambda: model.reliability("TP53")):
        with pytest.raises(UnknownGene, match="does not predict TP53"):
            ask()


def test_parts_of_a_section_are_named_as_such(tiny_model_file):
    """Never "same patient", which would promise another section."""
    card, tensors, _ = read_model_file(tiny_model_file)
    evidence = card.evidence.model_copy(update={"blocks": True})
    model = Model(card.model_copy(update={"evidence": evidence}), tensors, sha256="", path="")
    told = model.reliability("ERBB2")
    assert told.label == "parts of the same section · 100 µm spots · r 0.31 (2 parts: 0.25, 0.38)"
    assert told.grey
    label = model.reliability("EPCAM").label
    assert label == "parts of the same section · 100 µm spots · r not measured"


def test_reliability_names_its_evidence(model):
    measured = model.reliability("ERBB2")
    assert measured.label == "same patient · 100 µm spots · r 0.31 (2 sections: 0.25, 0.38)"
    assert measured.r == 0.3125
    assert measured.grey
    assert measured.learnable
    assert model.reliability("EPCAM").label == "same patient · 100 µm spots · r not measured"
    assert model.reliability("CD3D").r is None
    rare = model.reliability("KRT5")
    assert not rare.learnable
    assert rare.label == "not learnable · seen in 1.2 % of training spots"
    assert rare.r == 0.5


def test_unseen_patients_take_the_grey_away(tmp_path, write_tiny_model):
    changes = {"patients": 3, "unseen_patients": 1}
    model = load_model(write_tiny_model(tmp_path / "m.safetensors", evidence=changes))
    shown = model.reliability("ERBB2")
    assert not shown.grey
    assert shown.label.startswith("1 unseen patient · 100 µm spots")


def test_cutoffs_of_the_card(model):
    limits = model.cutoffs("ERBB2")
    assert limits is not None
    assert limits.values == (-0.5, 0.0, 0.5)
    assert limits.source == "tiny card: drawn by lot"
    assert model.cutoffs("EPCAM") is None


def test_distance_from_training_cells(model, tiny_tensors):
    mean = tiny_tensors["statistics.mean"].astype(np.float64)
    whitening = tiny_tensors["statistics.whitening"].astype(np.float64)
    away = np.stack([mean, mean + 1, mean - 3])
    expected = [sum(((e - mean) @ whitening) ** 2) / 4.0 for e in away]
    distance = model.unlike_training(away)
    assert distance.dtype == np.float32
    np.testing.assert_allclose(distance, expected, rtol=1e-4, atol=1e-9)


def test_showing_results_needs_no_torch():
    """A viewer that opens a slide analysed before must not wait seconds for torch."""
    code = (
        "import sys, numpy as np\n"
        "import napari_past as past\n"
        "model = past.load_model('past-mini')\n"
        "model.expression(np.zeros((3, model.embed_dim), np.float16), ['ERBB2'])\n"
        "model.unlike_training(np.zeros((3, model.embed_dim), np.float16))\n"
        "model.reliability('ERBB2'), model.cutoffs('ERBB2')\n"
        "from napari_past.engine import *\n"
        "print([m for m in ('torch', 'timm', 'qtpy', 'napari') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr
