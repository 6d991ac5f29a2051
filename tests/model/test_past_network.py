"""PAST's cell side against torch's own layers and formulas written out, on small networks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from napari_past.model.card import CellTowerCard
from napari_past.model.past_network import CellEncoder, ProjectionHead
from napari_past.model.projection import project
from napari_past.model.state_dict_adapter import published_name

SMALL = CellTowerCard(
    vocabulary=90, positions=20, dim=24, heads=4, layers=2, feed_forward=40, graph=True
)
E = 10


@pytest.fixture(scope="module")
def network(draw):
    """Weights of another salt than the golden ones, drawn by their published names."""
    network = CellEncoder(SMALL, E).eval()
    state = {
        key: torch.from_numpy(draw("past-b", published_name(f"cell.{key}"), tuple(value.shape)))
        for key, value in network.state_dict().items()
    }
    # Ten times as far from zero: attention that is nearly even would hide mistakes.
    state = {k: 10 * v if v.ndim == 2 and k != "graph.bias_12" else v for k, v in state.items()}
    network.load_state_dict(state)
    return network


@pytest.fixture(scope="module")
def ids():
    rng = np.random.default_rng(4)
    ids = rng.integers(30, 90, (3, 20))
    ids[1, 12:] = SMALL.pad
    ids[2, 4:] = SMALL.pad
    return ids


@pytest.fixture(scope="module")
def neighbours():
    return np.random.default_rng(5).integers(0, 90, (3, 8, 20))


def array(network, name):
    return network.state_dict()[name].numpy().astype(np.float64)


def layer_norm(x, network, name):
    centred = x - x.mean(-1, keepdims=True)
    spread = np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    return centred / spread * array(network, f"{name}.weight") + array(network, f"{name}.bias")


def softmax(x):
    weights = np.exp(x - x.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def attention(network, name, queries, seen, heads, mask):
    """One query vector after the other, one head after the other."""
    weight, bias = array(network, f"{name}.enter.weight"), array(network, f"{name}.enter.bias")
    d = len(bias) // 3
    q, k, v = (
        x @ weight[i * d : (i + 1) * d].T + bias[i * d : (i + 1) * d]
        for i, x in enumerate((queries, seen, seen))
    )
    result = np.zeros_like(q)
    for head in np.split(np.arange(d), heads):
        logits = q[:, head] @ k[:, head].T / np.sqrt(len(head))
        result[:, head] = softmax(logits + mask) @ v[:, head]
    return result @ array(network, f"{name}.leave.weight").T + array(network, f"{name}.leave.bias")


def cell_vector(network, ids):
    x = array(network, "tower.tokens.weight")[ids] + array(network, "tower.positions.weight")
    mask = np.where(ids == SMALL.pad, -np.inf, 0.0)
    for i in range(SMALL.layers):
        name = f"tower.layers.{i}"
        seen = attention(network, f"{name}.attention", x, x, SMALL.heads, mask)
        x = layer_norm(x + seen, network, f"{name}.norm1")
        wide = x @ array(network, f"{name}.expand.weight").T + array(network, f"{name}.expand.bias")
        narrow = np.maximum(wide, 0) @ array(network, f"{name}.contract.weight").T
        narrow += array(network, f"{name}.contract.bias")
        x = layer_norm(x + narrow, network, f"{name}.norm2")
    return x[SMALL.prefix :].mean(0)


def graph_vector(network, nodes):
    x = nodes.astype(np.float64)
    for i in range(2):
        name = f"graph.layers.{i}"
        x = x @ array(network, f"{name}.linear.weight").T
        source, target = (array(network, f"{name}.{s}_11D")[0, 0] for s in ("source", "target"))
        summed = []
        for to in range(len(x)):
            logits = np.array([x[to] @ target + x[fro] @ source for fro in range(len(x))])
            weights = softmax(np.where(logits > 0, logits, 0.2 * logits))
            summed.append(weights @ x + array(network, f"{name}.bias"))
        x = layer_norm(np.array(summed), network, f"graph.norms.{i}")
        if i == 0:
            x = np.maximum(x, 0)
    return x[-1]


def fused(network, cell, nodes):
    seen = np.stack([cell, graph_vector(network, nodes)])
    mask = np.array([0.0, -1.0])
    return layer_norm(
        cell + attention(network, "graph.fusion", cell[None], seen, 4, mask)[0],
        network, "graph.fusion_norm",
    )  # fmt: skip


def head_tensors(network):
    return {k: v.numpy() for k, v in network.projection.state_dict().items()}


def test_cell_tower(network, ids):
    with torch.inference_mode():
        ours = network.tower(torch.from_numpy(ids)).numpy()
    expected = np.array([cell_vector(network, row) for row in ids])
    assert np.abs(expected[0] - expected[1]).max() > 0.05
    np.testing.assert_allclose(ours, expected, atol=2e-5)


def test_padding_is_part_of_the_mean_but_not_of_attention(network, ids):
    """Upstream's behaviour, with which the weights were trained."""
    with torch.inference_mode():
        whole = network.tower(torch.from_numpy(ids[1:2]))
        short = network.tower(torch.from_numpy(ids[1:2, :12]))
    assert (whole - short).abs().max() > 1e-3
    expected = cell_vector(network, ids[1])
    np.testing.assert_allclose(whole[0].numpy(), expected, atol=2e-5)


