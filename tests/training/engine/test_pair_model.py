"""What the models of a run read, and from where."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from past_training.engine.cell_tower import PAD, CountTower, Neighbourhood, TokenTower
from past_training.engine.gene_levels import GeneLevels
from past_training.engine.inputs import Inputs, inputs_of, places_in_batch
from past_training.engine.pair_model import PairModel, Projection, RateHead
from past_training.objectives import ObjectiveConfig

CPU = torch.device("cpu")
LEVELS = GeneLevels(torch.ones(3), torch.ones(3))
EVERYTHING = ObjectiveConfig(contrastive=1, expression=1, self_supervised=1, texture=1, anchor=1)


def seen(batch, jitter: float | None = None, two_views: bool = True) -> Inputs:
    generator = torch.Generator().manual_seed(0)
    return inputs_of(batch, CPU, stain_jitter=jitter, two_views=two_views, generator=generator)


def test_places_in_the_batch():
    rows = torch.tensor([12, 7, 30])
    listed = torch.tensor([[7, 99, -1], [30, 12, 5], [-1, -1, -1]])
    assert places_in_batch(listed, rows).tolist() == [[1, -1, -1], [2, 0, -1], [-1, -1, -1]]


def test_pixels_as_they_were_read(batch):
    one = batch(3)
    inputs = seen(one, two_views=False)
    assert torch.equal(inputs.image_BCHW, one.patches.permute(0, 3, 1, 2).float())
    assert torch.equal(inputs.where_N3, one.where)
    assert inputs.second is None


def test_views_turn_pixels_and_places_together(batch):
    """A black pixel is found at its nucleus in every view."""
    one = batch(3)
    patches = torch.full_like(one.patches, 200)
    patches[:, 3, 9] = 0
    where = torch.tensor([[k, 3.0, 9.0] for k in range(3)])
    one = dataclasses.replace(one, patches=patches, where=where)
    for k in range(8):
        generator = torch.Generator().manual_seed(k)
        inputs = inputs_of(one, CPU, stain_jitter=0.1, two_views=True, generator=generator)
        assert inputs.second is not None
        for image, places in ((inputs.image_BCHW, inputs.where_N3), inputs.second):
            dark = (image.sum(1) < 150).nonzero().tolist()
            assert dark == [[int(v) for v in place] for place in places.tolist()]


def test_a_model_makes_what_has_a_weight(batch, tiny_tower):
    made = {
        "contrastive": {"image_RD", "cell_RD", "image_pre_RE", "cell_pre_RF", "tau"},
        "expression": {"rates_NG", "deviation_G", "log_dispersion_G"},
        "self_supervised": {"view_a_NP", "view_b_NP"},
        "texture": {"described_NT", "texture_NT"},
        "anchor": {"trained_NE", "frozen_NE"},
    }
    for part, fields in made.items():
        objective = ObjectiveConfig(**({part: 1} | ({"expression": 1} if part == "anchor" else {})))
        cells = CountTower(3, 16)
        model = PairModel(objective, tiny_tower(), cells, 16, LEVELS)
        outputs = model(seen(batch(4)))
        expected = fields | (made["expression"] if part == "anchor" else set())
        assert {k for k, v in outputs._asdict().items() if v is not None} == expected


def test_every_weight_is_reached(batch, tiny_tower):
    """One that is not would make DDP wait for its gradient."""
    model = PairModel(EVERYTHING, tiny_tower(), CountTower(3, 16), 16, LEVELS)
    outputs = model(seen(batch(4)))
    torch.stack([x.square().mean() for x in outputs if x is not None]).sum().backward()
    without = {n for n, p in model.named_parameters() if p.grad is None}
    assert without == {n for n, p in model.named_parameters() if n.startswith("frozen.")}
    model.train()
    assert not model.frozen.training


def test_rows_are_means_of_their_nuclei(batch, tiny_tower):
    one = batch(4)
    shared = dataclasses.replace(one, row_of_nucleus=torch.tensor([0, 0, 1, 3]))
    objective = ObjectiveConfig(contrastive=1)
    model = PairModel(objective, tiny_tower(), CountTower(3, 16), 16, LEVELS).eval()
    alone, rows = model(seen(one)).image_pre_RE, model(seen(shared)).image_pre_RE
    torch.testing.assert_close(rows[0], (alone[0] + alone[1]) / 2)
    torch.testing.assert_close(rows[1], alone[2])
    assert rows[2].tolist() == [0] * 6


def test_projections_have_length_one():
    head = Projection(7)
    assert head(torch.randn(5, 7)).norm(dim=1).tolist() == pytest.approx([1] * 5)


def test_rates_start_at_the_mean_of_each_gene():
    mean = torch.tensor([0.0, 3.0, 250.0])
    rates = RateHead(4, mean)(torch.randn(6, 4))
    torch.testing.assert_close(rates, mean.clamp(min=1e-4).expand(6, 3))


def test_cells_know_their_neighbours_and_no_others():
    torch.manual_seed(0)
    around = Neighbourhood(16).eval()
    cells = torch.randn(4, 16)
    near = torch.tensor([[1, -1], [0, 2], [-1, -1], [-1, -1]])
    before = around(cells, near)
    changed = cells.clone()
    changed[2] += 1
    after = around(changed, near)
    same = [torch.allclose(a, b) for a, b in zip(before, after, strict=True)]
    assert same == [True, False, False, True]
    alone = around(cells, torch.zeros(4, 0, dtype=torch.int64))
    torch.testing.assert_close(before[2:], alone[2:])


def test_padding_does_not_count():
    torch.manual_seed(0)
    tower = TokenTower(dim=16, layers=1).eval()
    tokens = torch.full((2, 300), PAD)
    tokens[:, :6] = torch.tensor([4, 9, 5, 40, 50, 60])
    tokens[1, 6] = 70
    vectors = tower(tokens)
    assert not torch.allclose(vectors[0], vectors[1])
    # Had the 294 empty places counted, one gene more would hardly show.
    states = tower.embedding(tokens[:1, :6]) + tower.position_TF[:6]
    states = tower.encoder(states)
    torch.testing.assert_close(vectors[:1], states[:, 3:].mean(1), rtol=1e-4, atol=1e-5)


def test_counts_are_read_per_10k():
    tower = CountTower(2, 16)
    counts = torch.tensor([[1.0, 2.0], [10.0, 20.0]])
    a, b = tower(counts, torch.tensor([100.0, 1000.0]))
    torch.testing.assert_close(a, b)
