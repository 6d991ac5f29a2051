"""What a student's loss is, and that its last layer gives vectors in the teacher's units."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from napari_past.model import EncoderCard, TowerCard
from past_training.engine.towers import dense_tower
from past_training.release.distill_cells import TaughtCells
from past_training.release.distill_fit import Scale, _in_units, distillation_loss, scale_of


def test_the_loss_by_hand():
    scale = Scale(torch.tensor([1.0, 0.0]), torch.tensor([2.0, 10.0]))
    teacher = torch.tensor([[3.0, 0.0], [1.0, 10.0]])
    # Standardised the teacher's are (1, 0) and (0, 1); the student's are (3, 0) and (3, 10).
    standard = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    loss, parts = distillation_loss(standard, teacher, scale)
    cosine = (3 * 1 + 10 * 10) / math.sqrt(9 + 100) / math.sqrt(1 + 100)
    assert float(parts["squared_error"]) == pytest.approx(1 / 4)
    assert float(parts["cosine"]) == pytest.approx((1 - cosine) / 2, abs=1e-6)
    assert float(loss) == pytest.approx(1 / 4 + (1 - cosine) / 2, abs=1e-6)


def test_mean_and_deviation_are_over_all_slides():
    rng = np.random.default_rng(0)
    vectors = rng.normal(3, 2, (50, 3)).astype(np.float16)
    vectors[:, 2] = 7
    rows = [np.arange(10), np.arange(15, 50)]
    scale = scale_of([TaughtCells(None, None, vectors, r) for r in rows])  # type: ignore[arg-type]
    taken = np.concatenate([vectors[r] for r in rows]).astype(float)
    assert scale.mean_D.numpy() == pytest.approx(taken.mean(0), rel=1e-6)
    assert scale.deviation_D.numpy()[:2] == pytest.approx(taken.std(0)[:2], rel=1e-6)
    # What never varies is not blown up beyond 10,000 times the rest.
    assert scale.deviation_D[2] == pytest.approx(1e-4 * taken.std(0).max())


def test_units_are_folded_into_the_last_layer():
    encoder = EncoderCard(
        mode="dense", mpp=0.5, stride_px=4, halo_px=16, crop_px=32, mean=(0.7, 0.55, 0.7),
        std=(0.2, 0.2, 0.2),
        tower=TowerCard(backbone="mobilenetv4_conv_small", stages=(0, 1), embed_dim=3),
    )  # fmt: skip
    torch.manual_seed(0)
    tower = dense_tower(encoder).eval()
    image, where = 255 * torch.rand(1, 3, 32, 32), torch.tensor([[0.0, 10.0, 20.0]])
    with torch.inference_mode():
        before = tower(image, where)
    scale = Scale(torch.tensor([5.0, 0.0, -1.0]), torch.tensor([2.0, 0.5, 100.0]))
    _in_units(tower, scale)
    with torch.inference_mode():
        after = tower(image, where)
    assert after.numpy() == pytest.approx((before * scale.deviation_D + scale.mean_D).numpy())