def test_graph_branch(network, ids, neighbours):
    nodes = np.concatenate([neighbours, ids[:, None]], axis=1)
    cells = np.array([cell_vector(network, row) for row in ids])
    with torch.inference_mode():
        ours = network.graph(torch.from_numpy(cells).float(), torch.from_numpy(nodes)).numpy()
    expected = np.array([fused(network, c, n) for c, n in zip(cells, nodes, strict=True)])
    np.testing.assert_allclose(ours, expected, atol=2e-5)


def test_all_of_the_cell_side(network, ids, neighbours):
    nodes = np.concatenate([neighbours, ids[:, None]], axis=1)
    cells = [cell_vector(network, row) for row in ids]
    with torch.inference_mode():
        alone = network(torch.from_numpy(ids), None).numpy()
        together = network(torch.from_numpy(ids), torch.from_numpy(neighbours)).numpy()
    np.testing.assert_allclose(alone, project(np.array(cells), head_tensors(network)), atol=2e-5)
    expected = np.array([fused(network, c, n) for c, n in zip(cells, nodes, strict=True)])
    np.testing.assert_allclose(together, project(expected, head_tensors(network)), atol=2e-5)
    assert np.abs(alone - together).max() > 1e-2


def test_ids_stay_exact_in_mixed_precision(network, ids, neighbours):
    """In half precision a token id above 256 would be another one."""
    arguments = torch.from_numpy(ids), torch.from_numpy(neighbours)
    with torch.inference_mode():
        exact = network(*arguments)
        with torch.autocast("cpu", torch.bfloat16):
            mixed = network(*arguments)
    assert mixed.dtype == torch.float32
    np.testing.assert_allclose(mixed, exact, atol=0.02)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_projection_in_numpy_is_the_head_in_torch(dtype):
    torch.manual_seed(2)
    head = ProjectionHead(24, E).eval()
    nn.init.normal_(head.norm.weight)
    vectors = np.random.default_rng(1).normal(size=(40, 24)).astype(dtype)
    with torch.inference_mode():
        expected = head(torch.from_numpy(vectors.astype(np.float32))).numpy()
    ours = project(vectors, {k: v.detach().numpy() for k, v in head.state_dict().items()})
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, expected, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-6)


def test_projection_in_blocks_is_that_of_each_row():
    rng = np.random.default_rng(3)
    head = {
        "enter.weight": rng.normal(size=(4, 3)), "enter.bias": rng.normal(size=4),
        "inner.weight": rng.normal(size=(4, 4)), "inner.bias": rng.normal(size=4),
        "norm.weight": rng.normal(size=4), "norm.bias": rng.normal(size=4),
    }  # fmt: skip
    head = {k: v.astype(np.float32) for k, v in head.items()}
    many = rng.normal(size=(16_500, 3)).astype(np.float32)
    together = project(many, head)
    picked = [0, 16_383, 16_384, 16_499]
    np.testing.assert_allclose(together[picked], project(many[picked], head), atol=1e-6)
